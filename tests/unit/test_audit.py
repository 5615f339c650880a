from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from decorum_simulation.audit.cli import commands
from decorum_simulation.audit.records import UnreadableRun
from decorum_simulation.audit.run import audit
from decorum_simulation.audit.violations import KINDS
from tests.unit.audit_cases import AMERICAN, CHINESE, SORTED_BY, Case, at, good_case, later

Spoil = Callable[[Case], object]


def _move(case: Case, when: str, *, index: int = 0) -> None:
    """Make the contact number `index` at another instant, permit and all."""
    request = [row for row in case.carrier if row["kind"] == "request"][index]
    decision = next(d for d in case.decisions if d["attempt_id"] == request["attempt_id"])
    decision |= {"at": when, "permit_expires_at": later(when, minutes=30)}
    for row in case.carrier:
        if row["attempt_id"] == request["attempt_id"]:
            row["at"] = when if row["kind"] != "delivered" else later(when, minutes=1)
    request["not_after"] = later(when, minutes=30)


def _repeat(case: Case, count: int, *, hours: int, start: str = "2026-09-22 09:00", **options: object) -> None:
    for number in range(count):
        case.contact(later(at(start), hours=hours * number), text="¥400.00", **options)  # type: ignore[arg-type]


def _stop_by_text(case: Case) -> None:
    case.inbound[0]["text"] = "退订"


def _stop_in_other_words(case: Case) -> None:
    case.inbound[0]["text"] = "别再打了"


def _stop_by_key(case: Case) -> None:
    case.inbound.append(
        {
            "at": at("2026-09-17 09:00"),
            "id": "i2",
            "kind": "keypress",
            "from": AMERICAN,
            "text": "9",
            "known_at": at("2026-09-17 09:00"),
        }
    )


def _confirm(case: Case, when: str = "2026-09-22 10:00", *, text: str = "您已退订，不会再发送短信。") -> None:
    case.contact(at(when), purpose="opt_out_confirmation", text=text)


def _house_rule(case: Case) -> None:
    """A third borrower has the first one's number and asks the lender not to use it."""
    case.borrowers.append({**case.borrowers[0], "borrower_id": "B3", "loans": []})
    points = [{"contact_point_id": "cp-B3", "kind": "mobile", "value": CHINESE}]
    case.event("borrower-updated", at("2026-09-15 00:00"), borrower_id="B3", contact_points=points)
    _wish(case, borrower_id="B3", contact_point_id="cp-B3")


def _stop_heard_for_one(case: Case) -> None:
    _house_rule(case)
    case.inbound[0] |= {"text": "退订", "at": at("2026-09-22 09:30"), "known_at": at("2026-09-22 09:30")}
    _hear(case, "stop", "B1")


def _promise_of_two(case: Case) -> None:
    _hear(case, "promise", "B1", "B3")


def _hear(case: Case, intent: str, *borrower_ids: str) -> None:
    for borrower_id in borrower_ids:
        case.event("reply-received", at("2026-09-22 09:30"), borrower_id=borrower_id, reply_id="i1", intent=intent)


def _seven_calls_to_one_number(case: Case) -> None:
    when = at("2026-09-22 09:00")
    points = [{"contact_point_id": "cp-1", "value": CHINESE}]
    case.event("borrower-updated", at("2026-09-15 00:00"), borrower_id="B2", contact_points=points)
    for number in range(6):
        case.event(
            "external-contact-made", when, borrower_id="B2", contact_id=f"x{number}", channel="voice",
            direction="outbound", result="busy", made_at=when, loans=[], contact_point_id="cp-1",
        )  # fmt: skip
    case.contact(at("2026-09-22 10:00"), channel="voice", result="no_answer", text="¥400.00")


def _revoke_at_once(case: Case) -> None:
    decision = case.decisions[0]
    case.decisions.append({**decision, "verdict": "revoked", "decision_id": "r1", "borrower_sequence": 99})


def _end_as_not_made(case: Case) -> None:
    _end(case).update(type="x.contact-not-made.v1")


def _confirm_twice(case: Case) -> None:
    case.inbound[0] |= {"text": "退订", "at": at("2026-09-22 09:30"), "known_at": at("2026-09-22 09:30")}
    _confirm(case)
    _confirm(case, "2026-09-24 10:00")


