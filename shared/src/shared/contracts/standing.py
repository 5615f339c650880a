"""Which of several things that are said of one contact stands. Whatever their order and number, it is the same one.

How sure it is that the contact was made, and how far it reached the borrower, each only rise: a lattice of one line,
whose join is the greater of two. Gate, notifier and scheduler count by these ranks and have none of their own.
"""

from __future__ import annotations

from typing import Final, Literal, assert_never, get_args

from shared.contracts.outcomes import ContactMadeV1, ContactNotMadeV1, ContactUnknownV1
from shared.contracts.types import ContactResult

Standing = Literal["not_made", "shadowed", "unknown", "made"]
STANDINGS_RISING: Final[tuple[Standing, ...]] = get_args(Standing)
"""What a contact counts as: made > unknown > not made (DESIGN.md §3, "every permit ends"). Nothing un-counts a contact.

`shadowed` is a *not made* of shadow mode: nothing left, and it keeps its slots and its step as if it had, so that
shadow mode shows what would be sent. Whatever says that something may have left stands above it.
"""
STANDING_RANK: Final[dict[Standing, int]] = {standing: rank for rank, standing in enumerate(STANDINGS_RISING)}
"""Zero frees the slots; everything above it keeps them."""

RESULTS_RISING: Final[tuple[ContactResult, ...]] = (
    "sent",
    "failed",
    "not_in_service",
    "busy",
    "no_answer",
    "delivered",
    "dropped",
    "voicemail",
    "replied",
    "conversation",
    "wrong_person",
)
"""Of two results of one contact the later one here stands: the one under which more rules speak.

`sent` is what is said of a contact before anything is known. What reached nobody yields to what reached somebody, an
open line to something heard (a voicemail is a contact, a dropped call a connection only), and everything to a wrong
person, who must not be met at that number again (12 CFR 1006.14(b), 1006.6(d)).
"""
RESULT_RANK: Final[dict[ContactResult, int]] = {result: rank for rank, result in enumerate(RESULTS_RISING, start=1)}


def standing_of(end: ContactMadeV1 | ContactNotMadeV1 | ContactUnknownV1) -> Standing:
    """What a contact counts as by this one end of a permit."""
    match end:
        case ContactMadeV1():
            return "made"
        case ContactUnknownV1():
            return "unknown"
        case ContactNotMadeV1():
            return "shadowed" if end.reason == "shadow" else "not_made"
        case _:
            assert_never(end)


def surer(one: Standing, other: Standing) -> Standing:
    """The one of the two that stands."""
    return max(one, other, key=STANDING_RANK.__getitem__)


def further(one: ContactResult, other: ContactResult) -> ContactResult:
    """The one of the two results that stands."""
    return max(one, other, key=RESULT_RANK.__getitem__)
