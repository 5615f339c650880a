"""The rows that facts become, with what is common to several kinds of event."""

from __future__ import annotations

from typing import Any, Final

from compliance_gate.ports import FactRow
from shared.contracts import STANDING_RANK, STANDINGS_RISING, Standing
from shared.kafka.records import Received

BY_OTHERS: Final = len(STANDINGS_RISING)
"""How sure it is that a contact was made is its standing's rank; this is above all of them: it was never ours."""
OPEN: Final = 0
"""A permit without an end. With one it has the rank of its end, one higher; it only rises."""


def end_rank(standing: Standing) -> int:
    """The rank of a permit's end, as `permit.end_rank` has it."""
    return 1 + STANDING_RANK[standing]


def contact_values(borrower_id: str, contact_id: str, **changed: Any) -> dict[str, Any]:
    """A row of `contact` with what is told of it; what isn't told has the column's default, and yields to what is."""
    return {"borrower_id": borrower_id, "contact_id": contact_id, **changed}


def last_writer_row(record: Received[Any], fact_id: str, values: dict[str, Any]) -> FactRow:
    """What `record` says of the fact `fact_id` of its borrower; the latest record wins."""
    return FactRow(key=(record.borrower_id, fact_id), order_key=record.order_key, values=values)


def consent_values(**given: Any) -> dict[str, Any]:
    """The values of a row of `consent`, in force unless it says otherwise."""
    empty: dict[str, Any] = {
        "in_force": True,
        "until": None,
        "channel": None,
        "contact_point_id": None,
        "loans": [],
        "days": [],
    }
    return {**empty, "start_minute": None, "end_minute": None, "place": None, **given}
