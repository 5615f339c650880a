"""Work that runs at its own pace: due attempts, relays, ends of permits. Bounded runs, woken or polled."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog

from shared.cancellation import is_order_to_end
from shared.observability import metrics

FAILURE_BACKOFF_SECONDS_MAX: Final = 5.0
RunOnce = Callable[[], Awaitable[int]]
NextDueAt = Callable[[], Awaitable[datetime | None]]
log = structlog.get_logger()


class Loop:
    """Runs `run_once` again and again: at once while it moves items, else when woken or after `idle_seconds`.

    A run that moved fewer than `full_run` items took everything there was: the next one waits for a cause. Runs begin
    no more often than once in `pace_seconds`.
    `next_due_at` tells the earliest business instant at which it will have work, for virtual time.
    """

    def __init__(
        self,
        name: str,
        run_once: RunOnce,
        *,
        idle_seconds: float,
        next_due_at: NextDueAt | None,
        may_run: Callable[[], bool],
        pace_seconds: float = 0.0,
        full_run: int = 1,
    ) -> None:
        self.name = name
        self.next_due_at = next_due_at
        self.failing: str | None = None
        self._run_once = run_once
        self._idle_seconds = idle_seconds
        self._may_run = may_run
        self._pace_seconds = pace_seconds
        self._full_run = full_run
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._running = False
        self._settled = False

    @property
    def busy(self) -> bool:
        """Whether it runs now or has not come to rest since it was last woken."""
        return self._running or not self._settled

    def wake(self) -> None:
        """There may be work: run soon."""
        self._settled = False
        self._wake.set()

    def stop(self) -> None:
        """End after the run in hand."""
        self._stopped.set()
        self._wake.set()

    async def run(self) -> None:
        """The loop itself; ends after `stop`."""
        failures = 0
        while not self._stopped.is_set():
            self._wake.clear()
            started = time.monotonic()
            try:
                worked = await self._run()
            except (Exception, asyncio.CancelledError) as error:  # edge of the loop: it goes on, and /readyz says so
                if is_order_to_end(error):
                    raise
                failures += 1
                self.failing = type(error).__name__
                metrics.LOOP_RUNS.labels(self.name, "failed").inc()
                log.warning("loop.failed", loop=self.name, error=self.failing, exc_info=error)
                # Not cut short by a wake: whatever wakes it would only make it fail faster.
                await wait_at_most(self._stopped, backoff_seconds(failures))
                continue
            failures, self.failing = 0, None
            metrics.LOOP_RUNS.labels(self.name, "worked" if worked else "idle").inc()
            if worked:
                metrics.LOOP_ITEMS.labels(self.name).inc(worked)
            # Work gathers meanwhile: a run costs the same for one item as for a hundred.
            await wait_at_most(self._stopped, started + self._pace_seconds - time.monotonic())
            if worked >= self._full_run:
                continue
            if not self._wake.is_set():
                self._settled = True
                await wait_at_most(self._wake, self._idle_seconds)

    async def _run(self) -> int:
        if not self._may_run():
            return 0
        self._running = True
        try:
            return await self._run_once()
        finally:
            self._running = False


class Pacer:
    """Lets something through when it is called for, else once in `seconds` of wall time.

    In virtual time loops are woken at every tick; without it each of those would ask the database.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._called = True
        self._last = 0.0

    def call(self) -> None:
        """Let the next one through."""
        self._called = True

    def passes(self) -> bool:
        """Whether it is time."""
        now = time.monotonic()
        if not self._called and now - self._last < self._seconds:
            return False
        self._called, self._last = False, now
        return True


def backoff_seconds(failures: int) -> float:
    """How long to rest after so many failures in a row: doubling, bounded, never the same for two replicas."""
    return min(FAILURE_BACKOFF_SECONDS_MAX, 0.1 * 2.0 ** min(failures, 16)) * random.uniform(0.5, 1)


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Until `event` is set, or for so many seconds of wall time; not at all where there are none."""
    if seconds <= 0:
        return
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
