"""The carriers' way in: signed deliveries of receipts and of inbound messages. 2xx means stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, Literal, Protocol, TypeVar

import msgspec
import structlog

from notifier import metrics
from notifier.domain.receipts import Receipt, ReceiptStatus
from notifier.domain.signatures import DELIVERY_HEADER, RefusalReason, check_delivery
from notifier.handlers.desk import Desk
from notifier.handlers.group_commit import GroupCommit, TooManyWaiting
from notifier.handlers.inbound import silences, take_inbound
from notifier.handlers.receipts import take_receipts
from notifier.ports import Inbound, Tx
from shared.contracts import Channel
from shared.contracts.types import Identifier, Instant
from shared.http import Request, Response
from shared.kafka.records import Outgoing
from shared.postgres.engine import is_transient
from shared.postgres.work import Work

DELIVERY_AGE_SECONDS_MAX: Final = 300
DELIVERY_KEPT: Final = timedelta(seconds=4 * DELIVERY_AGE_SECONDS_MAX)
"""How long delivery ids are kept: one that is dropped is stale by then, so that it can't be replayed."""
TEXT_LENGTH_MAX: Final = 2_000
_STATUS_OF: Final[dict[RefusalReason, int]] = {
    "missing_header": 401,
    "forged": 401,
    "stale": 401,
    "replayed": 409,
    "malformed": 400,
    "invalid_number": 422,
}
SMS_STATUSES: Final[frozenset[ReceiptStatus]] = frozenset({"delivered", "failed"})
Item = TypeVar("Item")
Taken = TypeVar("Taken", contravariant=True)
log = structlog.get_logger()


class ReceiptBody(msgspec.Struct, frozen=True):
    """A receipt as a carrier posts it. A key press in it is ignored: it comes as an inbound message of its own."""

    receipt_id: Identifier
    message_id: Identifier
    idempotency_key: Identifier
    status: ReceiptStatus
    at: Instant


class InboundBody(msgspec.Struct, frozen=True):
    """An inbound message or key press as a carrier posts it."""

    inbound_id: Identifier
    sender: Annotated[str, msgspec.Meta(max_length=32)] = msgspec.field(name="from")
    at: Instant
    text: Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH_MAX)] | None = None
    digit: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] | None = None
    in_reply_to: Identifier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookGuard:
    """What every delivery is checked against."""

    secret: bytes
    desk: Desk
    work: Work
    in_flight: Callable[[int], None]
    silenced: Callable[[], None]
    """Called after a commit that brought a refusal: permits that wait may have to end."""


class _Refused(Exception):
    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason: RefusalReason = reason


class Apply(Protocol[Taken]):
    """A handler of what carriers deliver."""

    def __call__(self, tx: Tx, batch: Sequence[Taken], /, *, desk: Desk) -> Awaitable[list[Outgoing]]:
        """Store the new ones of `batch` in the caller's transaction; what to publish."""
        ...


class Webhook(Generic[Item]):
    """One path: checks a delivery, reads its body, and stores it with others in one transaction."""

    def __init__(
        self,
        *,
        kind: Literal["receipts", "inbound"],
        channel: Channel,
        guard: WebhookGuard,
        read: Callable[[bytes], Item],
        apply: Apply[Item],
    ) -> None:
        self._kind = kind
        self._channel = channel
        self._guard = guard
        self._read = read
        self._apply = apply
        self._commits: GroupCommit[tuple[str, Item], bool] = GroupCommit(self._store)

    async def __call__(self, request: Request) -> Response:
        """The endpoint."""
        guard = self._guard
        now = guard.desk.clock.now()
        reason = check_delivery(
            request.headers, request.body, secret=guard.secret, now=now, age_seconds_max=DELIVERY_AGE_SECONDS_MAX
        )
        if reason is not None:
            return self._refuse(reason)
        try:
            item = self._read(request.body)
        except msgspec.DecodeError:
            return self._refuse("malformed")
        except _Refused as refused:
            return self._refuse(refused.reason)
        guard.in_flight(+1)
        try:
            first = await self._commits.submit((request.headers[DELIVERY_HEADER], item))
        except TooManyWaiting:
            return self._away()
        except Exception as error:
            if not is_transient(error):
                raise
            return self._away()
        finally:
            guard.in_flight(-1)
        if not first:
            return self._refuse("replayed")
        metrics.WEBHOOKS.labels(self._channel, self._kind, "stored").inc()
        return Response(status=200, json={"stored": True})

    async def _store(self, batch: Sequence[tuple[str, Item]]) -> list[bool]:
        guard = self._guard
        async with guard.work.begin() as tx:
            now = guard.desk.clock.now()
            unseen = set(await guard.desk.deliveries.note(tx, [delivery for delivery, _ in batch], now=now))
            firsts: list[bool] = []
            for delivery, _ in batch:
                firsts.append(delivery in unseen)
                unseen.discard(delivery)
            items = [item for (_, item), first in zip(batch, firsts, strict=True) if first]
            messages = await self._apply(tx, items, desk=guard.desk) if items else []
            await guard.work.publish(tx, messages)
        if silences(messages):
            guard.silenced()
        return firsts

    def _refuse(self, reason: RefusalReason) -> Response:
        metrics.WEBHOOKS.labels(self._channel, self._kind, reason).inc()
        log.warning("webhook.refused", kind=self._kind, channel=self._channel, reason=reason)
        return Response(status=_STATUS_OF[reason], json={"refused": reason})

    def _away(self) -> Response:
        metrics.WEBHOOKS.labels(self._channel, self._kind, "away").inc()
        return Response(status=503, json={"refused": "away"})


def _require_instant(at: datetime) -> None:
    """Refuse an instant that UTC doesn't have: it can't be stored, and would end what others store with it."""
    try:
        at.astimezone(UTC)
    except OverflowError:
        raise _Refused("malformed") from None


def receipts_webhook(channel: Channel, guard: WebhookGuard) -> Webhook[Receipt]:
    """`POST /webhooks/{channel}/receipts`."""
    decode = msgspec.json.Decoder(ReceiptBody).decode

    def read(body: bytes) -> Receipt:
        given = decode(body)
        if (given.status in SMS_STATUSES) != (channel == "sms") and given.status != "failed":
            raise _Refused("malformed")
        _require_instant(given.at)
        return Receipt(
            receipt_id=given.receipt_id,
            attempt_id=given.idempotency_key,
            message_id=given.message_id,
            channel=channel,
            status=given.status,
            occurred_at=given.at,
        )

    return Webhook(kind="receipts", channel=channel, guard=guard, read=read, apply=take_receipts)


def inbound_webhook(
    channel: Channel,
    guard: WebhookGuard,
    hash_of: Callable[[str], bytes | None],
) -> Webhook[Inbound]:
    """`POST /webhooks/{channel}/inbound`; `hash_of` gives the keyed hash of a number, None if it isn't one."""
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(InboundBody).decode

    def read(body: bytes) -> Inbound:
        given: InboundBody = decode(body)
        if (given.text is None) == (given.digit is None):
            raise _Refused("malformed")
        _require_instant(given.at)
        number_hash = hash_of(given.sender)
        if number_hash is None:
            raise _Refused("invalid_number")
        return Inbound(
            inbound_id=given.inbound_id,
            channel=channel,
            number_hash=number_hash,
            text=given.text,
            digit=given.digit,
            received_at=min(given.at, guard.desk.clock.now()),
            in_reply_to=given.in_reply_to,
        )

    return Webhook(kind="inbound", channel=channel, guard=guard, read=read, apply=take_inbound)
