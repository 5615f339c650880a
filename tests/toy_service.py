"""A service of one table on the real servers, and the lender and the reader around it: for tests of the runtime.

It adds payments to accounts and answers each with what the account held then, so that anything applied twice, lost or
answered afresh shows. Loans named `poison` and `defect` are what its handler refuses and breaks on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import ids
from shared.contracts import (
    AttemptSubmittedV1,
    BorrowerUpdatedV1,
    ConsentChangedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentPostedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    RestrictionChangedV1,
)
from shared.contracts.registry import LOAN_EVENTS
from shared.contracts.types import Amounts, Message
from shared.kafka.consumer import PoisonRecord
from shared.kafka.records import Outgoing, Received
from shared.postgres.rows import Upsert, insert_rows, lock_borrowers, select_matching
from shared.service import PlatformSettings, Service

WAIT_SECONDS_MAX: Final = 60
KEPT: Final[tuple[type[Message], ...]] = (
    AttemptSubmittedV1,
    BorrowerUpdatedV1,
    ConsentChangedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentReversedV1,
    RestrictionChangedV1,
)
metadata = sa.MetaData()
account = sa.Table(
    "account",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("total_minor", sa.BigInteger, nullable=False, server_default="0"),
)
entry = sa.Table(
    "entry",
    metadata,
    sa.Column("entry_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("borrower_id", sa.Text, nullable=False),
    sa.Column("ce_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
)


async def add_payments(tx: AsyncConnection, batch: Sequence[Received[PaymentReceivedV1]]) -> list[Outgoing]:
    """Add each payment to its account; the answer carries what the account holds then."""
    for received in batch:
        if received.message.loan_id == "poison":
            raise PoisonRecord(received, "currency_mismatch", "loan_id")
        if received.message.loan_id == "defect":
            raise ValueError(f"no payment for {received.message.payment_id}")
    await lock_borrowers(tx, account, (r.borrower_id for r in batch))
    keys = [{"borrower_id": r.borrower_id} for r in batch]
    rows = await select_matching(tx, account, keys, columns=("borrower_id", "total_minor"))
    totals: dict[str, int] = {row.borrower_id: row.total_minor for row in rows}
    answers: list[Outgoing] = []
    for received in batch:
        totals[received.borrower_id] += received.message.amount_minor
        answers.append(_posted(received, totals[received.borrower_id]))
    await insert_rows(
        tx,
        account,
        [{"borrower_id": borrower_id, "total_minor": total} for borrower_id, total in totals.items()],
        on_conflict=Upsert(keys=("borrower_id",), update=("total_minor",)),
    )
    await _note(tx, [(r, r.message.amount_minor) for r in batch])
    return answers


async def keep(tx: AsyncConnection, batch: Sequence[Received[Message]]) -> list[Outgoing]:
    """Only keep that the record came; nothing is answered."""
    await _note(tx, [(r, 0) for r in batch])
    return []


async def _note(tx: AsyncConnection, received: Sequence[tuple[Received[Any], int]]) -> None:
    rows = [
        {"borrower_id": r.borrower_id, "ce_id": r.ce_id, "topic": r.topic, "amount_minor": amount}
        for r, amount in received
    ]
    await insert_rows(tx, entry, rows, on_conflict="raise")


def _posted(received: Received[PaymentReceivedV1], total_minor: int) -> Outgoing:
    payment = received.message
    answer = PaymentPostedV1(
        borrower_id=payment.borrower_id,
        loan_id=payment.loan_id,
        payment_id=payment.payment_id,
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        allocated=Amounts(),
        suspense_minor=total_minor,
        posted_to="loan",
        effective_at=received.ce_time,
    )
    ce_id = ids.derive("posted", received.borrower_id, received.ce_source, received.ce_id)
    return Outgoing(message=answer, ce_id=ce_id, ce_time=received.ce_time, cause=received)


def toy_service(settings: PlatformSettings, name: str, *, last_topics: tuple[str, ...] = ()) -> Service:
    """The toy, put together as the real ones are."""
    service = Service(name=name, topics=(LOAN_EVENTS, *last_topics), settings=settings, last_topics=last_topics)
    service.handles(PaymentReceivedV1)(add_payments)
    service.handles(*KEPT)(keep)
    return service


class Replica:
    """A toy that runs in this process as uvicorn would run it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._app = service.asgi()

    @contextlib.asynccontextmanager
    async def running(self, *, with_partitions: bool = True) -> AsyncIterator[Replica]:
        """From its start to its drain; by default begins when the group has given it partitions."""
        async with self._app.start_lifespan_context():
            if with_partitions:
                await until(self.has_partitions, "the consumer has its partitions")
            yield self

    async def has_partitions(self) -> bool:
        """Whether the consumer takes part in its group."""
        consumer = self.service.subscription.consumer if self.service.subscription else None
        return consumer is not None and bool(consumer.assignment())

    async def get(self, path: str) -> tuple[int, Any]:
        """The status and JSON of one of the service's own pages."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
        await self._app(scope, receive, send)  # type: ignore[arg-type]
        return sent[0]["status"], json.loads(sent[1]["body"])

    async def reasons(self) -> dict[str, str]:
        """What /readyz says is missing."""
        _, body = await self.get("/readyz")
        reasons: dict[str, str] = body["reasons"]
        return reasons

    async def until_ready(self) -> None:
        """Wait until /readyz is green."""

        async def ready() -> bool:
            return (await self.get("/readyz"))[0] == 200

        await until(ready, "/readyz is green")


async def until(reached: Callable[[], Awaitable[object]], what: str, *, seconds: float = WAIT_SECONDS_MAX) -> None:
    """Wait until `reached` is true; fails with `what` was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not await reached():  # noqa: ASYNC110 - what is waited for happens in other processes
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s in vain until {what}") from None
