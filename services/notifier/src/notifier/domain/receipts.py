"""What a carrier's receipts say about a contact. Any order and any number of copies end in one state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.contracts import Channel, ContactResult, further

ReceiptStatus = Literal[
    "delivered", "failed", "answered", "no_answer", "voicemail", "busy", "not_in_service", "dropped", "wrong_person"
]

RESULT_OF: Final[dict[ReceiptStatus, ContactResult]] = {
    "delivered": "delivered",
    "failed": "failed",
    "answered": "conversation",
    "no_answer": "no_answer",
    "voicemail": "voicemail",
    "busy": "busy",
    "not_in_service": "not_in_service",
    "dropped": "dropped",
    "wrong_person": "wrong_person",
}
"""A call that was answered counts as a conversation: a carrier can't tell that nothing was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One receipt. `attempt_id` is the idempotency key that the request carried."""

    receipt_id: str
    attempt_id: str
    message_id: str
    channel: Channel
    status: ReceiptStatus
    occurred_at: datetime

    @property
    def result(self) -> ContactResult:
        """What this receipt says became of the contact."""
        return RESULT_OF[self.status]


def standing_result(results: Iterable[ContactResult]) -> ContactResult:
    """What a contact's receipts come to together; commutative, associative and idempotent."""
    standing: ContactResult = "sent"
    for result in results:
        standing = further(standing, result)
    return standing
