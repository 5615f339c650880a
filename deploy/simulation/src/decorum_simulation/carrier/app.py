"""The carrier simulator as an ASGI application: `uvicorn decorum_simulation.carrier.app:app`.

Plain ASGI and msgspec: it is part of every benchmark and must cost little. The provider's side is `/v1/...`; the
simulation's side (`/simulation/...`) moves the clock, sets faults, shows what arrived, and takes what borrowers say.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from decorum_simulation.carrier.conduct import CarrierChannel, Conduct
from decorum_simulation.carrier.dispatch import Dispatch
from decorum_simulation.carrier.exchange import Exchange, Inbound, SendRequest, Taken
from decorum_simulation.carrier.journal import Journal
from decorum_simulation.carrier.settings import CarrierSettings, ClockSettings
from decorum_simulation.carrier.webhooks import Webhooks
from shared.clock import Clock, ShiftedClock, SystemClock, VirtualClock
from shared.settings import SettingsError, load

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_CHANNELS: dict[str, CarrierChannel] = {"/v1/messages": "sms", "/v1/calls": "voice"}
_BODY_BYTES_MAX = 1 << 20


class Tick(msgspec.Struct, frozen=True):
    """The simulation's clock moved to `now`; in the phase `receipts` what is due is sent."""

    now: datetime
    phase: str


def chosen_clock() -> Clock:
    """The clock that the environment names; an unknown name stops the start."""
    settings = load(ClockSettings, "DECORUM_")
    match settings.clock:
        case "virtual" if settings.clock_start:
            return VirtualClock(datetime.fromisoformat(settings.clock_start))
        case "shifted" if settings.clock_file:
            return ShiftedClock(Path(settings.clock_file))
        case "system":
            return SystemClock()
    raise SettingsError("DECORUM_CLOCK: must be system, shifted (with DECORUM_CLOCK_FILE) or virtual (with a start)")


