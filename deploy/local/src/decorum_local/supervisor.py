"""Starts processes that cannot outlive this one, and waits for them with an end in sight."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from decorum_local import watchdog
from shared.errors import DecorumError

POLL_SECONDS = 0.01
STOP_TIMEOUT_SECONDS = 10.0
LOG_LINES_SHOWN = 20


class ServerError(DecorumError):
    """A process did not start, ended by itself, or was not ready in time; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run. `user_id` and `group_id` are given only when root starts a process as somebody else."""

    name: str
    arguments: Sequence[str]
    log_path: Path
    environment: Mapping[str, str]
    folder: Path | None = None
    user_id: int | None = None
    group_id: int | None = None
    abandon_signal: signal.Signals = signal.SIGKILL


class Supervisor:
    """Owner of child processes through a watchdog that ends them when this process is gone, also by SIGKILL.

    Safe to use from several threads. Not to be shared with a forked process.
    """

    def __init__(self, state_folder: Path) -> None:
        state_folder.mkdir(parents=True, exist_ok=True)
        state_path = state_folder / "processes.json"
        _end_leftovers(state_path)
        self._lock = threading.Lock()
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, str(theirs.fileno()), str(state_path)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._stream = self._connection.makefile("rwb")

    def start(self, command: Command) -> ChildProcess:
        """Start `command`; its standard output and error are appended to its log."""
        reply = self.request(
            operation="spawn",
            arguments=[str(argument) for argument in command.arguments],
            environment=dict(command.environment),
            folder=None if command.folder is None else str(command.folder),
            output_path=str(command.log_path),
            user_id=command.user_id,
            group_id=command.group_id,
            abandon_signal=int(command.abandon_signal),
        )
        return ChildProcess(supervisor=self, command=command, pid=reply["pid"])

    def remove_at_end(self, folder: Path) -> None:
        """Have a temporary folder removed when this process or the supervisor has ended."""
        self.request(operation="remove_at_end", folder=str(folder))

    def request(self, **fields: Any) -> dict[str, Any]:
        """Ask the watchdog; raises `ServerError` with its reason."""
        with self._lock:
            try:
                self._stream.write(json.dumps(fields).encode() + b"\n")
                self._stream.flush()
                line = self._stream.readline()
            except (OSError, ValueError) as error:
                raise ServerError(f"the watchdog is gone: {error}") from error
        if not line:
            raise ServerError("the watchdog is gone, and the processes that it watched with it")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ServerError(reply["error"])
        return reply

    def close(self) -> None:
        """End every process that is still running, then the watchdog."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self._connection.close()
        self._watchdog.wait(timeout=watchdog.ABANDON_TIMEOUT_SECONDS + 10)


class ChildProcess:
    """A process that the watchdog started."""

    def __init__(self, *, supervisor: Supervisor, command: Command, pid: int) -> None:
        self._supervisor = supervisor
        self._command = command
        self._return_code: int | None = None
        self.pid = pid

    @property
    def name(self) -> str:
        """What the process is called in messages."""
        return self._command.name

    @property
    def log_path(self) -> Path:
        """The file with its standard output and error."""
        return self._command.log_path

    def poll(self) -> int | None:
        """Return how the process ended (negative: by that signal), or None while it runs."""
        if self._return_code is None:
            self._return_code = self._supervisor.request(operation="poll", pid=self.pid)["return_code"]
            if self._return_code is not None:
                self._supervisor.request(operation="forget", pid=self.pid)
        return self._return_code

    def is_running(self) -> bool:
        """Whether the process has not ended (a stopped one has not)."""
        return self.poll() is None

    def send_signal(self, signal_number: signal.Signals, *, group: bool = False) -> None:
        """Signal the process, or with `group` every process of its group."""
        if self.is_running():
            self._supervisor.request(operation="send_signal", pid=self.pid, signal=int(signal_number), group=group)

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        self.send_signal(signal.SIGKILL, group=True)
        self.wait(timeout_seconds=10)

    def pause(self) -> None:
        """Stop it with SIGSTOP and wait until it stands: it keeps its connections and does nothing."""
        self.send_signal(signal.SIGSTOP)
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            self.wait_ready(lambda: process.status() == psutil.STATUS_STOPPED, timeout_seconds=STOP_TIMEOUT_SECONDS)

    def resume(self) -> None:
        """Let it go on with SIGCONT."""
        self.send_signal(signal.SIGCONT)

    def stop(self, *, timeout_seconds: float, signal_number: signal.Signals = signal.SIGTERM) -> bool:
        """Ask it to end and wait; returns False when it had to be killed."""
        self.send_signal(signal_number)
        try:
            self.wait(timeout_seconds=timeout_seconds)
        except ServerError:
            self.kill()
            return False
        return True

    def wait(self, *, timeout_seconds: float) -> int:
        """Wait until it has ended and return how; raises `ServerError` when it has not by then."""
        deadline = time.monotonic() + timeout_seconds
        while (return_code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} (pid {self.pid}) still runs after {timeout_seconds} s")
            time.sleep(POLL_SECONDS)
        return return_code

    def wait_ready(self, is_ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Ask `is_ready` until it says yes; raises `ServerError` when the process ends or time is up first."""
        deadline = time.monotonic() + timeout_seconds
        while not is_ready():
            if not self.is_running():
                raise ServerError(f"{self.name} ended with {self._return_code}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} is not ready after {timeout_seconds} s\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_LINES_SHOWN:])


def _end_leftovers(state_path: Path) -> None:
    """Kill what an earlier owner left in the same folder: possible only where its watchdog was killed too.

    A pid counts only if its process started before the state file was last written; a later one is somebody else's.
    """
    try:
        written_at = state_path.stat().st_mtime
        pids = json.loads(state_path.read_text())["pids"]
    except (OSError, ValueError, KeyError):
        return
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(pid)
            if process.create_time() <= written_at and os.getsid(pid) == pid:
                process.kill()
                process.wait(timeout=10)
    state_path.unlink(missing_ok=True)
