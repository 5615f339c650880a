"""What clocks that are ahead of this one have told: whoever knows of something knows that its instant has come.

Otherwise a contact would count towards nothing until then, neither as the slot that it had nor as what came of it, and
what a borrower said would not hold yet.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from compliance_gate.domain.facts import OptOut, PastContact, Restriction
from compliance_gate.domain.kept_facts import LoadedFacts

CLOCKS_DIFFER_MAX: Final = timedelta(minutes=10)
"""As far ahead as a message may be to be taken at all. What is dated later has still to come."""
Refusal = TypeVar("Refusal", Restriction, OptOut)


def as_of(loaded: LoadedFacts, now: datetime) -> LoadedFacts:
    """One borrower's facts as they count at `now`."""
    return msgspec.structs.replace(
        loaded,
        history=tuple(seen_at(row, now) for row in loaded.history),
        restrictions=tuple(begun(row, now) for row in loaded.restrictions),
        opt_outs=tuple(begun(row, now) for row in loaded.opt_outs),
    )


def seen_at(contact: PastContact, now: datetime) -> PastContact:
    """A contact as it counts at `now`."""
    return msgspec.structs.replace(contact, at=now) if _is_ahead(contact.at, now) else contact


def begun(refusal: Refusal, now: datetime) -> Refusal:
    """What the borrower or the lender forbids, as it holds at `now`."""
    return msgspec.structs.replace(refusal, since=now) if _is_ahead(refusal.since, now) else refusal


def _is_ahead(instant: datetime, now: datetime) -> bool:
    return now < instant <= now + CLOCKS_DIFFER_MAX
