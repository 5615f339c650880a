"""The gate put together: `uvicorn compliance_gate.app:app`."""

from __future__ import annotations

from datetime import timedelta

from compliance_gate import router
from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.adapters.evidence import evidence_of
from compliance_gate.adapters.numbers import KeyedNumbers
from compliance_gate.adapters.store import PostgresGateStore
from compliance_gate.handlers.desk import Desk
from compliance_gate.loops import PermitWatch, StopSweep
from compliance_gate.policy.book import load_packs
from compliance_gate.policy.tenant import tenant_book
from compliance_gate.settings import PREFIX, GateSettings
from shared.contracts import StopLiftedV1, StopOrderedV1
from shared.service import PlatformSettings, Service, app_of


def build(platform: PlatformSettings, own: GateSettings) -> Service:
    """Every adapter, handler and loop of the gate on one service; raises if a pack or a setting is wrong."""
    policies = tenant_book(load_packs(), OfficialCalendars(), own)
    service = Service(name="compliance-gate", topics=router.TOPICS, settings=platform, last_topics=router.LAST_TOPICS)
    desk = Desk(
        store=PostgresGateStore(),
        policies=policies,
        numbers=KeyedNumbers(own.secret),
        evidence_of=evidence_of,
        clock=service.clock,
        lag=service.facts_lag_seconds,
        providers=own.providers,
        history_days=own.history_days,
        late_payment_hours=own.late_payment_hours,
    )
    router.subscribe(service, desk)
    sweep = StopSweep(desk=desk, work=service.work)
    watch = PermitWatch(desk=desk, work=service.work, overdue=timedelta(minutes=own.permit_overdue_minutes))
    _add_loops(service, sweep, watch)
    return service


def _add_loops(service: Service, sweep: StopSweep, watch: PermitWatch) -> None:
    service.add_loop(StopSweep.name, sweep.run_once, idle_seconds=1.0)
    service.add_loop(PermitWatch.name, watch.run_once, idle_seconds=5.0)

    def sweep_new_stops() -> None:
        sweep.pacer.call()
        service.wake(StopSweep.name)

    service.after_batch(sweep_new_stops, of=(StopOrderedV1, StopLiftedV1))


app = app_of(build, GateSettings, PREFIX)
