"""What else happens to borrowers: lawyers, disputes, wishes, an agency's own contacts, and old debts that are sold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from decorum_simulation.agenda import Agenda
from decorum_simulation.draws import between, chance, integer, weighted
from decorum_simulation.lender.core import LenderCore
from decorum_simulation.lender.events import servicing
from decorum_simulation.lender.portfolio import Account
from shared.contracts import ConsentChangedV1, ContactResult, ExternalContactMadeV1, Message, RestrictionChangedV1
from shared.contracts.types import Channel, RestrictionKind
from shared.ids import derive

AGENCY: Final = "agency-harbour"
DESK_OPENS: Final = time(9)
DESK_MINUTES: Final = 9 * 60
RESTRICTED_SHARE: Final = 0.018
WISHES_SHARE: Final = 0.02
HOUSE_RULE_SHARE: Final = 0.5
"""Of those who share a number, how many tell the lender that it isn't to be used."""
AGENCY_SHARE: Final = 0.2
_RESTRICTIONS: Final[tuple[tuple[RestrictionKind, float], ...]] = (
    ("dispute", 0.4),
    ("attorney", 0.18),
    ("cease", 0.12),
    ("vulnerable", 0.1),
    ("bankruptcy", 0.1),
    ("deceased", 0.05),
    ("identity_theft", 0.05),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """Plans these things for one borrower at a time, from keyed draws."""

    core: LenderCore
    agenda: Agenda
    seed: int
    start: datetime
    end: datetime

    def plan(self, account: Account, *, shares_number: bool = False) -> None:
        """Put everything that will happen to this borrower on the agenda."""
        borrower_id = account.person.borrower_id
        if chance(RESTRICTED_SHARE, self.seed, borrower_id, "restricted"):
            self._at(account, "restriction", partial(self._restrict, account))
        if chance(WISHES_SHARE, self.seed, borrower_id, "wishes"):
            self._at(account, "wish", partial(self._wish, account))
        if shares_number and chance(HOUSE_RULE_SHARE, self.seed, borrower_id, "house rule"):
            self._at(account, "house rule", partial(self._leave_number_alone, account))
        local = ZoneInfo(account.person.zones[0])
        today = self.start.astimezone(local).date()
        oldest = max((loan.days_past_due(today) for loan in account.loans), default=0)
        if oldest > 30 and chance(AGENCY_SHARE, self.seed, borrower_id, "agency"):
            for number in range(integer(1, 4, self.seed, borrower_id, "agency contacts")):
                at = self._agency_instant(account, number)
                self.agenda.add(at, f"agency {borrower_id} {number}", partial(self._agency, account, number))
        if oldest > 120 and chance(0.3, self.seed, borrower_id, "sold"):
            self._at(account, "sold", partial(self._sell, account))

    def _at(self, account: Account, what: str, action: Callable[[datetime], None]) -> None:
        """On some day of the run, while the lender's desk is open where the borrower lives."""
        borrower_id, zone = account.person.borrower_id, ZoneInfo(account.person.zones[0])
        span = (self.end - self.start).total_seconds()
        day = self.start + timedelta(seconds=between(0.03, 0.97, self.seed, borrower_id, what) * span)
        opens = datetime.combine(day.astimezone(zone).date(), DESK_OPENS, zone)
        at = opens + timedelta(minutes=integer(0, DESK_MINUTES, self.seed, borrower_id, what, "minute"))
        self.agenda.add(max(at, self.start), f"{what} {borrower_id}", action)

    def _publish(self, message: Message, now: datetime, *key: str | int) -> None:
        self.core.events.append(servicing(message, now, *key))

    def _restrict(self, account: Account, now: datetime) -> None:
        borrower_id = account.person.borrower_id
        kind = weighted(_RESTRICTIONS, self.seed, borrower_id, "kind")
        one_loan = kind == "dispute" and len(account.loans) > 1 and chance(0.5, self.seed, borrower_id, "one loan")
        loans = (account.loans[0].loan_id,) if one_loan else None
        restriction_id = derive("restriction", borrower_id, kind)

        def message(active: bool, at: datetime) -> RestrictionChangedV1:
            return RestrictionChangedV1(
                borrower_id=borrower_id,
                restriction_id=restriction_id,
                kind=kind,
                active=active,
                effective_from=at,
                loans=loans,
            )

        self._publish(message(True, now), now, restriction_id, "on")
        if kind == "dispute" and chance(0.6, self.seed, borrower_id, "settled"):
            days = integer(4, 12, self.seed, borrower_id, "settled after")
            self.agenda.add(
                now + timedelta(days=days),
                f"settled {borrower_id}",
                lambda then: self._publish(message(False, then), then, restriction_id, "off"),
            )

    def _wish(self, account: Account, now: datetime) -> None:
        borrower_id, number = account.person.borrower_id, account.person.numbers[0]
        wish = weighted(
            (("no calls", 0.4), ("no texts", 0.2), ("not this number", 0.15), ("mornings", 0.25)),
            self.seed,
            borrower_id,
            "which wish",
        )
        consent_id = derive("wish", borrower_id)
        if wish == "mornings":
            message = ConsentChangedV1(
                borrower_id=borrower_id,
                consent_id=consent_id,
                kind="inconvenient",
                in_force=True,
                effective_from=now,
                days=("mon", "tue", "wed", "thu", "fri"),
                start="09:00",
                end="12:00",
            )
        else:
            message = ConsentChangedV1(
                borrower_id=borrower_id,
                consent_id=consent_id,
                kind="opt_out",
                in_force=True,
                effective_from=now,
                channel="sms" if wish == "no texts" else "voice",
                contact_point_id=number.contact_point_id if wish == "not this number" else None,
            )
        self._publish(message, now, consent_id)

    def _leave_number_alone(self, account: Account, now: datetime) -> None:
        """What one tells the lender about a number binds it for everybody who has that number."""
        borrower_id, number = account.person.borrower_id, account.person.numbers[0]
        for channel in ("sms", "voice"):
            consent_id = derive("house rule", borrower_id, channel)
            message = ConsentChangedV1(
                borrower_id=borrower_id,
                consent_id=consent_id,
                kind="opt_out",
                in_force=True,
                effective_from=now,
                channel=channel,
                contact_point_id=number.contact_point_id,
            )
            self._publish(message, now, consent_id)

    def _agency_instant(self, account: Account, number: int) -> datetime:
        borrower_id = account.person.borrower_id
        days = (self.end - self.start).days
        day = (
            self.start + timedelta(days=integer(0, max(days - 1, 0), self.seed, borrower_id, "agency day", number))
        ).date()
        hour = integer(10, 17, self.seed, borrower_id, "agency hour", number)
        return datetime.combine(day, time(hour), ZoneInfo(account.person.zones[0]))

    def _agency(self, account: Account, number: int, now: datetime) -> None:
        person = account.person
        loans = [loan for loan in account.loans if loan.overdue(self.core.today(loan, now)).total_minor > 0]
        if not loans:
            return
        channel: Channel = "voice" if chance(0.7, self.seed, person.borrower_id, "agency calls", number) else "sms"
        result: ContactResult = "delivered"
        if channel == "voice":
            results: tuple[tuple[ContactResult, float], ...] = (
                ("no_answer", 0.55),
                ("conversation", 0.3),
                ("busy", 0.15),
            )
            result = weighted(results, self.seed, person.borrower_id, "agency result", number)
        contact_id = derive("external contact", person.borrower_id, now.isoformat(), number)
        message = ExternalContactMadeV1(
            borrower_id=person.borrower_id,
            contact_id=contact_id,
            channel=channel,
            direction="outbound",
            result=result,
            made_at=now,
            made_by=AGENCY,
            loans=tuple(loan.loan_id for loan in loans),
            contact_point_id=person.numbers[0].contact_point_id,
        )
        self._publish(message, now, contact_id)

    def _sell(self, account: Account, now: datetime) -> None:
        for loan in account.loans:
            if not loan.closed and loan.days_past_due(self.core.today(loan, now)) > 120:
                self.core.close(loan, now, "sold")
