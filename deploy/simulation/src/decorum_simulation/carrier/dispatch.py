"""What is due at the carrier, done: results noted, receipts and inbound messages posted to the notifier."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from decorum_simulation.carrier.exchange import Due, Exchange
from decorum_simulation.carrier.settings import CarrierSettings

BATCH_MAX = 256


class Poster(Protocol):
    """Sends one webhook; True when it was taken."""

    @property
    def enabled(self) -> bool:
        """Whether there is anybody to send to."""
        ...

    async def post(self, path: str, body: bytes, now: datetime) -> bool:
        """Send `body` once."""
        ...


class Dispatch:
    """Runs what is due. `busy` while a webhook is in flight or something due has not been started."""

    def __init__(self, exchange: Exchange, webhooks: Poster, settings: CarrierSettings) -> None:
        self._exchange = exchange
        self._webhooks = webhooks
        self._settings = settings
        self._encoder = msgspec.json.Encoder()
        self._wake = asyncio.Event()
        self.busy = False

    async def run_due(self) -> None:
        """Do everything whose instant has come; what the notifier didn't take is queued again with a pause."""
        self.busy = True
        try:
            while due := self._exchange.pop_due(BATCH_MAX):
                posts = [item for item in due if self._settle(item)]
                if posts and self._webhooks.enabled:
                    await asyncio.gather(*(self._post(item) for item in posts))
                self._exchange.journal.flush()
        finally:
            self.busy = False

    def wake(self) -> None:
        """There may be something due earlier than the loop believes."""
        self._wake.set()

    async def loop(self) -> None:
        """For clocks that run by themselves: do what is due, sleep until the next, at most a quarter second."""
        while True:
            await self.run_due()
            self._exchange.journal.flush()
            next_due_at = self._exchange.next_due_at
            pause = 0.25
            if next_due_at is not None:
                pause = min(pause, max((next_due_at - self._exchange.clock.now()).total_seconds(), 0.005))
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                continue

    def _settle(self, item: Due) -> bool:
        if item.kind == "result":
            assert item.message is not None
            self._exchange.settle(item.message, item.at)
            return False
        return True

    async def _post(self, item: Due) -> None:
        now = self._exchange.clock.now()
        path, body = self._inbound(item) if item.kind == "inbound" else self._receipt(item)
        accepted = await self._webhooks.post(path, body, now)
        if accepted:
            if item.inbound is not None and item.inbound.known_at is None:
                item.inbound.known_at = self._exchange.clock.now()
        elif item.kind == "inbound" or item.tries < self._settings.receipt_tries_max:
            self._exchange.again(
                item, base_seconds=self._settings.retry_base_seconds, max_seconds=self._settings.retry_max_seconds
            )

    def _receipt(self, item: Due) -> tuple[str, bytes]:
        message = item.message
        assert message is not None
        body = {
            "receipt_id": f"{message.message_id}:{message.fate.result}",
            "message_id": message.message_id,
            "idempotency_key": message.request.idempotency_key,
            "status": message.fate.result,
            "at": message.at.astimezone(UTC),
        }
        return f"/webhooks/{message.channel}/receipts", self._encoder.encode(body)

    def _inbound(self, item: Due) -> tuple[str, bytes]:
        inbound = item.inbound
        assert inbound is not None
        content = {"digit": inbound.text} if inbound.channel == "voice" else {"text": inbound.text}
        body: dict[str, str | datetime | None] = {
            "inbound_id": inbound.inbound_id,
            "from": inbound.sender,
            "at": inbound.at.astimezone(UTC),
            "in_reply_to": inbound.in_reply_to,
            **content,
        }
        return f"/webhooks/{inbound.channel}/inbound", self._encoder.encode(body)
