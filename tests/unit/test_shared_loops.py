"""Loops: woken or polled, at once while there is work, with back-off after a failure, bounded at the end."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from shared.loops import FAILURE_BACKOFF_SECONDS_MAX, Loop, backoff_seconds


class Work:
    """A pile of items that a loop moves `step` at a time; it fails while `failures` are left."""

    def __init__(self, items: int = 0, *, step: int = 10, failures: int = 0) -> None:
        self.items = items
        self.runs = 0
        self.failures = failures
        self._step = step

    async def run_once(self) -> int:
        self.runs += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("away")
        moved = min(self.items, self._step)
        self.items -= moved
        await asyncio.sleep(0)
        return moved


def loop_over(work: Work, *, idle_seconds: float = 3_600, may_run: Callable[[], bool] = lambda: True) -> Loop:
    return Loop("work", work.run_once, idle_seconds=idle_seconds, next_due_at=None, may_run=may_run)


def loops_that_fail(loops: list[Loop]) -> list[str]:
    return [loop.name for loop in loops if loop.failing]


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - what is waited for is the loop's own state, which tells nobody
            await asyncio.sleep(0.001)


async def stop(loop: Loop, task: asyncio.Task[None]) -> None:
    loop.stop()
    async with asyncio.timeout(10):
        await task


async def test_a_loop_runs_at_once_while_it_moves_items_and_is_busy_until_then() -> None:
    work = Work(35)
    loop = loop_over(work)
    assert loop.busy
    task = asyncio.create_task(loop.run())
    await until(lambda: not loop.busy)
    assert (work.items, work.runs) == (0, 5)
    await stop(loop, task)


async def test_a_loop_that_rests_runs_when_it_is_woken() -> None:
    work = Work()
    loop = loop_over(work)
    task = asyncio.create_task(loop.run())
    await until(lambda: not loop.busy)
    work.items = 7
    loop.wake()
    assert loop.busy
    await until(lambda: not loop.busy)
    assert work.items == 0
    await stop(loop, task)


async def test_a_wake_during_a_run_is_not_lost() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def run_once() -> int:
        runs.append(1)
        started.set()
        await go_on.wait()
        return 0

    loop = Loop("work", run_once, idle_seconds=3_600, next_due_at=None, may_run=lambda: True)
    task = asyncio.create_task(loop.run())
    await started.wait()
    loop.wake()
    go_on.set()
    await until(lambda: not loop.busy)
    assert len(runs) == 2
    await stop(loop, task)


async def test_a_loop_that_nobody_wakes_looks_again_by_itself() -> None:
    work = Work()
    loop = loop_over(work, idle_seconds=0.001)
    task = asyncio.create_task(loop.run())
    await until(lambda: work.runs >= 3)
    await stop(loop, task)


async def test_a_failure_is_shown_backed_off_and_forgotten_after_success() -> None:
    work = Work(5, failures=2)
    loop = loop_over(work)
    task = asyncio.create_task(loop.run())
    await until(lambda: loop.failing is not None)
    assert loop.failing == "RuntimeError"
    assert loop.busy
    await until(lambda: not loop.busy)
    assert work.items == 0
    assert loops_that_fail([loop]) == []
    await stop(loop, task)


async def test_stopping_does_not_wait_for_a_back_off() -> None:
    work = Work(failures=1_000)
    loop = loop_over(work)
    task = asyncio.create_task(loop.run())
    await until(lambda: loop.failing is not None)
    loop.stop()
    async with asyncio.timeout(10):
        await task
    assert work.failures > 0


async def test_a_loop_ends_after_the_run_in_hand() -> None:
    work = Work(1_000_000, step=1)
    loop = loop_over(work)
    task = asyncio.create_task(loop.run())
    await until(lambda: work.runs > 10)
    await stop(loop, task)
    runs = work.runs
    await asyncio.sleep(0)
    assert work.runs == runs
    assert work.items == 1_000_000 - runs


async def test_a_loop_that_may_not_run_rests_until_it_may() -> None:
    work = Work(5)
    allowed = False
    loop = loop_over(work, may_run=lambda: allowed)
    task = asyncio.create_task(loop.run())
    await until(lambda: not loop.busy)
    assert work.items == 5
    allowed = True
    loop.wake()
    await until(lambda: not loop.busy)
    assert work.items == 0
    await stop(loop, task)


async def test_a_loop_tells_when_it_is_due() -> None:
    due = datetime(2026, 9, 16, tzinfo=UTC)

    async def next_due_at() -> datetime:
        return due

    loop = Loop("work", Work().run_once, idle_seconds=1, next_due_at=next_due_at, may_run=lambda: True)
    assert loop.next_due_at is not None
    assert await loop.next_due_at() == due


def test_a_back_off_grows_is_bounded_and_differs_between_replicas() -> None:
    assert 0.1 <= backoff_seconds(1) <= 0.2
    for failures in (1, 5, 100, 100_000):
        assert 0 < backoff_seconds(failures) <= FAILURE_BACKOFF_SECONDS_MAX
    assert len({backoff_seconds(100) for _ in range(20)}) > 1


async def test_a_loop_outlives_a_client_that_cancels_its_own_future_and_ends_when_it_is_cancelled() -> None:
    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    runs = 0

    async def run_once() -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            await cancelled
        return 0

    loop = Loop("work", run_once, idle_seconds=3_600, next_due_at=None, may_run=lambda: True)
    task = asyncio.create_task(loop.run())
    await until(lambda: runs == 2 and not loop.busy)
    assert loop.failing is None
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
