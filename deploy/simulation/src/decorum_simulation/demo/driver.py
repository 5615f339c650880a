"""Virtual time: ticks with ordered phases, each run until quiet; ticks and phases with nothing due are skipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from decorum_simulation.agenda import rounded_up
from decorum_simulation.carrier.exchange import Delivery, Inbound
from decorum_simulation.demo.participants import DemoStuck, Ensemble, Participant
from decorum_simulation.lender.events import LenderEvent
from decorum_simulation.virtual_world import VirtualWorld
from shared.contracts import PaymentReceivedV1
from shared.kafka.publisher import Publisher

PUBLISH_RECORDS_MAX: Final = 2_000
SCHEDULER: Final = "scheduler"
_deliveries = msgspec.json.Decoder(list[Delivery])
_inbound = msgspec.json.Decoder(list[Inbound])


@dataclass(slots=True, kw_only=True)
class Driver:
    """Runs one world against one ensemble. `payments_known_at` has Kafka's acknowledgement of each payment."""

    world: VirtualWorld
    ensemble: Ensemble
    carrier: Participant
    scheduler: Participant
    publisher: Publisher
    on_tick: Callable[[datetime], None]
    payments_known_at: dict[str, datetime] = field(default_factory=dict)
    ticks: int = 0
    _delivered: int = 0
    _due: dict[str, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """From the plan's start to its end."""
        plan = self.world.plan
        now: datetime | None = plan.start
        while now is not None and now < plan.end:
            await self._tick(now)
            self.on_tick(now)
            now = self._next_tick(now)
        await self._tick(plan.end, releases=False)
        self.on_tick(plan.end)

    async def _tick(self, now: datetime, *, releases: bool = True) -> None:
        self.ticks += 1
        await self.ensemble.tick(now, "clock")
        if any(due <= now for name, due in self._due.items() if name != self.carrier.name):
            await self.ensemble.quiet()
        events, inbound = self.world.live(now)
        if events:
            await self._publish(events, now)
        if inbound:
            await self.carrier.client.request("POST", "/simulation/inbound", body=msgspec.json.encode(inbound))
        if inbound or self._is_due(self.carrier.name, now):
            await self.carrier.tick(now, "receipts")
            await self.ensemble.quiet()
            await self._react(now)
        if releases and await self._has_releases(now):
            await self.ensemble.tick(now, "releases", SCHEDULER)
            await self.ensemble.quiet()
        self._due = await self.ensemble.next_due()

    async def _has_releases(self, now: datetime) -> bool:
        due_at = await self.scheduler.next_due_at()
        return due_at is not None and due_at <= now

    def _is_due(self, name: str, now: datetime) -> bool:
        return name in self._due and self._due[name] <= now

    async def _publish(self, events: list[LenderEvent], now: datetime) -> None:
        """Publish in order and wait until all is dealt with; a payment is known once it is acknowledged."""
        for start in range(0, len(events), PUBLISH_RECORDS_MAX):
            batch = events[start : start + PUBLISH_RECORDS_MAX]
            await self.publisher.publish([event.wire() for event in batch])
        for event in events:
            if isinstance(event.message, PaymentReceivedV1):
                self.payments_known_at.setdefault(event.message.payment_id, now)
        await self.ensemble.quiet()

    async def _react(self, now: datetime) -> None:
        answer = await self.carrier.client.request("GET", f"/simulation/deliveries?after={self._delivered}")
        deliveries = _deliveries.decode(answer.body)
        self._delivered += len(deliveries)
        self.world.react(deliveries, now)

    def _next_tick(self, now: datetime) -> datetime | None:
        plan = self.world.plan
        instants = [rounded_up(due, plan.tick, plan.start) for due in self._due.values()]
        if (own := self.world.next_tick) is not None:
            instants.append(own)
        return max(min(instants), now + plan.tick) if instants else None

    async def inbound(self) -> list[Inbound]:
        """Everything that borrowers sent in this run."""
        answer = await self.carrier.client.request("GET", "/simulation/inbound")
        if answer.status != 200:
            raise DemoStuck("the carrier does not tell what came in")
        return _inbound.decode(answer.body)
