"""What borrowers send: whose it is, what it means, a refusal kept at once, and the replies that travel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from notifier import metrics
from notifier.domain.replies import OTHER, Reading, read_key, read_text
from notifier.handlers.desk import Desk
from notifier.handlers.permits import end_blocked_by_borrowers
from notifier.ports import Candidate, Inbound, Kept, Tx
from shared.contracts import ReplyIntent, ReplyReceivedV1
from shared.ids import derive
from shared.kafka.records import Outgoing

_SILENCING: Final[frozenset[ReplyIntent]] = frozenset({"stop", "wrong_person"})
"""After which permits that were given before must not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """One message, read, with the borrowers that it belongs to."""

    inbound: Inbound
    reading: Reading
    owners: tuple[Candidate, ...]


def silences(messages: Sequence[Outgoing]) -> bool:
    """Whether a reply among `messages` forbids permits that were given before."""
    return any(isinstance(m.message, ReplyReceivedV1) and m.message.intent in _SILENCING for m in messages)


async def take_inbound(tx: Tx, batch: Sequence[Inbound], *, desk: Desk) -> list[Outgoing]:
    """Store the new messages of a batch of deliveries, and end the permits that they forbid; one that is known
    changes nothing.
    """
    messages: list[Outgoing] = []
    for some in _of_distinct_ids(batch):
        messages += await _take(tx, some, desk=desk)
    return messages


async def _take(tx: Tx, batch: Sequence[Inbound], *, desk: Desk) -> list[Outgoing]:
    candidates = await desk.inbound.candidates(tx, batch)
    answered = await desk.inbound.answered(tx, batch)
    read = [_understand(i, candidates, answered, desk=desk) for i in sorted(batch, key=lambda i: i.inbound_id)]
    new = await desk.inbound.add(tx, [(u.inbound, u.reading.intent, len(u.owners)) for u in read])
    fresh = [u for u in read if u.inbound.inbound_id in new]
    stopped = [u.inbound for u in fresh if u.reading.intent == "stop"]
    await desk.inbound.suppress(tx, stopped)
    wrong = [(o.borrower_id, u.inbound) for u in fresh if u.reading.intent == "wrong_person" for o in u.owners]
    silenced = {o.borrower_id for u in fresh if u.reading.intent in _SILENCING for o in u.owners}
    if wrong:
        await desk.inbound.withdraw(tx, wrong, holding=silenced)
    ended = await end_blocked_by_borrowers(tx, silenced, desk=desk) if silenced else []
    await desk.inbound.keep(tx, [kept for u in fresh for kept in _copies(u, desk=desk)])
    for understood in fresh:
        metrics.INBOUND.labels(understood.inbound.channel, understood.reading.intent).inc()
    for inbound in stopped:
        metrics.SUPPRESSIONS.labels(inbound.channel).inc()
    return [*ended, *(reply for u in fresh for reply in _replies(u, desk=desk))]


def _understand(
    inbound: Inbound,
    candidates: Mapping[str, Sequence[Candidate]],
    answered: Mapping[str, Candidate],
    *,
    desk: Desk,
) -> Understood:
    """A stop belongs to everybody with the number; anything else to the contact it answers, else to all of them.

    A promise that could be any of several people's is nobody's: a person reads it.
    """
    contact = answered.get(inbound.inbound_id)
    everybody = tuple(candidates[inbound.inbound_id])
    owners = (contact,) if contact is not None else everybody
    zones = owners[0].zones if owners else ()
    reading = _read(inbound, contact, _local_date(inbound.received_at, zones, desk.default_zone))
    if reading.intent == "stop":
        return Understood(inbound=inbound, reading=reading, owners=_with_contact(everybody, contact))
    if reading.intent == "promise" and len(owners) != 1:
        reading = OTHER
    return Understood(inbound=inbound, reading=reading, owners=owners)


def _read(inbound: Inbound, contact: Candidate | None, today: date) -> Reading:
    answered = contact.answered if contact is not None else None
    if inbound.digit is not None:
        return read_key(inbound.digit, answered=answered, today=today)
    return read_text(inbound.text or "", answered=answered, today=today)


def _copies(understood: Understood, *, desk: Desk) -> Sequence[Kept]:
    inbound = understood.inbound
    return [
        Kept(
            borrower_id=owner.borrower_id,
            inbound=inbound,
            intent=understood.reading.intent,
            attempt_id=owner.answered.attempt_id if owner.answered else None,
            text_sealed=desk.sealer.seal(
                owner.wrapped_key,
                borrower_id=owner.borrower_id,
                field=f"inbound:{inbound.channel}:{inbound.inbound_id}",
                text=inbound.digit or inbound.text or "",
            ),
        )
        for owner in understood.owners
        if owner.wrapped_key is not None  # an erased borrower's words are not kept
    ]


def _replies(understood: Understood, *, desk: Desk) -> Sequence[Outgoing]:
    inbound, reading, now = understood.inbound, understood.reading, desk.clock.now()
    return [
        Outgoing(
            message=ReplyReceivedV1(
                borrower_id=owner.borrower_id,
                reply_id=inbound.inbound_id,
                channel=inbound.channel,
                received_at=inbound.received_at,
                intent=reading.intent,
                contact_point_id=owner.contact_point_id,
                attempt_id=owner.answered.attempt_id if owner.answered else None,
                loans=owner.answered.loans if owner.answered else (),
                promised_minor=reading.promised_minor,
                currency=reading.currency,
                promised_on=reading.promised_on,
            ),
            ce_id=derive("reply", inbound.channel, inbound.inbound_id, owner.borrower_id),
            ce_time=now,
        )
        for owner in understood.owners
    ]


def _of_distinct_ids(batch: Sequence[Inbound]) -> list[list[Inbound]]:
    """`batch` without copies, in parts that name no id twice: two numbers may use one, and neither's words are lost."""
    parts: list[dict[str, Inbound]] = []
    for inbound in {(i.number_hash, i.inbound_id): i for i in reversed(batch)}.values():
        part = next((part for part in parts if inbound.inbound_id not in part), None)
        if part is None:
            part = {}
            parts.append(part)
        part[inbound.inbound_id] = inbound
    return [list(part.values()) for part in parts]


def _with_contact(everybody: tuple[Candidate, ...], contact: Candidate | None) -> tuple[Candidate, ...]:
    """Everybody with the number; the one whose contact it answers, with that contact."""
    if contact is None:
        return everybody
    others = tuple(candidate for candidate in everybody if candidate.borrower_id != contact.borrower_id)
    return (contact, *others)


def _local_date(instant: datetime, zones: tuple[str, ...], default_zone: str) -> date:
    """The date of `instant` for the borrower."""
    return instant.astimezone(ZoneInfo(zones[0] if zones else default_zone)).date()