class CarrierApp:
    """Routes, life span, and the loop that sends what is due when the clock runs by itself."""

    def __init__(self, settings: CarrierSettings, conduct: Conduct, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        journal = Journal(Path(settings.log) if settings.log else None)
        self.exchange = Exchange(clock=clock, journal=journal, seed=settings.seed, conduct=conduct)
        self._authorization = f"Bearer {settings.key}".encode()
        self._encoder = msgspec.json.Encoder()
        self._send_request = msgspec.json.Decoder(SendRequest)
        self._tick = msgspec.json.Decoder(Tick)
        self._inbound = msgspec.json.Decoder(list[Inbound])
        self._flush_scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        webhooks = Webhooks(
            self._settings.notifier_urls,
            secret=self._settings.webhook_secret,
            in_flight_max=self._settings.webhooks_in_flight_max,
            timeout_seconds=self._settings.webhook_timeout_seconds,
        )
        self.dispatch = Dispatch(self.exchange, webhooks, self._settings)
        if not isinstance(self._clock, VirtualClock):
            self._start(self.dispatch.loop())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        webhooks.close()
        self.exchange.journal.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        body = await _body_of(receive)
        if method == "POST" and path in _CHANNELS:
            await self._provider(scope, body, _CHANNELS[path], send)
            return
        try:
            status, answer = await self._simulation(method, path, parse_qs(scope["query_string"].decode()), body)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            status, answer = 422, {"error": str(error)}
        await self._answer(send, status, answer)

    async def _provider(self, scope: Scope, body: bytes, channel: CarrierChannel, send: Send) -> None:
        if self.exchange.conduct.latency_ms:
            await asyncio.sleep(self.exchange.conduct.latency_ms / 1000)
        if not any(name == b"authorization" and value == self._authorization for name, value in scope["headers"]):
            await self._answer(send, 401, {"reason": "unauthorized"})
            return
        try:
            request = self._send_request.decode(body)
        except msgspec.DecodeError:
            await self._answer(send, 400, {"reason": "malformed"})
            return
        taken = self.exchange.take(request, channel)
        self._flush_soon()
        if not isinstance(self._clock, VirtualClock):
            self.dispatch.wake()
        await self._reply(send, taken)

    async def _reply(self, send: Send, taken: Taken) -> None:
        match taken.lost:
            case "no":
                await self._answer(send, taken.status, taken.body)
            case "timeout":
                await asyncio.sleep(3_600)
            case "disconnect":
                # A head without its body: the server closes the connection when this returns.
                await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"64")]})

    async def _simulation(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, object]:
        after = int(query.get("after", ["0"])[0])
        match method, path.strip("/").split("/"):
            case "POST", ["simulation", "tick"]:
                return self._move(self._tick.decode(body))
            case "GET", ["simulation", "status"]:
                await self._rest(int(query.get("wait_ms", ["0"])[0]))
                return 200, self._status()
            case "GET", ["simulation", "deliveries"]:
                return 200, self.exchange.deliveries[after:]
            case "GET", ["simulation", "inbound"]:
                return 200, self.exchange.inbound[after:]
            case "POST", ["simulation", "inbound"]:
                for inbound in self._inbound.decode(body):
                    self.exchange.receive(inbound)
                self.dispatch.wake()
                return 202, {}
            case "POST", ["simulation", "faults"]:
                changes = msgspec.json.decode(body, type=dict[str, float])
                self.exchange.conduct = dataclasses.replace(self.exchange.conduct, **changes)
                return 200, self.exchange.conduct
            case "GET", ["simulation", "messages"]:
                return 200, self._messages(query)
            case "GET", ["v1", "messages" | "calls", "by-key", key]:
                return self._by_key(key)
            case "GET", ["livez"] | ["readyz"]:
                return 200, {"status": "ok"}
        return 404, {"error": "no such address"}

    def _move(self, tick: Tick) -> tuple[int, object]:
        if isinstance(self._clock, VirtualClock):
            self._clock.move_to(tick.now)
            if tick.phase == "receipts":
                self.dispatch.busy = True
                self._start(self.dispatch.run_due())
        return 204, None

    async def _rest(self, wait_ms: int) -> None:
        """Hold an answer back, at most so long, while something that is due is being sent."""
        deadline = time.monotonic() + wait_ms / 1_000
        while self.dispatch.busy and time.monotonic() < deadline:  # noqa: ASYNC110 - a cheap look is enough
            await asyncio.sleep(0.002)

    def _status(self) -> dict[str, object]:
        self.exchange.journal.flush()
        return {
            "consumed": {},
            "assigned": [],
            "published": {},
            "busy": self.dispatch.busy,
            "next_due_at": self.exchange.next_due_at,
            "deliveries": len(self.exchange.deliveries),
            "requests": len(self.exchange.messages) + len(self.exchange.refused),
        }

    def _messages(self, query: dict[str, list[str]]) -> list[dict[str, object]]:
        to, attempt_id = query.get("to", [""])[0], query.get("attempt_id", [""])[0]
        wanted = [
            message
            for message in self.exchange.messages.values()
            if (not to or message.request.to == to)
            and (not attempt_id or message.request.idempotency_key == attempt_id)
        ]
        return [
            {"message_id": m.message_id, "channel": m.channel, "status": m.status, "at": m.at, "request": m.request}
            for m in wanted[-100:]
        ]

    def _by_key(self, key: str) -> tuple[int, object]:
        message = self.exchange.messages.get(key)
        if message is None:
            return 404, {"error": "unknown key"}
        return 200, {"message_id": message.message_id, "status": message.status, "at": message.at}

    async def _answer(self, send: Send, status: int, answer: object) -> None:
        body = b"" if status == 204 else self._encoder.encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers if status != 204 else []})
        await send({"type": "http.response.body", "body": body})

    def _flush_soon(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_running_loop().call_later(0.01, self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        self.exchange.journal.flush()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _body_of(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > _BODY_BYTES_MAX:
            return b""
        if not message.get("more_body"):
            return body


def build() -> CarrierApp:
    """The application as the environment describes it."""
    return CarrierApp(load(CarrierSettings, "CARRIER_"), load(Conduct, "CARRIER_"), chosen_clock())


app = build()
