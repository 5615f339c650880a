"""The process that owns every other process: it starts them when told, and ends them all when its owner is gone.

Run as a program (`python -I -S watchdog.py SOCKET_FD STATE_FILE`) with one end of a socket pair. It answers one JSON
line per JSON line. The owner's end closes when the owner exits, however that happens, SIGKILL included; then each child
gets its `abandon_signal`, and SIGKILL if it is still there after `ABANDON_TIMEOUT_SECONDS`. On Linux each child is also
killed by the kernel when the watchdog itself is killed; elsewhere the next start finds it in the state file.

Signals are sent here rather than by the owner because only the parent knows that a pid is not yet somebody else's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ABANDON_TIMEOUT_SECONDS = 5.0
PR_SET_PDEATHSIG = 1

Request = dict[str, Any]
Reply = dict[str, Any]


class Children:
    """The child processes, by pid, and the file that names them for a later start."""

    def __init__(self, state_path: Path) -> None:
        self._state_path = state_path
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._abandon_signals: dict[int, int] = {}
        self._folders: list[str] = []
        self._set_death_signal = _death_signal_setter()

    def spawn(self, request: Request) -> Reply:
        """Start a process in a session of its own, with its output in a file."""
        user = request["user_id"]
        with open(request["output_path"], "ab") as output:
            process = subprocess.Popen(
                request["arguments"],
                env=request["environment"],
                cwd=request["folder"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._set_death_signal,
                user=user,
                group=None if user is None else request["group_id"],
                extra_groups=None if user is None else [],
            )
        self._processes[process.pid] = process
        self._abandon_signals[process.pid] = request["abandon_signal"]
        self._write_state()
        return {"pid": process.pid}

    def poll(self, request: Request) -> Reply:
        """Tell how a process ended, or null while it runs."""
        return {"return_code": self._processes[request["pid"]].poll()}

    def send_signal(self, request: Request) -> Reply:
        """Signal a process, and its whole group if asked; one that has ended is left alone."""
        process = self._processes[request["pid"]]
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                if request["group"]:
                    os.killpg(process.pid, request["signal"])
                else:
                    os.kill(process.pid, request["signal"])
        return {}

    def forget(self, request: Request) -> Reply:
        """Drop a process that has ended from the books."""
        self._processes.pop(request["pid"]).wait()
        del self._abandon_signals[request["pid"]]
        self._write_state()
        return {}

    def remove_at_end(self, request: Request) -> Reply:
        """Remove a folder once every process has ended."""
        self._folders.append(request["folder"])
        return {}

    def end_all(self) -> None:
        """End whatever still runs; no process and no temporary folder is left behind when this returns."""
        for pid, process in self._processes.items():
            if process.poll() is None:
                os.kill(pid, self._abandon_signals[pid])
                os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + ABANDON_TIMEOUT_SECONDS
        for pid, process in self._processes.items():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        self._state_path.unlink(missing_ok=True)

    def _write_state(self) -> None:
        pids = [pid for pid, process in self._processes.items() if process.poll() is None]
        draft = self._state_path.with_suffix(".draft")
        draft.write_text(json.dumps({"pids": pids}))
        draft.replace(self._state_path)


def _death_signal_setter() -> Any:
    """On Linux, what a child runs before it becomes another program: ask to be killed when the watchdog dies."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def set_death_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


def serve(connection: socket.socket, children: Children) -> None:
    """Answer requests until the owner is gone."""
    operations = {
        "spawn": children.spawn,
        "poll": children.poll,
        "send_signal": children.send_signal,
        "forget": children.forget,
        "remove_at_end": children.remove_at_end,
    }
    with connection.makefile("rwb") as stream:
        for line in stream:
            request = json.loads(line)
            try:
                reply = operations[request["operation"]](request)
            except (OSError, subprocess.SubprocessError, KeyError) as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(reply).encode() + b"\n")
            stream.flush()


def main() -> None:
    """Serve the socket named on the command line."""
    for survived in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which the children would inherit.
        signal.signal(survived, lambda *_: None)
    connection = socket.socket(fileno=int(sys.argv[1]))
    children = Children(Path(sys.argv[2]))
    try:
        with contextlib.suppress(OSError):
            serve(connection, children)
    finally:
        children.end_all()


if __name__ == "__main__":
    main()
