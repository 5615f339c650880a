"""A seeded portfolio for the restart storm: what a lender publishes, what borrowers answer, what can't be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from shared.contracts import (
    Amounts,
    BorrowerUpdatedV1,
    Channel,
    ConsentChangedV1,
    ContactPoint,
    ContactResult,
    ExternalContactMadeV1,
    Language,
    LoanOverdueV1,
    LoanRegisteredV1,
    Message,
    PaymentReceivedV1,
    PaymentReversedV1,
    RestrictionChangedV1,
)
from shared.contracts.registry import LOAN_EVENTS
from shared.kafka.records import Outgoing, WireMessage, encode

SOURCE: Final = "storm/core"
STEP_DAYS: Final = (1, 4, 8, 16, 20, 28)
"""Days past due on which the shipped strategies have a text to send."""
EVENTS_PER_BORROWER: Final = 5.2
AMERICAN_STEP_DAYS: Final = (4, 16)
"""A call on one, a text on the other."""
SMS_RESULTS: Final[tuple[ContactResult, ...]] = ("sent", "delivered", "failed")
CALL_RESULTS: Final[tuple[ContactResult, ...]] = ("no_answer", "voicemail", "busy", "conversation", "dropped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a borrower lives, and what follows from it."""

    zone: str
    region: str
    language: Language
    currency: str
    number_from: int
    step_days: tuple[int, ...]
    known_share: float
    """Of those whom others have contacted lately."""
    calls_before: tuple[int, ...]
    """How often they may have been called."""
    days_ago: tuple[int, ...] = (0, 0, 0, 1, 2, 3, 4, 5, 6)

    def number(self, index: int) -> str:
        """The number of the borrower of this index."""
        return f"+{self.number_from + index}"


