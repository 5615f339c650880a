"""The control of virtual time: a driver moves the clock, wakes the loops, and asks whether all is quiet."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from shared.clock import VirtualClock
from shared.http import Request, Response

if TYPE_CHECKING:
    from shared.service import Service

Phase = Literal["clock", "events", "receipts", "releases"]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """The driver's order: it is `now`, and this phase begins."""

    now: datetime
    phase: Phase


class SimulationControl:
    """`POST /simulation/tick` and `GET /simulation/status`; only there when the clock is virtual."""

    def __init__(self, service: Service) -> None:
        self.phase: Phase = "clock"
        self._service = service
        self._decoder = msgspec.json.Decoder(Tick)

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
        self.phase = order.phase
        for loop in self._service.loops:
            loop.wake()
        return Response(status=204)

    async def status(self, request: Request) -> Response:
        """The service's status; `next_due_at` is only computed when it is quiet and `due` isn't 0."""
        status = self._service.status()
        due: list[datetime] = []
        if not status["busy"] and request.query.get("due") != ["0"]:
            for loop in self._service.loops:
                instant = await loop.next_due_at() if loop.next_due_at is not None else None
                if instant is not None:
                    due.append(instant)
        return Response(json={**status, "next_due_at": min(due).isoformat() if due else None})
