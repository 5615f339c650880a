"""What a batch holds locked, and the one order of a borrower's decisions and revocations under that lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from compliance_gate.domain.kept_facts import Profile
from compliance_gate.ports import LockedBorrower


class Sequences:
    """Counts on from the last number given, per locked borrower."""

    def __init__(self, last: Mapping[str, int]) -> None:
        self._last = dict(last)
        self.changed: dict[str, int] = {}

    def next(self, borrower_id: str) -> int:
        """The next number of a borrower; a KeyError is a borrower that isn't locked."""
        number = self._last[borrower_id] + 1
        self._last[borrower_id] = self.changed[borrower_id] = number
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a batch holds locked, and the instant since which it does: the one `now` of all that it decides."""

    borrowers: Mapping[str, LockedBorrower]
    numbers: Collection[str]
    profiles: Mapping[str, Profile | None]
    """As they are after the batch's own updates."""
    sequences: Sequences
    now: datetime
