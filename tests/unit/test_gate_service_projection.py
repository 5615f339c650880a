from datetime import timedelta

import pytest

from compliance_gate.adapters.merging import in_rounds, latest
from compliance_gate.handlers.held import Sequences
from compliance_gate.handlers.projection import FACT_TYPES, profile_of, project
from compliance_gate.handlers.revocations import EVERYTHING, Trigger, revoke
from compliance_gate.handlers.submissions import Situation, attempt_of, usable_point
from compliance_gate.ports import FactRow, HeldReview, OpenPermit, PriorPermit
from shared.contracts import (
    AttemptSubmittedV1,
    Channel,
    ContactMadeV1,
    ContactPoint,
    PermitRevokedV1,
    ReplyReceivedV1,
    RevocationScope,
)
from shared.contracts.attempts import Approval
from shared.contracts.registry import CONTRACTS
from tests.gate_service_world import NOW, NUMBERS, attempt, borrower, received

SHANGHAI, NEW_YORK = "+8613800138000", "+12125550101"


def point(point_id: str, value: str, **changed: object) -> ContactPoint:
    told: dict[str, object] = {"kind": "mobile", **changed}
    return ContactPoint(contact_point_id=point_id, value=value, **told)  # type: ignore[arg-type]


def test_the_registry_names_the_gate_as_reader_of_exactly_what_it_handles() -> None:
    told = {contract.message_type for contract in CONTRACTS if "compliance-gate" in contract.readers}
    assert told == {*FACT_TYPES, AttemptSubmittedV1}


def test_zones_are_those_told_and_those_that_the_borrowers_own_active_numbers_show() -> None:
    points = (
        point("P1", SHANGHAI),
        point("P2", NEW_YORK),
        point("P3", "+13605550101", active=False),
        point("P4", "+13125550101", holder="third_party"),
        point("P5", "a@example.org", kind="email"),
    )
    profile = profile_of(borrower(zones=("Asia/Urumqi",), contact_points=points), NUMBERS)
    assert profile.zones == ("America/New_York", "Asia/Shanghai", "Asia/Urumqi")


def test_no_number_and_no_name_is_kept() -> None:
    rows = project([received(borrower(numbers=(SHANGHAI, NEW_YORK)))], NUMBERS)
    assert not any(text in repr(rows) for text in (SHANGHAI[1:], NEW_YORK[1:], "13800138000", "Wang"))


def test_the_same_number_has_the_same_key_and_another_key_with_another_secret() -> None:
    assert NUMBERS.key(SHANGHAI) == NUMBERS.key(f" {SHANGHAI} ")
    assert NUMBERS.key(SHANGHAI) != NUMBERS.key(NEW_YORK)
    assert NUMBERS.key(SHANGHAI) != type(NUMBERS)(b"another secret of the lender").key(SHANGHAI)


def test_a_stop_refuses_the_channel_for_the_borrower_and_the_number_for_all() -> None:
    stop = ReplyReceivedV1(
        borrower_id="B", reply_id="R", channel="sms", received_at=NOW, intent="stop", contact_point_id="P1"
    )
    consents = project([received(stop)], NUMBERS).consents
    told = [(fact.values["kind"], fact.values["channel"], fact.values["contact_point_id"]) for fact in consents]
    assert told == [("opt_out", "sms", None), ("opt_out", "sms", "P1")]


@pytest.mark.parametrize("channel", ["sms", "voice"])
def test_a_wrong_person_ends_the_number_on_both_channels_for_this_borrower_alone(channel: Channel) -> None:
    wrong = ReplyReceivedV1(
        borrower_id="B", reply_id="R", channel=channel, received_at=NOW, intent="wrong_person", contact_point_id="P1"
    )
    consents = project([received(wrong)], NUMBERS).consents
    assert [(fact.values["kind"], fact.values["channel"]) for fact in consents] == [
        ("wrong_number", "sms"),
        ("wrong_number", "voice"),
    ]


def test_the_person_who_was_called_says_so_and_nothing_is_refused_or_allowed_by_it() -> None:
    said = ReplyReceivedV1(
        borrower_id="B", reply_id="R", channel="voice", received_at=NOW, intent="right_person", contact_point_id="P1"
    )
    rows = project([received(said)], NUMBERS)
    assert (rows.consents, rows.restrictions) == ([], [])
    assert [(row["direction"], row["result"]) for row in rows.contacts] == [("inbound", "conversation")]


def test_an_attempt_at_a_third_persons_number_is_contact_with_a_third_person() -> None:
    profile = profile_of(borrower("B", contact_points=(point("B-P1", SHANGHAI, holder="third_party"),)), NUMBERS)
    message = attempt("B")
    told = attempt_of(message, situation(point=usable_point(message, profile)))
    assert told.party == "third_party"


def test_an_attempt_without_a_usable_contact_point_has_no_number() -> None:
    for points in ((), (point("B-P1", SHANGHAI, active=False),), (point("B-P1", "a@example.org", kind="email"),)):
        message = attempt("B")
        profile = profile_of(borrower("B", contact_points=points), NUMBERS)
        assert attempt_of(message, situation(point=usable_point(message, profile))).number_key is None


