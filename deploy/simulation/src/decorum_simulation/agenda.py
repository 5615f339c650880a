"""What the virtual world will do, by instant: the order of equal instants is by key, never by who came first."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from shared.ids import derive

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
Action = Callable[[datetime], None]


class Agenda:
    """Actions by instant. `run_due` gives each the present tick, which is at or after its own instant.

    Instants are rounded up to a whole tick.
    """

    def __init__(self, tick: timedelta = timedelta(minutes=1)) -> None:
        self._tick = tick
        self._entries: list[tuple[datetime, str, int, Action]] = []
        self._serial = itertools.count()

    def add(self, at: datetime, key: str, action: Action, *, last: bool = False) -> None:
        """Do `action` at the first tick at or after `at`; `last`: after everything else of that instant."""
        order = f"{'1' if last else '0'}{derive('agenda', key)}"
        heapq.heappush(self._entries, (rounded_up(at, self._tick, EPOCH), order, next(self._serial), action))

    def run_due(self, now: datetime) -> int:
        """Do everything whose instant has come, also what that adds for the same tick; how much was done."""
        done = 0
        while self._entries and self._entries[0][0] <= now:
            _, _, _, action = heapq.heappop(self._entries)
            action(now)
            done += 1
        return done

    @property
    def next_due_at(self) -> datetime | None:
        """The earliest instant at which something is to be done."""
        return self._entries[0][0] if self._entries else None


def rounded_up(instant: datetime, tick: timedelta, origin: datetime) -> datetime:
    """The first tick at or after `instant`; ticks are counted from `origin`."""
    past = instant - origin
    whole = past // tick
    return origin + (whole if whole * tick == past else whole + 1) * tick
