"""Whether enough is known, and whether there is still something to ask for. These rules bind everywhere.

What is missing or behind puts an attempt off; it never denies it for good.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from compliance_gate.domain.facts import Attempt, Earlier, Facts, LoanFacts, Stop, UnpostedPayment
from compliance_gate.domain.replies import has_opted_out
from compliance_gate.domain.rules import Terms
from compliance_gate.domain.verdicts import Found, Ruling

BALANCE_ON_ITS_WAY = timedelta(minutes=1)
"""Who submitted the attempt has read a newer balance than the gate: it will be here at once."""
PLATFORM_RULES: dict[str, tuple[str, str]] = {
    "platform.facts": ("a fact is missing or may be out of date", "事实缺失或可能已过时"),
    "platform.amounts": ("the amounts are not those of the current balance", "金额与最新余额不一致"),
    "platform.payment": (
        "a payment is waiting to be booked, or is not in the balance yet",
        "有还款尚待入账，或尚未计入余额",
    ),
    "platform.due": ("nothing is due any more", "已无应还款项"),
    "platform.expiry": ("the attempt has expired", "本次联系已过期"),
    "platform.attempt": ("the attempt was sent before, or has an open permit", "本次联系已发出，或其许可尚未结束"),
    "platform.stop": ("an operator's stop is in force", "停止指令生效中"),
    "platform.policy": ("no policy pack covers the borrower", "没有适用于该借款人的规则包"),
    "platform.calendar": ("no official calendar covers the time to come", "官方日历尚未覆盖后续日期"),
    "platform.party": ("no rule in force allows contact with another person", "没有规则允许联系借款人以外的人"),
    "platform.permit": ("a permit would end at once: the window is about to close", "时段即将结束，许可已无有效时间"),
    "platform.horizon": ("no legal time lies within reach", "可预见的时间内没有合法时段"),
}
"""What the rules say that no pack holds, in English and Chinese; they are listed only where they stand in the way."""


def judge_facts(attempt: Attempt, facts: Facts, terms: Terms, now: datetime) -> Ruling | None:
    """Put off while a fact is missing or may be out of date; None where all are there."""
    missing = None
    if facts.lag_seconds > terms.facts_lag_seconds_max:
        missing = "facts are behind"
    elif not facts.known:
        missing = "borrower"
    elif facts.region is None:
        missing = "region"
    elif not facts.zones:
        missing = "zone"
    elif attempt.number_key is None:
        missing = "number"
    elif attempt.purpose == "opt_out_confirmation" and not has_opted_out(attempt, facts, now):
        missing = "opt-out"
    if missing is None:
        return None
    found = (("missing", missing),)
    return Ruling(rule_id="platform.facts", result="deferred", facts=found, until=_ask_again(terms, now))


def judge_balance(attempt: Attempt, facts: Facts, terms: Terms, now: datetime) -> list[Ruling]:
    """Refuse what nothing is due for; put off amounts that are unknown, stale or about to change.

    A balance older than the one that the attempt names is no reason to refuse: the newer one is on its way.

    A reply or a confirmation that says no amounts needs none of this.
    """
    if attempt.purpose in ("reply", "opt_out_confirmation") and not attempt.amounts:
        return []
    overdue = outstanding = 0
    awaits_balance = False
    closed: list[str] = []
    spoken: list[Ruling] = []
    for loan_id in attempt.loans:
        loan = _loan(facts, loan_id)
        if loan is None:
            found: Found = (("missing", "balance"), ("loan", loan_id))
            return [Ruling(rule_id="platform.facts", result="deferred", facts=found, until=_ask_again(terms, now))]
        if loan.closed:
            closed.append(loan_id)
        else:
            overdue += loan.overdue_minor
            outstanding += loan.outstanding_minor
        for amount in attempt.amounts:
            if amount.loan_id == loan_id and amount.balance_version != loan.balance_version:
                is_newer = amount.balance_version > loan.balance_version
                awaits_balance |= is_newer
                found = (("loan", loan_id), ("said", str(amount.balance_version)), ("now", str(loan.balance_version)))
                until = now + BALANCE_ON_ITS_WAY if is_newer else _ask_again(terms, now)
                spoken.append(Ruling(rule_id="platform.amounts", result="deferred", facts=found, until=until))
    due = outstanding if attempt.purpose == "reminder" else overdue
    if due <= 0 and not awaits_balance and attempt.loans and attempt.purpose in ("reminder", "demand"):
        spoken.append(Ruling(rule_id="platform.due", result="blocked", facts=(("due_minor", str(due)),)))
    elif closed:
        found = (("closed", ",".join(closed)),)
        spoken.append(Ruling(rule_id="platform.amounts", result="deferred", facts=found, until=_ask_again(terms, now)))
    for payment in facts.unposted_payments:
        if (payment.loan_id is None or payment.loan_id in attempt.loans) and _is_awaited(payment, facts, now):
            found = (("payment", payment.payment_id),)
            until = payment.until or _ask_again(terms, now)
            spoken.append(Ruling(rule_id="platform.payment", result="deferred", facts=found, until=until))
    return spoken


def _is_awaited(payment: UnpostedPayment, facts: Facts, now: datetime) -> bool:
    """A booked payment is awaited until a snapshot restates the loan, or until its time has passed."""
    if payment.until is None:
        return True
    restated = payment.snapshot_version
    if restated is None:
        loan = _loan(facts, payment.loan_id) if payment.loan_id is not None else None
        restated = loan.balance_version if loan is not None else None
    version = payment.balance_version
    return now < payment.until and not (restated is not None and version is not None and restated > version)


def judge_expiry(attempt: Attempt, now: datetime) -> Ruling | None:
    """Refuse an attempt at or after its expiry."""
    if now < attempt.expires_at:
        return None
    return Ruling(rule_id="platform.expiry", result="blocked", facts=(("expired_at", attempt.expires_at.isoformat()),))


def judge_earlier(earlier: Earlier, terms: Terms, now: datetime) -> Ruling:
    """Refuse an attempt that was used; put one off whose permit has no end yet."""
    found = (("earlier", earlier.state), ("permit_ends_at", earlier.permit_ends_at.isoformat()))
    if earlier.state == "used":
        return Ruling(rule_id="platform.attempt", result="blocked", facts=found)
    until = max(earlier.permit_ends_at, now + timedelta(minutes=terms.missing_facts_retry_minutes))
    return Ruling(rule_id="platform.attempt", result="deferred", facts=found, until=until)


def judge_stops(attempt: Attempt, facts: Facts) -> Ruling | None:
    """Refuse what an operator's stop covers."""
    for stop in facts.stops:
        if _covers(stop, attempt):
            return Ruling(rule_id="platform.stop", result="blocked", facts=(("scope", stop.scope),))
    return None


def _ask_again(terms: Terms, now: datetime) -> datetime:
    return now + timedelta(minutes=terms.missing_facts_retry_minutes)


def _loan(facts: Facts, loan_id: str) -> LoanFacts | None:
    for loan in facts.loans:
        if loan.loan_id == loan_id:
            return loan
    return None


def _covers(stop: Stop, attempt: Attempt) -> bool:
    match stop.scope:
        case "all":
            return True
        case "channel":
            return stop.value == attempt.channel
        case "provider":
            return stop.value == attempt.provider
        case "strategy":
            return stop.value == attempt.strategy
        case "borrower":
            return stop.value is None or stop.value == attempt.borrower_id
