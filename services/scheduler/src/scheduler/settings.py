"""The scheduler's settings. Environment: SCHEDULER_ + the field's name in capitals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import available_timezones

PREFIX: Final = "SCHEDULER_"
SHIPPED_STRATEGIES: Final = Path(__file__).parents[2] / "strategies"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """What can be set. Minutes are business time."""

    strategies_folder: Path = SHIPPED_STRATEGIES
    """The treatment strategies and `grading.yaml`; a wrong one stops the start."""
    default_zone: str = "Asia/Shanghai"
    """Whose hours are preferred where the lender names no zone; where it is legal is for the gate to say."""
    ask_again_minutes: int = 15
    """How long after a deferral that doesn't say until when the gate is asked again."""
    resubmit_minutes: int = 15
    """How long after a permit that ended unused the attempt is submitted again."""
    opt_out_confirmation: bool = False
    """Whether a stop by text is confirmed once, by a text that says nothing else and goes through the gate."""
    release_borrowers_max: int = 500
    """So many borrowers in one transaction of the release loop."""

    def __post_init__(self) -> None:
        if self.default_zone not in available_timezones():
            raise ValueError(f"{PREFIX}DEFAULT_ZONE is not a time zone")
        for name, bounds in _BOUNDS.items():
            if not bounds[0] <= getattr(self, name) <= bounds[1]:
                raise ValueError(f"{PREFIX}{name.upper()} must be from {bounds[0]} to {bounds[1]}")


_BOUNDS: Final = {
    "ask_again_minutes": (1, 24 * 60),
    "resubmit_minutes": (1, 24 * 60),
    "release_borrowers_max": (1, 10_000),
}
