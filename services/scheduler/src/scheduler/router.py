"""Which topics the scheduler reads, in which order, and which handler takes their messages; no logic."""

from __future__ import annotations

from functools import partial
from typing import Final

from scheduler.handlers.contacts import CONTACT_TYPES, record_contacts
from scheduler.handlers.desk import Desk
from scheduler.handlers.plans import FACT_TYPES, REPORT_TYPES, keep_plans
from shared.contracts.registry import DECISIONS, LEDGER_ENTRIES, LOAN_EVENTS, OPERATOR_ACTIONS, OUTCOMES, REPLIES
from shared.service import Service

TOPICS: Final = (LOAN_EVENTS, LEDGER_ENTRIES, REPLIES, OPERATOR_ACTIONS, OUTCOMES, DECISIONS)
"""In order of priority."""
PLANNED: Final = (*FACT_TYPES, *REPORT_TYPES)
"""What may change a plan. A contact that was made takes a step that the plan knew as taken already."""


def subscribe(service: Service, desk: Desk) -> None:
    """Register the handlers: facts and reports of a batch are applied together, contacts that were made after them."""
    service.handles(*PLANNED)(partial(keep_plans, desk=desk))
    service.handles(*CONTACT_TYPES)(partial(record_contacts, desk=desk))
