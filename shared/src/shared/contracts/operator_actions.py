"""`operator.actions.v1`: what people of the lender decide by hand. Every one has who and why."""

from __future__ import annotations

from typing import Literal

from shared.contracts.types import Identifier, Instant, Message, ShortText

StopKind = Literal["all", "channel", "provider", "strategy", "borrower"]


def scope_in_words(kind: StopKind, value: str) -> str:
    """What a stop of `kind` and `value` stops: `every contact`, `channel voice`."""
    return "every contact" if kind == "all" else f"{kind} {value}"


class StopOrderedV1(Message, frozen=True, kw_only=True):
    """No contact inside this scope from now on; open permits are revoked. Keyed by the borrower, or `all`."""

    stop_id: Identifier
    kind: StopKind
    value: Identifier
    reason: ShortText
    ordered_by: Identifier
    ordered_at: Instant


class StopLiftedV1(Message, frozen=True, kw_only=True):
    """The stop `stop_id` no longer holds; what it ended stays ended."""

    stop_id: Identifier
    kind: StopKind
    value: Identifier
    reason: ShortText
    lifted_by: Identifier
    lifted_at: Instant


class HeldReviewedV1(Message, frozen=True, kw_only=True):
    """A person's answer to a held decision. Approved: the scheduler submits again, through every rule."""

    decision_id: Identifier
    attempt_id: Identifier
    submission_number: int
    approved: bool
    reviewed_by: Identifier
    reason: ShortText
    reviewed_at: Instant


class DeadLetterAccessedV1(Message, frozen=True, kw_only=True):
    """A dead letter was shown with its personal data, or driven again."""

    action: Literal["revealed", "redriven"]
    topic: Identifier
    partition: int
    offset: int
    group: Identifier | None = None
    """The service whose letter it is: each that refuses a record keeps a letter of its own."""
    accessed_by: Identifier
    reason: ShortText
    accessed_at: Instant
