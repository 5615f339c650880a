"""Which topics the gate reads, in which order, and which handler takes their messages; no logic."""

from __future__ import annotations

from functools import partial
from typing import Final

from compliance_gate.handlers.desk import Desk
from compliance_gate.handlers.gate import take_facts_and_submissions
from compliance_gate.handlers.projection import FACT_TYPES
from shared.contracts import AttemptSubmittedV1
from shared.contracts.registry import ATTEMPTS, LEDGER_ENTRIES, LOAN_EVENTS, OPERATOR_ACTIONS, OUTCOMES, REPLIES
from shared.service import Service

TOPICS: Final = (OPERATOR_ACTIONS, LOAN_EVENTS, LEDGER_ENTRIES, OUTCOMES, REPLIES, ATTEMPTS)
"""In order of priority."""
LAST_TOPICS: Final = (ATTEMPTS,)
"""Read only when every fact topic is read to its end."""


def subscribe(service: Service, desk: Desk) -> None:
    """Register the gate's one handler: facts and submissions of a batch are taken under one set of locks."""
    service.handles(*FACT_TYPES, AttemptSubmittedV1)(partial(take_facts_and_submissions, desk=desk))
