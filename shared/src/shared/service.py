"""The one way a service is put together: settings, clock, database, Kafka, loops, routes, health, drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import structlog
from faststream.asgi import AsgiFastStream
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from shared import settings
from shared.clock import Clock, ShiftedClock, SystemClock, VirtualClock
from shared.contracts.types import Message
from shared.errors import Misconfigured
from shared.health import Health
from shared.http import Endpoint, Route
from shared.kafka.consumer import Consumer, Handler
from shared.kafka.publisher import Publisher
from shared.kafka.subscription import DRAIN_TIMEOUT_SECONDS, Subscription
from shared.loops import Loop, NextDueAt, RunOnce
from shared.observability import logging
from shared.postgres.engine import create_engine, service_database_url
from shared.postgres.outbox import RELAY_RECORDS_MAX, Outbox
from shared.postgres.work import OutboxWork, Work
from shared.simulation import Rest, SimulationControl

Mode = Literal["live", "shadow"]
OwnSettings = TypeVar("OwnSettings")
RECONNECT_SECONDS: Final = 1.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """What every service needs. Environment: DECORUM_ + the field's name in capitals."""

    database_url: str
    """The server, `postgresql+asyncpg://user:password@host:5432/`; each service uses the database of its own name."""
    kafka_bootstrap_servers: str
    """`host:port` of brokers, comma-separated."""
    mode: Mode = "live"
    """`live`; or `shadow`: decides, records and counts everything as if it were sent, and sends nothing."""
    clock: Literal["system", "shifted", "virtual"] = "system"
    """Business time: `system`, `shifted` or `virtual`. Another than the system's is refused unless broker, database and
    providers are on loopback."""
    clock_file: str | None = None
    """With a shifted clock: the file that holds its offset, which `decorum clock advance` changes."""
    clock_start: datetime | None = None
    """With a virtual clock, which a simulation moves: the instant at which it begins, with its offset."""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """The least severe line that is logged: `debug`, `info`, `warning`, `error` or `critical`."""
    database_connections_max: int = 8
    """Connections of one process to its database."""
    pace_seconds: float = 0.02
    """Under load a consumer or a loop begins no more often: latency of one hop for throughput of all."""

    def __post_init__(self) -> None:
        url = _database_url(self.database_url)
        for server in self.kafka_bootstrap_servers.split(","):
            if not re.fullmatch(r"([^\s:/@]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}", server.strip()):
                raise ValueError("DECORUM_KAFKA_BOOTSTRAP_SERVERS must be host:port, or several with commas between")
        if not 2 <= self.database_connections_max <= 100:
            raise ValueError("DECORUM_DATABASE_CONNECTIONS_MAX must be between 2 and 100")
        if self.clock == "shifted" and self.clock_file is None:
            raise ValueError("DECORUM_CLOCK=shifted needs DECORUM_CLOCK_FILE")
        if self.clock == "virtual" and self.clock_start is None:
            raise ValueError("DECORUM_CLOCK=virtual needs DECORUM_CLOCK_START")
        self.require_loopback(*(f"kafka://{server.strip()}" for server in self.kafka_bootstrap_servers.split(",")))
        host = url.host or str(url.query.get("host", ""))
        if self.clock != "system" and not _is_local(host):
            raise ValueError("a shifted clock is refused with a database that isn't the embedded one")

    @classmethod
    def load(cls) -> PlatformSettings:
        """From the environment; a wrong value ends the start with its variable and the reason."""
        return settings.load(cls, "DECORUM_")

    def require_loopback(self, *urls: str) -> None:
        """Raise SettingsError if time is not the system's and one of `urls` is not on this machine."""
        if self.clock != "system" and not all(_is_local(urlsplit(url).hostname or "") for url in urls):
            raise settings.SettingsError(
                "a shifted clock is refused with a broker or a provider that isn't an embedded one"
            )

    def make_clock(self) -> Clock:
        """The clock that the settings ask for."""
        if self.clock == "shifted":
            try:
                return ShiftedClock(Path(str(self.clock_file)))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise settings.SettingsError(
                    f"DECORUM_CLOCK_FILE: {self.clock_file}: {type(error).__name__}"
                ) from error
        if self.clock == "virtual":
            assert self.clock_start is not None, "checked when the settings were built"
            return VirtualClock(self.clock_start)
        return SystemClock()


