"""`borrower.replies.v1`: what borrowers said, as intents. Their words stay in the notifier."""

from __future__ import annotations

from datetime import date
from typing import Literal

from shared.contracts.types import Channel, CurrencyCode, Identifier, Instant, Message, MinorUnits

ReplyIntent = Literal[
    "stop", "promise", "dispute", "paid_already", "right_person", "wrong_person", "call_back", "distress", "other"
]
"""`right_person` and `wrong_person`: whoever picked up a call said that they are, or aren't, the one who was called."""


class ReplyReceivedV1(Message, frozen=True, kw_only=True):
    """One inbound message or key press of a borrower, classified. `reply_id` is the inbound message's id."""

    reply_id: Identifier
    channel: Channel
    received_at: Instant
    intent: ReplyIntent
    contact_point_id: Identifier | None = None
    attempt_id: Identifier | None = None
    """The contact that it answers, where that is known."""
    loans: tuple[Identifier, ...] = ()
    promised_minor: MinorUnits | None = None
    currency: CurrencyCode | None = None
    promised_on: date | None = None
