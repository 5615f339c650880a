"""The ledger put together: `uvicorn ledger.app:app`."""

from __future__ import annotations

from typing import Final

from ledger import router
from ledger.adapters.store import SqlLedgerStore
from ledger.handlers.desk import Desk
from ledger.loops import PromiseLoop
from ledger.settings import PREFIX, LedgerSettings
from shared.service import PlatformSettings, Service, app_of

PROMISES_PACE_SECONDS: Final = 0.25
"""Most batches of contacts give it nothing to do."""


def build(platform: PlatformSettings, own: LedgerSettings) -> Service:
    """Every adapter, handler and loop of the ledger on one service; raises if a setting is wrong."""
    service = Service(name="ledger", topics=router.TOPICS, settings=platform)
    desk = Desk(store=SqlLedgerStore(), clock=service.clock, order=own.order, terms=own.terms)
    router.subscribe(service, desk)
    promises = PromiseLoop(
        desk=desk,
        work=service.work,
        batch_records_max=own.promise_batch_records_max,
        attempt_wait_seconds_max=own.promise_attempt_wait_seconds_max,
    )
    _add_loops(service, promises)
    return service


def _add_loops(service: Service, promises: PromiseLoop) -> None:
    service.add_loop(
        PromiseLoop.name,
        promises.run_once,
        next_due_at=promises.next_due_at,
        full_run=promises.batch_records_max,
        pace_seconds=PROMISES_PACE_SECONDS,
    )
    service.after_batch(lambda: service.wake(PromiseLoop.name), of=service.consumer.message_types)


app = app_of(build, LedgerSettings, PREFIX)
