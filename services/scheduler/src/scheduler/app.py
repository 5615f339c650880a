"""The scheduler as it runs: `uvicorn scheduler.app:app`."""

from __future__ import annotations

from datetime import timedelta

from scheduler.adapters.store import PostgresDossiers
from scheduler.adapters.strategy_files import read_book
from scheduler.domain.attempts import Waits
from scheduler.domain.planning import Playbook
from scheduler.loops import Releaser
from scheduler.router import subscribe
from scheduler.settings import SchedulerSettings
from shared import settings
from shared.contracts.registry import DECISIONS, LEDGER_ENTRIES, LOAN_EVENTS, OPERATOR_ACTIONS, OUTCOMES, REPLIES
from shared.service import PlatformSettings, Service


def build(platform: PlatformSettings, own: SchedulerSettings) -> Service:
    """The service with everything in its place; raises if a strategy or a setting is wrong."""
    service = Service(
        name="scheduler",
        topics=(LOAN_EVENTS, LEDGER_ENTRIES, REPLIES, OPERATOR_ACTIONS, OUTCOMES, DECISIONS),
        settings=platform,
    )
    playbook = Playbook(
        book=read_book(own.strategies_folder),
        waits=Waits(
            ask_again=timedelta(minutes=own.ask_again_minutes), resubmit=timedelta(minutes=own.resubmit_minutes)
        ),
        default_zone=own.default_zone,
        confirms_opt_outs=own.opt_out_confirmation,
    )
    store = PostgresDossiers()
    releaser = Releaser(
        engine=service.engine,
        outbox=service.outbox,
        store=store,
        playbook=playbook,
        clock=service.clock,
        borrowers_max=own.release_borrowers_max,
        on_released=lambda: service.wake("outbox"),
    )
    subscribe(service, store, playbook, on_planned=lambda: service.wake("release"))
    service.add_loop(
        "release",
        releaser.run_once,
        idle_seconds=0.5,
        next_due_at=releaser.next_due_at,
        rests="outside_releases",
        full_run=own.release_borrowers_max,
    )
    return service


app = build(PlatformSettings.load(), settings.load(SchedulerSettings, "SCHEDULER_")).asgi()
