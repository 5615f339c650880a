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
from decorum_simulation.lines import Lines
from decorum_simulation.virtual_world import News, VirtualWorld
from shared.contracts import PaymentReceivedV1
from shared.kafka.publisher import Publisher

PUBLISH_RECORDS_MAX: Final = 2_000
SCHEDULER: Final = "scheduler"
NOTIFIER: Final = "notifier"
CARRIER: Final = "carrier"
_deliveries = msgspec.json.Decoder(list[Delivery])
_inbound = msgspec.json.Decoder(list[Inbound])


@dataclass(slots=True, kw_only=True)
class Driver:
    """Runs one world against one ensemble. `payments_known_at` has Kafka's acknowledgement of each payment."""

    world: VirtualWorld
    ensemble: Ensemble
    publisher: Publisher
    on_tick: Callable[[datetime], None]
    lines: Lines
    payments_known_at: dict[str, datetime] = field(default_factory=dict)
    ticks: int = 0
    _carrier: Participant = field(init=False)
    _delivered: int = 0
    _due: dict[str, datetime] = field(default_factory=dict)
    _contacts_wait: bool = False

    def __post_init__(self) -> None:
        self._carrier = self.ensemble.named(CARRIER)

    async def run(self) -> None:
        """From the plan's start to its end."""
        plan = self.world.plan
        now: datetime | None = plan.start
        while now is not None and now < plan.end:
            await self._tick(now)
            self.on_tick(now)
            now = self._next_tick(now)
        await self._end(plan.end)
        self.on_tick(plan.end)

    async def _tick(self, now: datetime) -> None:
        """Clock, events, receipts and inbound, releases; where contacts wait for the lines, the rest of what happens
        at `now`, and then the contacts: whatever is known at an instant is known before anything is sent at it.
        """
        line = self.lines.at(now)
        waits = line == "down" or self._contacts_wait or (line == "slow" and self._is_due(SCHEDULER, now))
        await self._move(now, sending=not waits)
        news, meanwhile = self.world.live(now), News()
        if waits:
            news, meanwhile = news.divided(lambda who: self.lines.comes_meanwhile(who, now))
        await self._happen(news, now, receipts=self._is_due(CARRIER, now))
        if await self._has_releases(now):
            if waits:  # a claim that began before the line broke is over
                await self.ensemble.named(NOTIFIER).next_due_at()
            await self.ensemble.tick(now, "releases", SCHEDULER)
            await self.ensemble.quiet()
            self._contacts_wait |= waits
        await self._happen(meanwhile, now)
        if self._contacts_wait and line != "down":
            await self.ensemble.tick(now, "sends", NOTIFIER)
            await self.ensemble.quiet()
            self._contacts_wait = False
        self._due = await self.ensemble.next_due()

    async def _end(self, now: datetime) -> None:
        """The run's last instant: all becomes known, nothing more is released or sent."""
        await self._move(now, sending=not self._contacts_wait)
        await self._happen(self.world.live(now), now, receipts=self._is_due(CARRIER, now))

    async def _move(self, now: datetime, *, sending: bool) -> None:
        self.ticks += 1
        await self.ensemble.tick(now, "clock", sending=sending)
        if any(due <= now for name, due in self._due.items() if name != CARRIER):
            await self.ensemble.quiet()

    async def _happen(self, news: News, now: datetime, *, receipts: bool = False) -> None:
        """Publish events, then let the carrier send what is due; who is on the phone presses keys at once."""
        if news.events:
            await self._publish(news.events, now)
        if not receipts and not news.inbound:
            return
        while receipts or news.inbound:
            if news.inbound:
                body = msgspec.json.encode(news.inbound)
                await self._carrier.client.request("POST", "/simulation/inbound", body=body)
            await self._carrier.tick(now, "receipts")
            await self._carrier.next_due_at()  # it has sent all that was due: who noticed what is known
            await self._react(now)
            receipts, news = False, self.world.live(now)
            if news.events:
                await self._publish(news.events, now)
        await self.ensemble.quiet()

    async def _has_releases(self, now: datetime) -> bool:
        due_at = await self.ensemble.named(SCHEDULER).next_due_at()
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
        answer = await self._carrier.client.request("GET", f"/simulation/deliveries?after={self._delivered}")
        deliveries = _deliveries.decode(answer.body)
        self._delivered += len(deliveries)
        self.world.react(deliveries, now)

    def _next_tick(self, now: datetime) -> datetime | None:
        plan = self.world.plan
        instants = [rounded_up(due, plan.tick, plan.start) for due in self._due.values()]
        if (own := self.world.next_tick) is not None:
            instants.append(own)
        if self._contacts_wait:
            instants.append(now + plan.tick)
        return max(min(instants), now + plan.tick) if instants else None

    async def inbound(self) -> list[Inbound]:
        """Everything that borrowers sent in this run."""
        answer = await self._carrier.client.request("GET", "/simulation/inbound")
        if answer.status != 200:
            raise DemoStuck("the carrier does not tell what came in")
        return _inbound.decode(answer.body)
