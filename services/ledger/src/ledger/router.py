"""Which topics the ledger reads, in which order, and which handler takes their messages; no logic."""

from __future__ import annotations

from functools import partial
from typing import Final

from ledger.handlers.book import post_loan_events
from ledger.handlers.case import keep_profiles, note_what_happened
from ledger.handlers.desk import Desk
from ledger.handlers.promises import open_promises
from shared import contracts
from shared.contracts.registry import (
    ATTEMPTS,
    DECISIONS,
    LOAN_EVENTS,
    OPERATOR_ACTIONS,
    OUTCOMES,
    REPLIES,
)
from shared.contracts.types import Message
from shared.service import Service

TOPICS: Final = (LOAN_EVENTS, ATTEMPTS, DECISIONS, OUTCOMES, REPLIES, OPERATOR_ACTIONS)
"""In order of priority: replies come after the attempts that they answer."""

NOTED: Final[tuple[type[Message], ...]] = (
    contracts.ConsentChangedV1,
    contracts.RestrictionChangedV1,
    contracts.ExternalContactMadeV1,
    contracts.AttemptSubmittedV1,
    contracts.ReferralRecordedV1,
    contracts.ContactAllowedV1,
    contracts.ContactDeferredV1,
    contracts.ContactDeniedV1,
    contracts.ContactHeldV1,
    contracts.PermitRevokedV1,
    contracts.ContactMadeV1,
    contracts.ContactNotMadeV1,
    contracts.ContactUnknownV1,
    contracts.ContactProgressedV1,
    contracts.StopOrderedV1,
    contracts.StopLiftedV1,
    contracts.HeldReviewedV1,
    contracts.DeadLetterAccessedV1,
)
BOOKED: Final[tuple[type[Message], ...]] = (
    contracts.LoanRegisteredV1,
    contracts.LoanOverdueV1,
    contracts.LoanClosedV1,
    contracts.PaymentReceivedV1,
    contracts.PaymentReversedV1,
)


def subscribe(service: Service, desk: Desk) -> None:
    """Register the handlers: profiles before the book, contacts before the replies that answer them."""
    service.handles(contracts.BorrowerUpdatedV1)(partial(keep_profiles, desk=desk))
    service.handles(*BOOKED)(partial(post_loan_events, desk=desk))
    service.handles(*NOTED)(partial(note_what_happened, desk=desk))
    service.handles(contracts.ReplyReceivedV1)(partial(open_promises, desk=desk))
