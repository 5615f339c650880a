"""The servers that Decorum needs, embedded in one machine, or others that environment variables name.

`DECORUM_KAFKA_BOOTSTRAP_SERVERS` names another Kafka and `DECORUM_DATABASE_URL` another PostgreSQL: a base URL such as
`postgresql+asyncpg://user:password@host:5432/postgres`, whose database is replaced by the name asked for. What is named
is not started.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from decorum_local.kafka_server import KafkaCluster
from decorum_local.postgres_server import PostgresServer
from decorum_local.supervisor import ChildProcess, ServerError, Supervisor
from shared.errors import Rejection
from shared.kafka.topics import create_topics, delete_topics, load_topics

KAFKA_VARIABLE: Final = "DECORUM_KAFKA_BOOTSTRAP_SERVERS"
DATABASE_VARIABLE: Final = "DECORUM_DATABASE_URL"
REPLICATION_VARIABLE: Final = "DECORUM_TOPICS_REPLICATION_FACTOR"
SERVICE_DATABASES: Final = ("scheduler", "compliance_gate", "notifier", "ledger")
DATABASE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
CONNECT_TIMEOUT_SECONDS: Final = 10


def require_embedded_servers(what: str) -> None:
    """Refuse `what`, whose time isn't the system's, while a variable names other servers, and touch none of them."""
    named = [variable for variable in (KAFKA_VARIABLE, DATABASE_VARIABLE) if os.environ.get(variable)]
    if named:
        raise Rejection(f"{what} is refused with servers that aren't the embedded ones: unset {' and '.join(named)}")


class LocalPlatform:
    """Kafka and PostgreSQL under one folder, started together and ended with this process, however it ends.

    A folder is used by one platform at a time. Its data is kept for the next start unless `keep_data` is false.
    """

    def __init__(self, folder: Path, *, brokers: int = 1, keep_data: bool = False) -> None:
        self.folder = folder.absolute()
        self._brokers = brokers
        self._keep_data = keep_data
        self._lock: IO[str] | None = None
        self._supervisor: Supervisor | None = None
        self._kafka: KafkaCluster | None = None
        self._postgres: PostgresServer | None = None
        self._databases: set[str] = set()

    def start(self) -> None:
        """Start what the environment does not name, wait until it is ready, and create a database for each service."""
        self._lock_folder()
        try:
            if not self._keep_data:
                self._remove_data()
            self._supervisor = Supervisor(self.folder)
            if not os.environ.get(KAFKA_VARIABLE):
                self._kafka = KafkaCluster(self._supervisor, self.folder / "kafka", brokers=self._brokers)
            if not os.environ.get(DATABASE_VARIABLE):
                self._postgres = PostgresServer(self._supervisor, self.folder / "postgres")
            with ThreadPoolExecutor(2) as pool:
                servers = [server for server in (self._kafka, self._postgres) if server is not None]
                for started in [pool.submit(server.start) for server in servers]:
                    started.result()
            self.create_databases(SERVICE_DATABASES)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything cleanly. Does nothing the second time."""
        try:
            if self._kafka is not None:
                self._kafka.stop(keep_data=self._keep_data)
            if self._postgres is not None:
                self._postgres.stop(keep_data=self._keep_data)
        finally:
            self._kafka = self._postgres = None
            if self._supervisor is not None:
                self._supervisor.close()
                self._supervisor = None
            if self._lock is not None:
                if not self._keep_data:
                    self._remove_data()
                self._lock.close()
                self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def supervisor(self) -> Supervisor:
        """Starts further processes that end with this one."""
        if self._supervisor is None:
            raise ServerError("the platform was not started")
        return self._supervisor

    @property
    def is_embedded(self) -> bool:
        """Whether both servers are the embedded ones; only then may a clock be shifted."""
        return not os.environ.get(KAFKA_VARIABLE) and not os.environ.get(DATABASE_VARIABLE)

    @property
    def kafka_bootstrap_servers(self) -> str:
        """Kafka's addresses, comma-separated."""
        return os.environ.get(KAFKA_VARIABLE) or self.kafka.bootstrap_servers

    @property
    def kafka(self) -> KafkaCluster:
        """The embedded brokers."""
        if self._kafka is None:
            raise ServerError("there is no embedded Kafka")
        return self._kafka

    @property
    def postgres(self) -> PostgresServer:
        """The embedded PostgreSQL."""
        if self._postgres is None:
            raise ServerError("there is no embedded PostgreSQL")
        return self._postgres

    @property
    def servers(self) -> tuple[ChildProcess, ...]:
        """The embedded brokers and the embedded PostgreSQL, as far as there are any."""
        brokers = self._kafka.processes if self._kafka is not None else ()
        return brokers if self._postgres is None else (*brokers, self._postgres.process)

    def database_url(self, name: str) -> str:
        """SQLAlchemy's URL (`postgresql+asyncpg://…`) of database `name`, which is created if it is missing."""
        if name not in self._databases:
            self.create_databases([name])
        return self._url(name)

    def create_databases(self, names: Sequence[str], *, template: str = "template1") -> None:
        """Create the databases that are missing, as copies of `template`, to which nobody may be connected."""
        for name in names:
            if not DATABASE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a database's name: small letters, digits and _")
        _run_apart(self._administer([_create(name, template) for name in names]))
        self._databases.update(names)

    def drop_databases(self, names: Sequence[str]) -> None:
        """Drop databases, whoever is connected."""
        self._databases.difference_update(names)
        _run_apart(self._administer([f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in names]))

    def create_topics(self, *, partitions: int | None = None) -> None:
        """Create the topics of `topics.yaml` that are missing; an embedded cluster replicates to all its brokers."""
        topics = load_topics(partitions=partitions, replication_factor=self._brokers if self._kafka else None)
        _run_apart(create_topics(self.kafka_bootstrap_servers, topics))

    def empty_topics(self, *, partitions: int | None = None) -> None:
        """Delete the topics of `topics.yaml` with all records and committed offsets, and create them again."""
        names = [topic.name for topic in load_topics()]
        _run_apart(delete_topics(self.kafka_bootstrap_servers, names))
        self.create_topics(partitions=partitions)

    def environment(self) -> dict[str, str]:
        """The variables that lead services and commands to these servers."""
        variables = {KAFKA_VARIABLE: self.kafka_bootstrap_servers, DATABASE_VARIABLE: self._url("postgres")}
        if self._kafka is not None:
            variables[REPLICATION_VARIABLE] = str(self._brokers)
        return variables

    def kill_broker(self, broker: int = 0) -> None:
        """End a broker with SIGKILL."""
        self.kafka.broker(broker).kill()

    def start_broker(self, broker: int = 0) -> None:
        """Start a killed broker again and wait until it serves; it first waits out its old session."""
        self.kafka.start_broker(broker)

    def kill_postgres(self) -> None:
        """End PostgreSQL with SIGKILL."""
        self.postgres.kill()

    def start_postgres(self) -> None:
        """Start a killed PostgreSQL again and wait until it has recovered."""
        self.postgres.start()

    def _url(self, name: str) -> str:
        base = os.environ.get(DATABASE_VARIABLE)
        if not base:
            return self.postgres.url(name)
        parts = urlsplit(base)
        return urlunsplit(parts._replace(scheme="postgresql+asyncpg", path=f"/{name}"))

    async def _administer(self, statements: Sequence[str]) -> None:
        url = self._url("postgres").replace("+asyncpg", "", 1)
        try:
            connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_SECONDS)
        except (OSError, asyncpg.PostgresError) as error:  # a time-out is an OSError too
            raise ServerError(f"PostgreSQL can't be reached: {type(error).__name__}") from error
        try:
            for statement in statements:
                try:
                    await connection.execute(statement)
                except asyncpg.DuplicateDatabaseError:
                    continue
        finally:
            await connection.close()

    def _lock_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise ServerError(
                f"another platform runs in {self.folder}: stop it first, or choose another folder"
            ) from None

    def _remove_data(self) -> None:
        for data in ("kafka", "postgres"):
            shutil.rmtree(self.folder / data, ignore_errors=True)


def _create(name: str, template: str) -> str:
    return f'CREATE DATABASE "{name}" TEMPLATE "{template}"'


def _run_apart(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine to its end in a thread of its own, so that callers may be in an event loop or not."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
