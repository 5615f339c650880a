"""What the gate's tests on a real PostgreSQL stand on: a migrated database, and the facts and ends to feed it with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from decorum_local import LocalPlatform
from shared.contracts import (
    ConsentChangedV1,
    ContactMadeV1,
    ContactNotMadeV1,
    ExternalContactMadeV1,
    LoanClosedV1,
    PaymentReceivedV1,
    ReplyReceivedV1,
    RestrictionChangedV1,
    StopOrderedV1,
)
from shared.contracts.types import Message
from shared.postgres.engine import create_engine
from tests.databases import migrated_database
from tests.gate_service_world import NOW, World, borrower

_names = count(1)


@pytest.fixture(scope="module")
def gate_url(platform: LocalPlatform) -> Iterator[str]:
    """A database with the gate's schema, dropped after the module."""
    with migrated_database(platform, "compliance_gate") as url:
        yield url


@pytest_asyncio.fixture
async def world(gate_url: str) -> AsyncIterator[World]:
    """The gate's handler on that database."""
    engine = create_engine(gate_url, application_name="test", connections_max=3)
    yield World(engine)
    await engine.dispose()


@pytest.fixture
def name() -> Callable[[], str]:
    """Gives a borrower id that no other test has."""
    return lambda: f"B{next(_names)}"


async def rows(engine: AsyncEngine, query: str, **values: object) -> list[tuple[object, ...]]:
    """The rows of a query."""
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(sa.text(query), values)]


def made(borrower_id: str, attempt_id: str, **changed: object) -> ContactMadeV1:
    told: dict[str, object] = {"submission_number": 1, "channel": "sms", "made_at": NOW, **changed}
    return ContactMadeV1(
        borrower_id=borrower_id,
        attempt_id=attempt_id,
        decision_id="d",
        contact_point_id=f"{borrower_id}-P1",
        loans=(f"{borrower_id}-L1",),
        provider="sms-http",
        **told,  # type: ignore[arg-type]
    )


def not_made(borrower_id: str, attempt_id: str, reason: str, submission: int = 1) -> ContactNotMadeV1:
    return ContactNotMadeV1(
        borrower_id=borrower_id,
        attempt_id=attempt_id,
        submission_number=submission,
        decision_id="d",
        channel="sms",
        contact_point_id=f"{borrower_id}-P1",
        loans=(f"{borrower_id}-L1",),
        provider="sms-http",
        reason=reason,  # type: ignore[arg-type]
        ended_at=NOW,
    )


def payment(b: str, loan_id: str | None = None) -> PaymentReceivedV1:
    loan = loan_id or f"{b}-L1"
    return PaymentReceivedV1(borrower_id=b, loan_id=loan, payment_id="PAY1", currency="CNY", amount_minor=100)


def fact(kind: str, b: str) -> Message:
    """A fact that forbids contacts with the borrower `b`, or some of them."""
    reply = {"borrower_id": b, "channel": "sms", "received_at": NOW, "contact_point_id": f"{b}-P1"}
    match kind:
        case "stop_reply":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="stop", **reply)  # type: ignore[arg-type]
        case "wrong_person":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="wrong_person", **reply)  # type: ignore[arg-type]
        case "dispute_reply":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="dispute", loans=(f"{b}-L1",), **reply)  # type: ignore[arg-type]
        case "distress":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="distress", **reply)  # type: ignore[arg-type]
        case "opt_out":
            return ConsentChangedV1(
                borrower_id=b, consent_id="c", kind="opt_out", in_force=True, effective_from=NOW, channel="sms"
            )
        case "restriction":
            return RestrictionChangedV1(
                borrower_id=b, restriction_id="r", kind="attorney", active=True, effective_from=NOW
            )
        case "closure":
            return LoanClosedV1(borrower_id=b, loan_id=f"{b}-L1", reason="paid")
        case "number_gone":
            return borrower(b, numbers=())
        case "other_zone":
            return borrower(b, zones=("America/New_York",))
        case "stop_order":
            return StopOrderedV1(
                borrower_id=b, stop_id=b, kind="borrower", value=b, reason="why", ordered_by="me", ordered_at=NOW
            )
        case "external":
            return ExternalContactMadeV1(
                borrower_id=b,
                contact_id="x",
                channel="sms",
                direction="outbound",
                result="delivered",
                made_at=NOW,
                made_by="agency",
                loans=(f"{b}-L1",),
            )
    raise AssertionError(kind)
