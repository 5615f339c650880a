"""How things stand for a borrower at an instant: which loans may be spoken of, what pauses, who can be reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.domain.attempts import Attempt
from scheduler.domain.profile import Circumstance, ContactPlace, Loan, Profile
from scheduler.domain.strategy import ReplyPause, StepChannel
from shared.contracts.loan_events import ContactPointKind
from shared.contracts.replies import ReplyIntent
from shared.contracts.types import Purpose, RestrictionKind

BLOCKING: Final[frozenset[RestrictionKind]] = frozenset(
    {"attorney", "cease", "dispute", "bankruptcy", "deceased", "identity_theft"}
)
"""Restrictions under which nothing is planned. The others are for the gate to weigh."""
FOREVER: Final = datetime.max.replace(tzinfo=UTC)
_KINDS: Final[Mapping[StepChannel, tuple[ContactPointKind, ...]]] = {
    "sms": ("mobile",),
    "voice": ("mobile", "landline"),
}
_LIFTED_BY: Final[Mapping[str, RestrictionKind]] = {"dispute": "dispute", "distress": "vulnerable"}
"""The withdrawal of which restriction ends the pause of which reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The loans of one currency that are spoken of in one attempt, and the episode that they are in."""

    currency: str
    purpose: Purpose
    episode: date
    loans: tuple[Loan, ...]
    next_group_on: date | None = None
    """Where a reminder's day has others after it: the day on which the group has to be formed anew."""

    @property
    def loan_ids(self) -> frozenset[str]:
        """The ids of its loans."""
        return frozenset(loan.loan_id for loan in self.loans)

    @property
    def asked_minor(self) -> int:
        """What a contact would ask for: everything overdue, or what falls due."""
        if self.purpose == "demand":
            return sum(loan.overdue_minor for loan in self.loans)
        return sum(loan.next_due_minor for loan in self.loans)


def zone_of(profile: Profile, default_zone: str) -> str:
    """The zone whose hours are preferred; where it is legal is for the gate to say, over all of the zones."""
    return profile.person.zones[0] if profile.person is not None and profile.person.zones else default_zone


@lru_cache(maxsize=1024)
def local_date(now: datetime, zone: str) -> date:
    """The date at `now` in `zone`."""
    return now.astimezone(ZoneInfo(zone)).date()


def local_midnight(day: date, zone: str) -> datetime:
    """The start of `day` in `zone`, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def groups_of(profile: Profile, today: date, now: datetime) -> tuple[Group, ...]:
    """The groups of `profile`, by currency: what is overdue, else what falls due next on the same day."""
    blocking = [c for c in _of_kind(profile, "restriction") if c.detail in BLOCKING and c.in_force(now)]
    by_currency: dict[str, list[Loan]] = {}
    for loan in profile.loans.values():
        if not loan.closed and not any(c.loans is None or loan.loan_id in c.loans for c in blocking):
            by_currency.setdefault(loan.currency, []).append(loan)
    groups = (_group(currency, loans, today) for currency, loans in sorted(by_currency.items()))
    return tuple(group for group in groups if group is not None)


def _group(currency: str, loans: list[Loan], today: date) -> Group | None:
    overdue = sorted((loan for loan in loans if loan.overdue_minor > 0), key=lambda n: (n.overdue_since, n.loan_id))
    if overdue:
        return Group(currency=currency, purpose="demand", episode=overdue[0].overdue_since, loans=tuple(overdue))
    upcoming = sorted(
        (n.next_due_on, n.loan_id, n)
        for n in loans
        if n.next_due_on and n.next_due_on >= today and n.next_due_minor > 0
    )
    if not upcoming:
        return None
    first = upcoming[0][0]
    return Group(
        currency=currency,
        purpose="reminder",
        episode=first,
        loans=tuple(loan for due_on, _, loan in upcoming if due_on == first),
        next_group_on=first + timedelta(days=1) if upcoming[-1][0] > first else None,
    )


def plan_number(profile: Profile, group: Group, now: datetime) -> int:
    """One, and one more for each restriction of this episode that is over: it cancelled, its end opened again.

    It counts facts, not what happened here, so it is the same in whatever order they became known.
    """
    opened_at = datetime.combine(group.episode, time(), UTC)
    over = (
        c.order[0] if not c.active else c.ends_at
        for c in _of_kind(profile, "restriction")
        if c.detail in BLOCKING and c.covers(group.loan_ids)
    )
    return 1 + sum(1 for end in over if end is not None and opened_at <= end <= now)


def broken_promises(profile: Profile, group: Group) -> int:
    """How many promises about the group's loans were broken in this episode."""
    return sum(
        1
        for c in _of_kind(profile, "promise")
        if c.detail == "broken" and c.order[0].date() >= group.episode and c.covers(group.loan_ids)
    )


