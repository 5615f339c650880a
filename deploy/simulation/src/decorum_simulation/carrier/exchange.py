"""The carrier's state: what it was asked to send, what is due when, and what came of it."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from decorum_simulation.carrier.conduct import CarrierChannel, Conduct, Fate, fate_of
from decorum_simulation.carrier.journal import Journal, Line, RequestLine
from shared.clock import Clock
from shared.ids import derive

NOTICED = frozenset({"delivered", "answered"})
CONFIRMS = "right_person"
"""What the key means after which a call goes on from its opening to its text."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever picks up hears, and the keys that this part takes, with their meanings."""

    text: str
    keys: dict[str, str]


class SendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the provider API. `not_after` is the instant past which it must not be sent. Of a call with an
    `opening`, `text` and `keys` come only after the key that confirms.
    """

    idempotency_key: str
    to: str
    text: str
    not_after: datetime
    language: str = "zh"
    sender: str = ""
    keys: dict[str, str] | None = None
    opening: Opening | None = None

    @property
    def heard_first(self) -> str:
        """What somebody notices without pressing a key."""
        return self.text if self.opening is None else self.opening.text

    @property
    def all_that_may_be_said(self) -> str:
        """The opening, where there is one, and the text."""
        return self.text if self.opening is None else f"{self.opening.text} {self.text}"


class Inbound(msgspec.Struct, kw_only=True, rename={"sender": "from"}):
    """What a borrower sent or pressed; `known_at` is the webhook's first 2xx."""

    inbound_id: str
    channel: CarrierChannel
    sender: str
    text: str
    at: datetime
    in_reply_to: str | None = None
    known_at: datetime | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person noticed: a text that arrived, a call that was answered."""

    number: int
    at: datetime
    channel: CarrierChannel
    kind: str
    to: str
    attempt_id: str
    message_id: str
    text: str


@dataclass(slots=True, kw_only=True)
class Message:
    """One accepted request and its present status."""

    message_id: str
    channel: CarrierChannel
    request: SendRequest
    status: str
    at: datetime
    fate: Fate
    confirmed: bool = False
    """Whether the key was pressed that leads on from the opening."""

    def takes(self, digit: str) -> bool:
        """Whether the call takes a key at this point; the one that confirms leads on to the text."""
        keys, opening = self.request.keys or {}, self.request.opening
        if opening is None:
            return True
        if digit not in opening.keys and not (self.confirmed and digit in keys):
            return False
        self.confirmed |= opening.keys.get(digit) == CONFIRMS
        return True


@dataclass(slots=True, kw_only=True)
class Due:
    """Work that is due at an instant: a result to note, a receipt or an inbound message to send."""

    kind: Literal["result", "receipt", "inbound"]
    at: datetime
    message: Message | None = None
    inbound: Inbound | None = None
    receipt_number: int = 0
    tries: int = 0


@dataclass(slots=True, kw_only=True)
class Taken:
    """The answer to a request: status and body, and whether it is to be lost on the way."""

    status: int
    body: dict[str, object]
    lost: Literal["no", "timeout", "disconnect"] = "no"


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Accepts requests by their idempotency key and keeps the queue of what is due."""

    clock: Clock
    journal: Journal
    seed: int
    conduct: Conduct
    messages: dict[str, Message] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    inbound: list[Inbound] = field(default_factory=list)
    _due: list[tuple[datetime, int, Due]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _inbound_ids: set[str] = field(default_factory=set)
    _calls: dict[str, Message] = field(default_factory=dict)

    def take(self, request: SendRequest, channel: CarrierChannel) -> Taken:
        """Note the request, then answer it: a known key gets its first answer again and is never sent twice."""
        now, key = self.clock.now(), request.idempotency_key
        known = self.messages.get(key)
        self._note_request(now, request, channel, known.message_id if known else None)
        if known is not None:
            self._note(now, "duplicate", channel, request.to, key, known.message_id)
            return Taken(status=200, body={"message_id": known.message_id, "duplicate": True})
        if key in self.refused:
            return self._refuse(now, request, channel, self.refused[key], 422)
        if request.not_after <= now:
            return self._refuse(now, request, channel, "expired", 422)
        if not (request.to.startswith("+") and request.to[1:].isdigit() and 8 <= len(request.to) <= 16):
            return self._refuse(now, request, channel, "invalid_number", 422)
        fate = fate_of(key, channel, request.to, conduct=self.conduct, seed=self.seed)
        if fate.verdict == "swallowed":
            return Taken(status=202, body={}, lost=fate.answer_lost)
        if fate.verdict != "accepted":
            return self._refuse(now, request, channel, fate.verdict, 503 if fate.verdict == "unavailable" else 422)
        return self._accept(now, request, channel, fate)

    def _accept(self, now: datetime, request: SendRequest, channel: CarrierChannel, fate: Fate) -> Taken:
        key = request.idempotency_key
        result_at = now + timedelta(seconds=fate.result_delay_seconds)
        if result_at >= request.not_after:  # nobody is reached after that instant: it is given up then
            result_at, fate = request.not_after, replace(fate, result=fate.result and "failed")
        message = Message(
            message_id=derive("carrier message", key),
            channel=channel,
            request=request,
            status="accepted",
            at=now,
            fate=fate,
        )
        self.messages[key] = message
        if channel == "voice":
            self._calls[message.message_id] = message
        self._note(now, "accepted", channel, request.to, key, message.message_id)
        if fate.result is not None:
            self._push(Due(kind="result", at=result_at, message=message))
        for number, delay in enumerate(fate.receipt_delays_seconds):
            at = max(now + timedelta(seconds=delay), result_at)
            self._push(Due(kind="receipt", at=at, message=message, receipt_number=number))
        return Taken(status=202, body={"message_id": message.message_id}, lost=fate.answer_lost)

    def _refuse(self, now: datetime, request: SendRequest, channel: CarrierChannel, reason: str, status: int) -> Taken:
        self.refused[request.idempotency_key] = reason
        self._note(now, "rejected", channel, request.to, request.idempotency_key, None)
        return Taken(status=status, body={"reason": reason})

    def settle(self, message: Message, at: datetime) -> None:
        """The result came at `at`: note it, and that somebody noticed."""
        request = message.request
        result = message.fate.result
        if result is None or message.status != "accepted":
            return
        message.status, message.at = result, at
        self._note(at, result, message.channel, request.to, request.idempotency_key, message.message_id)
        if result in NOTICED:
            self.deliveries.append(
                Delivery(
                    number=len(self.deliveries) + 1,
                    at=at,
                    channel=message.channel,
                    kind=result,
                    to=request.to,
                    attempt_id=request.idempotency_key,
                    message_id=message.message_id,
                    text=request.heard_first,
                )
            )

    def receive(self, inbound: Inbound) -> None:
        """Something comes in from a borrower: due at its own instant, once by its id. A key that the call doesn't take
        at that point does nothing.
        """
        if inbound.inbound_id in self._inbound_ids:
            return
        call = self._calls.get(inbound.in_reply_to or "")
        if call is not None and not call.takes(inbound.text):
            return
        self._inbound_ids.add(inbound.inbound_id)
        self.inbound.append(inbound)
        self._push(Due(kind="inbound", at=inbound.at, inbound=inbound))

    def again(self, due: Due, *, base_seconds: float, max_seconds: float) -> None:
        """Queue `due` once more, after a pause that doubles with each try up to its maximum."""
        pause = min(base_seconds * float(2 ** min(due.tries, 20)), max_seconds)
        due.tries += 1
        due.at = self.clock.now() + timedelta(seconds=pause)
        self._push(due)

    def pop_due(self, limit: int) -> list[Due]:
        """Up to `limit` items whose instant has come, oldest first."""
        now = self.clock.now()
        popped: list[Due] = []
        while self._due and self._due[0][0] <= now and len(popped) < limit:
            popped.append(heapq.heappop(self._due)[2])
        return popped

    @property
    def next_due_at(self) -> datetime | None:
        """When the earliest item is due."""
        return self._due[0][0] if self._due else None

    def _push(self, due: Due) -> None:
        heapq.heappush(self._due, (due.at.astimezone(UTC), next(self._order), due))

    def _note(self, at: datetime, kind: str, channel: str, to: str, attempt_id: str, message_id: str | None) -> None:
        self.journal.write(Line(at=at, kind=kind, channel=channel, to=to, attempt_id=attempt_id, message_id=message_id))

    def _note_request(self, at: datetime, request: SendRequest, channel: str, message_id: str | None) -> None:
        self.journal.write(
            RequestLine(
                at=at,
                kind="request",
                channel=channel,
                to=request.to,
                attempt_id=request.idempotency_key,
                message_id=message_id,
                text=request.all_that_may_be_said,
                not_after=request.not_after,
            )
        )
