"""Facts in, plan out: a batch of events changes dossiers under their locks. What is due leaves in the release loop.

Handlers publish nothing: what a fact makes due is handed over by the loop that they wake, so a hand-over has one
place where it can happen, and it always has the newest facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler import metrics
from scheduler.domain.attempts import Report, after_report
from scheduler.domain.planning import Dossier, Playbook, replan
from scheduler.domain.profile import Fact, with_fact
from scheduler.handlers.desk import Desk
from shared import contracts
from shared.contracts import Message
from shared.kafka.records import Outgoing, Received

FACT_TYPES: Final[tuple[type[Message], ...]] = (
    contracts.BorrowerUpdatedV1,
    contracts.ConsentChangedV1,
    contracts.RestrictionChangedV1,
    contracts.BalanceChangedV1,
    contracts.PromiseOpenedV1,
    contracts.PromiseKeptV1,
    contracts.PromisePartlyKeptV1,
    contracts.PromiseBrokenV1,
    contracts.PromiseVoidedV1,
    contracts.ReplyReceivedV1,
)
"""What a profile is made of."""
REPORT_TYPES: Final[tuple[type[Message], ...]] = (
    contracts.ContactDeferredV1,
    contracts.ContactDeniedV1,
    contracts.ContactHeldV1,
    contracts.HeldReviewedV1,
    contracts.ContactNotMadeV1,
)
"""What brings attempts back or ends them. Permits and revocations aren't among them: each ends in an outcome."""


async def keep_plans(tx: AsyncConnection, batch: Sequence[Received[Message]], *, desk: Desk) -> Sequence[Outgoing]:
    """Apply every fact and report of `batch` to its borrower's dossier, and plan each changed one anew, once."""
    now = desk.clock.now()
    before = await desk.store.lock(tx, {received.borrower_id for received in batch}, now=now)
    after = dict(before)
    for received in batch:
        after[received.borrower_id] = with_event(after[received.borrower_id], received, desk.playbook)
    changes = [
        (before[borrower_id], replan(dossier, desk.playbook, now)[0])
        for borrower_id, dossier in after.items()
        if dossier is not before[borrower_id]
    ]
    await desk.store.save(tx, changes)
    return ()


def with_event(dossier: Dossier, received: Received[Message], playbook: Playbook) -> Dossier:
    """`dossier` after one event; the same object where it is older than what is known."""
    if isinstance(received.message, REPORT_TYPES):
        return _with_report(dossier, cast(Report, received.message), playbook)
    order = (received.ce_time, f"{received.ce_source}\x1f{received.ce_id}")
    profile = with_fact(dossier.profile, cast(Fact, received.message), order)
    return dossier if profile is dossier.profile else replace(dossier, profile=profile)


def _with_report(dossier: Dossier, report: Report, playbook: Playbook) -> Dossier:
    attempt = dossier.attempts.get(report.attempt_id)
    if attempt is None or attempt.unseen:
        metrics.REPORTS_UNMATCHED.inc()
        return dossier
    changed = after_report(attempt, report, playbook.waits)
    if changed is attempt:
        return dossier
    if changed.end_reason is not None:
        metrics.ATTEMPTS_ENDED.labels(changed.end_reason).inc()
    return replace(dossier, attempts={**dossier.attempts, attempt.attempt_id: changed})
