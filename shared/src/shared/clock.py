"""Business time. Services are given a `Clock`; leases, back-off, rate limits and time-outs use wall time instead."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Where a service gets business time from."""

    def now(self) -> datetime:
        """The present business instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own time: what production uses."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ShiftedClock:
    """System time plus an offset kept in a small JSON file, so that one command moves every process's clock.

    The file holds `{"offset_seconds": n}` and is looked at (a `stat`) at every question: a process that was moved on
    must not send to one that was not yet, whose bound on times ahead would refuse it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._offset = timedelta()
        self._refresh()

    def now(self) -> datetime:
        self._refresh()
        return datetime.now(UTC) + self._offset

    def _refresh(self) -> None:
        found = self._path.stat()
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._seen:
            self._offset = timedelta(seconds=float(json.loads(self._path.read_text())["offset_seconds"]))
            self._seen = seen


def write_offset(path: Path, offset: timedelta) -> None:
    """Set the offset of every `ShiftedClock` on `path`, atomically."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"offset_seconds": offset.total_seconds()}))
    os.replace(draft, path)


class VirtualClock:
    """Time that stands still until the simulation moves it; it never goes back."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Set the present instant; a move into the past is a defect of the caller."""
        if instant < self._now:
            raise ValueError("a virtual clock never goes back")
        self._now = instant.astimezone(UTC)
