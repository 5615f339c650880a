"""The rows that facts become, with what is common to several kinds of event."""

from __future__ import annotations

from typing import Any, Final

from compliance_gate.ports import FactRow
from shared.contracts import ContactResult
from shared.kafka.records import Received

UNKNOWN, MADE, BY_OTHERS = 1, 2, 3
"""How sure it is that a contact was made; 0 is a slot at most."""
OPEN, ENDED_UNUSED, ENDED_UNKNOWN, ENDED_MADE = 0, 1, 2, 3
"""A permit's end; it only rises."""

RESULTS_RISING: Final[tuple[ContactResult, ...]] = (
    "sent",
    "failed",
    "not_in_service",
    "busy",
    "no_answer",
    "delivered",
    "dropped",
    "voicemail",
    "replied",
    "conversation",
    "wrong_person",
)
"""Of two results of one contact the later one here holds: the one that more rules count."""
RESULT_RANK: Final = {result: rank for rank, result in enumerate(RESULTS_RISING, start=1)}


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
