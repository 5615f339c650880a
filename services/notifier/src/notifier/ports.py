"""What handlers and loops need from the outside. Every `tx` is the caller's transaction; nothing here commits it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.permits import Permit, PermitEnded, PermitState, Revocation, Stop
from notifier.domain.receipts import Receipt
from notifier.domain.replies import AnsweredContact
from shared.contracts import (
    AttemptSubmittedV1,
    Channel,
    ContactPoint,
    ContactResult,
    Language,
    NotMadeReason,
    ReplyIntent,
)

Tx = AsyncConnection


PermitKey = tuple[str, str, int]
"""Borrower, attempt, submission number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Take up to `limit` permits of `channel` for `owner`, to be sent at the business instant `now`."""

    channel: Channel
    provider: str
    owner: str
    now: datetime
    lease_seconds: float
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A permit that this process alone may use now, with what the text and the request need, still sealed."""

    key: PermitKey
    attempt: AttemptSubmittedV1
    expires_at: datetime
    number_sealed: bytes
    name_sealed: bytes | None
    wrapped_key: bytes
    region: str
    zones: tuple[str, ...]
    contacted_before: bool


Outcome = Literal["made", "rejected", "not_used", "released", "uncertain", "unknown", "shadowed"]
"""What became of a claim. `not_used` and `released`: nothing was sent; `released` may be claimed again inside its
permit. `uncertain`: something may have been sent, to be looked up. `unknown`: the look-up didn't find it. `shadowed`:
ready to be sent, in shadow mode, where nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """How one claim came out; `reason` is set for `not_used`."""

    key: PermitKey
    outcome: Outcome
    message_id: str | None = None
    reason: NotMadeReason | None = None


class PermitStore(Protocol):
    """Permits and everything that forbids them. The claim is one conditional update."""

    async def add(self, tx: Tx, permits: Sequence[Permit]) -> None:
        """Store permits; one that is known is left as it is."""
        ...

    async def revoke(self, tx: Tx, revocations: Sequence[Revocation], *, holding: Collection[str] = ()) -> None:
        """Keep revocations, whether or not a permit that they cover is known.

        From here on nobody claims a permit of their borrowers, nor of the borrowers of `holding`: whoever is going to
        end theirs in this transaction holds all of them at once, and the blocked ones must be ended in it.
        """
        ...

    async def set_stops(self, tx: Tx, stops: Sequence[Stop]) -> None:
        """Keep operators' stops and their liftings; the latest of each stop's id holds."""
        ...

    async def end_blocked(
        self, tx: Tx, *, now: datetime, borrower_ids: Sequence[str] | None, limit: int
    ) -> Sequence[PermitEnded]:
        """End unused permits that something forbids (`domain.permits.block_of`); of `borrower_ids`, or of anybody."""
        ...

    async def end_expired(self, tx: Tx, *, now: datetime, limit: int) -> Sequence[PermitEnded]:
        """End unused permits whose end has come."""
        ...

    async def claim(self, tx: Tx, claim: Claim) -> Sequence[Claimed]:
        """`permitted` → `sending` for permits that nothing forbids; nobody else gets them, ever."""
        ...

    async def record(
        self, tx: Tx, results: Sequence[SendResult], *, owner: str, now: datetime
    ) -> Sequence[PermitEnded]:
        """Write results; those that changed a permit's end are returned, each exactly once."""
        ...

    async def take_lapsed(
        self, tx: Tx, *, owner: str, lease_seconds: float, limit: int
    ) -> Sequence[tuple[PermitKey, Channel]]:
        """Take over permits whose sender's lease has run out; they may only be looked up."""
        ...

    async def next_end_at(self, tx: Tx) -> datetime | None:
        """The earliest end of an unused permit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAttempt:
    """The submission of an attempt that a receipt speaks of."""

    ended: PermitEnded
    state: PermitState
    result: ContactResult | None


class ReceiptStore(Protocol):
    """Receipts, also those whose attempt isn't known yet."""

    async def lock_attempts(self, tx: Tx, attempt_ids: Sequence[str], *, now: datetime) -> Mapping[str, KnownAttempt]:
        """Lock the permit of each attempt: the one that was sent, else its last submission."""
        ...

    async def add(self, tx: Tx, receipts: Sequence[Receipt], *, applied: frozenset[str]) -> Sequence[Receipt]:
        """Store receipts (`applied`: attempts that are known); the new ones are returned, each once."""
        ...

    async def take_waiting(self, tx: Tx, *, limit: int) -> Sequence[Receipt]:
        """Receipts that waited for their attempt, which is known now; they count as applied."""
        ...

    async def prove(
        self, tx: Tx, proofs: Sequence[tuple[KnownAttempt, Receipt, ContactResult]], *, now: datetime
    ) -> None:
        """Mark each attempt made, by a receipt, with the standing result of all its receipts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One inbound message or key press, as the carrier sent it; either `text` or `digit` is set."""

    inbound_id: str
    channel: Channel
    number_hash: bytes
    text: str | None
    digit: str | None
    received_at: datetime
    in_reply_to: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A borrower with the number that something came from, and the latest contact that it may answer."""

    borrower_id: str
    contact_point_id: str | None
    zones: tuple[str, ...]
    wrapped_key: bytes | None
    answered: AnsweredContact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One borrower's copy of an inbound message, its text sealed under that borrower's key."""

    borrower_id: str
    inbound: Inbound
    intent: ReplyIntent
    attempt_id: str | None
    text_sealed: bytes


