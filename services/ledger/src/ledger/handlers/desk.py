"""What every handler works with, and the case timeline that all of them write to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import metrics
from ledger.domain import timeline
from ledger.domain.amounts import AllocationOrder
from ledger.domain.promises import PromiseTerms
from ledger.ports import CaseRow, LedgerStore
from shared.clock import Clock
from shared.contracts import Message
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.kafka.records import AGE_MAX, Outgoing, Received

OWN_SOURCE: Final = "decorum/ledger"
_READABLE_FOR: Final = AGE_MAX - timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Storage, business time, and the settings that postings and promises depend on."""

    store: LedgerStore
    clock: Clock
    order: AllocationOrder
    terms: PromiseTerms

    async def note(self, tx: AsyncConnection, rows: Sequence[CaseRow]) -> None:
        """Put `rows` on the case timeline, and count them and their flags."""
        await self.store.add_case_rows(tx, rows)
        metrics.CASE_ROWS.inc(len(rows))
        for row in rows:
            for flag in row.flags:
                metrics.FLAGGED_EVENTS.labels(flag).inc()

    def readable_at(self, instant: datetime) -> datetime:
        """`instant` as the time of a message, or now where readers would refuse the message for its age."""
        now = self.clock.now()
        return instant if instant > now - _READABLE_FOR else now


def case_row(record: Received[Any], flags: Sequence[str] = ()) -> CaseRow:
    """The timeline's row for something that was received; what is over age is applied and flagged, whatever it is."""
    message = record.message
    return CaseRow(
        borrower_id=record.borrower_id,
        at=record.ce_time,
        source=record.ce_source,
        event_id=record.ce_id,
        kind=record.ce_type,
        detail=timeline.detail(message),
        loan_id=getattr(message, "loan_id", None),
        payment_id=getattr(message, "payment_id", None),
        attempt_id=getattr(message, "attempt_id", None),
        flags=(*flags, "aged") if record.aged else tuple(flags),
    )


def entry_row(entry: Outgoing) -> CaseRow:
    """The timeline's row for an entry that we publish."""
    message: Message = entry.message
    return CaseRow(
        borrower_id=message.borrower_id,
        at=entry.ce_time,
        source=OWN_SOURCE,
        event_id=entry.ce_id,
        kind=BY_MESSAGE_TYPE[type(message)].ce_type,
        detail=timeline.detail(message),
        loan_id=getattr(message, "loan_id", None),
        payment_id=getattr(message, "payment_id", None),
    )