def _database_url(text: str) -> URL:
    """The text of an error must not quote the URL: it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ValueError("DECORUM_DATABASE_URL is not a URL (postgresql+asyncpg://user:password@host:5432/)") from error
    if url.drivername != "postgresql+asyncpg":
        raise ValueError("DECORUM_DATABASE_URL must begin with postgresql+asyncpg://")
    return url


def _is_local(host: str) -> bool:
    return host.startswith("/") or host in {"127.0.0.1", "::1", "localhost", ""}


def app_of(
    build: Callable[[PlatformSettings, OwnSettings], Service], own: type[OwnSettings], prefix: str
) -> AsgiFastStream:
    """The app of a service as its environment wants it. What can't be used ends the process, and says where and why."""
    try:
        settings.refuse_unknown(own, prefix)
        return build(PlatformSettings.load(), settings.load(own, prefix)).asgi()
    except Misconfigured as error:
        raise SystemExit(f"{build.__module__.partition('.')[0]} doesn't start: {error}") from None


class Service:
    """One service: handlers and loops are added, then `asgi()` gives the app that uvicorn runs."""

    def __init__(
        self, *, name: str, topics: Sequence[str], settings: PlatformSettings, last_topics: Collection[str] = ()
    ) -> None:
        logging.configure(name, level=settings.log_level)
        self.name = name
        self.settings = settings
        self.mode: Mode = settings.mode
        self.clock = settings.make_clock()
        self.log = log
        self.engine = create_engine(
            service_database_url(settings.database_url, name.replace("-", "_")),
            application_name=f"decorum-{name}",
            connections_max=settings.database_connections_max,
        )
        self.publisher = Publisher(bootstrap_servers=settings.kafka_bootstrap_servers, client_id=f"decorum-{name}")
        self.consumer = Consumer(
            group=name, topics=topics, engine=self.engine, publisher=self.publisher, clock=self.clock
        )
        self.outbox = Outbox(source=f"decorum/{name}", engine=self.engine, publisher=self.publisher)
        self.work: Work = OutboxWork(self.engine, self.outbox, on_published=lambda: self.wake("outbox"))
        self.in_flight_requests = 0
        self.kafka_away: str | None = None
        """Why the broker could not be reached at the last attempt."""
        self._last_topics = last_topics
        # In virtual time everything comes in bursts that end: waiting for more would only wait.
        self._pace_seconds = 0.0 if settings.clock == "virtual" else settings.pace_seconds
        self._subscription: Subscription | None = None
        self._loops: dict[str, Loop] = {}
        self._routes: dict[str, Route] = {}
        self._hooks: list[tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._health = Health(self)
        self._simulation = SimulationControl(self) if isinstance(self.clock, VirtualClock) else None
        self.add_loop("outbox", self.outbox.relay, idle_seconds=1.0, full_run=RELAY_RECORDS_MAX)

    @property
    def loops(self) -> Sequence[Loop]:
        """Every loop of the service."""
        return tuple(self._loops.values())

    @property
    def subscription(self) -> Subscription | None:
        """The Kafka subscription, once the broker could be reached."""
        return self._subscription

    def handles(self, *message_types: type[Message]) -> Callable[[Handler], Handler]:
        """Register a batch handler for `message_types`."""
        return self.consumer.handles(*message_types)

    def after_batch(self, hook: Callable[[], None], *, of: Collection[type[Message]]) -> None:
        """Call `hook` after each committed batch with a message of these types, for example to wake a loop."""
        self.consumer.after_batch(hook, of=of)

    def add_loop(
        self,
        name: str,
        run_once: RunOnce,
        *,
        idle_seconds: float = 1.0,
        next_due_at: NextDueAt | None = None,
        rests: Rest | None = None,
        full_run: int = 1,
        pace_seconds: float = 0.0,
    ) -> None:
        """Run `run_once` at its own pace; `rests` says when it does nothing in a simulation.

        It runs again at once after a run of `full_run` items; a smaller one has left nothing for now. `pace_seconds`
        makes it begin less often than the service's own pace.
        """
        virtual = self._simulation is not None

        def may_run() -> bool:
            return self._simulation is None or self._simulation.lets_run(rests)

        self._loops[name] = Loop(
            name,
            run_once,
            idle_seconds=idle_seconds,
            next_due_at=next_due_at,
            may_run=may_run,
            # In virtual time rest must be certain, and waiting for more would only wait.
            pace_seconds=0.0 if virtual else max(pace_seconds, self._pace_seconds),
            full_run=1 if virtual else full_run,
        )

    def wake(self, name: str) -> None:
        """There may be work for the loop `name`."""
        self._loops[name].wake()

    def add_route(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Serve `endpoint` at `path`."""
        self._routes.setdefault(path, Route()).endpoints[method] = endpoint

    def background(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        """Run `start` before and `stop` after everything else, for clients that need a running event loop."""
        self._hooks.append((start, stop))

    def in_flight(self, change: int) -> None:
        """Count HTTP requests to providers that have no answer yet."""
        self.in_flight_requests += change

    def facts_lag_seconds(self) -> float:
        """For how long a fact topic has been behind; infinite before the consumer runs."""
        consumer = self._subscription.consumer if self._subscription else None
        return consumer.facts_lag_seconds() if consumer else float("inf")

    def asgi(self) -> AsgiFastStream:
        """The app: health, metrics, the service's routes, and the simulation's control when time is virtual."""
        self._health.add_routes()
        if self._simulation is not None:
            self._simulation.add_routes()
        return _App(
            asgi_routes=tuple(self._routes.items()),
            logger=None,
            on_startup=[self._start],
            on_shutdown=[self._drain],
        )

    async def _start(self) -> None:
        _collect_garbage_seldom()
        for start, _ in self._hooks:
            await start()
        self._tasks = [
            asyncio.create_task(self._connect(), name="connect"),
            asyncio.create_task(self._health.watch(), name="health"),
            *(asyncio.create_task(loop.run(), name=loop.name) for loop in self.loops),
        ]
        log.info("service.started", mode=self.mode, started_at=datetime.now(UTC).isoformat())

    async def _connect(self) -> None:
        """Reach the broker, however long it takes; /readyz says so meanwhile."""
        while True:
            subscription = Subscription(
                bootstrap_servers=self.settings.kafka_bootstrap_servers,
                client_id=f"decorum-{self.name}",
                group=self.consumer.group,
                topics=self.consumer.topics,
                last_topics=self._last_topics,
                on_batch=self.consumer.on_batch,
                listener=self.consumer,
                pace_seconds=self._pace_seconds,
            )
            try:
                await self.publisher.start()
                await subscription.start()
            except Exception as error:  # edge: whatever keeps the broker away, the service waits for it
                self.kafka_away = type(error).__name__
                log.warning("kafka.away", error=self.kafka_away)
                await self.publisher.stop()
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self.kafka_away = None
                self._subscription = subscription
                self.wake("outbox")
                return

    async def _drain(self) -> None:
        """Finish what is in hand, bounded, then let go of everything in the order of use."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_SECONDS
        for loop in self.loops:
            loop.stop()
        if self._subscription is not None:
            try:
                await self._subscription.stop()
            except Exception as error:  # edge: what the client can't end any more must not keep the rest from its end
                log.warning("kafka.not_left", error=type(error).__name__)
        waiting = [task for task in self._tasks if task.get_name() not in ("connect", "health")]
        if waiting:
            await asyncio.wait(waiting, timeout=max(0.1, deadline - time.monotonic()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.publisher.stop()
        for _, stop in reversed(self._hooks):
            with contextlib.suppress(Exception):
                await stop()
        await self.engine.dispose()
        log.info("service.drained")

    def status(self) -> dict[str, Any]:
        """What the simulation needs to know to tell that nothing is under way."""
        consumer = self._subscription.consumer if self._subscription else None
        return {
            "consumed": self.consumer.state.consumed,
            "assigned": sorted(f"{tp.topic}-{tp.partition}" for tp in consumer.assignment()) if consumer else [],
            "published": self.publisher.published,
            "busy": (
                self.consumer.state.batch_since is not None
                or self.in_flight_requests > 0
                or any(loop.busy for loop in self.loops)
            ),
        }


def _collect_garbage_seldom() -> None:
    """A batch keeps thousands of new objects alive until it ends; looking for cycles among them finds none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class _App(AsgiFastStream):
    """FastStream's application without a broker that its own start would wait for, or fail on."""

    async def _start_broker(self) -> None:
        """`Service` connects in the background, for as long as it takes."""
