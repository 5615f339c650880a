"""Permits to make one contact, what forbids using one, and how each of them ends.

The database applies the same rules in its claim statement; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never

from shared.contracts import STANDING_RANK, Channel, NotMadeReason, Purpose

PermitState = Literal["permitted", "sending", "made", "not_made", "unknown"]
EndState = Literal["made", "not_made", "unknown"]
StopKind = Literal["all", "channel", "provider", "strategy", "borrower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What the gate allowed: one attempt, once, before `expires_at`. `attempt_json` is the attempt as submitted."""

    borrower_id: str
    attempt_id: str
    submission_number: int
    decision_id: str
    borrower_sequence: int
    expires_at: datetime
    channel: Channel
    contact_point_id: str
    loans: tuple[str, ...]
    strategy: str
    purpose: Purpose
    attempt_json: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Ends every permit of its scope with a lower sequence, whether that permit is known yet or not."""

    borrower_id: str
    revocation_id: str
    borrower_sequence: int
    channel: str | None = None
    contact_point_id: str | None = None
    loans: tuple[str, ...] | None = None
    strategy: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """An operator's order that nothing leaves inside its scope, or its lifting: the latest of a stop's id holds.

    A stop and a lifting of one instant leave the stop in force.
    """

    stop_id: str
    kind: StopKind
    value: str
    changed_at: datetime
    lifted: bool = False

    @property
    def order(self) -> tuple[datetime, bool]:
        """What decides which of two orders with one id holds."""
        return (self.changed_at, not self.lifted)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitEnded:
    """One end of one permit, as it is published. `at` is the instant of sending, or of the end of an unused permit."""

    borrower_id: str
    attempt_id: str
    submission_number: int
    decision_id: str
    channel: Channel
    contact_point_id: str
    loans: tuple[str, ...]
    provider: str | None
    state: EndState
    reason: NotMadeReason | None
    at: datetime

    def __post_init__(self) -> None:
        assert (self.state == "not_made") == (self.reason is not None)


def covers(revocation: Revocation, permit: Permit, *, provider: str | None) -> bool:
    """Whether `revocation` ends `permit`; every field of the scope that is set must match."""
    return (
        revocation.borrower_id == permit.borrower_id
        and revocation.borrower_sequence > permit.borrower_sequence
        and revocation.channel in (None, permit.channel)
        and revocation.contact_point_id in (None, permit.contact_point_id)
        and revocation.strategy in (None, permit.strategy)
        and (revocation.provider is None or revocation.provider == provider)
        and (revocation.loans is None or not set(revocation.loans).isdisjoint(permit.loans))
    )


def forbids(stop: Stop, permit: Permit, *, provider: str | None) -> bool:
    """Whether `stop` holds and has `permit` in its scope."""
    if stop.lifted:
        return False
    match stop.kind:
        case "all":
            return True
        case "channel":
            return stop.value == permit.channel
        case "provider":
            return stop.value == provider
        case "strategy":
            return stop.value == permit.strategy
        case "borrower":
            return stop.value == permit.borrower_id
        case _:
            assert_never(stop.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything about one permit that may forbid its use. `contact_point_usable` None: not known yet."""

    provider: str | None
    revocations: tuple[Revocation, ...] = ()
    stops: tuple[Stop, ...] = ()
    suppressed: bool = False
    contact_point_usable: bool | None = True
    attempt_already_sent: bool = False


def block_of(permit: Permit, around: Surroundings) -> NotMadeReason | None:
    """Why `permit` may not be used whatever the time is; None: nothing forbids it. The first reason wins.

    An unknown contact point doesn't forbid for good: its event may still be on the way. A suppression lets the
    confirmation of the opt-out pass that made it: that there is one at most is the gate's to hold (12 CFR part 1006,
    comment 14(h)(1)-3).
    """
    if any(covers(revocation, permit, provider=around.provider) for revocation in around.revocations):
        return "revoked"
    suppressed = around.suppressed and permit.purpose != "opt_out_confirmation"
    if suppressed or _stopped(around.stops, permit, around.provider):
        return "stopped"
    if around.attempt_already_sent:
        return "rejected"
    if around.contact_point_usable is False:
        return "no_contact_point"
    return "no_provider" if around.provider is None else None


def _stopped(stops: Iterable[Stop], permit: Permit, provider: str | None) -> bool:
    return any(forbids(stop, permit, provider=provider) for stop in stops)


def expiry_reason(*, contact_point_known: bool) -> NotMadeReason:
    """Why a permit that nobody used by its end wasn't made."""
    return "permit_expired" if contact_point_known else "no_contact_point"


def rises(present: PermitState, proved: EndState) -> bool:
    """Whether an end that becomes known now replaces `present`: any end replaces none, and then it only rises."""
    match present:
        case "permitted" | "sending":
            return True
        case _:
            return STANDING_RANK[proved] > STANDING_RANK[present]
