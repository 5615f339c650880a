"""Liveness and readiness of a service, told apart: is it moving, and can it serve?"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import ProgrammingError

from shared.http import Request, Response
from shared.observability import metrics

if TYPE_CHECKING:
    from shared.service import Service

WATCH_SECONDS: Final = 1.0
PROBE_TIMEOUT_SECONDS: Final = 3.0
POLL_STALL_SECONDS_MAX: Final = 60.0
BATCH_STALL_SECONDS_MAX: Final = 180.0
"""Longer than a batch may be retried."""


class Health:
    """`/livez`: the service's own consume loop moves. `/readyz`: what it needs is there. `/metrics`: Prometheus."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._database: str | None = "not reached yet"
        self._kafka: str | None = "not reached yet"
        self._complete_at = time.monotonic()
        """When database and broker last came back, as far as one of them was away since the start."""

    def add_routes(self) -> None:
        """Serve the three paths."""
        self._service.add_route("GET", "/livez", self.livez)
        self._service.add_route("GET", "/readyz", self.readyz)
        self._service.add_route("GET", "/metrics", self.metrics)

    async def watch(self) -> None:
        """Ask database and broker every second whether they are there."""
        while True:
            self._database, self._kafka = await asyncio.gather(self._probe_database(), self._probe_kafka())
            if self._database is not None or self._kafka is not None:
                self._complete_at = time.monotonic()
            metrics.FUSED_PARTITIONS.labels(self._service.name).set(len(self._service.consumer.state.fused))
            await asyncio.sleep(WATCH_SECONDS)

    async def _probe_database(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                async with self._service.engine.connect() as connection:
                    await connection.execute(sa.text("SELECT 1 FROM inbox LIMIT 1"))
        except ProgrammingError:
            return "reached, but its schema is missing: run `decorum db migrate`"
        except Exception as error:  # edge: any failure means that it can't be used now
            return f"can't be used: {type(error).__name__}"
        return None

    async def _probe_kafka(self) -> str | None:
        subscription = self._service.subscription
        consumer = subscription.consumer if subscription else None
        if consumer is None:
            reason = self._service.kafka_away
            return f"not reached yet: {reason}" if reason else "not reached yet"
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                missing = set(self._service.consumer.topics) - await consumer.topics()
        except Exception as error:  # edge: as above
            return f"can't be reached: {type(error).__name__}"
        return f"topics are missing (`decorum topics create`): {', '.join(sorted(missing))}" if missing else None

    async def livez(self, _: Request) -> Response:
        """503 when consumption stopped for good or stands still for another reason than that something is away."""
        reason = self._stall()
        return Response(status=503 if reason else 200, json={"alive": reason is None, "reason": reason})

    def _stall(self) -> str | None:
        state, subscription = self._service.consumer.state, self._service.subscription
        if state.fatal is not None:
            return state.fatal
        now = time.monotonic()
        if state.batch_since is not None:
            stalled = now - max(state.batch_since, self._complete_at) > BATCH_STALL_SECONDS_MAX
            return "a batch does not end" if stalled else None
        consumer = subscription.consumer if subscription else None
        if consumer is not None and consumer.is_beyond_help:
            return "the client of the broker has given up"
        if consumer is not None and now - max(consumer.polled_at, self._complete_at) > POLL_STALL_SECONDS_MAX:
            return "the consume loop does not poll"
        return None

    async def readyz(self, _: Request) -> Response:
        """503 with what is missing."""
        state, subscription = self._service.consumer.state, self._service.subscription
        consumer = subscription.consumer if subscription else None
        missing = {
            "database": self._database,
            "kafka": self._kafka,
            "poll": consumer.failing if consumer else None,
            "batch": state.transient,
            "fuse": ", ".join(f"{topic}-{partition}" for topic, partition in sorted(state.fused)) or None,
            "fatal": state.fatal,
            **{f"loop {loop.name}": loop.failing for loop in self._service.loops},
        }
        reasons = {name: reason for name, reason in missing.items() if reason}
        return Response(
            status=503 if reasons else 200,
            json={"ready": not reasons, "mode": self._service.mode, "reasons": reasons},
        )

    async def metrics(self, _: Request) -> Response:
        """Everything in the default registry."""
        return Response(text=generate_latest().decode(), headers={"content-type": CONTENT_TYPE_LATEST})
