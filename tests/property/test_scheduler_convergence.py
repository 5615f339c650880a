"""Any order and any number of facts and reports give the same plan; no step is taken twice; nothing leaves late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.attempts import Report, after_report
from scheduler.domain.planning import Dossier, plan, replan
from scheduler.domain.profile import Profile, with_fact
from shared.contracts import Amounts, AttemptSubmittedV1
from tests.unit.scheduler_cases import (
    BORROWER,
    PLAYBOOK,
    Desk,
    at,
    balance,
    borrower,
    deferred,
    denied,
    held,
    made,
    not_made,
    opt_out,
    promise,
    reply,
    restriction,
    reviewed,
    submitted_once,
    unknown,
)

NOW = at(20)
Event = tuple[datetime, Any]
COMMON = settings(max_examples=150)

instants = st.integers(0, 19 * 24).map(lambda hours: at(1) + timedelta(hours=hours))
due_dates = st.integers(1, 120).map(lambda days: date(2026, 9, 20) - timedelta(days=days))


@st.composite
def balances(draw: st.DrawFn, loan_id: str) -> list[Event]:
    """The versions of one loan's balance as a ledger publishes them."""
    events = []
    for version in range(1, draw(st.integers(1, 5)) + 1):
        overdue = draw(st.sampled_from([0, 300, 70_000, 250_000, 2_000_000]))
        changes = {
            "loan_id": loan_id,
            "oldest_unpaid_due_on": draw(due_dates) if overdue else None,
            "next_due_on": date(2026, 9, 21) + timedelta(days=draw(st.integers(0, 20))),
            "next_due": Amounts(principal_minor=90_000),
            "closed": draw(st.booleans()) and draw(st.booleans()),
            "currency": "USD" if loan_id == "l-3" else "CNY",
        }
        events.append((at(1) + timedelta(hours=version), balance(version, overdue_minor=overdue, **changes)))
    return events


@st.composite
def other_facts(draw: st.DrawFn) -> Event:
    on = draw(instants)
    later = on + timedelta(days=draw(st.integers(1, 12)))
    match draw(st.integers(0, 4)):
        case 0:
            return on, borrower(zones=(draw(st.sampled_from(["Asia/Shanghai", "Asia/Kathmandu", "America/New_York"])),))
        case 1:
            kind = draw(st.sampled_from(["dispute", "cease", "vulnerable", "deceased"]))
            until = draw(st.sampled_from([None, later]))
            loans = draw(st.sampled_from([None, ("l-1",)]))
            number = draw(st.integers(1, 2))
            changes = {"effective_from": on, "effective_until": until, "loans": loans, "restriction_id": f"r-{number}"}
            return on, restriction(kind, active=draw(st.booleans()), **changes)
        case 2:
            return on, opt_out(draw(st.sampled_from(["sms", "voice"])), in_force=draw(st.booleans()), effective_from=on)
        case 3:
            state = draw(st.sampled_from(["opened", "kept", "partly_kept", "broken"]))
            return on, promise(state, on=on, grace_ends_at=later, promise_id=f"p-{draw(st.integers(1, 2))}")
        case _:
            intent = draw(st.sampled_from(["stop", "dispute", "wrong_person", "paid_already", "call_back", "other"]))
            return on, reply(intent, received_at=on, reply_id=f"reply-{draw(st.integers(1, 4))}-{on:%d%H}-{intent}")


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """What became known of a borrower, in the order in which it happened."""
    events: list[Event] = [(at(1), borrower())]
    for loan_id in ("l-1", "l-2", "l-3")[: draw(st.integers(1, 3))]:
        events += draw(balances(loan_id))
    return events + draw(st.lists(other_facts(), max_size=8))


def _after(events: list[Event]) -> Dossier:
    """A dossier after `events`, planned anew after each of them as a service would."""
    dossier = Dossier(profile=Profile(borrower_id=BORROWER))
    for ce_time, fact in events:
        profile = with_fact(dossier.profile, fact, (ce_time, f"core\x1f{fact!r}"))
        dossier, _ = replan(Dossier(profile=profile, attempts=dossier.attempts), PLAYBOOK, NOW)
    return dossier


@COMMON
@given(histories(), st.data())
def test_any_order_and_duplication_of_facts_gives_the_same_profile_and_plan(
    events: list[Event], data: st.DataObject
) -> None:
    doubled = events + data.draw(st.lists(st.sampled_from(events), max_size=5))
    shuffled = data.draw(st.permutations(doubled))
    expected, found = _after(events), _after(shuffled)
    assert dict(found.profile.loans) == dict(expected.profile.loans)
    assert dict(found.profile.circumstances) == dict(expected.profile.circumstances)
    assert found.profile.person == expected.profile.person
    assert dict(found.attempts) == dict(expected.attempts)
    assert found.wake_at == expected.wake_at


