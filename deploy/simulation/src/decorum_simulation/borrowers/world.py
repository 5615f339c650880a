"""How borrowers live: they pay on time or not, react to what reaches them, and keep their promises or don't."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from decorum_simulation.agenda import Agenda
from decorum_simulation.borrowers import phrases
from decorum_simulation.borrowers.personas import (
    ANOTHER_PERSON,
    CURES_ALONE,
    KEEPS_PROMISE,
    PAYS_ON_TIME,
    PICK_UPS,
    TO_CALL,
    TO_REMINDER,
    TO_TEXT,
    Reaction,
    reaction_to,
)
from decorum_simulation.borrowers.purses import Purses
from decorum_simulation.carrier.exchange import Delivery, Inbound
from decorum_simulation.draws import between, chance, integer, weighted
from decorum_simulation.lender.core import LenderCore
from decorum_simulation.lender.loans import Loan
from decorum_simulation.lender.portfolio import Account
from shared.ids import derive

ANOTHER_READS_SHARE = 0.3
"""How often a shared number is picked up, or its text read, by somebody for whom it isn't."""
UNTOLD_SHARE = 0.3
"""Texts of which the carrier doesn't say what they answer."""
KEY_PAUSE = timedelta(seconds=15)


@dataclass(slots=True, kw_only=True)
class BorrowerWorld:
    """All borrowers of a run. What they send is collected in `outbox` for the carrier."""

    core: LenderCore
    agenda: Agenda
    purses: Purses
    seed: int
    outbox: list[Inbound] = field(default_factory=list)
    _accounts: dict[str, Account] = field(default_factory=dict)
    _by_number: dict[str, list[str]] = field(default_factory=dict)
    _contacts: dict[str, int] = field(default_factory=dict)
    _pressed: dict[str, int] = field(default_factory=dict)
    """Keys pressed by attempt."""

    def settle(self, account: Account, start: datetime, end: datetime, *, pays_by_itself: bool) -> None:
        """A borrower enters the world; `pays_by_itself`: also pays instalments without being asked."""
        person = account.person
        self._accounts[person.borrower_id] = account
        for number in person.numbers:
            self._by_number.setdefault(number.value, []).append(person.borrower_id)
        if pays_by_itself:
            for loan in account.loans:
                self._plan_spontaneous(account, loan, start, end)

    def shares_number(self, account: Account) -> bool:
        """Whether somebody settled before has a number of this borrower's too."""
        return any(len(self._by_number[number.value]) > 1 for number in account.person.numbers)

    def _plan_spontaneous(self, account: Account, loan: Loan, start: datetime, end: datetime) -> None:
        persona, zone = account.persona, account.person.zones[0]
        for instalment in loan.instalments:
            due_on, key = instalment.due_on, f"{loan.loan_id} {instalment.due_on}"
            if chance(PAYS_ON_TIME[persona], self.seed, key, "on time"):
                day = due_on - timedelta(days=integer(0, 4, self.seed, key, "days before"))
            elif chance(CURES_ALONE[persona], self.seed, key, "cures alone"):
                day = due_on + timedelta(days=integer(1, 45, self.seed, key, "days after"))
            else:
                continue
            at = self._hour_of(day, zone, key)
            if start < at < end:
                self.agenda.add(at, f"spontaneous {key}", partial(self._pay_up_to, loan, due_on))

    def _pay_up_to(self, loan: Loan, due_on: date, now: datetime) -> None:
        owed = sum(i.total_minor for i in loan.instalments if i.due_on <= due_on)
        if not loan.closed and owed > 0:
            self.purses.pay(loan, owed, now, cause=f"instalment {due_on}")

    def react(self, delivery: Delivery, now: datetime) -> None:
        """Something arrived: a text was read, a call was answered."""
        account = self._addressed(delivery)
        if account is None:
            return
        if len(self._by_number[delivery.to]) > 1 and chance(
            ANOTHER_READS_SHARE, self.seed, delivery.attempt_id, "another reads"
        ):
            self._follow_another(account, delivery, now)
            return
        borrower_id = account.person.borrower_id
        self._contacts[borrower_id] = number = self._contacts.get(borrower_id, 0) + 1
        loans = self._overdue(account, now)
        if delivery.channel == "voice":
            if not self._confirms(account, delivery, now):
                return
            odds = TO_CALL[account.persona]
        else:
            odds = TO_TEXT[account.persona] if loans else TO_REMINDER[account.persona]
        reaction = reaction_to(odds, number, self.seed, borrower_id, delivery.attempt_id)
        self._follow(reaction, account, delivery, now)

    def _addressed(self, delivery: Delivery) -> Account | None:
        """Whom it is for: of several people with one number the one who is called by name, else the first."""
        holders = [self._accounts[borrower_id] for borrower_id in self._by_number.get(delivery.to, ())]
        named = (account for account in holders if account.person.name in delivery.text)
        return next(named, holders[0] if holders else None)

    def _follow_another(self, account: Account, delivery: Delivery, now: datetime) -> None:
        reaction = weighted(ANOTHER_PERSON, self.seed, delivery.attempt_id, "another's reaction")
        if delivery.channel == "sms":
            self._follow(reaction, account, delivery, now)
        elif reaction in ("wrong_person", "stop"):
            self._send(account, delivery, phrases.NOT_ME if reaction == "wrong_person" else phrases.KEYS["stop"], now)

    def _confirms(self, account: Account, delivery: Delivery, now: datetime) -> bool:
        """Whether whoever picked up says that they are the one who is called; for nobody else is the rest."""
        picked_up = weighted(PICK_UPS, self.seed, delivery.attempt_id, "picks up")
        key = {"confirms": phrases.IT_IS_ME, "says_wrong_person": phrases.NOT_ME, "says_stop": phrases.KEYS["stop"]}
        if picked_up != "hangs_up":
            self._send(account, delivery, key[picked_up], now)
        return picked_up == "confirms"

    def _follow(self, reaction: Reaction, account: Account, delivery: Delivery, now: datetime) -> None:
        key = delivery.attempt_id
        match reaction:
            case "ignore":
                return
            case "pay_full" | "pay_part" | "pay_early":
                at = self._awake(now + timedelta(minutes=between(20, 2_000, self.seed, key, "pays in")), account)
                self.agenda.add(at, f"pays {key}", lambda then: self._pay(account, reaction, key, then))
            case "promise":
                self._promise(account, delivery, now)
            case _ if delivery.channel == "voice":
                digit = phrases.KEYS.get(reaction)
                if digit is not None:
                    self._send(account, delivery, digit, now)
            case _:
                text = phrases.text_of(reaction, account.person.language, self.seed, key)
                self._send(account, delivery, text, now)

    def _promise(self, account: Account, delivery: Delivery, now: datetime) -> None:
        key, person = delivery.attempt_id, account.person
        today = now.astimezone(ZoneInfo(person.zones[0])).date()
        total = sum(loan.overdue(self.core.today(loan, now)).total_minor for loan in self._overdue(account, now))
        promised_on = today + timedelta(days=integer(1, 3, self.seed, key, "promised in"))
        named = total > 0 and chance(0.7, self.seed, key, "names the amount")
        content = phrases.KEYS["promise"]
        if delivery.channel == "sms":
            content = phrases.promise_text(
                person.language,
                amount_minor=total if named else None,
                promised_on=promised_on,
                today=today,
                seed=self.seed,
                key=key,
            )
        self._send(account, delivery, content, now)
        outcome = weighted(KEEPS_PROMISE[account.persona], self.seed, key, "keeps it")
        if outcome != "broken":
            at = self._hour_of(promised_on, person.zones[0], key)
            how: Reaction = "pay_full" if outcome == "kept" else "pay_part"
            self.agenda.add(max(at, now), f"keeps {key}", lambda then: self._pay(account, how, key, then))

    def _pay(self, account: Account, how: Reaction, key: str, now: datetime) -> None:
        if how == "pay_early":
            for loan in account.loans:
                _, due = loan.next_due(self.core.today(loan, now))
                if due.total_minor and not self._overdue(account, now):
                    self.purses.pay(loan, due.total_minor, now, cause=f"early {key}")
                    return
            return
        share = 1.0 if how == "pay_full" else between(0.25, 0.7, self.seed, key, "share")
        for loan in self._overdue(account, now):
            amount = int(loan.overdue(self.core.today(loan, now)).total_minor * share)
            if amount > 0:
                self.purses.pay(loan, amount, now, cause=f"{how} {key}")

    def _overdue(self, account: Account, now: datetime) -> list[Loan]:
        return [loan for loan in account.loans if loan.overdue(self.core.today(loan, now)).total_minor > 0]

    def _send(self, account: Account, delivery: Delivery, content: str, now: datetime) -> None:
        """Type an answer after a while, or press a key during the call, in the order of pressing."""
        key, pressed_at = delivery.attempt_id, None
        if delivery.channel == "voice":
            at, said_before = now, self._pressed.get(key, 0)
            self._pressed[key] = said_before + 1
            pressed_at = delivery.at + (1 + said_before) * KEY_PAUSE
        else:
            at = self._awake(now + timedelta(minutes=between(3, 240, self.seed, key, "answers in")), account)
        told = delivery.channel == "voice" or not chance(UNTOLD_SHARE, self.seed, key, "untold")

        def send(then: datetime) -> None:
            self.outbox.append(
                Inbound(
                    inbound_id=derive("inbound", delivery.message_id, content),
                    channel=delivery.channel,
                    sender=delivery.to,
                    text=content,
                    at=pressed_at or then,
                    in_reply_to=delivery.message_id if told else None,
                )
            )

        self.agenda.add(at, f"says {key}", send)

    def _awake(self, at: datetime, account: Account) -> datetime:
        """`at`, or eight in the morning if that is at night for the borrower."""
        zone = ZoneInfo(account.person.zones[0])
        local = at.astimezone(zone)
        if 8 <= local.hour < 23:
            return at
        day = local.date() + timedelta(days=1 if local.hour >= 23 else 0)
        return datetime.combine(day, time(8), zone)

    def _hour_of(self, day: date, zone: str, key: str) -> datetime:
        hour = weighted(((8, 1), (10, 2), (12, 3), (18, 2), (20, 3), (21, 2)), self.seed, key, "hour")
        return datetime.combine(day, time(int(hour)), ZoneInfo(zone))
