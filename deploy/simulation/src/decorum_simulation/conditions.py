"""How rough the simulated world is: shares of what stands between a permit and its end, beyond any one process."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Shares in [0, 1]."""

    slow_share: float = 0.4
    """Ticks at whose releases the lines are slow: part of what happens then comes between permits and contacts."""
    down_share: float = 0.025
    """Blocks of two hours in which the lines are down: permits run out, or are revoked, unused."""
    meanwhile_share: float = 0.9
    """Of those who do something at such a tick, how many do it while contacts wait."""
    swallowed_share: float = 0.005
    """Requests of which the carrier knows nothing afterwards: nobody will ever know whether somebody was reached."""
    family_share: float = 0.015
    """Borrowers who are reached on the first number of the one before: husband and wife, parent and child."""

    def __post_init__(self) -> None:
        for share in fields(self):
            if not 0 <= getattr(self, share.name) <= 1:
                raise ValueError(f"{share.name} must be from 0 to 1")


USUAL = Conditions()
