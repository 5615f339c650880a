"""The fuse of each partition: so many dead letters in a row mean that something is wrong with the sender."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from shared.errors import ReasonCode

FUSE_RECORDS: Final = 100
"""So many dead letters in a row pause a partition."""
NOT_COUNTED: Final[frozenset[ReasonCode]] = frozenset({"unknown_event_type", "unsupported_version"})
"""A sender that is ahead of this version is no reason to stop reading what is understood."""
Partition = tuple[str, int]


class Fuse:
    """Counts dead letters in a row, by partition. A batch counts on a `copy`, which replaces it when it is done."""

    def __init__(self, runs: dict[Partition, int] | None = None) -> None:
        self._runs = dict(runs or {})

    def copy(self) -> Fuse:
        """The same counts, to go on from for a batch that may have to be taken again."""
        return Fuse(self._runs)

    def only(self, partitions: Collection[Partition]) -> Fuse:
        """The counts of `partitions` alone: a row that ended or went on where somebody else read is not known here."""
        return Fuse({partition: run for partition, run in self._runs.items() if partition in partitions})

    def any(self) -> bool:
        """Whether some partition has a row of dead letters behind it."""
        return bool(self._runs)

    def good(self, partition: Partition) -> None:
        """A record was handled: the row ends, unless it was too long already."""
        if self._runs and not self.blown(partition):
            self._runs.pop(partition, None)

    def bad(self, partition: Partition, reason: ReasonCode) -> None:
        """A record goes to the dead letters."""
        if reason not in NOT_COUNTED:
            self._runs[partition] = self._runs.get(partition, 0) + 1

    def blown(self, partition: Partition) -> bool:
        """Whether the partition is to be paused."""
        return self._runs.get(partition, 0) >= FUSE_RECORDS
