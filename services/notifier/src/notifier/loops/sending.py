"""Sending within the provider's rate, writing results, and looking up what nobody knows the end of."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Final, assert_never

import structlog

from notifier import metrics
from notifier.handlers.outgoing import ends_of_permits
from notifier.loops.requests import PAUSE_SECONDS_MAX, Pace, Sending, claim_of, prepared
from notifier.ports import (
    Claimed,
    Outcome,
    PermitKey,
    Provider,
    SendResult,
)
from shared.contracts import Channel
from shared.loops import wait_at_most

RESULTS_RECORDS_MAX: Final = 500
RESULTS_RECORDS_ENOUGH: Final = 64
RESULTS_PAUSE_SECONDS: Final = 0.005
"""Fewer results wait a moment for others: a transaction costs much the same for one as for a hundred."""
LOOKUPS_MAX: Final = 50
REFUSED_PAUSE_SECONDS: Final = 1.0
"""After a refused connection a provider rests for so long; its permits wait, or run out."""
log = structlog.get_logger()


class ResultLoop:
    """Writes results of claims, many in one statement. A result stays here until its transaction is committed."""

    name: Final = "results"

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._waiting: deque[SendResult] = deque()

    def put(self, result: SendResult) -> None:
        """Take a result over; the claim counts as in flight until it is written."""
        self._waiting.append(result)
        self._sending.wake(self.name)

    async def run_once(self) -> int:
        """Write what is waiting, bounded."""
        sending = self._sending
        if not self._waiting:
            return 0
        if len(self._waiting) < RESULTS_RECORDS_ENOUGH:
            await asyncio.sleep(RESULTS_PAUSE_SECONDS)
        batch = self._next_batch()
        now = sending.desk.clock.now()
        async with sending.work.begin() as tx:
            ends = await sending.desk.permits.record(tx, batch, owner=sending.owner, now=now)
            await sending.work.publish(tx, ends_of_permits(ends, now=now))
        for _ in batch:
            self._waiting.popleft()
        if any(result.outcome == "uncertain" for result in batch):
            sending.wake(LookupLoop.name)
        sending.in_flight(-len(batch))
        return len(batch)

    def _next_batch(self) -> list[SendResult]:
        """In order, and none twice of one permit: a statement would write either of two, and the other were lost."""
        batch: dict[PermitKey, SendResult] = {}
        for result in islice(self._waiting, RESULTS_RECORDS_MAX):
            if result.key in batch:
                break
            batch[result.key] = result
        return list(batch.values())


class DispatchLoop:
    """Claims what may be sent now and starts each request at once: nothing claimed waits in a queue.

    A claim is never larger than the free request slots and the tokens of the provider's rate, so that a revocation or
    a stop that arrives later still finds every other permit unused.
    """

    def __init__(self, sending: Sending, provider: Provider, results: ResultLoop, pace: Pace) -> None:
        self.name = f"dispatch-{provider.channel}"
        self._sending = sending
        self._provider = provider
        self._results = results
        self._pace = pace
        self._bucket = pace.full_bucket()
        self._requests: set[asyncio.Task[None]] = set()
        self._meter = metrics.SendMeter(provider.channel)
        self._slot_freed = asyncio.Event()
        self._rests_until = 0.0

    async def run_once(self) -> int:
        """Claim and start one batch; how many requests were started."""
        limit = await self._room()
        if limit == 0:
            return 0
        sending, pace = self._sending, self._pace
        claim = claim_of(sending, pace, channel=self._provider.channel, provider=self._provider.name, limit=limit)
        begun = time.monotonic()
        async with sending.work.begin() as tx:
            claimed = await sending.desk.permits.claim(tx, claim)
        self._bucket = self._bucket.filled(time.monotonic()).taken(len(claimed))
        sending.in_flight(len(claimed))
        self._meter.claimed(len(claimed), in_flight=len(self._requests) + len(claimed))
        for one in claimed:
            task = asyncio.create_task(self._send(one, begun + pace.start_seconds_max))
            self._requests.add(task)
            task.add_done_callback(self._done)
        if len(claimed) == limit:
            sending.wake(self.name)  # there may be more
        return len(claimed)

    async def drain(self) -> None:
        """Wait for the requests in flight; each has its own time-out."""
        if self._requests:
            await asyncio.wait(self._requests, timeout=self._pace.timeout_seconds + 1)

    async def _room(self) -> int:
        """How many may be claimed now; waits a moment for a slot or a token, so that a busy loop never spins."""
        now = time.monotonic()
        if now < self._rests_until:
            return 0
        self._bucket = self._bucket.filled(now)
        free = self._pace.requests_max - len(self._requests)
        enough = min(self._pace.claim_records_max, self._pace.requests_max // 4) or 1
        if free < enough:
            self._slot_freed.clear()
            await wait_at_most(self._slot_freed, PAUSE_SECONDS_MAX)
            free = self._pace.requests_max - len(self._requests)
        wanted = min(free, self._pace.claim_records_max, self._bucket.burst)
        pause = self._bucket.seconds_until(min(wanted, enough))
        if pause > 0:
            await asyncio.sleep(min(pause, PAUSE_SECONDS_MAX))
        self._bucket = self._bucket.filled(time.monotonic())
        room = min(wanted, int(self._bucket.tokens))
        if room <= 0:
            self._sending.wake(self.name)
        return max(0, room)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        self._slot_freed.set()

    async def _send(self, claimed: Claimed, start_before: float) -> None:
        """Send one and hand its result over, whatever happens."""
        try:
            result = await self._attempt(claimed, start_before)
        except Exception as error:  # edge: a request that broke in an unforeseen way may have left
            log.error("send.failed", channel=self._provider.channel, error=type(error).__name__, exc_info=error)
            result = SendResult(key=claimed.key, outcome="uncertain")
        self._results.put(result)

    async def _attempt(self, claimed: Claimed, start_before: float) -> SendResult:
        request = prepared(self._sending, claimed)
        if isinstance(request, SendResult):
            return request
        begun = time.monotonic()
        if begun >= start_before:  # this process slept through its lease: somebody else looks the attempt up
            return SendResult(key=claimed.key, outcome="released")
        answer = await self._provider.send(request)
        self._meter.answered(answer.kind, time.monotonic() - begun)
        match answer.kind:
            case "accepted":
                return SendResult(key=claimed.key, outcome="made", message_id=answer.message_id)
            case "rejected":
                return SendResult(key=claimed.key, outcome="rejected")
            case "uncertain":
                return SendResult(key=claimed.key, outcome="uncertain")
            case "refused_connection":
                self._rests_until = time.monotonic() + REFUSED_PAUSE_SECONDS
                return SendResult(key=claimed.key, outcome="released")
            case _:
                assert_never(answer.kind)


class LookupLoop:
    """Claims whose outcome isn't known and whose lease has run out are looked up at the provider, and never sent."""

    name: Final = "lookups"

    def __init__(
        self, sending: Sending, providers: Mapping[Channel, Provider], results: ResultLoop, *, lease_seconds: float
    ) -> None:
        self._sending = sending
        self._providers = providers
        self._results = results
        self._lease_seconds = lease_seconds

    async def run_once(self) -> int:
        """Look up one batch. Not found, or no answer, is unknown: it counts as made."""
        sending = self._sending
        async with sending.work.begin() as tx:
            lapsed = await sending.desk.permits.take_lapsed(
                tx, owner=sending.owner, lease_seconds=self._lease_seconds, limit=LOOKUPS_MAX
            )
        if not lapsed:
            return 0
        sending.in_flight(len(lapsed))
        found = await asyncio.gather(*(self._find(channel, key[1]) for key, channel in lapsed))
        for (key, channel), message_id in zip(lapsed, found, strict=True):
            metrics.LAPSED.labels(channel).inc()
            outcome: Outcome = "unknown" if message_id is None else "made"
            metrics.SENDS.labels(channel, f"lookup_{outcome}").inc()
            self._results.put(SendResult(key=key, outcome=outcome, message_id=message_id))
        return len(lapsed)

    async def _find(self, channel: Channel, attempt_id: str) -> str | None:
        provider = self._providers.get(channel)
        return None if provider is None else await provider.find(attempt_id)
