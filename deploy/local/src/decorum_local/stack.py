"""The whole of Decorum as processes on the embedded servers: carrier, four services, any number of replicas of each."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from decorum_local.loopback import free_port
from decorum_local.platform import LocalPlatform
from decorum_local.processes import ServiceProcess
from shared.postgres.migrations import SERVICE_PACKAGES, migrate

SERVICES: Final = ("scheduler", "compliance-gate", "notifier", "ledger")
CARRIER_KEY: Final = "embedded-carrier-key"
SEND_RATE_PER_SECOND: Final = 5_000


def embedded_secret(purpose: str) -> str:
    """A key for the embedded stack alone: the same at each start, so that its kept data can be opened again."""
    return base64.b64encode(hashlib.sha256(f"decorum embedded {purpose}".encode()).digest()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """How many replicas of each service run, and what their environment says on top of the addresses."""

    replicas: int = 1
    partitions: int | None = None
    """Of every topic; the topics file says how many otherwise."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """For every process, for example DECORUM_CLOCK."""
    service_environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By service name, or `carrier`."""
    has_carrier: bool = True


class Stack:
    """Starts, watches and ends the processes; each one's log is a file in `folder`.

    The carrier's journal has telephone numbers in it and therefore lies beside that folder, never among the logs.
    """

    def __init__(self, platform: LocalPlatform, folder: Path, options: StackOptions) -> None:
        self._platform = platform
        self._options = options
        self._ports = {(name, i): free_port() for name in SERVICES for i in range(options.replicas)}
        self._carrier_port = free_port()
        self.folder = folder
        self.carrier_journal = folder.with_name("carrier.jsonl")
        self.carrier = self._process("carrier", 0, "decorum_simulation.carrier.app:app", self._carrier_port)
        self.replicas: Mapping[str, tuple[ServiceProcess, ...]] = {
            name: tuple(
                self._process(name, i, f"{name.replace('-', '_')}.app:app", self._ports[(name, i)])
                for i in range(options.replicas)
            )
            for name in SERVICES
        }

    @property
    def processes(self) -> tuple[ServiceProcess, ...]:
        """All of them, the carrier first."""
        services = tuple(process for replicas in self.replicas.values() for process in replicas)
        return (self.carrier, *services) if self._options.has_carrier else services

    def environment(self) -> dict[str, str]:
        """What every process gets, and what a command needs to talk to this stack."""
        carrier_url = f"http://127.0.0.1:{self._carrier_port}"
        return {
            **self._platform.environment(),
            "NOTIFIER_SMS_URL": carrier_url,
            "NOTIFIER_SMS_KEY": CARRIER_KEY,
            "NOTIFIER_SMS_RATE_PER_SECOND": str(SEND_RATE_PER_SECOND),
            "NOTIFIER_VOICE_URL": carrier_url,
            "NOTIFIER_VOICE_KEY": CARRIER_KEY,
            "NOTIFIER_VOICE_RATE_PER_SECOND": str(SEND_RATE_PER_SECOND),
            "NOTIFIER_WEBHOOK_SECRET": embedded_secret("webhooks"),
            "NOTIFIER_SEALING_KEY": embedded_secret("contact data"),
            "NOTIFIER_NUMBER_HASH_KEY": embedded_secret("numbers"),
            "COMPLIANCE_GATE_NUMBER_HASH_KEY": embedded_secret("numbers"),
            "CARRIER_KEY": CARRIER_KEY,
            "CARRIER_WEBHOOK_SECRET": embedded_secret("webhooks"),
            "CARRIER_NOTIFIER_URLS": ",".join(
                f"http://127.0.0.1:{self._ports[('notifier', i)]}" for i in range(self._options.replicas)
            ),
            "CARRIER_LOG": str(self.carrier_journal),
            **self._options.environment,
        }

    def prepare(self) -> None:
        """Create the topics and bring every database to its newest schema."""
        self._platform.create_topics(partitions=self._options.partitions)
        with ThreadPoolExecutor(len(SERVICE_PACKAGES)) as pool:
            list(pool.map(self.migrate, SERVICE_PACKAGES))

    def migrate(self, package: str) -> None:
        """Bring one service's database to its newest schema."""
        asyncio.run(migrate(package, self._platform.database_url(package)))

    def start(self, processes: Sequence[ServiceProcess] = ()) -> None:
        """Start `processes` (all, when none are named) and wait until each says that it is ready."""
        for process in processes or self.processes:
            process.start()
        self.wait_ready(processes)

    def wait_ready(self, processes: Sequence[ServiceProcess] = ()) -> None:
        """Wait until every process is ready; the first that ends or takes too long raises with its log's end."""
        waited_for = processes or self.processes
        with ThreadPoolExecutor(len(waited_for)) as pool:
            for waiting in [pool.submit(self._wait_ready, process) for process in waited_for]:
                waiting.result()

    def _wait_ready(self, process: ServiceProcess) -> None:
        process.wait_ready(path="/livez" if process is self.carrier else "/readyz")

    def stop(self) -> None:
        """Let every process drain and end."""
        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(lambda process: process.stop(), self.processes))

    def _process(self, name: str, index: int, app: str, port: int) -> ServiceProcess:
        return ServiceProcess(
            self._platform.supervisor,
            name=name if name == "carrier" else f"{name}-{index}",
            app=app,
            environment={**self.environment(), **self._options.service_environment.get(name, {})},
            log_folder=self.folder,
            port=port,
        )
