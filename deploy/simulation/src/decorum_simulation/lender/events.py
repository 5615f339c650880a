"""What the lender publishes: a message with its deterministic id, its source and its business instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.contracts import Message
from shared.ids import derive
from shared.kafka.records import Outgoing, WireMessage, encode

PAYMENTS: Final = "lender/payments"
SERVICING: Final = "lender/servicing"
"""Sorts after `PAYMENTS`: of two events at one instant, the snapshot is the later and already holds the payment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LenderEvent:
    """One event. `business_at` may lie before the instant of publishing (a value date, a delayed message)."""

    message: Message
    event_id: str
    source: str
    business_at: datetime

    def wire(self) -> WireMessage:
        """The event as bytes for Kafka."""
        outgoing = Outgoing(message=self.message, ce_id=self.event_id, ce_time=self.business_at)
        return encode(outgoing, source=self.source)


def servicing(message: Message, at: datetime, *key: str | int) -> LenderEvent:
    """An event of the core: its id stands for its type, `key` and instant."""
    event_id = derive(type(message).__name__, message.borrower_id, *key, at.isoformat())
    return LenderEvent(message=message, event_id=event_id, source=SERVICING, business_at=at)


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
