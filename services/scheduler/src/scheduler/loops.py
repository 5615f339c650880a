"""The release loop: claims what is due, hands it over in the order in which it fell due, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

import structlog

from scheduler import metrics
from scheduler.domain.planning import Dossier
from scheduler.domain.releasing import Released, release
from scheduler.handlers.desk import Desk
from shared import ids
from shared.contracts.attempts import AttemptSubmittedV1
from shared.kafka.records import Outgoing
from shared.postgres.work import Work

AFTER_FAILURE: Final = timedelta(hours=1)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLoop:
    """Any number of replicas run it at once: a borrower that one of them holds is passed over by the others.

    Amounts are those of the moment, read under the borrower's lock.
    """

    name: ClassVar[str] = "release"

    desk: Desk
    work: Work
    borrowers_max: int

    async def run_once(self) -> int:
        """Release one bounded batch of borrowers; how many they were."""
        store, now = self.desk.store, self.desk.clock.now()
        async with self.work.begin() as tx:
            due = await store.claim_due(tx, now=now, borrowers_max=self.borrowers_max)
            released = [self._release(dossier, now) for dossier in due.values()]
            submissions = _in_order(released)
            await store.save(tx, list(zip(due.values(), (r.dossier for r in released), strict=True)))
            await store.record_submissions(tx, submissions)
            await self.work.publish(tx, [*_submitted(submissions, now), *_referred(released, now)])
        if due:
            _count(released, submissions, now)
        return len(due)

    def _release(self, dossier: Dossier, now: datetime) -> Released:
        """One borrower's release; a defect that only this one meets waits an hour and holds up nobody else."""
        try:
            return release(dossier, self.desk.playbook, now)
        except Exception as error:  # edge of the loop: without this one dossier would stop all releases
            log.error("release.failed", borrower_id=dossier.profile.borrower_id, exc_info=error)
            metrics.RELEASES_FAILED.inc()
            return Released(dossier=replace(dossier, wake_at=now + AFTER_FAILURE))

    async def next_due_at(self) -> datetime | None:
        """When there will be something to release."""
        async with self.work.begin() as tx:
            return await self.desk.store.next_wake_at(tx)


def _in_order(released: Sequence[Released]) -> list[AttemptSubmittedV1]:
    due = [
        (left.dossier.attempts[submission.attempt_id].due_at, submission.attempt_id, submission)
        for left in released
        for submission in left.submissions
    ]
    return [submission for _, _, submission in sorted(due, key=lambda entry: entry[:2])]


def _submitted(submissions: Iterable[AttemptSubmittedV1], now: datetime) -> Iterator[Outgoing]:
    for submission in submissions:
        number = submission.submission_number
        ce_id = ids.derive("submission", submission.borrower_id, submission.attempt_id, number)
        yield Outgoing(message=submission, ce_id=ce_id, ce_time=now)


def _referred(released: Sequence[Released], now: datetime) -> Iterator[Outgoing]:
    for left in released:
        for referral in left.referrals:
            yield Outgoing(message=referral, ce_id=referral.referral_id, ce_time=now)


def _count(released: Sequence[Released], submissions: Sequence[AttemptSubmittedV1], now: datetime) -> None:
    for labels, number in Counter((s.channel, s.risk_grade, s.purpose) for s in submissions).items():
        metrics.SUBMISSIONS.labels(*labels).inc(number)
    for target, number in Counter(r.target for left in released for r in left.referrals).items():
        metrics.REFERRALS.labels(target).inc(number)
    for reason, number in Counter(a.end_reason for left in released for a in left.ended).items():
        metrics.ATTEMPTS_ENDED.labels(reason).inc(number)
    due = (left.dossier.attempts[s.attempt_id].due_at for left in released for s in left.submissions)
    if (oldest := min(due, default=None)) is not None:
        metrics.RELEASE_LAG_SECONDS.observe(max(0.0, (now - oldest).total_seconds()))