@COMMON
@given(histories())
def test_every_planned_attempt_is_due_on_a_half_hour_inside_its_lifetime(events: list[Event]) -> None:
    planned = plan(_after(events), PLAYBOOK, NOW)
    for group in planned.groups.values():
        attempt = group.next_attempt
        if attempt is not None:
            assert attempt.due_at < attempt.expires_at
            assert attempt.expires_at > NOW
            assert (attempt.due_at.minute % 30, attempt.due_at.second, attempt.due_at.microsecond) == (0, 0, 0)
            assert attempt.planned_for <= attempt.due_at


@st.composite
def answers(draw: st.DrawFn) -> Any:
    """What may become of one submission, as a function of it and the instant."""
    hours = draw(st.integers(0, 60))
    return draw(
        st.sampled_from(
            [
                lambda s, on: [deferred(s, on=on, until=on + timedelta(hours=hours))],
                lambda s, on: [deferred(s, on=on, until=None)],
                lambda s, on: [denied(s, on=on)],
                lambda s, on: [held(s, on=on)],
                lambda s, on: [held(s, on=on), reviewed(s, on=on, approved=True)],
                lambda s, on: [made(s, on=on)],
                lambda s, on: [unknown(s, on=on), made(s, on=on)],
                lambda s, on: [not_made(s, on=on, reason="permit_expired")],
                lambda s, on: [not_made(s, on=on, reason="rejected")],
                lambda s, on: [not_made(s, on=on, reason="shadow")],
                lambda s, on: [],
            ]
        )
    )


@COMMON
@given(histories(), st.lists(answers(), min_size=1, max_size=12), st.lists(other_facts(), max_size=6))
def test_over_months_no_step_that_was_made_is_taken_again_and_nothing_leaves_outside_its_lifetime(
    events: list[Event], replies_to_us: list[Any], later_facts: list[Event]
) -> None:
    desk = Desk()
    for ce_time, fact in events:
        desk.learns(fact, now=at(1), ce_time=ce_time)
    made_steps: set[tuple[str, Any, str]] = set()
    numbers: dict[str, int] = {}
    now, answered = at(1), 0
    for _ in range(80):
        if desk.dossier.wake_at is None:
            break
        now = max(now, desk.dossier.wake_at)
        if later_facts:
            ce_time, fact = later_facts.pop()
            desk.learns(fact, now=now, ce_time=ce_time)
        for submission in desk.releases(now=now).submissions:
            attempt = desk.attempt(submission.attempt_id)
            step = (attempt.currency, attempt.episode, attempt.step_key)
            assert step not in made_steps
            assert attempt.due_at <= now < submission.expires_at
            assert submission.submission_number == numbers.get(submission.attempt_id, 0) + 1
            numbers[submission.attempt_id] = submission.submission_number
            for report in replies_to_us[answered % len(replies_to_us)](submission, now):
                desk.hears(report, now=now)
            answered += 1
            if desk.attempt(submission.attempt_id).state in ("made", "unknown", "shadowed"):
                made_steps.add(step)
        assert desk.dossier.wake_at is None or desk.dossier.wake_at >= now


VERDICTS: list[Callable[[AttemptSubmittedV1, datetime], list[Report]]] = [
    lambda s, on: [deferred(s, on=on, until=at(12, 1))],
    lambda s, on: [denied(s, on=on)],
    lambda s, on: [held(s, on=on), reviewed(s, on=on, approved=True)],
    lambda s, on: [held(s, on=on), reviewed(s, on=on, approved=False)],
    lambda s, on: [made(s, on=on)],
    lambda s, on: [unknown(s, on=on), made(s, on=on)],
    lambda s, on: [not_made(s, on=on, reason="revoked")],
    lambda s, on: [not_made(s, on=on, reason="shadow"), unknown(s, on=on)],
]
"""What can be said about the one submission 1 of an attempt: a verdict, a review, an end of its permit."""


@COMMON
@given(st.sampled_from(VERDICTS), st.lists(st.integers(0, 1), max_size=4), st.randoms(use_true_random=False))
def test_any_order_and_duplication_of_reports_gives_the_same_attempt(
    verdict: Callable[[AttemptSubmittedV1, datetime], list[Report]], doubled: list[int], random: Random
) -> None:
    desk, submission = submitted_once()
    reports = verdict(submission, at(11, 9))
    shuffled = [*reports, *(reports[index % len(reports)] for index in doubled)]
    random.shuffle(shuffled)
    first = desk.attempt(submission.attempt_id)
    expected = found = first
    for report in reports:
        expected = after_report(expected, report, PLAYBOOK.waits)
    for report in shuffled:
        found = after_report(found, report, PLAYBOOK.waits)
    assert found == expected
