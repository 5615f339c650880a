"""Which topics the scheduler reads, in which order, and which handler takes their messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.planning import Playbook
from scheduler.handlers.contacts import CONTACT_TYPES, record_contacts
from scheduler.handlers.plans import FACT_TYPES, REPORT_TYPES, keep_plans
from scheduler.ports import DossierStore
from shared.contracts.registry import DECISIONS, LEDGER_ENTRIES, LOAN_EVENTS, OPERATOR_ACTIONS, OUTCOMES, REPLIES
from shared.kafka.records import Outgoing, Received
from shared.service import Service

TOPICS: Final = (LOAN_EVENTS, LEDGER_ENTRIES, REPLIES, OPERATOR_ACTIONS, OUTCOMES, DECISIONS)
"""In order of priority."""


def subscribe(service: Service, store: DossierStore, playbook: Playbook, *, on_planned: Callable[[], None]) -> None:
    """Register the handlers: facts and reports of a batch are applied together, contacts that were made after them.

    `on_planned` runs after each committed batch that may have changed a plan.
    """
    planned = False

    @service.handles(*FACT_TYPES, *REPORT_TYPES)
    async def on_events(tx: AsyncConnection, batch: Sequence[Received[Any]]) -> Sequence[Outgoing]:
        nonlocal planned
        planned = True
        return await keep_plans(tx, batch, store=store, playbook=playbook, clock=service.clock)

    @service.handles(*CONTACT_TYPES)
    async def on_contacts(tx: AsyncConnection, batch: Sequence[Received[Any]]) -> Sequence[Outgoing]:
        return await record_contacts(tx, batch, store=store)

    @service.after_batch
    def wake() -> None:
        nonlocal planned
        if planned:
            planned = False
            on_planned()
