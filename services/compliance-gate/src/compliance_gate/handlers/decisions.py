"""Submissions in, one decision each: made once, in order, each on the facts that the one before it left.

A decision's key is (borrower, attempt, submission number). One that is there already is given again as it is stored,
under whatever event id it is asked for, with the revocation of its permit if there was one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from compliance_gate import metrics
from compliance_gate.domain import Allowed, Attempt, Facts, OptOut, PastContact, decide
from compliance_gate.domain.kept_facts import EMPTY_FACTS, NO_NUMBER_FACTS, NumberFacts, Profile, facts_of
from compliance_gate.handlers.desk import Desk
from compliance_gate.handlers.held import Held
from compliance_gate.handlers.other_clocks import as_of, begun, seen_at
from compliance_gate.handlers.submissions import (
    Situation,
    attempt_of,
    decision_message,
    new_decision,
    reservation_of,
    usable_point,
)
from compliance_gate.ports import (
    AttemptKey,
    HeldReview,
    NewDecision,
    PriorPermit,
    StoredDecision,
    SubmissionKey,
    Tx,
)
from shared.contracts import AttemptSubmittedV1
from shared.contracts import Decision as DecisionMessage
from shared.kafka.records import Outgoing, Received

Submission = Received[AttemptSubmittedV1]
_LAG_SECONDS_MAX = 1_000_000  # stands for "for ever", in evidence too


@dataclass(slots=True, kw_only=True)
class _Board:
    """The facts of a batch's borrowers; `facts` changes with every permit that is given."""

    facts: dict[str, Facts]
    profiles: Mapping[str, Profile | None]
    numbers: Mapping[str, NumberFacts]
    given_on: dict[str, list[tuple[str, PastContact]]] = field(default_factory=dict)
    """Slots given in this batch, by number, with the borrower whom each is for."""
    waiting: Counter[str] = field(default_factory=Counter)
    """How many submissions of each borrower are still to be decided."""
    reviews: Mapping[tuple[str, str], HeldReview]
    priors: dict[AttemptKey, PriorPermit]


async def decide_submissions(
    tx: Tx,
    submissions: Sequence[Submission],
    *,
    desk: Desk,
    held: Held,
) -> list[Outgoing]:
    """Decide what is new of `submissions`, whose borrowers and numbers are locked; answer all of them."""
    keys = list(dict.fromkeys(key_of(record.message) for record in submissions))
    stored = await desk.store.stored_decisions(tx, keys)
    fresh: dict[SubmissionKey, Submission] = {}
    for record in submissions:
        key = key_of(record.message)
        if key not in stored:
            fresh.setdefault(key, record)
    metrics.REPLAYS.inc(len(submissions) - len(fresh))
    if fresh:
        with metrics.DECIDE_SECONDS.time():
            board = await _board(tx, list(fresh.values()), desk=desk, held=held)
            decided: list[NewDecision] = []
            for key, record in fresh.items():
                told = _decide_one(record, board, decided, desk=desk, held=held)
                stored[key] = StoredDecision(message=told, revocation=None)
            await desk.store.record_decisions(tx, decided, now=held.now)
        tally = Counter((each.verdict, each.deciding_rule or "none") for each in decided)
        for (verdict, rule), count in tally.items():
            metrics.DECISIONS.labels(verdict, rule).inc(count)
    return [message for record in submissions for message in _answers(record, stored[key_of(record.message)])]


def key_of(message: AttemptSubmittedV1) -> SubmissionKey:
    """The decision's key."""
    return (message.borrower_id, message.attempt_id, message.submission_number)


async def _board(tx: Tx, records: Sequence[Submission], *, desk: Desk, held: Held) -> _Board:
    """Everything that the decisions of a batch need, in a constant number of queries."""
    store, profiles, now = desk.store, held.profiles, held.now
    since = now - timedelta(days=desk.history_days)
    borrower_ids = list(dict.fromkeys(record.borrower_id for record in records))
    late_for = timedelta(hours=desk.late_payment_hours)
    loaded = await store.load_facts(tx, borrower_ids, now=now, since=since, late_for=late_for)
    points = (usable_point(record.message, profiles[record.borrower_id]) for record in records)
    number_keys = list(dict.fromkeys(point.number_key for point in points if point is not None))
    asked = {(r.borrower_id, r.message.approval.decision_id) for r in records if r.message.approval is not None}
    stops = await store.stops(tx)
    lag_seconds = int(min(desk.lag(), _LAG_SECONDS_MAX))
    return _Board(
        facts={
            borrower_id: facts_of(
                borrower_id,
                profile=profiles[borrower_id],
                loaded=as_of(loaded.get(borrower_id, EMPTY_FACTS), now),
                stops=stops,
                lag_seconds=lag_seconds,
            )
            for borrower_id in borrower_ids
        },
        profiles=profiles,
        waiting=Counter(record.borrower_id for record in records),
        numbers=await store.load_numbers(tx, number_keys, now=now, since=since),
        reviews=await store.approvals(tx, asked),
        priors=await store.prior_permits(tx, [(r.borrower_id, r.message.attempt_id) for r in records]),
    )


