from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from ledger.adapters.case_file import CaseFile
from ledger.commands.case_drawing import draw_case, local_instants, summary

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 9, 16, 4, tzinfo=UTC)
ATTEMPT, DECISION = "439a1046-9b78-5d3c-8f6b-0c5a6a1b2c3d", "db460a7f-741c-5f00-9d1e-2f3a4b5c6d7e"
LOAN = "LOAN-2026-0000-1111-2222-3333-4444-5555"


def _case() -> CaseFile:
    amounts = {f"{name}_{part}_minor": 0 for name in ("overdue", "outstanding", "next_due")
               for part in ("fees", "interest", "principal")}  # fmt: skip
    loan = {"loan_id": LOAN, "currency": "CNY", "oldest_unpaid_due_on": date(2026, 9, 15), "next_due_on": None}
    event: dict[str, Any] = {"at": NOON, "loan_id": None, "attempt_id": None, "flags": None}
    made = {"channel": "sms", "decision_id": DECISION}
    return CaseFile(
        borrower_id="B-1",
        zones=["Asia/Shanghai"],
        loans=[{**loan, **amounts, "balance_version": 2, "closed": False}],
        promises=[],
        events=[
            event | {"kind": "contact.contact-made.v1", "attempt_id": ATTEMPT, "detail": made},
            event | {"kind": "lender.loan-closed.v1", "loan_id": LOAN, "detail": {"reason": "paid"}},
        ],
    )


def _drawn(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(draw_case(_case(), SHANGHAI))
    return console.export_text().splitlines()


def test_ids_are_whole_in_a_usual_terminal_so_that_they_can_be_copied() -> None:
    drawn = _drawn(80)
    assert {ATTEMPT, DECISION} <= {word for line in drawn for word in line.split()}
    assert all(len(line) <= 80 for line in drawn)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_cut_at_any_width(width: int) -> None:
    drawn = _drawn(width)
    assert not [line for line in drawn if "…" in line]
    together = "".join("".join(drawn).split())
    if width == 200:
        assert LOAN in together


def test_every_column_of_the_balances_has_a_name_and_says_something() -> None:
    drawn = _drawn(200)
    heading = next(line for line in drawn if "outstanding" in line)
    assert heading.split()[-1] == "state"
    assert drawn[drawn.index(heading) + 1].split()[-1] == "open"


def test_times_are_in_the_zone_that_is_named_beside_them() -> None:
    drawn = _drawn(80)
    assert "Timeline (Asia/Shanghai)" in [line.strip() for line in drawn]
    assert "2026-09-16 12:00:00" in "\n".join(drawn)


def test_instants_inside_an_event_are_shown_in_the_zone_of_the_table() -> None:
    detail = {"made_at": "2026-09-16T02:00:24.617670Z", "provider": "sms-http", "as_of": "2026-09-16"}

    assert local_instants(detail, SHANGHAI) == detail | {"made_at": "2026-09-16 10:00:24"}


def test_one_day_past_due_is_a_day() -> None:
    overdue = {"outstanding": {"fees_minor": 1}, "overdue": {"fees_minor": 1}, "currency": "CNY", "days_past_due": 1}

    assert summary("loan-overdue", overdue) == "overdue CNY 0.01, 1 day past due, outstanding CNY 0.01"
    assert "2 days past due" in summary("loan-overdue", overdue | {"days_past_due": 2})


def test_a_stop_says_what_is_stopped_by_whom_and_why() -> None:
    stop = {"stop_id": "S-1", "kind": "channel", "value": "voice", "reason": "the menu is wrong"}

    assert summary("stop-ordered", stop | {"ordered_by": "op-1"}) == "channel voice, by op-1: the menu is wrong"
    assert (
        summary("stop-lifted", stop | {"lifted_by": "op-2", "kind": "all"})
        == "every contact, by op-2: the menu is wrong"
    )


def test_what_shadow_mode_would_have_sent_is_told_apart_from_every_contact_and_claims_none() -> None:
    ended = {"submission_number": 1, "channel": "sms", "contact_point_id": "CP-1", "provider": "sms-http"}

    assert (
        summary("contact-not-made", ended | {"reason": "shadow"})
        == "shadow mode: live it would have been sent by sms to CP-1; nothing was"
    )
    assert "reason revoked" in summary("contact-not-made", ended | {"reason": "revoked"})
