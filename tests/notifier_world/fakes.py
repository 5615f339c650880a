"""Hand-written fakes: a provider, a clock's owner, and permits in memory that follow `domain.permits` alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import msgspec

from notifier.domain.permits import (
    EndState,
    Permit,
    PermitEnded,
    PermitState,
    Revocation,
    Stop,
    Surroundings,
    block_of,
    expiry_reason,
)
from notifier.domain.receipts import Receipt
from notifier.ports import Answer, Claim, Claimed, KnownAttempt, PermitKey, Script, SendRequest, SendResult, Tx
from shared.contracts import AttemptSubmittedV1, Channel, ContactResult, NotMadeReason
from shared.kafka.records import Outgoing


class FakeProvider:
    """A carrier in memory: what it took, and what it answers next."""

    def __init__(self, *, name: str = "fake", channel: Channel = "sms") -> None:
        self.name = name
        self.channel: Channel = channel
        self.requests: list[SendRequest] = []
        self.messages: dict[str, str] = {}
        self.away = False
        self.answers: dict[str, int] = {}
        """Status by attempt; 202 without one, 0 takes the request and never answers."""

    async def send(self, request: SendRequest) -> Answer:
        if self.away:
            return Answer(kind="refused_connection")
        self.requests.append(request)
        status = self.answers.get(request.attempt_id, 202)
        if status in (422, 429, 503):
            return Answer(kind="rejected")
        if status in (500, 502):
            return Answer(kind="uncertain")
        message_id = self.messages.setdefault(request.attempt_id, f"M-{request.attempt_id}")
        return Answer(kind="uncertain") if status == 0 else Answer(kind="accepted", message_id=message_id)

    async def find(self, attempt_id: str) -> str | None:
        return None if self.away else self.messages.get(attempt_id)


class FakeWork:
    """Transactions that change nothing by themselves; what was published is kept in order."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        yield cast("Tx", None)

    async def publish(self, tx: Tx, messages: Sequence[Outgoing]) -> None:
        self.published.extend(messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One permit in memory."""

    permit: Permit
    state: PermitState = "permitted"
    reason: NotMadeReason | None = None
    provider: str | None = None
    owner: str | None = None
    lapsed: bool = False
    sent_at: datetime | None = None
    ended_at: datetime | None = None


class FakePermits:
    """`PermitStore` in memory. Contact points are known and usable; leases run out when a test says so."""

    def __init__(self, *, providers: dict[Channel, str]) -> None:
        self.held: dict[PermitKey, Held] = {}
        self._providers = providers
        self._revocations: list[Revocation] = []
        self._stops: dict[str, Stop] = {}

    async def add(self, tx: Tx, permits: Sequence[Permit]) -> None:
        for permit in permits:
            self.held.setdefault((permit.borrower_id, permit.attempt_id, permit.submission_number), Held(permit=permit))

    async def revoke(self, tx: Tx, revocations: Sequence[Revocation], *, holding: Collection[str] = ()) -> None:
        self._revocations.extend(revocations)

    async def set_stops(self, tx: Tx, stops: Sequence[Stop]) -> None:
        for stop in stops:
            known = self._stops.get(stop.stop_id)
            if known is None or known.order < stop.order:
                self._stops[stop.stop_id] = stop

    async def end_blocked(
        self, tx: Tx, *, now: datetime, borrower_ids: Sequence[str] | None, limit: int
    ) -> Sequence[PermitEnded]:
        wanted = None if borrower_ids is None else set(borrower_ids)
        blocked = [
            (key, reason)
            for key, held in self._unused()
            if (wanted is None or key[0] in wanted) and (reason := self._block(held)) is not None
        ]
        return [self._end(key, reason, now) for key, reason in blocked[:limit]]

    async def end_expired(self, tx: Tx, *, now: datetime, limit: int) -> Sequence[PermitEnded]:
        expired = [key for key, held in self._unused() if held.permit.expires_at <= now]
        reason = expiry_reason(contact_point_known=True)
        return [self._end(key, self._block(self.held[key]) or reason, now) for key in expired[:limit]]

    async def claim(self, tx: Tx, claim: Claim) -> Sequence[Claimed]:
        ready = [
            (key, held)
            for key, held in sorted(self._unused(), key=lambda item: item[1].permit.expires_at)
            if held.permit.channel == claim.channel and held.permit.expires_at > claim.now and self._block(held) is None
        ]
        for key, held in ready[: claim.limit]:
            self.held[key] = replace(
                held, state="sending", owner=claim.owner, sent_at=claim.now, provider=claim.provider
            )
        return [_claimed(key, held.permit) for key, held in ready[: claim.limit]]

    async def record(
        self, tx: Tx, results: Sequence[SendResult], *, owner: str, now: datetime
    ) -> Sequence[PermitEnded]:
        ends = [self._record(result, owner, now) for result in results]
        return [ended for ended in ends if ended is not None]

    async def take_lapsed(
        self, tx: Tx, *, owner: str, lease_seconds: float, limit: int
    ) -> Sequence[tuple[PermitKey, Channel]]:
        lapsed = [(k, h) for k, h in self.held.items() if h.state == "sending" and h.lapsed][:limit]
        for key, held in lapsed:
            self.held[key] = replace(held, owner=owner, lapsed=False)
        return [(key, held.permit.channel) for key, held in lapsed]

    async def next_end_at(self, tx: Tx) -> datetime | None:
        return min((held.permit.expires_at for _, held in self._unused()), default=None)

    def let_leases_run_out(self) -> None:
        """Every claim in hand has lost its sender."""
        self.held = {k: replace(h, lapsed=True) if h.state == "sending" else h for k, h in self.held.items()}

    def _record(self, result: SendResult, owner: str, now: datetime) -> PermitEnded | None:
        held = self.held[result.key]
        states: dict[str, EndState] = {"made": "made", "unknown": "unknown"}
        if result.outcome == "made" and held.state not in ("sending", "unknown"):
            return None
        if result.outcome != "made" and held.state != "sending":
            return None
        if result.outcome not in ("made", "rejected") and held.owner != owner:
            return None
        if result.outcome == "released":
            self.held[result.key] = Held(permit=held.permit)
            return None
        if result.outcome == "uncertain":
            self.held[result.key] = replace(held, lapsed=True)
            return None
        state: EndState = states.get(result.outcome, "not_made")
        reasons: dict[str, NotMadeReason] = {"rejected": "rejected", "shadowed": "shadow"}
        reason = reasons.get(result.outcome, result.reason)
        sent_at = None if result.outcome == "not_used" else held.sent_at
        self.held[result.key] = replace(held, state=state, reason=reason, sent_at=sent_at, ended_at=now)
        return _ended(self.held[result.key])

    def _unused(self) -> list[tuple[PermitKey, Held]]:
        return [(key, held) for key, held in sorted(self.held.items()) if held.state == "permitted"]

    def _block(self, held: Held) -> NotMadeReason | None:
        around = Surroundings(
            provider=self._providers.get(held.permit.channel),
            revocations=tuple(self._revocations),
            stops=tuple(self._stops.values()),
            attempt_already_sent=any(
                other.sent_at is not None and other.permit.attempt_id == held.permit.attempt_id
                for other in self.held.values()
            ),
        )
        return block_of(held.permit, around)

    def _end(self, key: PermitKey, reason: NotMadeReason, now: datetime) -> PermitEnded:
        held = self.held[key]
        provider = self._providers.get(held.permit.channel)
        self.held[key] = replace(held, state="not_made", reason=reason, provider=provider, ended_at=now)
        return _ended(self.held[key])


def _claimed(key: PermitKey, permit: Permit) -> Claimed:
    return Claimed(
        key=key,
        attempt=msgspec.json.decode(permit.attempt_json, type=AttemptSubmittedV1),
        expires_at=permit.expires_at,
        number_sealed=b"+8613800138000",
        name_sealed=b"name",
        wrapped_key=b"",
        region="CN",
        zones=("Asia/Shanghai",),
        contacted_before=False,
    )


def _ended(held: Held) -> PermitEnded:
    permit = held.permit
    at = held.ended_at if held.state == "not_made" else held.sent_at
    assert at is not None, "an ended permit has an instant"
    return PermitEnded(
        borrower_id=permit.borrower_id,
        attempt_id=permit.attempt_id,
        submission_number=permit.submission_number,
        decision_id=permit.decision_id,
        channel=permit.channel,
        contact_point_id=permit.contact_point_id,
        loans=permit.loans,
        provider=held.provider,
        state=cast("EndState", held.state),
        reason=held.reason,
        at=at,
    )


class FakeReceipts:
    """`ReceiptStore` in memory, over permits in memory."""

    def __init__(self, permits: FakePermits) -> None:
        self._permits = permits
        self._stored: dict[tuple[str, str], Receipt] = {}
        self._waiting: dict[tuple[str, str], Receipt] = {}
        self.results: dict[str, ContactResult] = {}

    async def lock_attempts(self, tx: Tx, attempt_ids: Sequence[str], *, now: datetime) -> Mapping[str, KnownAttempt]:
        chosen: dict[str, Held] = {}
        for key, held in sorted(self._permits.held.items()):
            known = chosen.get(key[1])
            if key[1] in attempt_ids and (known is None or known.sent_at is None):
                chosen[key[1]] = held
        return {
            attempt_id: KnownAttempt(
                ended=_ended(replace(held, state="made", reason=None, sent_at=held.sent_at or now)),
                state=held.state,
                result=self.results.get(attempt_id),
            )
            for attempt_id, held in chosen.items()
        }

    async def add(self, tx: Tx, receipts: Sequence[Receipt], *, applied: frozenset[str]) -> Sequence[Receipt]:
        new = {(r.attempt_id, r.receipt_id): r for r in receipts if (r.attempt_id, r.receipt_id) not in self._stored}
        self._stored |= new
        self._waiting |= {key: receipt for key, receipt in new.items() if key[0] not in applied}
        return [new[key] for key in sorted(new)]

    async def take_waiting(self, tx: Tx, *, limit: int) -> Sequence[Receipt]:
        known = {key[1] for key in self._permits.held}
        ready = [key for key in sorted(self._waiting) if key[0] in known][:limit]
        return [self._waiting.pop(key) for key in ready]

    async def prove(
        self, tx: Tx, proofs: Sequence[tuple[KnownAttempt, Receipt, ContactResult]], *, now: datetime
    ) -> None:
        for known, _, result in proofs:
            ended = known.ended
            key = (ended.borrower_id, ended.attempt_id, ended.submission_number)
            self._permits.held[key] = replace(
                self._permits.held[key], state="made", reason=None, sent_at=ended.at, ended_at=now
            )
            self.results[ended.attempt_id] = result


class PlainSealer:
    """`Sealer` that seals nothing."""

    def new_wrapped_key(self, borrower_id: str) -> bytes:
        return b"key"

    def seal(self, wrapped_key: bytes, *, borrower_id: str, field: str, text: str) -> bytes:
        return text.encode()

    def open(self, wrapped_key: bytes, *, borrower_id: str, field: str, sealed: bytes) -> str:
        return sealed.decode()

    def hash_number(self, number: str) -> bytes:
        return number.encode()


class PlainTexts:
    """`Texts` with one text."""

    def render(self, attempt: Any, speech: Any) -> Script:
        return Script(text=f"text of {attempt.attempt_id}")
