"""The ledger's settings. Environment: LEDGER_ + the field's name in capitals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.domain.amounts import AllocationOrder
from ledger.domain.promises import PromiseTerms

PREFIX: Final = "LEDGER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """How payments are allocated and promises read. A wrong set doesn't start."""

    allocation_order: tuple[str, ...] = ("fees", "interest", "principal")
    """Of loans whose first event comes from now on; a loan keeps the order that it began with."""
    promise_grace_days: int = 1
    """Whole local days after the promised day."""
    promise_default_days: int = 3
    """Where a promise names no day."""
    promise_ahead_days_max: int = 30
    """A later day is taken as this one."""
    promise_attempt_wait_seconds_max: float = 30.0
    """How long a reply waits for the contact that it answers (wall time)."""
    promise_batch_records_max: int = 500
    """Promises settled in one transaction."""

    def __post_init__(self) -> None:
        AllocationOrder.parse(self.allocation_order)
        if not 0 <= self.promise_grace_days <= 30:
            raise ValueError(f"{PREFIX}PROMISE_GRACE_DAYS must be 0 to 30")
        if not 0 <= self.promise_default_days <= self.promise_ahead_days_max <= 366:
            raise ValueError(
                f"{PREFIX}PROMISE_DEFAULT_DAYS must be at most {PREFIX}PROMISE_AHEAD_DAYS_MAX, and that 366"
            )
        if self.promise_attempt_wait_seconds_max <= 0:
            raise ValueError(f"{PREFIX}PROMISE_ATTEMPT_WAIT_SECONDS_MAX must be above 0")
        if not 1 <= self.promise_batch_records_max <= 10_000:
            raise ValueError(f"{PREFIX}PROMISE_BATCH_RECORDS_MAX must be 1 to 10000")

    @property
    def order(self) -> AllocationOrder:
        """The allocation order of new loans."""
        return AllocationOrder.parse(self.allocation_order)

    @property
    def terms(self) -> PromiseTerms:
        """How replies become promises."""
        return PromiseTerms(
            grace_days=self.promise_grace_days,
            default_days=self.promise_default_days,
            ahead_days_max=self.promise_ahead_days_max,
        )
