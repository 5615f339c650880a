"""What each event says about a borrower, as rows whose merge gives the same state in any order, any number of times.

A contact's marks only rise: the highest submission that was permitted, the highest whose permit ended unused, and the
proof that it was made. It counts while it is proved, or permitted later than ended. Personal data stays out: of a
number only its keyed hash and its zones are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from compliance_gate.domain.kept_facts import ContactPointFacts, Profile
from compliance_gate.handlers.fact_rows import (
    BY_OTHERS,
    consent_values,
    contact_values,
    end_rank,
    last_writer_row,
)
from compliance_gate.handlers.reply_facts import reply_received
from compliance_gate.ports import FactRows, Numbers
from shared.contracts import (
    RESULT_RANK,
    STANDING_RANK,
    BalanceChangedV1,
    BorrowerUpdatedV1,
    ConsentChangedV1,
    ContactMadeV1,
    ContactNotMadeV1,
    ContactPoint,
    ContactProgressedV1,
    ContactUnknownV1,
    ExternalContactMadeV1,
    HeldReviewedV1,
    LoanClosedV1,
    PaymentPostedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    PaymentUnpostedV1,
    ReplyReceivedV1,
    RestrictionChangedV1,
    StopLiftedV1,
    StopOrderedV1,
    standing_of,
)
from shared.contracts.types import Message
from shared.kafka.records import Received

FACT_TYPES: Final[tuple[type[Message], ...]] = (
    StopOrderedV1,
    StopLiftedV1,
    HeldReviewedV1,
    BorrowerUpdatedV1,
    ConsentChangedV1,
    RestrictionChangedV1,
    ExternalContactMadeV1,
    LoanClosedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    PaymentPostedV1,
    PaymentUnpostedV1,
    BalanceChangedV1,
    ReplyReceivedV1,
    ContactMadeV1,
    ContactNotMadeV1,
    ContactUnknownV1,
    ContactProgressedV1,
)
"""Every type that says something about a borrower."""


def project(records: Iterable[Received[Any]], numbers: Numbers) -> FactRows:
    """The rows that `records` say; they may be merged in any order."""
    rows = FactRows()
    for record in records:
        _PROJECTIONS[type(record.message)](rows, record, numbers)
    return rows


def profile_of(message: BorrowerUpdatedV1, numbers: Numbers) -> Profile:
    """The profile without its numbers. Zones: those told, and those that each active number of the borrower's shows."""
    points = tuple(_point(point, numbers) for point in message.contact_points)
    shown = (zone for point in points if point.active and point.holder == "borrower" for zone in point.zones)
    return Profile(region=message.region, zones=tuple(sorted({*message.zones, *shown})), points=points)


def _point(point: ContactPoint, numbers: Numbers) -> ContactPointFacts:
    return ContactPointFacts(
        contact_point_id=point.contact_point_id,
        kind=point.kind,
        holder=point.holder,
        number_key=numbers.key(point.value),
        zones=() if point.kind == "email" else numbers.zones(point.value),
        active=point.active,
    )


def _borrower_updated(rows: FactRows, record: Received[BorrowerUpdatedV1], numbers: Numbers) -> None:
    profile = profile_of(record.message, numbers)
    rows.profiles.append(last_writer_row(record, "", {"profile": profile}))
    rows.number_holders.extend(
        {
            "number_key": point.number_key,
            "borrower_id": record.borrower_id,
            "contact_point_id": point.contact_point_id,
            "last_at": record.ce_time,
        }
        for point in profile.points
    )


def _consent_changed(rows: FactRows, record: Received[ConsentChangedV1], _: Numbers) -> None:
    message = record.message
    values = consent_values(
        kind=message.kind,
        in_force=message.in_force,
        since=message.effective_from,
        until=message.effective_until,
        channel=message.channel,
        contact_point_id=message.contact_point_id,
        loans=list(message.loans or ()),
        days=list(message.days or ()),
        start_minute=_minute(message.start),
        end_minute=_minute(message.end),
        place=message.place,
    )
    rows.consents.append(last_writer_row(record, message.consent_id, values))


def _minute(local_time: str | None) -> int | None:
    if local_time is None:
        return None
    hours, minutes = local_time.split(":")
    return int(hours) * 60 + int(minutes)


def _restriction_changed(rows: FactRows, record: Received[RestrictionChangedV1], _: Numbers) -> None:
    message = record.message
    values = {
        "kind": message.kind,
        "active": message.active,
        "since": message.effective_from,
        "until": message.effective_until,
        "loans": list(message.restricted_loans or ()),
    }
    rows.restrictions.append(last_writer_row(record, message.restriction_id, values))


def _external_contact(rows: FactRows, record: Received[ExternalContactMadeV1], _: Numbers) -> None:
    message = record.message
    contact_id = f"external:{message.contact_id}"  # the lender's ids are not ours to trust
    values = contact_values(
        record.borrower_id,
        contact_id,
        at=message.made_at,
        channel=message.channel,
        direction=message.direction,
        party=message.party,
        purpose="demand",
        made_by=message.made_by,
        loans=list(message.loans),
        discussed=None if message.discussed is None else list(message.discussed),
        contact_point_id=message.contact_point_id,
        proof=BY_OTHERS,
        result=message.result,
        result_rank=RESULT_RANK[message.result],
    )
    rows.external_contacts.append(last_writer_row(record, contact_id, values))


