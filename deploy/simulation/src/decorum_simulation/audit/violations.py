"""What the audit can find, and how it says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

Kind = Literal[
    "outside_hours",
    "outside_pack_hours",
    "public_holiday",
    "no_calendar",
    "unknown_zone",
    "cap_sms_day",
    "cap_sms_week",
    "cap_calls_day",
    "cap_calls_week",
    "cap_all_week",
    "cap_number_day",
    "extra_reply",
    "seven_in_seven",
    "call_after_conversation",
    "inconvenient_time",
    "no_permit",
    "permit_expired",
    "permit_revoked",
    "not_after_beyond_permit",
    "wrong_number",
    "requested_twice",
    "after_opt_out",
    "extra_confirmation",
    "confirmation_says_more",
    "stop_not_for_all",
    "promise_of_several",
    "after_restriction",
    "after_full_payment",
    "nothing_overdue",
    "wrong_amount",
    "unbalanced_transaction",
    "payment_not_booked",
    "payment_booked_twice",
    "payment_booked_wrongly",
    "unknown_cash",
    "payment_not_acknowledged",
    "decision_incomplete",
    "decision_missing",
    "decision_twice",
    "permit_without_end",
    "permit_ended_twice",
    "sent_but_not_made",
    "out_of_order",
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that must not be: what, when, which ids, and a sentence a person can read."""

    kind: Kind
    at: datetime | None
    ids: dict[str, str]
    sentence: str


@dataclass(slots=True, kw_only=True)
class Findings:
    """Violations, and how often each check was made: none found among none looked at would prove nothing."""

    violations: list[Violation] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, kind: Kind, at: datetime | None, sentence: str, **ids: str | None) -> None:
        """Note a violation."""
        known = {name: value for name, value in ids.items() if value is not None}
        self.violations.append(Violation(kind=kind, at=at, ids=known, sentence=sentence))