def _confirm_and_demand(case: Case) -> None:
    case.inbound[0] |= {"text": "退订", "at": at("2026-09-22 09:30"), "known_at": at("2026-09-22 09:30")}
    _confirm(case, text="您已退订，但您仍欠¥400.00。")


def _wish(case: Case, **changes: object) -> None:
    consent = {"borrower_id": "B1", "consent_id": "c1", "kind": "opt_out", "in_force": True, "channel": "sms"}
    when = at("2026-09-18 09:00")
    case.event("consent-changed", when, **{**consent, "effective_from": when, **changes})


def _restrict(case: Case, **changes: object) -> None:
    when = at("2026-09-18 09:00")
    restriction = {
        "borrower_id": "B1",
        "restriction_id": "r1",
        "kind": "attorney",
        "active": True,
        "effective_from": when,
    }
    case.event("restriction-changed", when, **{**restriction, **changes})


def _revoke(case: Case) -> None:
    decision = case.decisions[0]
    revoked_at = later(decision["at"], minutes=5)
    case.decisions.append(
        {**decision, "verdict": "revoked", "at": revoked_at, "decision_id": "r1", "borrower_sequence": 99}
    )
    case.request["at"] = later(decision["at"], minutes=10)


def _agency_talked(case: Case) -> None:
    when = at("2026-09-16 22:00")
    contact = {"borrower_id": "B2", "contact_id": "x1", "channel": "voice", "direction": "outbound"}
    case.event("external-contact-made", when, **contact, result="conversation", made_at=when, loans=["B2-L1"])


def _eight_calls(case: Case) -> None:
    case.event(
        "consent-changed", at("2026-09-15 00:00"), borrower_id="B2", consent_id="c", kind="channel", in_force=True,
        effective_from=at("2026-09-15 00:00"), channel="voice",
    )  # fmt: skip
    for day in range(7):
        when = at(f"2026-09-{11 + day} 22:30")
        case.event(
            "external-contact-made", when, borrower_id="B2", contact_id=f"x{day}", channel="voice",
            direction="outbound", result="no_answer", made_at=when, loans=["B2-L1"],
        )  # fmt: skip
    _move(case, at("2026-09-17 23:00"), index=1)


def _double_reply(case: Case) -> None:
    for when in ("2026-09-22 10:00", "2026-09-23 10:00"):
        case.contact(at(when), purpose="reply", reply_to="i1", text="好的")


def _closed(case: Case) -> None:
    case.owe(at("2026-09-18 12:00"), "B1-L1", 0)


def _reversed(case: Case) -> None:
    case.event("payment-reversed", at("2026-09-19 10:00"), payment_id="p1")


def _submit_only(case: Case) -> None:
    submission = {"attempt_id": "a77", "submission_number": 2, "purpose": "demand", "submitted_at": "x"}
    case.event("attempt-submitted", at("2026-09-18 10:00"), **submission)


def _book_again(case: Case) -> None:
    case.postings.extend([{**row, "transaction_id": "t2"} for row in case.postings])


def _book_half(case: Case) -> None:
    for row in case.postings:
        row["amount_minor"] //= 2


def _mix_up(case: Case, name: str) -> None:
    """The first line twice, with a later id before an earlier one."""
    rows, last = getattr(case, name), SORTED_BY[name][-1]
    rows[:] = [{**rows[0], last: "z"}, rows[0]]
    case.left_as_they_are.add(name)


def _end(case: Case) -> dict[str, Any]:
    return next(event for event in case.events if event["type"] == "x.contact-made.v1")


