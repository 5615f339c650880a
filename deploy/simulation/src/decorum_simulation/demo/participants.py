"""The processes of a run as the driver sees them: it moves their clocks and asks them whether all is quiet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec

from decorum_simulation.http_client import HttpClient

Phase = Literal["clock", "events", "receipts", "releases", "sends"]
QUIET_TIMEOUT_SECONDS: Final = 180.0
"""So long without any progress means that something is stuck."""
WAIT_MS: Final = 200
"""How long somebody at work may hold back an answer."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a process says of itself."""

    consumed: dict[str, int] = msgspec.field(default_factory=dict)
    assigned: list[str] = msgspec.field(default_factory=list)
    published: dict[str, int] = msgspec.field(default_factory=dict)
    busy: bool = False
    next_due_at: datetime | None = None
    deliveries: int = 0


class DemoStuck(Exception):
    """Quiet was not reached; the text says who was still at work."""


_decoder = msgspec.json.Decoder(Status)


@dataclass(slots=True)
class Participant:
    """One process with the simulation's two addresses."""

    name: str
    url: str
    client: HttpClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = HttpClient(self.url, connections_max=2, timeout_seconds=60)

    async def tick(self, now: datetime, phase: Phase, *, sending: bool = True) -> None:
        """Move its clock and begin a phase; without `sending` nothing leaves for the carrier until it is told again."""
        body = msgspec.json.encode({"now": now, "phase": phase, "sending": sending})
        answer = await self.client.request("POST", "/simulation/tick", body=body)
        if answer.status != 204:
            raise DemoStuck(f"{self.name} refused the tick: {answer.status} {answer.body[:200]!r}")

    async def status(self, *, due: bool, until: Mapping[str, int] | None = None) -> Status:
        """Its status; what is due next costs it a query and is only asked for when needed.

        With `until` (next offsets by partition) it answers once it has read so far and is not busy, or after a while.
        """
        query = f"?wait_ms={WAIT_MS}" if due else "?due=0"
        if until is not None:
            offsets = ",".join(f"{partition}:{offset}" for partition, offset in until.items())
            query = f"?due=0&wait_ms={WAIT_MS}&until={offsets}"
        answer = await self.client.request("GET", f"/simulation/status{query}")
        return _decoder.decode(answer.body)

    async def next_due_at(self) -> datetime | None:
        """When it has work next; None if never.

        Whoever is at work, be it only at looking whether there is any, can't tell: it is asked until it can.
        """
        deadline = time.monotonic() + QUIET_TIMEOUT_SECONDS
        while (status := await self.status(due=True)).busy:
            if time.monotonic() > deadline:
                raise DemoStuck(f"{self.name} is busy and does not tell what is due")
        return status.next_due_at


@dataclass(slots=True)
class Ensemble:
    """All processes of a run, the driver's own publications included."""

    participants: Sequence[Participant]
    published: dict[str, int]
    """Next offsets of what the driver itself published; the publisher's own record."""

    def named(self, name: str) -> Participant:
        """One of them."""
        return next(participant for participant in self.participants if participant.name == name)

    async def tick(self, now: datetime, phase: Phase, *names: str, sending: bool = True) -> None:
        """Begin a phase at all processes, or at those named."""
        chosen = [p for p in self.participants if not names or p.name in names]
        await asyncio.gather(*(p.tick(now, phase, sending=sending) for p in chosen))

    async def quiet(self) -> None:
        """Return once two successive snapshots are equal, all is consumed that was published and nobody is busy.

        Between snapshots only those are asked that were still at work: every question costs the asked one time.
        """
        since, progress = time.monotonic(), ""
        while True:
            first = await self._statuses()
            while unfinished := _unfinished(self.participants, first, self.published):
                if (now_at_work := repr(first)) != progress:
                    progress, since = now_at_work, time.monotonic()
                elif time.monotonic() - since > QUIET_TIMEOUT_SECONDS:
                    raise DemoStuck("not quiet: " + "; ".join(work.what for work in unfinished))
                answers = await asyncio.gather(
                    *(self.participants[work.index].status(due=False, until=work.until) for work in unfinished)
                )
                for work, answer in zip(unfinished, answers, strict=True):
                    first[work.index] = answer
            second = await self._statuses()
            if first == second:
                return

    async def next_due(self) -> dict[str, datetime]:
        """The instant at which each process has work next, for those that have any."""
        instants = await asyncio.gather(*(p.next_due_at() for p in self.participants))
        return {
            participant.name: instant
            for participant, instant in zip(self.participants, instants, strict=True)
            if instant is not None
        }

    async def _statuses(self) -> list[Status]:
        return list(await asyncio.gather(*(p.status(due=False) for p in self.participants)))

    async def assigned(self) -> None:
        """Wait until every service has all partitions of what it subscribed to."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            statuses = await self._statuses()
            services = [s for p, s in zip(self.participants, statuses, strict=True) if p.name != "carrier"]
            if all(s.assigned for s in services):
                return
            await asyncio.sleep(0.05)
        raise DemoStuck("the services were not given their partitions")

    def close(self) -> None:
        """Close every connection."""
        for participant in self.participants:
            participant.client.close()


@dataclass(frozen=True, slots=True)
class _Work:
    """Somebody who is still at work, at what, and how far there is to read."""

    index: int
    what: str
    until: Mapping[str, int]


def _unfinished(participants: Sequence[Participant], statuses: Sequence[Status], own: Mapping[str, int]) -> list[_Work]:
    published = dict(own)
    for status in statuses:
        for partition, offset in status.published.items():
            published[partition] = max(published.get(partition, 0), offset)
    found: list[_Work] = []
    for index, (participant, status) in enumerate(zip(participants, statuses, strict=True)):
        behind = {p: published[p] for p in status.assigned if status.consumed.get(p, 0) < published.get(p, 0)}
        if status.busy or behind:
            reading = f" has not read {', '.join(list(behind)[:3])}" if behind else ""
            busy = " is busy" if status.busy else ""
            found.append(_Work(index, f"{participant.name}{busy}{reading}", behind))
    return found
