"""How the lines to the carrier are: open, slow or down. While contacts wait for them, the world goes on.

A permit is used at once on an open line, so that nothing can come between. On a slow line what happens at a tick comes
partly after the permits and before the contacts; while the lines are down permits run out, or are revoked, unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from decorum_simulation.conditions import USUAL, Conditions
from decorum_simulation.draws import chance

LineState = Literal["open", "slow", "down"]
OUTAGE_HOURS: Final = 2


@dataclass(kw_only=True)
class Lines:
    """Drawn from the seed and the instant alone."""

    seed: int
    conditions: Conditions = USUAL

    def at(self, now: datetime) -> LineState:
        """How the lines are from the releases of `now` on; an outage lasts so many whole hours of UTC."""
        utc = now.astimezone(UTC)
        block = f"{utc.date()} {utc.hour // OUTAGE_HOURS}"
        if chance(self.conditions.down_share, self.seed, block, "lines down"):
            return "down"
        return "slow" if chance(self.conditions.slow_share, self.seed, now.isoformat(), "lines") else "open"

    def comes_meanwhile(self, who: str, now: datetime) -> bool:
        """Whether what `who` does at `now` comes while contacts wait, rather than before they are released."""
        return chance(self.conditions.meanwhile_share, self.seed, who, now.isoformat(), "meanwhile")
