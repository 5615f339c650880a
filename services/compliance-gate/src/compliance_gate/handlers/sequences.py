"""The one order of a borrower's decisions and revocations, given under the borrower's lock."""

from __future__ import annotations

from collections.abc import Mapping


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
