"""The scheduler put together: `uvicorn scheduler.app:app`."""

from __future__ import annotations

from datetime import timedelta

from scheduler import router
from scheduler.adapters.store import PostgresDossiers
from scheduler.adapters.strategy_files import read_book
from scheduler.domain.attempts import Waits
from scheduler.domain.planning import Playbook
from scheduler.handlers.desk import Desk
from scheduler.loops import ReleaseLoop
from scheduler.settings import PREFIX, SchedulerSettings
from shared.service import PlatformSettings, Service, app_of


def build(platform: PlatformSettings, own: SchedulerSettings) -> Service:
    """Every adapter, handler and loop of the scheduler on one service; raises if a strategy or a setting is wrong."""
    playbook = Playbook(
        book=read_book(own.strategies_folder),
        waits=Waits(
            ask_again=timedelta(minutes=own.ask_again_minutes), resubmit=timedelta(minutes=own.resubmit_minutes)
        ),
        default_zone=own.default_zone,
        confirms_opt_outs=own.opt_out_confirmation,
    )
    service = Service(name="scheduler", topics=router.TOPICS, settings=platform)
    desk = Desk(store=PostgresDossiers(), playbook=playbook, clock=service.clock)
    router.subscribe(service, desk)
    _add_loops(service, ReleaseLoop(desk=desk, work=service.work, borrowers_max=own.release_borrowers_max))
    return service


def _add_loops(service: Service, releases: ReleaseLoop) -> None:
    service.add_loop(
        ReleaseLoop.name,
        releases.run_once,
        idle_seconds=0.5,
        next_due_at=releases.next_due_at,
        rests="outside_releases",
        full_run=releases.borrowers_max,
    )
    service.after_batch(lambda: service.wake(ReleaseLoop.name), of=router.PLANNED)


app = app_of(build, SchedulerSettings, PREFIX)