def _loan_closed(rows: FactRows, record: Received[LoanClosedV1], _: Numbers) -> None:
    rows.closures.append((record.borrower_id, record.message.loan_id))


def _payment(rows: FactRows, record: Received[Any], mark: str, **uncounted: Any) -> None:
    marks = dict.fromkeys(("received", "reversed", "posted", "unposted"), False)
    message = record.message
    rows.payments.append(
        {
            "borrower_id": record.borrower_id,
            "payment_id": message.payment_id,
            "loan_id": message.loan_id,
            **marks,
            mark: True,
            "uncounted_at": None,
            "uncounted_version": None,
            **uncounted,
        }
    )


def _payment_posted(rows: FactRows, record: Received[PaymentPostedV1], _: Numbers) -> None:
    message = record.message
    if message.counted:
        _payment(rows, record, "posted")
        return
    at, version = message.posted_at or record.ce_time, message.balance_version
    _payment(rows, record, "posted", uncounted_at=at, uncounted_version=version)


def _balance_changed(rows: FactRows, record: Received[BalanceChangedV1], _: Numbers) -> None:
    message = record.message
    rows.balances.append(
        {
            "borrower_id": record.borrower_id,
            "loan_id": message.loan_id,
            "currency": message.currency,
            "overdue_minor": message.overdue.total_minor,
            "outstanding_minor": message.outstanding.total_minor,
            "balance_version": message.balance_version,
            "snapshot_version": message.balance_version if message.cause == "snapshot" else 0,
            "closed_in_book": message.closed,
        }
    )


def _permit_end(rows: FactRows, record: Received[Any], **told: Any) -> None:
    """The end of a permit, and what it says of its contact: `told`, and that it counts by its standing."""
    message = record.message
    standing = standing_of(message)
    rows.permit_ends.append(
        {
            "borrower_id": record.borrower_id,
            "attempt_id": message.attempt_id,
            "submission_number": message.submission_number,
            "end_rank": end_rank(standing),
            "end_reason": message.reason if isinstance(message, ContactNotMadeV1) else None,
        }
    )
    rows.contacts.append(_attempt_contact(record, proof=STANDING_RANK[standing], **told))


def _attempt_contact(record: Received[Any], **known: Any) -> dict[str, Any]:
    message = record.message
    return contact_values(
        record.borrower_id,
        message.attempt_id,
        channel=message.channel,
        loans=list(message.loans),
        contact_point_id=message.contact_point_id,
        **known,
    )


def _contact_made(rows: FactRows, record: Received[ContactMadeV1], _: Numbers) -> None:
    _permit_end(rows, record, at=record.message.made_at)


def _contact_unknown(rows: FactRows, record: Received[ContactUnknownV1], _: Numbers) -> None:
    _permit_end(rows, record, at=record.message.sent_at)


def _contact_not_made(rows: FactRows, record: Received[ContactNotMadeV1], _: Numbers) -> None:
    """Its slots are free again; in shadow mode it counts from the instant at which it would have been sent."""
    message = record.message
    if standing_of(message) == "not_made":
        _permit_end(rows, record, ended_submission=message.submission_number)
    else:
        _permit_end(rows, record, at=message.ended_at)


def _contact_progressed(rows: FactRows, record: Received[ContactProgressedV1], _: Numbers) -> None:
    message = record.message
    rank = RESULT_RANK[message.result]
    rows.contacts.append(
        _attempt_contact(
            record, at=message.made_at, proof=STANDING_RANK["made"], result=message.result, result_rank=rank
        )
    )


def _held_reviewed(rows: FactRows, record: Received[HeldReviewedV1], _: Numbers) -> None:
    message = record.message
    values = {
        "attempt_id": message.attempt_id,
        "submission_number": message.submission_number,
        "approved": message.approved,
        "reviewed_by": message.reviewed_by,
        "reason": message.reason,
        "reviewed_at": message.reviewed_at,
    }
    rows.reviews.append(last_writer_row(record, message.decision_id, values))


def _stop_changed(rows: FactRows, record: Received[Any], _: Numbers) -> None:
    message = record.message
    values = {
        "kind": message.kind,
        "value": message.value,
        "in_force": isinstance(message, StopOrderedV1),
        "reason": message.reason,
    }
    rows.stops.append(last_writer_row(record, message.stop_id, values))


Projection = Callable[[FactRows, Received[Any], Numbers], None]

_PROJECTIONS: Final[dict[type[Message], Projection]] = {
    BorrowerUpdatedV1: _borrower_updated,
    ConsentChangedV1: _consent_changed,
    RestrictionChangedV1: _restriction_changed,
    ExternalContactMadeV1: _external_contact,
    LoanClosedV1: _loan_closed,
    PaymentReceivedV1: lambda rows, record, _: _payment(rows, record, "received"),
    PaymentReversedV1: lambda rows, record, _: _payment(rows, record, "reversed"),
    PaymentPostedV1: _payment_posted,
    PaymentUnpostedV1: lambda rows, record, _: _payment(rows, record, "unposted"),
    BalanceChangedV1: _balance_changed,
    ReplyReceivedV1: reply_received,
    ContactMadeV1: _contact_made,
    ContactNotMadeV1: _contact_not_made,
    ContactUnknownV1: _contact_unknown,
    ContactProgressedV1: _contact_progressed,
    HeldReviewedV1: _held_reviewed,
    StopOrderedV1: _stop_changed,
    StopLiftedV1: _stop_changed,
}
