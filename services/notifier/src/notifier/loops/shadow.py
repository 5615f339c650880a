"""Shadow mode: what would be sent is claimed and put into words at the provider's rate, and ends there.

No loop of shadow mode has a provider, so none can be asked.
"""

from __future__ import annotations

import asyncio
import time

from notifier import metrics
from notifier.handlers.outgoing import ends_of_permits
from notifier.loops.requests import PAUSE_SECONDS_MAX, Pace, Sending, claim_of, prepared
from notifier.ports import Claimed, SendResult
from shared.contracts import Channel


class ShadowLoop:
    """Stands where `DispatchLoop` does. Claim, text and end are one transaction: a crash leaves the permit unused, so
    that no restart, live or not, ever takes what was shadowed for something that may have left.
    """

    def __init__(self, sending: Sending, *, channel: Channel, provider: str, pace: Pace) -> None:
        self.name = f"shadow-{channel}"
        self._sending = sending
        self._channel: Channel = channel
        self._provider = provider
        self._pace = pace
        self._bucket = pace.full_bucket()
        self._meter = metrics.SendMeter(channel)

    async def run_once(self) -> int:
        """Claim one batch and end it; how many permits ended."""
        sending, limit = self._sending, await self._room()
        if limit == 0:
            return 0
        claim = claim_of(sending, self._pace, channel=self._channel, provider=self._provider, limit=limit)
        async with sending.work.begin() as tx:
            claimed = await sending.desk.permits.claim(tx, claim)
            results = [self._shadowed(one) for one in claimed]
            ends = await sending.desk.permits.record(tx, results, owner=sending.owner, now=claim.now) if results else ()
            await sending.work.publish(tx, ends_of_permits(ends, now=claim.now))
        self._bucket = self._bucket.filled(time.monotonic()).taken(len(claimed))
        self._meter.claimed(len(claimed), in_flight=0)
        self._meter.shadowed(sum(result.outcome == "shadowed" for result in results))
        if len(claimed) == limit:
            sending.wake(self.name)  # there may be more
        return len(claimed)

    def _shadowed(self, claimed: Claimed) -> SendResult:
        request = prepared(self._sending, claimed)
        return request if isinstance(request, SendResult) else SendResult(key=claimed.key, outcome="shadowed")

    async def _room(self) -> int:
        """How many the provider's rate leaves room for; waits a moment for a token, so that a busy loop never spins."""
        self._bucket = self._bucket.filled(time.monotonic())
        pause = self._bucket.seconds_until(1)
        if pause > 0:
            await asyncio.sleep(min(pause, PAUSE_SECONDS_MAX))
            self._bucket = self._bucket.filled(time.monotonic())
        room = min(self._pace.claim_records_max, int(self._bucket.tokens))
        if room == 0:
            self._sending.wake(self.name)
        return room
