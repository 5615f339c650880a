"""`contact.outcomes.v1`: how each permit ended, and what receipts said afterwards."""

from __future__ import annotations

from typing import Literal

from shared.contracts.types import Channel, ContactResult, Identifier, Instant, Message

NotMadeReason = Literal[
    "rejected", "revoked", "permit_expired", "stopped", "shadow", "no_contact_point", "template_failed", "no_provider"
]


class PermitEnd(Message, frozen=True, kw_only=True):
    """What every end of a permit carries; exactly one of the three below ends each permit."""

    attempt_id: Identifier
    submission_number: int
    decision_id: Identifier
    channel: Channel
    contact_point_id: Identifier
    loans: tuple[Identifier, ...]
    provider: Identifier | None


class ContactMadeV1(PermitEnd, frozen=True, kw_only=True):
    """The carrier took it at `made_at` (the instant of sending, which is what counts)."""

    made_at: Instant


class ContactNotMadeV1(PermitEnd, frozen=True, kw_only=True):
    """It did not leave the building, or the carrier refused it: its slots are free again.

    Reason `shadow`: live it would have been sent at `ended_at`. Nothing left, and its slots and its step stay taken.
    """

    reason: NotMadeReason
    ended_at: Instant


class ContactUnknownV1(PermitEnd, frozen=True, kw_only=True):
    """It may have been made: it counts as made and is never sent again."""

    sent_at: Instant


class ContactProgressedV1(Message, frozen=True, kw_only=True):
    """A receipt: what became of a contact. Any order, any number; a result that proves a contact counts it."""

    attempt_id: Identifier
    channel: Channel
    contact_point_id: Identifier
    loans: tuple[Identifier, ...]
    result: ContactResult
    occurred_at: Instant
    made_at: Instant
    """The instant of sending of the contact that this receipt proves."""
