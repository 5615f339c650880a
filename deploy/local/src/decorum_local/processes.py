"""Services as processes of their own: `uvicorn <package>.app:app` on loopback, ended when this process is gone."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from decorum_local.loopback import HOST, free_port
from decorum_local.supervisor import ChildProcess, Command, ServerError, Supervisor

READY_TIMEOUT_SECONDS: Final = 150.0
"""Longer than what a service may wait for in one go: a batch that is retried, with a statement and a publication."""
DRAIN_TIMEOUT_SECONDS: Final = 30
"""How long uvicorn gives requests in hand; longer than a service's own drain."""
PROBE_TIMEOUT_SECONDS: Final = 2.0
ANSWER_BYTES_SHOWN: Final = 500


class ServiceProcess:
    """One replica of an ASGI app. It may be killed or stopped and started again: its port and its log stay the same."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        name: str,
        app: str,
        environment: Mapping[str, str],
        log_folder: Path,
        port: int | None = None,
    ) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.port = port or free_port()
        self.log_path = log_folder / f"{name}.log"
        self._supervisor = supervisor
        self._app = app
        self._environment = dict(environment)
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def process(self) -> ChildProcess:
        """The process that runs, or ran last."""
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.is_running()

    def start(self, **changed_environment: str) -> None:
        """Start it with `changed_environment` on top of its own; doesn't wait."""
        if self.is_running:
            raise ServerError(f"{self.name} is running")
        self._process = self._supervisor.start(
            Command(
                name=self.name,
                arguments=[
                    *(sys.executable, "-m", "uvicorn", self._app, "--host", HOST, "--port", str(self.port)),
                    *("--lifespan", "on", "--no-access-log", "--log-level", "warning"),
                    *("--timeout-graceful-shutdown", str(DRAIN_TIMEOUT_SECONDS)),
                ],
                environment={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment, **changed_environment},
                log_path=self.log_path,
            )
        )

    def wait_ready(self, *, path: str = "/readyz", timeout_seconds: float = READY_TIMEOUT_SECONDS) -> None:
        """Wait until `path` answers 200; raises `ServerError` with what it said last and the end of the log."""
        said = "nothing"

        def is_ready() -> bool:
            nonlocal said
            status, said = self._ask(path)
            return status == 200

        try:
            self.process.wait_ready(is_ready, timeout_seconds=timeout_seconds)
        except ServerError as error:
            raise ServerError(f"{error}\n{path} said: {said}") from error

    def status(self, path: str = "/readyz") -> int | None:
        """The HTTP status of `path`, or None when it doesn't answer."""
        return self._ask(path)[0]

    def _ask(self, path: str) -> tuple[int | None, str]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_BYTES_SHOWN).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return None, type(error).__name__
        finally:
            connection.close()

    def stop(self, *, timeout_seconds: float = DRAIN_TIMEOUT_SECONDS + 10) -> bool:
        """Let it drain and end (SIGTERM); returns False when it had to be killed."""
        if not self.is_running:
            return True
        self.process.resume()
        return self.process.stop(timeout_seconds=timeout_seconds, signal_number=signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()

    def pause(self) -> None:
        """Stop it with SIGSTOP: alive for the kernel, dead for everybody else."""
        self.process.pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self.process.resume()
