from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from compliance_gate.adapters.held_attempts import HeldAttempt
from compliance_gate.commands.held import draw_held

DECISION = "db460a7f-741c-5f30-9e8d-9f37f5553352"
AT = datetime(2026, 9, 16, 2, tzinfo=UTC)
HELD = HeldAttempt(
    borrower_id="B-1",
    attempt_id="439a1046-9b78-5d56-945a-2d2dbc6eb31c",
    submission_number=1,
    decision_id=DECISION,
    held_at=AT,
    expires_at=AT + timedelta(hours=6),
    zone="America/New_York",
    channel="voice",
    deciding_rule="courteous.vulnerable",
    sentence_en="A person must look at this call [first].",
    sentence_zh="本次电话须先经人工审核。",
)


def test_the_id_that_an_answer_needs_is_whole_and_times_are_the_borrowers_with_their_zone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    draw_held([HELD])
    drawn = capsys.readouterr().out
    assert DECISION in drawn.split()
    together = " ".join(line[38:].strip() for line in drawn.splitlines())
    assert "held 2026-09-15 22:00:00, expires 2026-09-16 04:00:00 (America/New_York)" in together
    assert "this call [first]." in together
    draw_held([])
    assert capsys.readouterr().out == "no attempt waits for a person\n"
