"""What the lender publishes: a message with its deterministic id, its source and its business instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.contracts import LoanRegisteredV1, Message
from shared.ids import derive
from shared.kafka.records import Outgoing, WireMessage, encode

PAYMENTS: Final = "lender/payments"
REGISTER: Final = "lender/register"
SERVICING: Final = "lender/servicing"
"""The sources sort as what they say follows: of the events at one instant payments are the first, then comes the
statement, which already holds them, and then the snapshot of what of that is overdue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LenderEvent:
    """One event. `business_at` may lie before the instant of publishing (a value date, a delayed message)."""

    message: Message
    event_id: str
    source: str
    business_at: datetime

    @property
    def order_key(self) -> tuple[datetime, str, str]:
        """The order in which the platform takes events, whatever the order in which they arrive."""
        return (self.business_at, self.source, self.event_id)

    def wire(self) -> WireMessage:
        """The event as bytes for Kafka."""
        outgoing = Outgoing(message=self.message, ce_id=self.event_id, ce_time=self.business_at)
        return encode(outgoing, source=self.source)


def servicing(message: Message, at: datetime, *key: str | int) -> LenderEvent:
    """An event of the core: its id stands for its type, `key` and instant."""
    return _of_instant(SERVICING, message, at, *key)


def statement(message: LoanRegisteredV1, at: datetime) -> LenderEvent:
    """A loan's statement, with its next instalment."""
    return _of_instant(REGISTER, message, at, message.loan_id)


def _of_instant(source: str, message: Message, at: datetime, *key: str | int) -> LenderEvent:
    event_id = derive(type(message).__name__, message.borrower_id, *key, at.isoformat())
    return LenderEvent(message=message, event_id=event_id, source=source, business_at=at)


def payment(message: Message, at: datetime, payment_id: str) -> LenderEvent:
    """An event of the payment system: a payment or its reversal."""
    event_id = derive(type(message).__name__, message.borrower_id, payment_id)
    return LenderEvent(message=message, event_id=event_id, source=PAYMENTS, business_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanChange:
    """A line of `loans.jsonl`: what the lender itself knew from `at` on."""

    at: datetime
    borrower_id: str
    loan_id: str
    overdue_minor: int
    outstanding_minor: int
    currency: str
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMade:
    """A line of `payments.jsonl`, before Kafka has acknowledged it. `at` is the value time."""

    at: datetime
    payment_id: str
    borrower_id: str
    loan_id: str
    amount_minor: int
    currency: str