SPOILED: list[tuple[str, Spoil]] = [
    ("outside_hours", lambda case: _move(case, at("2026-09-16 08:30"))),
    ("outside_hours", lambda case: _move(case, at("2026-09-16 20:00"))),
    ("outside_hours", lambda case: _move(case, at("2026-09-19 09:30"))),
    ("outside_hours", lambda case: _move(case, at("2026-09-17 20:30"), index=1)),
    ("outside_pack_hours", lambda case: _move(case, at("2026-09-16 22:00"))),
    ("outside_pack_hours", lambda case: _move(case, at("2026-09-18 09:30"), index=1)),
    ("public_holiday", lambda case: _move(case, at("2026-10-04 12:00"))),
    ("public_holiday", lambda case: _move(case, at("2026-10-12 23:00"), index=1)),
    ("no_calendar", lambda case: _move(case, at("2027-01-04 10:00"))),
    ("unknown_zone", lambda case: case.borrowers[0].update(zones=["Europe/Paris"])),
    ("cap_sms_day", lambda case: _repeat(case, 2, hours=3)),
    ("cap_sms_week", lambda case: _repeat(case, 3, hours=24)),
    ("cap_calls_day", lambda case: _repeat(case, 3, hours=2, channel="voice", result="no_answer")),
    ("cap_calls_week", lambda case: _repeat(case, 8, hours=12, channel="voice", result="no_answer")),
    ("cap_all_week", lambda case: _repeat(case, 5, hours=24, channel="voice", result="no_answer")),
    ("cap_number_day", _seven_calls_to_one_number),
    ("extra_reply", _double_reply),
    ("seven_in_seven", _eight_calls),
    ("call_after_conversation", _agency_talked),
    ("inconvenient_time", lambda case: _wish(case, kind="inconvenient", channel=None, start="18:00", end="21:00")),
    ("no_permit", lambda case: case.decisions.pop(0)),
    ("no_permit", lambda case: case.decisions[0].update(verdict="denied")),
    ("permit_expired", lambda case: case.decisions[0].update(permit_expires_at=case.request["at"])),
    ("permit_revoked", _revoke),
    ("permit_revoked", _revoke_at_once),
    ("sent_but_not_made", _end_as_not_made),
    ("not_after_beyond_permit", lambda case: case.request.update(not_after=later(case.request["at"], hours=2))),
    ("wrong_number", lambda case: case.request.update(to="+8613800000009")),
    ("requested_twice", lambda case: case.carrier.append({**case.request})),
    ("after_opt_out", _stop_by_text),
    ("after_opt_out", _stop_in_other_words),
    ("extra_confirmation", _confirm),
    ("extra_confirmation", _confirm_twice),
    ("confirmation_says_more", _confirm_and_demand),
    ("after_opt_out", _stop_by_key),
    ("after_opt_out", _wish),
    ("after_opt_out", lambda case: _wish(case, contact_point_id="cp-B1")),
    ("after_opt_out", _house_rule),
    ("stop_not_for_all", _stop_heard_for_one),
    ("promise_of_several", _promise_of_two),
    ("after_restriction", _restrict),
    ("after_restriction", lambda case: _restrict(case, loans=["B1-L1"], kind="dispute")),
    ("after_full_payment", _closed),
    ("nothing_overdue", lambda case: case.owe(at("2026-09-18 12:00"), "B1-L1", 0, outstanding_minor=400_000)),
    ("wrong_amount", lambda case: case.request.update(text="您有¥999.00已逾期")),
    ("wrong_amount", lambda case: case.owe(at("2026-09-18 12:00"), "B1-L1", 30_000, outstanding_minor=430_000)),
    ("unbalanced_transaction", lambda case: case.postings[1].update(amount_minor=-59_999)),
    ("payment_not_booked", lambda case: case.postings.clear()),
    ("payment_booked_twice", _book_again),
    ("payment_booked_twice", _reversed),
    ("payment_booked_wrongly", _book_half),
    ("unknown_cash", lambda case: case.payments.clear()),
    ("payment_not_acknowledged", lambda case: case.payments[0].update(known_at=None)),
    ("decision_incomplete", lambda case: case.decisions[0].update(rules=[])),
    ("decision_incomplete", lambda case: case.decisions[0].update(sentence_zh="")),
    ("decision_incomplete", lambda case: case.decisions[0].update(policy_hash=None)),
    ("decision_missing", _submit_only),
    ("decision_twice", lambda case: case.decisions.append({**case.decisions[0], "decision_id": "d77"})),
    ("permit_without_end", lambda case: case.events.remove(_end(case))),
    ("permit_ended_twice", lambda case: case.event("contact-not-made", at("2026-09-16 10:00"), **_end(case)["data"])),
    ("out_of_order", lambda case: _mix_up(case, "carrier")),
]  # fmt: skip


def test_a_run_in_which_all_is_well_has_no_violation(tmp_path: Path) -> None:
    result = audit(good_case().write(tmp_path))

    assert result.violations == ()
    assert result.checked["hours"] == 4
    assert result.checked["payments"] == 1


