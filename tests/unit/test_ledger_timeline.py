"""What the case timeline keeps of what people do by hand, and in which order it tells what happened at one instant."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.timeline import CAUSAL_ORDER, detail, masked
from shared.contracts import StopLiftedV1, StopOrderedV1
from shared.contracts.examples import AT
from shared.contracts.registry import CONTRACTS


def test_a_stop_is_told_with_who_and_why() -> None:
    stop: dict[str, Any] = {"borrower_id": "B-1", "stop_id": "S-1", "kind": "borrower", "value": "B-1"}
    ordered = StopOrderedV1(**stop, reason="complaint 4711 of the regulator", ordered_by="op-1", ordered_at=AT)
    lifted = StopLiftedV1(**stop, reason="settled", lifted_by="op-2", lifted_at=AT)

    assert (detail(ordered)["reason"], detail(ordered)["ordered_by"]) == ("complaint 4711 of the regulator", "op-1")
    assert (detail(lifted)["reason"], detail(lifted)["lifted_by"]) == ("settled", "op-2")
    assert "borrower_id" not in detail(ordered)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("call +8613800138000", "call ***"),
        ("号码13800138000有误", "号码***有误"),
        ("now 138-0013-8000", "now ***"),
        ("ask (212) 456-0001 first", "ask (*** first"),
        ("身份证11010519491231002X", "身份证***"),
        ("write to zhang.san@example.com", "write to ***"),
        ("in hospital since 2026-09-12, told us on 2026-09-16 at 10:00", None),
        ("客户2026-09-12 10:00来电", None),
        ("case 4711: 120,000 CNY disputed", None),
        ("", None),
    ],
)
def test_numbers_and_addresses_in_a_typed_reason_are_masked_and_dates_stay(typed: str, kept: str | None) -> None:
    assert masked(typed) == (typed if kept is None else kept)


def test_everything_that_is_on_the_timeline_has_its_place_among_the_rest() -> None:
    told = {c.message_type for c in CONTRACTS if "ledger" in c.readers or c.sender == "ledger"}

    assert set(CAUSAL_ORDER) == told
    assert len(CAUSAL_ORDER) == len(told)
