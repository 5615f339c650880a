"""The control of virtual time: a driver moves the clock, wakes the loops, and asks whether all is quiet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, assert_never

import msgspec

from shared.clock import VirtualClock
from shared.http import Request, Response

if TYPE_CHECKING:
    from shared.service import Service

Phase = Literal["clock", "events", "receipts", "releases", "sends"]
Rest = Literal["outside_releases", "while_lines_are_down"]
"""When a loop does nothing in a simulation: what is due leaves in one phase, and nothing is sent on a broken line."""
WAIT_MS_MAX: Final = 1_000
WAIT_STEP_SECONDS: Final = 0.002


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The driver's order: it is `now`, and this phase begins. Without `sending` the lines to the providers are down."""

    now: datetime
    phase: Phase
    sending: bool = True


class SimulationControl:
    """`POST /simulation/tick` and `GET /simulation/status`; only there when the clock is virtual."""

    def __init__(self, service: Service) -> None:
        self.phase: Phase = "clock"
        self.sending = True
        self._service = service
        self._decoder = msgspec.json.Decoder(Tick)

    def lets_run(self, rests: Rest | None) -> bool:
        """Whether a loop that rests at such times may run now."""
        match rests:
            case None:
                return True
            case "outside_releases":
                return self.phase == "releases"
            case "while_lines_are_down":
                return self.sending
            case _:
                assert_never(rests)

    def add_routes(self) -> None:
        """Serve both paths."""
        self._service.add_route("POST", "/simulation/tick", self.tick)
        self._service.add_route("GET", "/simulation/status", self.status)

    async def tick(self, request: Request) -> Response:
        """Move the clock, begin the phase, wake every loop."""
        order = self._decoder.decode(request.body)
        clock = self._service.clock
        assert isinstance(clock, VirtualClock), "routes are only added with a virtual clock"
        clock.move_to(order.now)
        self.phase, self.sending = order.phase, order.sending
        for loop in self._service.loops:
            loop.wake()
        return Response(status=204)

    async def status(self, request: Request) -> Response:
        """The service's status; `next_due_at` is only computed when it is quiet and `due` isn't 0.

        With `wait_ms` the answer is held back, at most so long, until nothing is under way here and everything is
        consumed that `until` names (`topic-partition:next offset`, comma-separated).
        """
        deadline = time.monotonic() + min(int(_first(request, "wait_ms") or 0), WAIT_MS_MAX) / 1_000
        until = _offsets(_first(request, "until") or "")
        status = self._service.status()
        while (status["busy"] or _behind(status["consumed"], until)) and time.monotonic() < deadline:
            await asyncio.sleep(WAIT_STEP_SECONDS)
            status = self._service.status()
        due: list[datetime] = []
        if not status["busy"] and _first(request, "due") != "0":
            for loop in self._service.loops:
                instant = await loop.next_due_at() if loop.next_due_at is not None else None
                if instant is not None:
                    due.append(instant)
        return Response(json={**status, "next_due_at": min(due).isoformat() if due else None})


def _first(request: Request, name: str) -> str | None:
    return next(iter(request.query.get(name, ())), None)


def _offsets(text: str) -> dict[str, int]:
    pairs = (part.rpartition(":") for part in text.split(",") if part)
    return {partition: int(offset) for partition, _, offset in pairs}


def _behind(consumed: Mapping[str, int], until: Mapping[str, int]) -> bool:
    return any(consumed.get(partition, 0) < offset for partition, offset in until.items())