def paused_until(
    profile: Profile, group: Group, pauses: Mapping[ReplyIntent, ReplyPause], now: datetime
) -> datetime | None:
    """Until when promises and replies pause the group; `FOREVER` until somebody lifts it; None when nothing does."""
    promises = (c for c in _of_kind(profile, "promise") if c.covers(group.loan_ids) and c.detail != "voided")
    # A promise that was made later takes the place of the one before, whatever is said of that one afterwards.
    last = max(promises, key=lambda c: (c.starts_at or c.order[0], c.order), default=None)
    ends = [last.ends_at or FOREVER] if last is not None and last.active else []
    for reply, pause in replies_that_pause(profile, group, pauses):
        ends.append(FOREVER if pause.days is None else reply.order[0] + timedelta(days=pause.days))
    return max((end for end in ends if end > now), default=None)


def replies_that_pause(
    profile: Profile, group: Group, pauses: Mapping[ReplyIntent, ReplyPause]
) -> Iterator[tuple[Circumstance, ReplyPause]]:
    """The replies about the group's loans that pause it and that nobody has lifted, oldest first."""
    for reply in sorted(_of_kind(profile, "reply"), key=lambda c: c.order):
        pause = pauses.get(reply.detail)  # type: ignore[call-overload]
        if pause is not None and reply.covers(group.loan_ids) and not is_lifted(profile, reply):
            yield reply, pause


def is_lifted(profile: Profile, reply: Circumstance) -> bool:
    """Whether something later answers `reply`: a restriction withdrawn, a new contact point, a new consent."""
    if reply.detail == "wrong_person":
        if profile.person is None or reply.contact_point_id is None or profile.person.order[0] <= reply.order[0]:
            return False
        places = profile.person.contact_places
        return not any(p.active and p.contact_point_id == reply.contact_point_id for p in places)
    if reply.detail == "stop":
        withdrawn = (c for c in _of_kind(profile, "opt_out") if not c.active and c.channel == reply.channel)
        return any(c.order[0] > reply.order[0] for c in withdrawn)
    kind = _LIFTED_BY.get(reply.detail)
    lifts = (c for c in _of_kind(profile, "restriction") if c.detail == kind and not c.active)
    return any(c.order[0] > reply.order[0] for c in lifts)


def reachable(profile: Profile, attempts: Iterable[Attempt], now: datetime) -> frozenset[StepChannel]:
    """The channels on which the borrower can and may be reached, as far as the scheduler knows."""
    return frozenset(c for c in _KINDS if contact_place(profile, attempts, c, now) is not None)


def contact_place(
    profile: Profile, attempts: Iterable[Attempt], channel: StepChannel, now: datetime
) -> ContactPlace | None:
    """The borrower's own contact point for `channel`: the one that was rejected least, the lender's order after that.

    None where there is none, or where the borrower opted out of it.
    """
    if profile.person is None:
        return None
    silent = _silent_points(profile, channel, now) if profile.circumstances else frozenset()
    if silent is None:
        return None
    usable = [
        place
        for place in profile.person.contact_places
        if place.active
        and place.holder == "borrower"
        and place.kind in _KINDS[channel]
        and place.contact_point_id not in silent
    ]
    if len(usable) < 2:
        return usable[0] if usable else None
    rejected = [a.contact_point_id for a in attempts if a.end_reason in ("rejected", "no_contact_point")]
    return min(usable, key=lambda place: rejected.count(place.contact_point_id))


def _silent_points(profile: Profile, channel: StepChannel, now: datetime) -> frozenset[str] | None:
    """The contact points that must not be used; None where the whole channel must not."""
    silent: set[str] = set()
    for c in profile.circumstances.values():
        if c.kind == "opt_out" and c.channel in (None, channel) and c.in_force(now):
            if c.contact_point_id is None:
                return None
            silent.add(c.contact_point_id)
        elif c.kind == "reply" and not is_lifted(profile, c):
            if c.detail == "stop" and c.channel == channel:
                return None
            if c.detail == "wrong_person" and c.contact_point_id is not None:
                silent.add(c.contact_point_id)
    return frozenset(silent)


def next_change(profile: Profile, now: datetime) -> datetime | None:
    """The next instant at which a circumstance begins or ends by itself."""
    edges = (
        edge
        for c in profile.circumstances.values()
        if c.active
        for edge in (c.starts_at, c.ends_at)
        if edge is not None and edge > now
    )
    return min(edges, default=None)


def _of_kind(profile: Profile, kind: str) -> Iterator[Circumstance]:
    return (c for c in profile.circumstances.values() if c.kind == kind)