def _decide_one(
    record: Submission,
    board: _Board,
    decided: list[NewDecision],
    *,
    desk: Desk,
    held: Held,
) -> DecisionMessage:
    message, now = record.message, held.now
    board.waiting[message.borrower_id] -= 1
    attempt = attempt_of(message, _situation(message, board, desk))
    facts = board.facts[message.borrower_id]
    asked = _with_number(facts, attempt, board, now)
    policy = desk.policies.resolve(facts.region, facts.zones)
    decision = decide(attempt, asked, policy, now)
    told = decision_message(record, decision, held.sequences.next(message.borrower_id), now)
    evidence = desk.evidence_of(attempt, asked, policy, now, decision)
    decided.append(new_decision(record, attempt, decision, told, evidence))
    if isinstance(decision, Allowed):
        _reserve(record, attempt, decision, board, now)
    return told


def _situation(message: AttemptSubmittedV1, board: _Board, desk: Desk) -> Situation:
    prior = board.priors.get((message.borrower_id, message.attempt_id))
    history = board.facts[message.borrower_id].history
    approval = message.approval
    return Situation(
        point=usable_point(message, board.profiles[message.borrower_id]),
        provider=desk.providers.get(message.channel),
        review=None if approval is None else board.reviews.get((message.borrower_id, approval.decision_id)),
        prior=prior,
        contact=None if prior is None else next((c for c in history if c.contact_id == message.attempt_id), None),
    )


def _with_number(facts: Facts, attempt: Attempt, board: _Board, now: datetime) -> Facts:
    """The facts with what other borrowers' contacts and refusals left under the attempt's number."""
    number_key = attempt.number_key
    if number_key is None:
        return facts
    kept = board.numbers.get(number_key, NO_NUMBER_FACTS)
    given = board.given_on.get(number_key, ())
    others = ((b, contact) for b, contact in (*given, *kept.contacts) if b != facts.borrower_id)
    contacts = [seen_at(contact, now) for _, contact in others]
    refused = tuple(begun(opt_out, now) for b, opt_out in kept.suppressions if b != facts.borrower_id)
    if not contacts and not refused:
        return facts
    contacts.sort(key=_newest_first)
    opt_outs: tuple[OptOut, ...] = (*facts.opt_outs, *refused)
    return msgspec.structs.replace(facts, number_contacts=tuple(contacts), opt_outs=opt_outs)


def _newest_first(contact: PastContact) -> tuple[float, str]:
    return (-contact.at.timestamp(), contact.contact_id)


def _reserve(record: Submission, attempt: Attempt, allowed: Allowed, board: _Board, now: datetime) -> None:
    """Let the next attempts of the batch see the slot that this one took."""
    borrower_id = attempt.borrower_id
    contact = reservation_of(attempt, now)
    assert allowed.permit_expires_at <= record.message.expires_at, "a permit ends inside its attempt"
    if board.waiting[borrower_id]:
        board.facts[borrower_id] = board.facts[borrower_id].after(contact)
    if attempt.number_key is not None:
        board.given_on.setdefault(attempt.number_key, []).append((borrower_id, contact))
    board.priors[borrower_id, attempt.attempt_id] = PriorPermit(
        end_rank=0, end_reason=None, expires_at=allowed.permit_expires_at
    )


def _answers(record: Submission, stored: StoredDecision) -> list[Outgoing]:
    told = stored.message
    answers = [Outgoing(message=told, ce_id=told.decision_id, ce_time=told.decided_at, cause=record)]
    if stored.revocation is not None:
        revoked = stored.revocation
        answers.append(Outgoing(message=revoked, ce_id=revoked.revocation_id, ce_time=revoked.revoked_at, cause=record))
    return answers