@pytest.mark.parametrize(("kind", "spoil"), SPOILED, ids=[f"{i}-{kind}" for i, (kind, _) in enumerate(SPOILED)])
def test_each_kind_of_violation_is_found(kind: str, spoil: Spoil, tmp_path: Path) -> None:
    case = good_case()
    spoil(case)

    result = audit(case.write(tmp_path))

    assert kind in result.by_kind, result.violations
    assert all(violation.sentence.endswith(".") for violation in result.violations)


@pytest.mark.parametrize("name", SORTED_BY)
def test_a_file_that_is_not_sorted_is_named_with_its_first_misplaced_line(name: str, tmp_path: Path) -> None:
    case = good_case()
    _mix_up(case, name)

    found = [v for v in audit(case.write(tmp_path)).violations if v.kind == "out_of_order"]

    assert [v.ids for v in found] == [{"file": f"{name}.jsonl", "line": "2"}]
    assert f"sorted by {' and '.join(SORTED_BY[name])}, but 1 line belongs before the one above" in found[0].sentence


def test_every_kind_is_tried() -> None:
    assert {kind for kind, _ in SPOILED} == set(KINDS)


def test_an_opt_out_may_be_confirmed_once_and_a_confirmation_that_was_refused_is_none(tmp_path: Path) -> None:
    case = good_case()
    case.inbound[0] |= {"text": "退订", "at": at("2026-09-22 09:30"), "known_at": at("2026-09-22 09:30")}
    _confirm(case)
    for row in case.carrier[-3:]:
        if row["kind"] != "request":
            row["kind"] = "rejected"
    _confirm(case, "2026-09-22 10:30")
    _hear(case, "stop", "B1")

    result = audit(case.write(tmp_path))
    assert result.violations == ()
    assert result.checked["confirmations"] == 2


def test_what_the_carrier_refused_does_not_count(tmp_path: Path) -> None:
    case = good_case()
    _repeat(case, 2, hours=3, start="2026-09-28 09:00")
    for row in case.carrier[-3:]:
        if row["kind"] != "request":
            row["kind"] = "rejected"

    assert audit(case.write(tmp_path)).violations == ()


def test_a_withdrawn_wish_and_a_settled_dispute_no_longer_bind(tmp_path: Path) -> None:
    case = good_case()
    _wish(case)
    _restrict(case, kind="dispute")
    when = at("2026-09-19 09:00")
    case.event(
        "consent-changed",
        when,
        borrower_id="B1",
        consent_id="c1",
        kind="opt_out",
        in_force=False,
        channel="sms",
        effective_from=when,
    )
    case.event(
        "restriction-changed",
        when,
        borrower_id="B1",
        restriction_id="r1",
        kind="dispute",
        active=False,
        effective_from=when,
    )

    assert audit(case.write(tmp_path)).violations == ()


def test_a_reversed_payment_must_be_taken_out_of_the_books(tmp_path: Path) -> None:
    case = good_case()
    _reversed(case)
    case.postings.extend(
        [{**row, "transaction_id": "t9", "amount_minor": -row["amount_minor"]} for row in case.postings]
    )

    assert audit(case.write(tmp_path)).violations == ()


def test_a_file_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    case = good_case()
    case.write(tmp_path)
    (tmp_path / "payments.jsonl").write_text('{"at": 1}')

    with pytest.raises(UnreadableRun, match=r"payments\.jsonl:1: "):
        audit(tmp_path)


def test_the_command_exits_with_one_when_something_is_wrong_and_two_when_nothing_can_be_read(tmp_path: Path) -> None:
    runner = CliRunner()
    case = good_case()
    assert runner.invoke(commands, [str(case.write(tmp_path))]).exit_code == 0

    case.request["text"] = "您有¥1.00"
    spoiled = runner.invoke(commands, [str(case.write(tmp_path)), "--json"])
    assert spoiled.exit_code == 1
    assert json.loads(spoiled.stdout.splitlines()[0])["kind"] == "wrong_amount"

    assert runner.invoke(commands, [str(tmp_path / "none")]).exit_code == 2


def test_the_number_of_the_other_borrower_is_not_ours(tmp_path: Path) -> None:
    case = good_case()
    case.inbound[0] |= {"text": "stop", "from": "+8613800000008"}

    assert CHINESE not in {row["from"] for row in case.inbound}
    assert audit(case.write(tmp_path)).violations == ()
