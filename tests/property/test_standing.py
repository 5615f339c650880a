"""Gate, notifier and scheduler count a contact alike, whatever order and number of its outcomes they are told of."""

from __future__ import annotations

from functools import reduce
from itertools import product
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from compliance_gate.domain.caps import MEASURED_RESULTS
from compliance_gate.domain.rules import Measure
from compliance_gate.handlers.projection import project
from notifier.domain.permits import EndState, PermitState, rises
from notifier.domain.receipts import RESULT_OF, standing_result
from scheduler.domain.attempts import TAKEN, after_report
from shared.contracts import (
    RESULT_RANK,
    STANDING_RANK,
    STANDINGS_RISING,
    ContactMadeV1,
    ContactNotMadeV1,
    ContactProgressedV1,
    ContactResult,
    ContactUnknownV1,
    Standing,
    further,
    standing_of,
    surer,
)
from tests.gate_service_world import NUMBERS, received
from tests.unit.scheduler_cases import PLAYBOOK, at, made, not_made, submitted_once, unknown

DESK, SUBMISSION = submitted_once()
NOON = at(11, 9)
End = ContactMadeV1 | ContactNotMadeV1 | ContactUnknownV1
ENDS: dict[str, End] = {
    "revoked": not_made(SUBMISSION, on=NOON, reason="revoked"),
    "shadow": not_made(SUBMISSION, on=NOON, reason="shadow"),
    "unknown": unknown(SUBMISSION, on=NOON),
    "made": made(SUBMISSION, on=NOON),
}
RESULTS = st.sampled_from(list(RESULT_RANK))


@st.composite
def told(draw: st.DrawFn) -> list[End]:
    """Some of the ends that one permit may be told to have, of each as many copies as it likes, in any order."""
    unused = draw(st.sampled_from(["revoked", "shadow"]))
    names = draw(st.lists(st.sampled_from([unused, "unknown", "made"]), min_size=1, max_size=8))
    return [ENDS[name] for name in names]


def counted_by_the_gate(ends: list[End]) -> Standing:
    rows = project([received(end, ce_id=str(number)) for number, end in enumerate(ends)], NUMBERS)
    proof: int = max(row["proof"] for row in rows.contacts)
    assert max(row["end_rank"] for row in rows.permit_ends) == 1 + proof, "its permit ends as its contact counts"
    return STANDINGS_RISING[proof]


def counted_by_the_scheduler(ends: list[End]) -> Standing:
    attempt = DESK.attempt(SUBMISSION.attempt_id)
    for end in ends:
        attempt = after_report(attempt, end, PLAYBOOK.waits)
    states: dict[str, Standing] = {standing: standing for standing in STANDINGS_RISING if standing in TAKEN}
    return states.get(attempt.state, "not_made")


def counted_by_the_notifier(ends: list[End]) -> Standing:
    state: PermitState = "permitted"
    standing: Standing = "not_made"
    for end in ends:
        said = standing_of(end)
        proved: EndState = "not_made" if said == "shadowed" else said
        if rises(state, proved):
            state, standing = proved, said
    return standing


@given(told())
def test_any_order_and_number_of_ends_counts_the_same_in_gate_notifier_and_scheduler(ends: list[End]) -> None:
    expected: Standing = reduce(surer, map(standing_of, ends))
    assert counted_by_the_gate(ends) == expected
    assert counted_by_the_scheduler(ends) == expected
    assert counted_by_the_notifier(ends) == expected


def test_a_contact_that_was_made_is_surer_than_an_unknown_one_and_that_than_one_that_was_not_made() -> None:
    assert sorted(STANDING_RANK, key=STANDING_RANK.__getitem__) == ["not_made", "shadowed", "unknown", "made"]
    assert STANDING_RANK["not_made"] == 0, "only it frees its slots"


@given(st.lists(RESULTS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_order_and_number_of_receipts_is_the_same_result_in_gate_and_notifier(
    results: list[ContactResult], random: Any
) -> None:
    shuffled = results * 2
    random.shuffle(shuffled)
    rows = project([received(progressed(result), ce_id=str(n)) for n, result in enumerate(shuffled)], NUMBERS)
    by_the_gate = max(rows.contacts, key=lambda row: row["result_rank"])["result"]
    assert by_the_gate == standing_result(shuffled) == reduce(further, results)


def progressed(result: ContactResult) -> ContactProgressedV1:
    return ContactProgressedV1(
        borrower_id=SUBMISSION.borrower_id,
        attempt_id=SUBMISSION.attempt_id,
        channel=SUBMISSION.channel,
        contact_point_id=SUBMISSION.contact_point_id,
        loans=(),
        result=result,
        occurred_at=NOON,
        made_at=NOON,
    )


def test_every_result_has_its_own_rank() -> None:
    assert sorted(RESULT_RANK) == sorted(get_args(ContactResult))
    assert len(set(RESULT_RANK.values())) == len(RESULT_RANK)
    assert all(RESULT_RANK[result] > RESULT_RANK["sent"] for result in RESULT_OF.values())


def test_of_two_results_of_a_call_the_one_that_stands_is_a_contact_if_either_is() -> None:
    calls = [result for result in RESULT_RANK if result not in ("sent", "delivered", "replied", "wrong_person")]
    measures: tuple[Measure, ...] = ("connected", "contact", "conversation")
    for measure in measures:
        counted = MEASURED_RESULTS[measure]
        assert counted is not None
        for one, other in product(calls, repeat=2):
            assert (further(one, other) in counted) == (one in counted or other in counted), (measure, one, other)
