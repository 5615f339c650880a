"""Ends of permits, progress and replies as messages, with ids that doing the work twice makes again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, assert_never

from notifier import metrics
from notifier.domain.permits import PermitEnded
from notifier.domain.receipts import Receipt
from shared.contracts import ContactMadeV1, ContactNotMadeV1, ContactProgressedV1, ContactUnknownV1
from shared.ids import derive
from shared.kafka.records import Outgoing, Received


def end_of_permit(ended: PermitEnded, *, now: datetime, cause: Received[Any] | None = None) -> Outgoing:
    """The one message that tells this end."""
    fields: dict[str, Any] = {
        "borrower_id": ended.borrower_id,
        "attempt_id": ended.attempt_id,
        "submission_number": ended.submission_number,
        "decision_id": ended.decision_id,
        "channel": ended.channel,
        "contact_point_id": ended.contact_point_id,
        "loans": ended.loans,
        "provider": ended.provider,
    }
    message: ContactMadeV1 | ContactNotMadeV1 | ContactUnknownV1
    match ended.state:
        case "made":
            message = ContactMadeV1(**fields, made_at=ended.at)
        case "unknown":
            message = ContactUnknownV1(**fields, sent_at=ended.at)
        case "not_made":
            assert ended.reason is not None, "held by PermitEnded"
            message = ContactNotMadeV1(**fields, reason=ended.reason, ended_at=ended.at)
        case _:
            assert_never(ended.state)
    metrics.PERMITS_ENDED.labels(ended.channel, ended.state, ended.reason or "").inc()
    ce_id = derive("permit-end", ended.decision_id, ended.state)
    return Outgoing(message=message, ce_id=ce_id, ce_time=now, cause=cause)


def ends_of_permits(ends: Iterable[PermitEnded], *, now: datetime) -> list[Outgoing]:
    """As `end_of_permit`, for ends that no record caused."""
    return [end_of_permit(ended, now=now) for ended in ends]


def answers(ends: Iterable[PermitEnded], causes: Mapping[str, Received[Any]], *, now: datetime) -> list[Outgoing]:
    """As `end_of_permit`, each caused by the record of `causes` about its borrower."""
    return [end_of_permit(ended, now=now, cause=causes[ended.borrower_id]) for ended in ends]


def progress(ended: PermitEnded, receipt: Receipt, *, now: datetime) -> Outgoing:
    """What a receipt says became of the contact; one message for each receipt, whatever came before."""
    message = ContactProgressedV1(
        borrower_id=ended.borrower_id,
        attempt_id=ended.attempt_id,
        channel=ended.channel,
        contact_point_id=ended.contact_point_id,
        loans=ended.loans,
        result=receipt.result,
        occurred_at=min(receipt.occurred_at, now),
        made_at=ended.at,
    )
    return Outgoing(message=message, ce_id=derive("progress", ended.attempt_id, receipt.receipt_id), ce_time=now)
