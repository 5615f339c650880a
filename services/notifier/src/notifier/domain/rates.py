"""A token bucket: how many requests a provider may be sent now. Time is an argument, in seconds of a wall clock."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """At most `rate_per_second` on average and `burst` at once; `tokens` may be fractional, never above `burst`."""

    rate_per_second: float
    burst: int
    tokens: float
    filled_at_seconds: float

    def filled(self, now_seconds: float) -> TokenBucket:
        """The bucket at `now_seconds`; a clock that goes back adds nothing."""
        passed = max(0.0, now_seconds - self.filled_at_seconds)
        tokens = min(float(self.burst), self.tokens + passed * self.rate_per_second)
        return replace(self, tokens=tokens, filled_at_seconds=max(now_seconds, self.filled_at_seconds))

    def taken(self, count: int) -> TokenBucket:
        """The bucket after `count` requests; taking more than there is is a defect of the caller."""
        assert 0 <= count <= self.tokens
        return replace(self, tokens=self.tokens - count)

    def seconds_until(self, count: int) -> float:
        """How long until `count` tokens are there, from the instant it was last filled."""
        return max(0.0, (min(count, self.burst) - self.tokens) / self.rate_per_second)
