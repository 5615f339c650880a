"""The keys of a call. Each digit has one meaning, whichever part of the call it is pressed in: a key press arrives
without the part, late and more than once, and must not turn into a promise when it only said who is on the line.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import ReplyIntent

OPENING_KEYS: Final[dict[str, ReplyIntent]] = {"5": "right_person", "7": "wrong_person", "9": "stop"}
"""What whoever picks up may press. Only `right_person` lets the call go on to what it is about."""
DETAIL_KEYS: Final[dict[str, ReplyIntent]] = {
    "1": "promise",
    "2": "paid_already",
    "3": "dispute",
    "9": "stop",
    "0": "call_back",
}
"""What the person who was called may press once the details are spoken."""
KEY_INTENTS: Final[dict[str, ReplyIntent]] = OPENING_KEYS | DETAIL_KEYS
