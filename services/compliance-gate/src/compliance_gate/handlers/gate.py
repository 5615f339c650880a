"""The gate's one handler: facts first, then what they revoke, then the submissions, under one set of locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compliance_gate import metrics
from compliance_gate.domain.kept_facts import Profile
from compliance_gate.handlers.decisions import decide_submissions
from compliance_gate.handlers.desk import Desk
from compliance_gate.handlers.held import Held, Sequences
from compliance_gate.handlers.projection import project
from compliance_gate.handlers.revocations import Surroundings, revoke, triggers_of
from compliance_gate.handlers.submissions import usable_point
from compliance_gate.ports import FactRows, LockedBorrower, Tx
from shared.contracts import AttemptSubmittedV1, StopLiftedV1, StopOrderedV1
from shared.errors import Transient
from shared.kafka.records import Outgoing, Received


async def take_facts_and_submissions(tx: Tx, batch: Sequence[Received[Any]], *, desk: Desk) -> Sequence[Outgoing]:
    """Apply every fact of `batch`, end the permits that they forbid, decide its submissions in order."""
    facts = [record for record in batch if not isinstance(record.message, AttemptSubmittedV1)]
    submissions = [record for record in batch if isinstance(record.message, AttemptSubmittedV1)]
    rows = project(facts, desk.numbers)
    held = await _lock(tx, rows, facts, submissions, desk=desk)
    answers = await _apply(tx, facts, rows, desk=desk, held=held) if facts else []
    if submissions:
        answers += await decide_submissions(tx, submissions, desk=desk, held=held)
    if held.sequences.changed:
        await desk.store.save_sequences(tx, held.sequences.changed)
    return answers


async def _lock(
    tx: Tx,
    rows: FactRows,
    facts: Sequence[Received[Any]],
    submissions: Sequence[Received[AttemptSubmittedV1]],
    *,
    desk: Desk,
) -> Held:
    """Borrowers in id order, among them those who share a number that something is said about; then numbers."""
    store = desk.store
    holders = await store.holders(
        tx,
        number_keys={row["number_key"] for row in rows.number_holders},
        contact_points={
            (fact.key[0], fact.values["contact_point_id"])
            for fact in rows.consents
            if fact.values["contact_point_id"] is not None
        },
    )
    borrower_ids = {record.borrower_id for record in (*facts, *submissions) if _is_about_a_borrower(record)}
    borrowers = await store.lock_borrowers(tx, borrower_ids.union(*holders.values()))
    profiles = _profiles_after(borrowers, rows)
    points = (usable_point(record.message, profiles[record.borrower_id]) for record in submissions)
    numbers = {*holders, *(point.number_key for point in points if point is not None)}
    await store.lock_numbers(tx, numbers)
    return Held(
        borrowers=borrowers,
        numbers=numbers,
        profiles=profiles,
        sequences=Sequences({borrower_id: row.sequence for borrower_id, row in borrowers.items()}),
        now=desk.clock.now(),  # after the locks, which may have taken their time
    )


async def _apply(tx: Tx, facts: Sequence[Received[Any]], rows: FactRows, *, desk: Desk, held: Held) -> list[Outgoing]:
    """Write facts and end the permits that they forbid."""
    store = desk.store
    written = await store.write_facts(tx, rows)
    said_on = {number_key for number_key, _, _ in written.suppressed}
    permits = await store.open_permits(tx, list(held.borrowers), number_keys=said_on)
    if not said_on <= set(held.numbers) or any(p.borrower_id not in held.borrowers for p in permits):
        raise Transient("a number got another holder meanwhile")
    around = Surroundings(
        written=written,
        profiles_before={borrower_id: row.profile for borrower_id, row in held.borrowers.items()},
        profiles=held.profiles,
        permits=permits,
    )
    if not permits:
        return []
    revoked = revoke(triggers_of(facts, around), permits, held.sequences, held.now)
    if not revoked:
        return []
    await store.record_revocations(tx, revoked)
    for outgoing, _ in revoked:
        metrics.REVOCATIONS.labels(outgoing.message.reason).inc()  # type: ignore[attr-defined]
    return [outgoing for outgoing, _ in revoked]


def _is_about_a_borrower(record: Received[Any]) -> bool:
    """Stops of anything but a borrower are about everybody, and lock nobody."""
    message = record.message
    return not isinstance(message, StopOrderedV1 | StopLiftedV1) or message.kind == "borrower"


def _profiles_after(borrowers: Mapping[str, LockedBorrower], rows: FactRows) -> dict[str, Profile | None]:
    profiles = {borrower_id: row.profile for borrower_id, row in borrowers.items()}
    orders = {borrower_id: row.order_key for borrower_id, row in borrowers.items()}
    for fact in rows.profiles:
        borrower_id, _ = fact.key
        known = orders[borrower_id]
        if known is None or known < fact.order_key:
            orders[borrower_id], profiles[borrower_id] = fact.order_key, fact.values["profile"]
    return profiles
