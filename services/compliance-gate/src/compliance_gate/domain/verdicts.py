"""What a decision says: four verdicts, and what each rule said."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.contracts.types import Part

Found = tuple[tuple[str, str], ...]
"""The facts that a rule used, by name."""
RulingResult = Literal["passed", "warned", "held", "deferred", "blocked", "not_applicable"]


class Ruling(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What one rule said and the facts it used.

    `deferred` is in the way until an instant, `until`, which None leaves unknown; `blocked` is in the way for good.
    """

    rule_id: str
    result: RulingResult
    facts: Found = ()
    until: datetime | None = None


class Allowed(Part, frozen=True, kw_only=True, omit_defaults=True, tag_field="verdict", tag="allowed"):
    """The contact may be made before `permit_expires_at`. A warning is a rule that a person should know of."""

    rules: tuple[Ruling, ...]
    policy_hash: str
    permit_expires_at: datetime
    warnings: tuple[str, ...] = ()


class Deferred(Part, frozen=True, kw_only=True, omit_defaults=True, tag_field="verdict", tag="deferred"):
    """Not now. `next_legal_instant`: the first at which every rule allows it on these facts.

    Where a fact is missing or behind it is the first legal instant after a pause in which the fact may arrive, and the
    end of that pause where not even the borrower's zone is known.
    """

    rules: tuple[Ruling, ...]
    policy_hash: str
    deciding_rule: str
    next_legal_instant: datetime


class Denied(Part, frozen=True, kw_only=True, omit_defaults=True, tag_field="verdict", tag="denied"):
    """Not at all: no instant makes it lawful on these facts."""

    rules: tuple[Ruling, ...]
    policy_hash: str
    deciding_rule: str


class HeldForReview(Part, frozen=True, kw_only=True, omit_defaults=True, tag_field="verdict", tag="held"):
    """A person must look. `next_legal_instant`, where there is one, is when it would be allowed without."""

    rules: tuple[Ruling, ...]
    policy_hash: str
    deciding_rule: str
    next_legal_instant: datetime | None = None


Decision = Allowed | Deferred | Denied | HeldForReview
