"""Which facts end open permits, and the messages that say so.

A revocation is only made where an open permit is in its scope: without one there is nothing to end, and a permit that
comes later is decided on the facts that are known by then. So the order in which facts arrive changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from compliance_gate.domain.kept_facts import Profile
from compliance_gate.handlers.held import Sequences
from compliance_gate.ports import FactKind, OpenPermit, Written
from shared import ids
from shared.contracts import (
    BalanceChangedV1,
    BorrowerUpdatedV1,
    ConsentChangedV1,
    ExternalContactMadeV1,
    LoanClosedV1,
    PaymentPostedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    PermitRevokedV1,
    ReplyReceivedV1,
    RestrictionChangedV1,
    RevocationReason,
    RevocationScope,
    StopOrderedV1,
)
from shared.contracts.types import Message
from shared.kafka.records import Outgoing, Received

EVERYTHING: Final = RevocationScope()
Revoked = tuple[Outgoing, Sequence[OpenPermit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A reason to end the open permits of one borrower inside a scope.

    `below_version` spares permits whose amounts for the scope's loan are of that balance version or later.
    """

    borrower_id: str
    reason: RevocationReason
    scope: RevocationScope
    cause: Received[Any]
    below_version: int | None = None

    def covers(self, permit: OpenPermit) -> bool:
        """Whether `permit` is one that it ends."""
        scope = self.scope
        return (
            permit.borrower_id == self.borrower_id
            and scope.channel in (None, permit.channel)
            and scope.contact_point_id in (None, permit.contact_point_id)
            and scope.strategy in (None, permit.strategy)
            and scope.provider in (None, permit.provider)
            and (scope.loans is None or not set(scope.loans).isdisjoint(permit.loans))
            and (self.below_version is None or self._is_stale(permit))
        )

    def _is_stale(self, permit: OpenPermit) -> bool:
        assert self.below_version is not None, "only asked with a version"
        return any(permit.balance_versions.get(loan, -1) < self.below_version for loan in self.scope.loans or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a batch of facts changed: needed to tell which of its records end permits."""

    written: Written
    profiles_before: Mapping[str, Profile | None]
    profiles: Mapping[str, Profile | None]
    permits: Sequence[OpenPermit]

    def won(self, kind: FactKind, record: Received[Any], fact_id: str) -> bool:
        """Whether what `record` says is the state now."""
        return (kind, (record.borrower_id, fact_id), record.order_key) in self.written.won


def triggers_of(records: Iterable[Received[Any]], around: Surroundings) -> list[Trigger]:
    """Every reason that `records` give, in their order, and then what was said on shared numbers."""
    records = list(records)
    triggers: list[Trigger] = []
    for record in records:
        finder = _TRIGGERS.get(type(record.message))
        if finder is not None:
            triggers.extend(finder(record, around))
    triggers.extend(_on_shared_numbers(records, around))
    return triggers


def revoke(
    triggers: Iterable[Trigger], permits: Sequence[OpenPermit], sequences: Sequences, now: datetime
) -> list[Revoked]:
    """One revocation for each trigger that covers a permit; a permit is ended once."""
    revoked: list[Revoked] = []
    left = list(permits)
    for trigger in triggers:
        covered = [permit for permit in left if trigger.covers(permit)]
        if not covered:
            continue
        left = [permit for permit in left if permit not in covered]
        borrower_id = trigger.borrower_id
        cause = trigger.cause
        revocation_id = ids.derive("revocation", borrower_id, cause.ce_source, cause.ce_id, covered[0].decision_id)
        message = revocation_message(
            borrower_id, revocation_id, sequences.next(borrower_id), trigger.scope, trigger.reason, now, covered
        )
        revoked.append((Outgoing(message=message, ce_id=revocation_id, ce_time=now, cause=cause), covered))
    return revoked


def revocation_message(
    borrower_id: str,
    revocation_id: str,
    sequence: int,
    scope: RevocationScope,
    reason: RevocationReason,
    now: datetime,
    covered: Sequence[OpenPermit],
) -> PermitRevokedV1:
    """The message that ends `covered`."""
    return PermitRevokedV1(
        borrower_id=borrower_id,
        revocation_id=revocation_id,
        borrower_sequence=sequence,
        scope=scope,
        reason=reason,
        revoked_at=now,
        attempt_ids=tuple(permit.attempt_id for permit in covered),
    )


def _payment(record: Received[Any], around: Surroundings) -> Iterable[Trigger]:
    message = record.message
    if (record.borrower_id, message.loan_id, message.payment_id) in around.written.unposted_payments:
        yield _trigger(record, "payment")


def _payment_posted(record: Received[PaymentPostedV1], _: Surroundings) -> Iterable[Trigger]:
    """No new balance follows a payment that the balance doesn't show, and its receipt may be read only now."""
    message = record.message
    if message.counted:
        return
    yield Trigger(
        borrower_id=record.borrower_id,
        reason="payment",
        scope=RevocationScope(loans=(message.loan_id,)),
        cause=record,
        below_version=None if message.balance_version is None else message.balance_version + 1,
    )


def _balance(record: Received[BalanceChangedV1], _: Surroundings) -> Iterable[Trigger]:
    message = record.message
    yield Trigger(
        borrower_id=record.borrower_id,
        reason="balance",
        scope=RevocationScope(loans=(message.loan_id,)),
        cause=record,
        below_version=message.balance_version,
    )


def _closure(record: Received[LoanClosedV1], _: Surroundings) -> Iterable[Trigger]:
    yield _trigger(record, "closure", RevocationScope(loans=(record.message.loan_id,)))


def _restriction(record: Received[RestrictionChangedV1], around: Surroundings) -> Iterable[Trigger]:
    message = record.message
    if message.active and around.won("restriction", record, message.restriction_id):
        yield _trigger(record, "restriction", RevocationScope(loans=message.restricted_loans or None))


def _consent(record: Received[ConsentChangedV1], around: Surroundings) -> Iterable[Trigger]:
    message = record.message
    if not around.won("consent", record, message.consent_id):
        return
    match message.kind:
        case "opt_out" if message.in_force:
            scope = RevocationScope(channel=message.channel, contact_point_id=message.contact_point_id)
            yield _trigger(record, "opt_out", scope)
        case "inconvenient" if message.in_force:
            yield _trigger(record, "consent")
        case "call_back" | "outside_hours" | "channel" if not message.in_force:
            yield _trigger(record, "consent")
        case _:
            return


def _reply(record: Received[ReplyReceivedV1], around: Surroundings) -> Iterable[Trigger]:
    message = record.message
    match message.intent:
        case "stop":
            yield _trigger(record, "opt_out", RevocationScope(channel=message.channel))
        case "wrong_person":
            yield _trigger(record, "opt_out", RevocationScope(contact_point_id=message.contact_point_id))
        case "dispute":
            yield _trigger(record, "restriction", RevocationScope(loans=message.loans or None))
        case "distress":
            yield _trigger(record, "restriction")
        case "promise" | "paid_already" | "right_person" | "call_back" | "other":
            return


def _external_contact(record: Received[ExternalContactMadeV1], around: Surroundings) -> Iterable[Trigger]:
    """Somebody else's contact may have used up what a permit was given for."""
    if around.won("external_contact", record, f"external:{record.message.contact_id}"):
        yield _trigger(record, "contact")


def _profile(record: Received[BorrowerUpdatedV1], around: Surroundings) -> Iterable[Trigger]:
    """Numbers that are gone or others now; other zones or another region mean other hours and rules."""
    if not around.won("profile", record, ""):
        return
    before, after = around.profiles_before[record.borrower_id], around.profiles[record.borrower_id]
    assert after is not None, "it was just written"
    if before is not None and (before.zones, before.region) != (after.zones, after.region):
        yield _trigger(record, "contact_point")
    points = {permit.contact_point_id for permit in around.permits if permit.borrower_id == record.borrower_id}
    for contact_point_id in sorted(points):
        old, new = before.point(contact_point_id) if before is not None else None, after.point(contact_point_id)
        if new is None or (old is not None and old.number_key != new.number_key):
            yield _trigger(record, "contact_point", RevocationScope(contact_point_id=contact_point_id))


def _stop(record: Received[StopOrderedV1], around: Surroundings) -> Iterable[Trigger]:
    """A stop of one borrower; the wider ones are swept in chunks."""
    message = record.message
    if message.kind == "borrower" and around.won("stop", record, message.stop_id):
        yield _trigger(record, "stop")


def _on_shared_numbers(records: Sequence[Received[Any]], around: Surroundings) -> Iterable[Trigger]:
    """A refusal on a number ends permits on it whoever they are for."""
    if not records:
        return
    said_by = {f"reply-number:{r.message.reply_id}": r for r in records if isinstance(r.message, ReplyReceivedV1)}
    said_by |= {r.message.consent_id: r for r in records if isinstance(r.message, ConsentChangedV1)}
    updates = [r for r in records if isinstance(r.message, BorrowerUpdatedV1)]
    for number_key, channel, suppression_id in around.written.suppressed:
        cause = said_by.get(suppression_id) or (updates or records)[0]
        for permit in around.permits:
            if permit.number_key == number_key and permit.channel == channel:
                yield Trigger(
                    borrower_id=permit.borrower_id,
                    reason="opt_out",
                    scope=RevocationScope(channel=permit.channel, contact_point_id=permit.contact_point_id),  # type: ignore[arg-type]
                    cause=cause,
                )


def _trigger(record: Received[Any], reason: RevocationReason, scope: RevocationScope = EVERYTHING) -> Trigger:
    return Trigger(borrower_id=record.borrower_id, reason=reason, scope=scope, cause=record)


_TRIGGERS: Final[dict[type[Message], Callable[[Received[Any], Surroundings], Iterable[Trigger]]]] = {
    PaymentReceivedV1: _payment,
    PaymentReversedV1: _payment,
    PaymentPostedV1: _payment_posted,
    BalanceChangedV1: _balance,
    LoanClosedV1: _closure,
    RestrictionChangedV1: _restriction,
    ConsentChangedV1: _consent,
    ReplyReceivedV1: _reply,
    ExternalContactMadeV1: _external_contact,
    BorrowerUpdatedV1: _profile,
    StopOrderedV1: _stop,
}