def test_an_approval_counts_only_for_its_own_attempt() -> None:
    message = attempt("B", approval=Approval(decision_id="D", approved_by="li", reason="why"))
    for attempt_id, approved in (("B-A1", True), ("B-A2", False)):
        review = HeldReview(
            decision_id="D", attempt_id=attempt_id, reviewed_by="wu", reason="why", rule_ids=("courteous.vulnerable",)
        )
        told = attempt_of(message, situation(review=review)).approval
        assert (told is not None) == approved
        assert told is None or (told.approved_by, told.rule_ids) == ("wu", ("courteous.vulnerable",))


@pytest.mark.parametrize(
    ("end_rank", "reason", "state"),
    [(0, None, "open"), (1, "permit_expired", None), (1, "rejected", "used"), (2, None, "used"), (3, None, "used")],
)
def test_an_attempt_is_used_once_it_may_have_been_sent(end_rank: int, reason: str | None, state: str | None) -> None:
    prior = PriorPermit(end_rank=end_rank, end_reason=reason, expires_at=NOW)
    earlier = attempt_of(attempt("B"), situation(prior=prior)).earlier
    assert (earlier.state if earlier else None) == state


def situation(**changed: object) -> Situation:
    told: dict[str, object] = {"point": None, "provider": None, "review": None, "prior": None, "contact": None}
    return Situation(**{**told, **changed})  # type: ignore[arg-type]


def permit(attempt_id: str, **changed: object) -> OpenPermit:
    told: dict[str, object] = {
        "borrower_id": "B",
        "attempt_id": attempt_id,
        "submission_number": 1,
        "decision_id": f"D-{attempt_id}",
        "borrower_sequence": 1,
        "channel": "sms",
        "contact_point_id": "P1",
        "number_key": "k",
        "loans": ("L1",),
        "balance_versions": {"L1": 3},
        "strategy": "low",
        "provider": "sms-http",
        "expires_at": NOW,
        "cause": ("s", "i"),
        **changed,
    }
    return OpenPermit(**told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "below_version", "covered"),
    [
        (EVERYTHING, None, True),
        (RevocationScope(channel="sms"), None, True),
        (RevocationScope(channel="voice"), None, False),
        (RevocationScope(loans=("L1", "L9")), None, True),
        (RevocationScope(loans=("L9",)), None, False),
        (RevocationScope(contact_point_id="P1", channel="sms"), None, True),
        (RevocationScope(contact_point_id="P2", channel="sms"), None, False),
        (RevocationScope(strategy="high"), None, False),
        (RevocationScope(loans=("L1",)), 4, True),
        (RevocationScope(loans=("L1",)), 3, False),
    ],
)
def test_a_scope_covers_a_permit_that_matches_every_field_that_is_set(
    scope: RevocationScope, below_version: int | None, covered: bool
) -> None:
    cause = received(made("B", "A1"))
    trigger = Trigger(borrower_id="B", reason="payment", scope=scope, cause=cause, below_version=below_version)
    assert trigger.covers(permit("A1")) == covered


def test_a_permit_is_ended_once_and_each_revocation_takes_the_next_number() -> None:
    cause = received(made("B", "A1"))
    triggers = [
        Trigger(borrower_id="B", reason="opt_out", scope=RevocationScope(channel="sms"), cause=cause),
        Trigger(borrower_id="B", reason="closure", scope=EVERYTHING, cause=cause),
        Trigger(borrower_id="B", reason="payment", scope=EVERYTHING, cause=cause),
    ]
    permits = [permit("A1"), permit("A2", channel="voice"), permit("A3")]
    sequences = Sequences({"B": 7})
    revoked = [outgoing.message for outgoing, _ in revoke(triggers, permits, sequences, NOW)]
    assert all(isinstance(message, PermitRevokedV1) for message in revoked)
    told = [(m.reason, m.borrower_sequence, m.attempt_ids) for m in revoked if isinstance(m, PermitRevokedV1)]
    assert told == [("opt_out", 8, ("A1", "A3")), ("closure", 9, ("A2",))]
    assert sequences.changed == {"B": 9}


def made(borrower_id: str, attempt_id: str) -> ContactMadeV1:
    return ContactMadeV1(
        borrower_id=borrower_id,
        attempt_id=attempt_id,
        submission_number=1,
        decision_id="D",
        channel="sms",
        contact_point_id="P1",
        loans=("L1",),
        provider="sms-http",
        made_at=NOW,
    )


def test_the_latest_of_a_batch_wins_and_no_statement_touches_a_row_twice() -> None:
    rows = [
        FactRow(key=("B", "R"), order_key=(NOW + timedelta(seconds=second), "s", "i"), values={"n": second})
        for second in (1, 3, 2)
    ]
    assert [row.values["n"] for row in latest(rows)] == [3]
    doubled = [{"a": 1, "n": 1}, {"a": 2, "n": 2}, {"a": 1, "n": 3}]
    assert in_rounds(doubled, ("a",)) == [[doubled[0], doubled[1]], [doubled[2]]]
