"""Which message type travels on which topic under which CloudEvents type, who sends it and who reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from shared.contracts import attempts, decisions, ledger_entries, loan_events, operator_actions, outcomes, replies
from shared.contracts.types import Message

Participant = Literal["lender", "operator", "scheduler", "compliance-gate", "notifier", "ledger"]

LOAN_EVENTS: Final = "lender.loan-events.v1"
ATTEMPTS: Final = "contact.attempts.v1"
DECISIONS: Final = "contact.decisions.v1"
OUTCOMES: Final = "contact.outcomes.v1"
REPLIES: Final = "borrower.replies.v1"
LEDGER_ENTRIES: Final = "ledger.entries.v1"
OPERATOR_ACTIONS: Final = "operator.actions.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One message version: its topic, CloudEvents type, sender and readers."""

    message_type: type[Message]
    topic: str
    ce_type: str
    sender: Participant
    readers: frozenset[Participant]


def _kebab(name: str) -> tuple[str, str]:
    stem, version = re.fullmatch(r"(\w+?)V(\d+)", name).groups()  # type: ignore[union-attr]
    return re.sub(r"(?<!^)(?=[A-Z])", "-", stem).lower(), version


def _contract(message_type: type[Message], topic: str, sender: Participant, *readers: Participant) -> Contract:
    stem, version = _kebab(message_type.__name__)
    return Contract(
        message_type=message_type,
        topic=topic,
        ce_type=f"{topic.split('.')[0]}.{stem}.v{version}",
        sender=sender,
        readers=frozenset(readers),
    )


_GATE: Final[Participant] = "compliance-gate"
_ALL: Final[tuple[Participant, ...]] = ("scheduler", _GATE, "notifier", "ledger")

CONTRACTS: Final[tuple[Contract, ...]] = (
    _contract(loan_events.LoanRegisteredV1, LOAN_EVENTS, "lender", "ledger"),
    _contract(loan_events.LoanOverdueV1, LOAN_EVENTS, "lender", "ledger"),
    _contract(loan_events.LoanClosedV1, LOAN_EVENTS, "lender", "ledger", _GATE),
    _contract(loan_events.PaymentReceivedV1, LOAN_EVENTS, "lender", "ledger", _GATE),
    _contract(loan_events.PaymentReversedV1, LOAN_EVENTS, "lender", "ledger", _GATE),
    _contract(loan_events.BorrowerUpdatedV1, LOAN_EVENTS, "lender", *_ALL),
    _contract(loan_events.ConsentChangedV1, LOAN_EVENTS, "lender", "ledger", "scheduler", _GATE),
    _contract(loan_events.RestrictionChangedV1, LOAN_EVENTS, "lender", "ledger", "scheduler", _GATE),
    _contract(loan_events.ExternalContactMadeV1, LOAN_EVENTS, "lender", "ledger", _GATE),
    _contract(attempts.AttemptSubmittedV1, ATTEMPTS, "scheduler", _GATE, "ledger"),
    _contract(attempts.ReferralRecordedV1, ATTEMPTS, "scheduler", "ledger"),
    _contract(decisions.ContactAllowedV1, DECISIONS, _GATE, "notifier", "ledger"),
    _contract(decisions.ContactDeferredV1, DECISIONS, _GATE, "scheduler", "ledger"),
    _contract(decisions.ContactDeniedV1, DECISIONS, _GATE, "scheduler", "ledger"),
    _contract(decisions.ContactHeldV1, DECISIONS, _GATE, "scheduler", "ledger"),
    _contract(decisions.PermitRevokedV1, DECISIONS, _GATE, "notifier", "ledger"),
    _contract(outcomes.ContactMadeV1, OUTCOMES, "notifier", "scheduler", _GATE, "ledger"),
    _contract(outcomes.ContactNotMadeV1, OUTCOMES, "notifier", "scheduler", _GATE, "ledger"),
    _contract(outcomes.ContactUnknownV1, OUTCOMES, "notifier", "scheduler", _GATE, "ledger"),
    _contract(outcomes.ContactProgressedV1, OUTCOMES, "notifier", _GATE, "ledger"),
    _contract(replies.ReplyReceivedV1, REPLIES, "notifier", "scheduler", _GATE, "ledger"),
    _contract(ledger_entries.PaymentPostedV1, LEDGER_ENTRIES, "ledger", _GATE),
    _contract(ledger_entries.PaymentUnpostedV1, LEDGER_ENTRIES, "ledger", _GATE),
    _contract(ledger_entries.BalanceChangedV1, LEDGER_ENTRIES, "ledger", "scheduler", _GATE),
    _contract(ledger_entries.PromiseOpenedV1, LEDGER_ENTRIES, "ledger", "scheduler"),
    _contract(ledger_entries.PromiseKeptV1, LEDGER_ENTRIES, "ledger", "scheduler"),
    _contract(ledger_entries.PromisePartlyKeptV1, LEDGER_ENTRIES, "ledger", "scheduler"),
    _contract(ledger_entries.PromiseBrokenV1, LEDGER_ENTRIES, "ledger", "scheduler"),
    _contract(ledger_entries.PromiseVoidedV1, LEDGER_ENTRIES, "ledger", "scheduler"),
    _contract(operator_actions.StopOrderedV1, OPERATOR_ACTIONS, "operator", _GATE, "notifier", "ledger"),
    _contract(operator_actions.StopLiftedV1, OPERATOR_ACTIONS, "operator", _GATE, "notifier", "ledger"),
    _contract(operator_actions.HeldReviewedV1, OPERATOR_ACTIONS, "operator", "scheduler", _GATE, "ledger"),
    _contract(operator_actions.DeadLetterAccessedV1, OPERATOR_ACTIONS, "operator", "ledger"),
)

BY_CE_TYPE: Final[dict[str, Contract]] = {contract.ce_type: contract for contract in CONTRACTS}
BY_MESSAGE_TYPE: Final[dict[type[Message], Contract]] = {contract.message_type: contract for contract in CONTRACTS}
TOPICS: Final[tuple[str, ...]] = tuple(dict.fromkeys(contract.topic for contract in CONTRACTS))


def topics_read_by(service: str) -> frozenset[str]:
    """The topics on which something travels that `service` reads."""
    return frozenset(contract.topic for contract in CONTRACTS if service in contract.readers)


AGELESS: Final[frozenset[type[Message]]] = frozenset(
    {
        loan_events.PaymentReceivedV1,
        loan_events.PaymentReversedV1,
        loan_events.RestrictionChangedV1,
        loan_events.ConsentChangedV1,
    }
)
"""Never refused for their age: late money and late protection are applied and flagged."""
