"""What `decorum demo` is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from decorum_simulation.conditions import USUAL, Conditions
from decorum_simulation.lender.people import SHANGHAI
from decorum_simulation.virtual_world import Plan
from shared.errors import Rejection
from shared.files import Unreadable

PACKS: Final = ("cn", "us-reg-f")
OVERLAY: Final = "courteous"
BORROWERS_MAX: Final = 200_000
_UNITS: Final = {"m": 1, "min": 1, "h": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """Checked options of one run; `start` is a date in Shanghai, where the lender's day begins."""

    borrowers: int
    days: int
    start: date
    seed: int
    tick: timedelta
    out: Path
    portfolio: Path | None = None
    limit: int | None = None
    conditions: Conditions = USUAL

    def __post_init__(self) -> None:
        if not 1 <= self.borrowers <= BORROWERS_MAX:
            raise Rejection(f"--borrowers must be 1 to {BORROWERS_MAX}")
        if not 1 <= self.days <= 366:
            raise Rejection("--days must be 1 to 366")
        if self.portfolio is not None and not self.portfolio.is_file():
            raise Unreadable(self.portfolio, "there is no such file")
        if self.limit is not None and self.limit < 1:
            raise Rejection("--limit must be at least 1")
        if self.limit is not None and self.portfolio is None:
            raise Rejection("--limit needs --portfolio: it says how many of its accounts are replayed")

    def dates(self) -> list[date]:
        """Every date of the run in Shanghai."""
        return [self.start + timedelta(days=offset) for offset in range(self.days)]

    def plan(self) -> Plan:
        """The virtual world's part of the options."""
        start = datetime.combine(self.start, time(0), ZoneInfo(SHANGHAI)).astimezone(UTC)
        return Plan(
            borrowers=self.borrowers,
            start=start,
            end=start + timedelta(days=self.days),
            tick=self.tick,
            seed=self.seed,
            portfolio=self.portfolio,
            limit=self.limit,
            conditions=self.conditions,
        )


_STARTS: Final = (date(2000, 1, 1), date(2099, 12, 31))
"""Events before 1970 are refused, and the portfolio's history lies years before the start."""


def parse_tick(text: str) -> timedelta:
    """A length like `30m` or `1h` that divides a day: from one minute to two hours."""
    match = re.fullmatch(r"(\d{1,4})\s*(m|min|h)", text.strip().lower())
    if match is None:
        raise Rejection("--tick must look like 30m or 1h")
    minutes = int(match[1]) * _UNITS[match[2]]
    if not 1 <= minutes <= 120 or 1_440 % minutes:
        raise Rejection("--tick must be 1 minute to 2 hours and divide a day")
    return timedelta(minutes=minutes)


def parse_start(text: str) -> date:
    """A date like 2026-09-15."""
    try:
        start = date.fromisoformat(text)
    except ValueError as error:
        raise Rejection("--start must be a date like 2026-09-15") from error
    if not _STARTS[0] <= start <= _STARTS[1]:
        raise Rejection(f"--start must be from {_STARTS[0]} to {_STARTS[1]}")
    return start