class InboundStore(Protocol):
    """Inbound messages and the suppressions that a stop makes."""

    async def candidates(self, tx: Tx, inbound: Sequence[Inbound]) -> Mapping[str, Sequence[Candidate]]:
        """By message id, every borrower with its number."""
        ...

    async def answered(self, tx: Tx, inbound: Sequence[Inbound]) -> Mapping[str, Candidate]:
        """By message id, the one borrower whose contact it answers: the one it names, else the latest in 7 days."""
        ...

    async def add(self, tx: Tx, inbound: Sequence[tuple[Inbound, ReplyIntent, int]]) -> frozenset[str]:
        """Store messages with their intent and how many borrowers they were given to; the ids of the new ones."""
        ...

    async def keep(self, tx: Tx, kept: Sequence[Kept]) -> None:
        """Store the borrowers' copies."""
        ...

    async def suppress(self, tx: Tx, stopped: Sequence[Inbound]) -> None:
        """From now on nothing is sent to these numbers on these channels, for anybody."""
        ...

    async def withdraw(self, tx: Tx, wrong: Sequence[tuple[str, Inbound]], *, holding: Collection[str] = ()) -> None:
        """From now on nothing is sent to these borrowers at the number that the message came from, on any channel: it
        is somebody else's. Others who have it may still be met there. `holding` as in `PermitStore.revoke`.
        """
        ...


class DeliveryLog(Protocol):
    """Which deliveries of webhooks were seen."""

    async def note(self, tx: Tx, delivery_ids: Sequence[str], *, now: datetime) -> frozenset[str]:
        """Remember deliveries; those seen for the first time are returned."""
        ...

    async def forget(self, tx: Tx, *, before: datetime, limit: int) -> int:
        """Drop deliveries that are too old to be replayed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A borrower's contact data as one event gave it. `order_key` decides which one stays."""

    borrower_id: str
    order_key: tuple[datetime, str, str]
    name: str
    region: str
    zones: tuple[str, ...]
    contact_points: tuple[ContactPoint, ...]


class ContactStore(Protocol):
    """Sealed contact data."""

    async def put(self, tx: Tx, profiles: Sequence[Profile]) -> Sequence[str]:
        """Store profiles, the latest by order key wins; the borrowers that changed are returned."""
        ...


class Sealer(Protocol):
    """Encryption of personal data under a key per borrower, which the master key wraps."""

    def new_wrapped_key(self, borrower_id: str) -> bytes:
        """A fresh key for a borrower, wrapped."""
        ...

    def seal(self, wrapped_key: bytes, *, borrower_id: str, field: str, text: str) -> bytes:
        """`text`, readable only with this key, for this borrower and field."""
        ...

    def open(self, wrapped_key: bytes, *, borrower_id: str, field: str, sealed: bytes) -> str:
        """The text again; raises `SealBroken` where key, borrower or field is another."""
        ...

    def hash_number(self, number: str) -> bytes:
        """The keyed hash of an E.164 number."""
        ...


class SealBroken(Exception):
    """Sealed data that can't be opened: another key, another borrower, or changed bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What a text needs to know beside the attempt itself."""

    name: str
    region: str
    zones: tuple[str, ...]
    contacted_before: bool
    """Whether a text was sent before. Of a call nobody knows here whether more than its opening was heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is written or spoken. A call has an `opening`, for whoever picks up: it says who calls and asks for the
    person by a key, and nothing about a debt; `text` is spoken to nobody before that key was pressed.
    """

    text: str
    opening: str | None = None


class Texts(Protocol):
    """The templates."""

    def render(self, attempt: AttemptSubmittedV1, speech: Speech) -> Script:
        """The script of an attempt; raises `TemplateFailed`. Only amounts of the attempt are said."""
        ...


class TemplateFailed(Exception):
    """There is no text for an attempt: an unknown template, another channel, a party that it isn't written for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """What a provider gets. The carrier must not deliver after `not_after`, nor speak more than the opening of a
    call's script before the person has confirmed to be the one who is called.
    """

    attempt_id: str
    to: str
    script: Script
    language: Language
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A provider's answer. Only `refused_connection` (nothing was sent at all) may be followed by another try."""

    kind: Literal["accepted", "rejected", "uncertain", "refused_connection"]
    message_id: str | None = None


class Provider(Protocol):
    """A carrier that sends texts or makes calls. Neither method raises."""

    name: str
    channel: Channel

    async def send(self, request: SendRequest) -> Answer:
        """Ask once; a time-out or a broken connection is `uncertain`."""
        ...

    async def find(self, attempt_id: str) -> str | None:
        """The message id that the provider has for an attempt; None: not found, or no answer."""
        ...
