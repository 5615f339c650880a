"""Which events go to which handler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.planning import Playbook
from scheduler.handlers import FACT_TYPES, REPORT_TYPES, keep_plans
from scheduler.ports import DossierStore
from shared.kafka.records import Outgoing, Received
from shared.service import Service


def subscribe(service: Service, store: DossierStore, playbook: Playbook) -> None:
    """Register the scheduler's one handler: facts and reports of a batch are applied together, under one lock."""

    @service.handles(*FACT_TYPES, *REPORT_TYPES)
    async def on_events(tx: AsyncConnection, batch: Sequence[Received[Any]]) -> Sequence[Outgoing]:
        return await keep_plans(tx, batch, store=store, playbook=playbook, clock=service.clock)