CHINESE: Final = Home(
    zone="Asia/Shanghai",
    region="CN",
    language="zh",
    currency="CNY",
    number_from=86_138_0000_0000,
    step_days=STEP_DAYS,
    known_share=0.2,
    calls_before=(0, 1, 2, 3, 4, 6, 8),
)
AMERICAN: Final = Home(
    zone="America/New_York",
    region="US-NY",
    language="en",
    currency="USD",
    number_from=1_212_230_0000,
    step_days=AMERICAN_STEP_DAYS,
    known_share=0.5,
    calls_before=(0, 1),
)
RACER: Final = replace(CHINESE, step_days=(4,), known_share=0.0)
"""To be called in the first wave, and paying or disputing just then."""
HOMES_CYCLE: Final = 25
HOMES: Final = {
    # Two who are to be called, and can't be: one was called twice today, one all through the week.
    3: replace(CHINESE, step_days=(4,), known_share=1.0, calls_before=(3,), days_ago=(0,)),
    11: replace(AMERICAN, step_days=(4,), known_share=1.0, calls_before=(12,), days_ago=(0, 1, 2, 3, 4, 5)),
    19: AMERICAN,
    6: RACER,
    14: RACER,
    23: RACER,
}
"""Where a borrower of this index is at home; all others are plainly Chinese."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """Phases of events; the next is published when the one before has come to rest."""

    borrowers: tuple[str, ...]
    numbers: dict[str, str]
    zones: dict[str, str]
    facts: tuple[WireMessage, ...]
    hurried: dict[str, WireMessage]
    """By borrower, what ends permits while the first wave is being sent: whether the contact is made before is a race.

    Of these borrowers alone another run of the same seed may decide and send otherwise.
    """
    payments: tuple[WireMessage, ...]
    replies: dict[str, str]
    """What a borrower answers to the first text."""
    poison: int
    """How many of the facts no service can read."""

    @property
    def events(self) -> int:
        """All loan events of the storm."""
        return len(self.facts) + len(self.hurried) + len(self.payments)


def portfolio(*, seed: int, events: int, at: datetime, hurried_at: datetime) -> Portfolio:
    """About `events` loan events of business time `at` and just before, the hurried ones of `hurried_at`.

    Equal arguments give equal bytes.
    """
    borrowers = tuple(f"S{seed}-{number:06d}" for number in range(max(20, int(events / EVENTS_PER_BORROWER))))
    facts: list[WireMessage] = []
    hurried: dict[str, WireMessage] = {}
    payments: list[WireMessage] = []
    replies: dict[str, str] = {}
    numbers: dict[str, str] = {}
    zones: dict[str, str] = {}
    for index, borrower in enumerate(borrowers):
        random = Random(f"{seed}/{borrower}")
        home = HOMES.get(index % HOMES_CYCLE, CHINESE)
        numbers[borrower], zones[borrower] = home.number(index), home.zone
        messages = _facts(borrower, numbers[borrower], home, random, at)
        facts += [_wire(m, f"{borrower}-{n}", at - timedelta(hours=1)) for n, m in enumerate(messages)]
        if random.random() < 0.05:
            facts.append(facts[-1])
        if home.region != CHINESE.region:  # their wave is under way when the others pay
            continue
        payments += _payments(borrower, random, at)
        draw = random.random()
        if home is RACER:
            hurried[borrower] = _hurried(borrower, random, hurried_at)
        elif draw < 0.20:
            replies[borrower] = "明天还" if draw < 0.12 else "退订"
    poison = _poison(seed, borrowers[0])
    facts += poison
    Random(seed).shuffle(facts)
    return Portfolio(
        borrowers=borrowers,
        numbers=numbers,
        zones=zones,
        facts=tuple(facts),
        hurried=hurried,
        payments=tuple(payments),
        replies=replies,
        poison=len(poison),
    )


def _facts(borrower: str, number: str, home: Home, random: Random, at: datetime) -> list[Message]:
    today = at.date()
    messages: list[Message] = [
        BorrowerUpdatedV1(
            borrower_id=borrower,
            name=f"客户{borrower[-4:]}",
            language=home.language,
            region=home.region,
            zones=(home.zone,),
            contact_points=(ContactPoint(contact_point_id=f"{borrower}-m", kind="mobile", value=number),),
        )
    ]
    for loan in range(1 if random.random() < 0.85 else 2):
        messages += _loan(borrower, f"{borrower}-L{loan}", home, today, random)
    if random.random() < home.known_share:
        messages += _external_contacts(borrower, home, random, at)
    if random.random() < 0.04:
        messages.append(
            RestrictionChangedV1(
                borrower_id=borrower, restriction_id=f"{borrower}-r", kind="dispute", active=True, effective_from=at
            )
        )
    if random.random() < 0.03:
        messages.append(
            ConsentChangedV1(
                borrower_id=borrower,
                consent_id=f"{borrower}-c",
                kind="opt_out",
                in_force=True,
                effective_from=at,
                channel="voice",
            )
        )
    return messages


def _external_contacts(borrower: str, home: Home, random: Random, at: datetime) -> list[Message]:
    """What others made of the last seven dates: every cap is used up, or nearly, for somebody."""
    texts, calls = random.randrange(4), random.choice(home.calls_before)
    channels: list[Channel] = ["sms" for _ in range(texts)]
    channels += ["voice" for _ in range(calls)]
    return [
        ExternalContactMadeV1(
            borrower_id=borrower,
            contact_id=f"{borrower}-x{number}",
            channel=channel,
            direction="inbound" if random.random() < 0.05 else "outbound",
            result=random.choice(SMS_RESULTS if channel == "sms" else CALL_RESULTS),
            made_at=at - timedelta(days=random.choice(home.days_ago), minutes=random.randrange(70, 120)),
            made_by="agency-1",
            loans=(f"{borrower}-L0",),
        )
        for number, channel in enumerate(channels)
    ]


def _hurried(borrower: str, random: Random, at: datetime) -> WireMessage:
    message: Message = PaymentReceivedV1(
        borrower_id=borrower,
        loan_id=f"{borrower}-L0",
        payment_id=f"{borrower}-h",
        currency="CNY",
        amount_minor=random.randrange(1_000, 400_000),
    )
    if random.random() < 0.4:
        message = RestrictionChangedV1(
            borrower_id=borrower, restriction_id=f"{borrower}-h", kind="dispute", active=True, effective_from=at
        )
    return _wire(message, f"{borrower}-h", at)


def _loan(borrower: str, loan_id: str, home: Home, today: date, random: Random) -> list[Message]:
    days_past_due = random.choice(home.step_days)
    due_on = today - timedelta(days=days_past_due)
    instalment = random.randrange(30_000, 300_000)
    overdue = Amounts(
        fees_minor=random.randrange(0, 2_000), interest_minor=instalment // 10, principal_minor=instalment
    )
    outstanding = Amounts(
        fees_minor=overdue.fees_minor,
        interest_minor=overdue.interest_minor,
        principal_minor=instalment * random.randrange(2, 12),
    )
    return [
        LoanRegisteredV1(
            borrower_id=borrower,
            loan_id=loan_id,
            currency=home.currency,
            opened_on=due_on - timedelta(days=90),
            outstanding=outstanding,
            next_due_on=due_on + timedelta(days=31),
            next_due=Amounts(principal_minor=instalment),
        ),
        LoanOverdueV1(
            borrower_id=borrower,
            loan_id=loan_id,
            currency=home.currency,
            as_of=today,
            days_past_due=days_past_due,
            oldest_unpaid_due_on=due_on,
            overdue=overdue,
            outstanding=outstanding,
        ),
    ]


def _payments(borrower: str, random: Random, at: datetime) -> list[WireMessage]:
    draw = random.random()
    if draw >= 0.3:
        return []
    when = at - timedelta(minutes=random.randrange(1, 50))
    payment = PaymentReceivedV1(
        borrower_id=borrower,
        loan_id=f"{borrower}-L0" if draw < 0.27 else f"{borrower}-L9",
        payment_id=f"{borrower}-p",
        currency="CNY",
        amount_minor=random.randrange(1_000, 400_000),
    )
    messages = [_wire(payment, f"{borrower}-p", when)]
    if draw < 0.05:
        reversal = PaymentReversedV1(borrower_id=borrower, loan_id=payment.loan_id, payment_id=payment.payment_id)
        messages.append(_wire(reversal, f"{borrower}-v", when + timedelta(minutes=1)))
    return messages


def _wire(message: Message, ce_id: str, at: datetime) -> WireMessage:
    return encode(Outgoing(message=message, ce_id=ce_id, ce_time=at), source=SOURCE)


def _poison(seed: int, borrower: str) -> list[WireMessage]:
    headers = (("ce_id", b"p"), ("ce_source", SOURCE.encode()), ("ce_type", b"lender.payment-received.v1"))
    bodies = (b"not json", b"{}", b"\xff\xfe", b'{"borrower_id":"x","amount_minor":-5}')
    return [
        WireMessage(
            topic=LOAN_EVENTS,
            key=borrower.encode(),
            value=body,
            headers=(*headers, ("ce_time", b"2026-09-16T00:00:00+00:00"), ("n", f"{seed}-{index}".encode())),
        )
        for index, body in enumerate(bodies)
    ]
