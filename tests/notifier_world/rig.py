"""The notifier's parts over a real database, without Kafka: what would be published is read from the outbox."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.contact_store import PostgresContacts
from notifier.adapters.inbound_store import PostgresInbound
from notifier.adapters.permit_store import PostgresPermits
from notifier.adapters.receipt_store import PostgresDeliveries, PostgresReceipts
from notifier.adapters.sealing import AesGcmSealer
from notifier.adapters.templates import Lender, TemplateBook
from notifier.handlers.contacts import keep_contacts
from notifier.handlers.desk import Desk
from notifier.handlers.permits import keep_stops, take_decisions
from notifier.loops.requests import Pace, Sending
from notifier.loops.sending import DispatchLoop, LookupLoop, ResultLoop
from notifier.loops.shadow import ShadowLoop
from notifier.loops.upkeep import EndLoop, UpkeepLoop
from notifier.ports import Provider
from notifier.router import DECIDED, STOPS
from notifier.settings import SHIPPED_TEMPLATES
from shared.clock import VirtualClock
from shared.contracts import BorrowerUpdatedV1, Channel, Message
from shared.contracts.registry import BY_CE_TYPE
from shared.kafka.records import Outgoing, Received, unpack
from tests.notifier_world.messages import START, received
from tests.works import KeptWork

MASTER_KEY = bytes(range(32))
LENDER = Lender(names={"zh": "晨光消费金融", "en": "Dawnlight Consumer Finance"}, agency_regions=frozenset({"US"}))
TEXTS = TemplateBook(SHIPPED_TEMPLATES, lender=LENDER)


class Rig:
    """One replica. Two rigs on one database are two replicas."""

    def __init__(
        self,
        engine: AsyncEngine,
        providers: Sequence[Provider] = (),
        *,
        owner: str = "one",
        shadow: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self.engine = engine
        self.clock = VirtualClock(START)
        self.sealer = AesGcmSealer(MASTER_KEY)
        self.woken: list[str] = []
        self.in_flight = 0
        self.work = KeptWork(engine, service="notifier")
        names: dict[Channel, str] = {p.channel: p.name for p in providers}
        self.store = PostgresPermits(providers=names)
        self.desk = Desk(
            permits=self.store,
            contacts=PostgresContacts(sealer=self.sealer),
            receipts=PostgresReceipts(),
            inbound=PostgresInbound(),
            deliveries=PostgresDeliveries(),
            sealer=self.sealer,
            clock=self.clock,
            default_zone="Asia/Shanghai",
        )
        self.sending = Sending(
            desk=self.desk,
            work=self.work,
            texts=TEXTS,
            owner=f"{owner}-{os.getpid()}",
            in_flight=self._count,
            wake=self.woken.append,
        )
        self.pace = pace or Pace(
            rate_per_second=100_000, requests_max=256, claim_records_max=400, lease_seconds=30, timeout_seconds=10
        )
        self.results = ResultLoop(self.sending)
        live = () if shadow else providers
        self.dispatches = [DispatchLoop(self.sending, provider, self.results, self.pace) for provider in live]
        self.shadows = [
            ShadowLoop(self.sending, channel=p.channel, provider=p.name, pace=self.pace) for p in providers if shadow
        ]
        self.lookups = LookupLoop(self.sending, {p.channel: p for p in live}, self.results, lease_seconds=30)
        self.ends = EndLoop(desk=self.desk, work=self.work)
        self.upkeep = UpkeepLoop(desk=self.desk, work=self.work)

    def _count(self, change: int) -> None:
        self.in_flight += change

    async def consume(self, *messages: Message | Received[Any]) -> list[Outgoing]:
        """Hand each record to its handler, each in a transaction of its own, as the consumer would."""
        answers: list[Outgoing] = []
        for message in messages:
            record = message if isinstance(message, Received) else received(message)
            answers += await self.consume_batch([record])
        return answers

    async def consume_batch(self, records: Sequence[Received[Any]]) -> list[Outgoing]:
        """Hand records to their handlers in one transaction; what they answer also goes to the outbox, to be read."""
        by_handler = (
            (keep_contacts, (BorrowerUpdatedV1,)),
            (keep_stops, STOPS),
            (take_decisions, DECIDED),
        )
        answers: list[Outgoing] = []
        async with self.work.begin() as tx:
            for handler, types in by_handler:
                batch = [r for r in records if isinstance(r.message, types)]
                answers += await handler(tx, batch, desk=self.desk) if batch else ()
            await self.work.publish(tx, answers)
        return answers

    async def send_all(self) -> None:
        """Dispatch until there is nothing to send, with every result written."""
        for dispatch in self.dispatches:
            while await dispatch.run_once():
                pass
            await dispatch.drain()
        for loop in self.shadows:
            while await loop.run_once():
                pass
        while await self.results.run_once():
            pass

    async def settle(self) -> None:
        """Look up what is uncertain, end what has ended, apply what waited."""
        while await self.lookups.run_once():
            pass
        while await self.results.run_once():
            pass
        while await self.ends.run_once():
            pass
        while await self.upkeep.run_once():
            pass

    async def published(self) -> list[Message]:
        """Every message in the outbox, in order."""
        async with self.engine.begin() as tx:
            rows = await tx.exec_driver_sql("SELECT message FROM outbox ORDER BY outbox_id")
            wires = [wire for row in rows for wire in unpack(row.message)]
        messages: list[Message] = []
        for wire in wires:
            contract = BY_CE_TYPE[(dict(wire.headers)["ce_type"] or b"").decode()]
            messages.append(msgspec.json.decode(wire.value or b"", type=contract.message_type))
        return messages

    async def states(self) -> dict[tuple[str, int], tuple[str, str | None]]:
        """State and reason of every permit, by attempt and submission."""
        async with self.engine.begin() as tx:
            rows = await tx.exec_driver_sql("SELECT attempt_id, submission_number, state, reason FROM permit")
            return {(r.attempt_id, r.submission_number): (r.state, r.reason) for r in rows}

    def at(self, instant: datetime) -> None:
        """Move business time."""
        self.clock.move_to(instant)
