"""What a borrower's reply says to the gate: stop, wrong person, dispute, distress. Each is an inbound contact too."""

from __future__ import annotations

from compliance_gate.handlers.fact_rows import BY_OTHERS, consent_values, contact_values, last_writer_row
from compliance_gate.ports import FactRows, Numbers
from shared.contracts import RESULT_RANK, ContactResult, ReplyReceivedV1
from shared.kafka.records import Received


def reply_received(rows: FactRows, record: Received[ReplyReceivedV1], _: Numbers) -> None:
    """An inbound contact in the history, and what the borrower asked for with it."""
    message = record.message
    result: ContactResult = "replied" if message.channel != "voice" else "conversation"
    if message.intent == "wrong_person":
        result = "wrong_person"
    values = contact_values(
        record.borrower_id,
        message.reply_id,
        at=message.received_at,
        channel=message.channel,
        direction="inbound",
        party="borrower",
        purpose="reply",
        loans=list(message.loans),
        contact_point_id=message.contact_point_id,
        proof=BY_OTHERS,
        result=result,
        result_rank=RESULT_RANK[result],
    )
    rows.contacts.append(values)
    match message.intent:
        case "stop":
            _stop_said(rows, record)
        case "wrong_person":
            _wrong_person_said(rows, record)
        case "dispute" | "distress":
            _trouble_said(rows, record)
        case "promise" | "paid_already" | "right_person" | "call_back" | "other":
            pass


def _stop_said(rows: FactRows, record: Received[ReplyReceivedV1]) -> None:
    """The whole channel for this borrower; the number on that channel for everybody who has it."""
    message = record.message
    opt_out = consent_values(kind="opt_out", since=message.received_at, channel=message.channel)
    rows.consents.append(last_writer_row(record, f"reply:{message.reply_id}", opt_out))
    if message.contact_point_id is not None:
        on_number = {**opt_out, "contact_point_id": message.contact_point_id}
        rows.consents.append(last_writer_row(record, f"reply-number:{message.reply_id}", on_number))


def _wrong_person_said(rows: FactRows, record: Received[ReplyReceivedV1]) -> None:
    """That number is not used for this borrower again; others who have it may be met there."""
    message = record.message
    for channel in ("sms", "voice"):
        values = consent_values(
            kind="wrong_number",
            since=message.received_at,
            channel=channel,
            contact_point_id=message.contact_point_id,
        )
        rows.consents.append(last_writer_row(record, f"reply-{channel}:{message.reply_id}", values))


def _trouble_said(rows: FactRows, record: Received[ReplyReceivedV1]) -> None:
    message = record.message
    values = {
        "kind": "dispute" if message.intent == "dispute" else "vulnerable",
        "active": True,
        "since": message.received_at,
        "until": None,
        "loans": list(message.loans) if message.intent == "dispute" else [],
    }
    rows.restrictions.append(last_writer_row(record, f"reply:{message.reply_id}", values))
