"""Strategies from `strategies/*.yaml`: read, checked as a whole, and refused with file, line and reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from scheduler.adapters.yaml_lines import Document, StrategyFileError
from scheduler.domain import confirmations
from scheduler.domain.strategy import (
    DEFAULT,
    GRADES,
    AmountLimits,
    GradeBand,
    Grading,
    ReferralStep,
    ReplyPause,
    Step,
    StepChannel,
    Strategy,
    StrategyBook,
    problems_of,
)
from shared.contracts.attempts import TEMPLATE_NAMES, ReferralTarget
from shared.contracts.replies import ReplyIntent
from shared.contracts.types import CurrencyCode, Identifier, RiskGrade
from shared.money import MINOR_DIGITS

GRADING_FILE: Final = "grading.yaml"
_REMINDER: Final = "sms-reminder"
_EARLIEST, _LATEST = time(8), time(20)
"""Preferred hours outside these would be deferred by every policy."""

Day = Annotated[int, Meta(ge=-30, le=720)]
LocalHour = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):(00|30)$")]
AmountKey = Annotated[str, Meta(pattern=r"^([A-Z]{3}|default)$")]
Minor = Annotated[int, Meta(ge=0, le=10**12)]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _StepEntry(_Struct, frozen=True, kw_only=True):
    key: Identifier
    day: Day
    channel: StepChannel
    template: Identifier
    local_hours: Annotated[tuple[LocalHour, ...], Meta(min_length=1, max_length=12)]
    lifetime_hours: Annotated[int, Meta(ge=1, le=336)]


class _ReferralEntry(_Struct, frozen=True, kw_only=True):
    key: Identifier
    day: Annotated[int, Meta(ge=1, le=3650)]
    target: ReferralTarget
    reason: Annotated[str, Meta(min_length=3, max_length=300)]


class _Loans(_Struct, frozen=True, kw_only=True):
    currencies: Literal["all"] | Annotated[tuple[CurrencyCode, ...], Meta(min_length=1)]


class _Stop(_Struct, frozen=True, kw_only=True):
    below_minor: dict[AmountKey, Minor]
    after_day: Day


class _Pause(_Struct, frozen=True, kw_only=True):
    days: Annotated[int, Meta(ge=1, le=365)] | None = None
    referral: ReferralTarget | None = None


class _Pauses(_Struct, frozen=True, kw_only=True):
    replies: dict[ReplyIntent, _Pause]


class _Escalate(_Struct, frozen=True, kw_only=True):
    broken_promises: Annotated[int, Meta(ge=1, le=20)]


class _StrategyEntry(_Struct, frozen=True, kw_only=True):
    strategy: Identifier
    version: Annotated[int, Meta(ge=1)]
    grade: RiskGrade
    loans: _Loans
    steps: Annotated[tuple[_StepEntry, ...], Meta(min_length=1, max_length=200)]
    spacing_hours: Annotated[int, Meta(ge=1, le=168)]
    stop: _Stop
    pause: _Pauses
    escalate: _Escalate | None = None
    referrals: Annotated[tuple[_ReferralEntry, ...], Meta(min_length=1, max_length=10)]


class _Limits(_Struct, frozen=True, kw_only=True):
    small_below_minor: Minor
    large_from_minor: Minor


class _Band(_Struct, frozen=True, kw_only=True):
    from_day: Day
    small: RiskGrade
    medium: RiskGrade
    large: RiskGrade


class _GradingEntry(_Struct, frozen=True, kw_only=True):
    version: Annotated[int, Meta(ge=1)]
    amounts: dict[AmountKey, _Limits]
    bands: Annotated[tuple[_Band, ...], Meta(min_length=1, max_length=50)]


def read_book(folder: Path) -> StrategyBook:
    """Every strategy of `folder` with its grading; raises `StrategyFileError` unless each grade has exactly one."""
    grading = read_grading(folder / GRADING_FILE)
    by_grade: dict[RiskGrade, Strategy] = {}
    documents: dict[str, Document] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == GRADING_FILE:
            continue
        strategy, document = _read(path)
        if strategy.grade in by_grade:
            raise document.refuse("$.grade", f"{by_grade[strategy.grade].name} has the grade {strategy.grade} already")
        if strategy.name in documents:
            raise document.refuse("$.strategy", "another file has the same name")
        by_grade[strategy.grade], documents[strategy.name] = strategy, document
    for grade in GRADES:
        if grade not in by_grade:
            raise StrategyFileError(folder, 1, f"no strategy for the grade {grade}")
    book = StrategyBook(grading=grading, by_grade={grade: by_grade[grade] for grade in GRADES})
    for strategy, key, reason in problems_of(book):
        document = documents[strategy.name]
        raise document.refuse(_place_of(strategy, key), reason)
    return book


def read_strategy(path: Path) -> Strategy:
    """The strategy in `path`, checked by itself; raises `StrategyFileError`."""
    return _read(path)[0]


def read_grading(path: Path) -> Grading:
    """The grading in `path`; raises `StrategyFileError`."""
    document = Document(path)
    entry = document.as_type(_GradingEntry)
    _check_currencies(document, "$.amounts", entry.amounts)
    for key, limits in entry.amounts.items():
        if limits.small_below_minor >= limits.large_from_minor:
            raise document.refuse(f"$.amounts.{key}", "large_from_minor must be above small_below_minor")
    for index, band in enumerate(entry.bands[1:], start=1):
        if band.from_day <= entry.bands[index - 1].from_day:
            raise document.refuse(f"$.bands[{index}].from_day", "bands must rise by from_day")
    limits_by_key = {
        key: AmountLimits(small_below_minor=limits.small_below_minor, large_from_minor=limits.large_from_minor)
        for key, limits in entry.amounts.items()
    }
    return Grading(
        limits={key: limits for key, limits in limits_by_key.items() if key != DEFAULT},
        default_limits=limits_by_key[DEFAULT],
        bands=tuple(GradeBand(from_day=b.from_day, small=b.small, medium=b.medium, large=b.large) for b in entry.bands),
    )


def _read(path: Path) -> tuple[Strategy, Document]:
    document = Document(path)
    entry = document.as_type(_StrategyEntry)
    _check_currencies(document, "$.stop.below_minor", entry.stop.below_minor)
    for place, reason in _mistakes(entry):
        raise document.refuse(place, reason)
    currencies = entry.loans.currencies
    strategy = Strategy(
        name=entry.strategy,
        content_hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        grade=entry.grade,
        currencies=None if currencies == "all" else frozenset(currencies),
        steps=tuple(_step(step) for step in entry.steps),
        referrals=tuple(ReferralStep(key=r.key, day=r.day, target=r.target, reason=r.reason) for r in entry.referrals),
        spacing_hours=entry.spacing_hours,
        stop_below_minor=entry.stop.below_minor,
        stop_after_day=entry.stop.after_day,
        reply_pauses={
            intent: ReplyPause(days=pause.days, referral=pause.referral)
            for intent, pause in entry.pause.replies.items()
        },
        escalate_after_broken_promises=entry.escalate.broken_promises if entry.escalate is not None else None,
    )
    return strategy, document


def _step(entry: _StepEntry) -> Step:
    return Step(
        key=entry.key,
        day=entry.day,
        channel=entry.channel,
        template=entry.template,
        local_hours=tuple(time.fromisoformat(hour) for hour in entry.local_hours),
        lifetime_hours=entry.lifetime_hours,
    )


def _mistakes(entry: _StrategyEntry) -> Iterator[tuple[str, str]]:
    """What is wrong with a strategy whose fields are all well-formed."""
    last_day = entry.referrals[0].day
    keys: set[str] = set()
    for index, step in enumerate(entry.steps):
        place = f"$.steps[{index}]"
        if step.key in keys:
            yield f"{place}.key", "is used twice"
        keys.add(step.key)
        wrong = _wrong_template(step)
        if wrong is not None:
            yield f"{place}.template", wrong
        if step.day >= last_day:
            yield f"{place}.day", f"comes after the referral on day {last_day}: it would never be taken"
        for number, hour in enumerate(step.local_hours):
            if not _EARLIEST <= time.fromisoformat(hour) <= _LATEST:
                yield f"{place}.local_hours[{number}]", f"must be between {_EARLIEST:%H:%M} and {_LATEST:%H:%M}"
    for index, referral in enumerate(entry.referrals):
        place = f"$.referrals[{index}]"
        if referral.key in keys:
            yield f"{place}.key", "is used twice"
        if referral.key.startswith("reply-"):
            yield f"{place}.key", "must not begin with reply-, which stands for the referrals that replies cause"
        keys.add(referral.key)
        if index and referral.day <= entry.referrals[index - 1].day:
            yield f"{place}.day", "referrals must rise by day"
    for intent, pause in entry.pause.replies.items():
        if pause.days is None and pause.referral is None:
            yield f"$.pause.replies.{intent}", "needs days, or a referral to whoever can lift the pause"


def _wrong_template(step: _StepEntry) -> str | None:
    """Why the notifier would send nothing, or the wrong thing, for this step."""
    if step.template not in TEMPLATE_NAMES or step.template == confirmations.TEMPLATE:
        return f"there is no template {step.template} for steps"
    if step.template.startswith("sms-") != (step.channel == "sms"):
        return f"isn't for the channel {step.channel}"
    if (step.template == _REMINDER) != (step.day <= 0):
        return f"{_REMINDER} is for the days up to the due date, and nothing else is"
    return None


def _check_currencies(document: Document, place: str, keys: Mapping[str, object]) -> None:
    if DEFAULT not in keys:
        raise document.refuse(place, f"needs an amount for {DEFAULT}")
    for key in keys:
        if key != DEFAULT and key not in MINOR_DIGITS:
            raise document.refuse(f"{place}.{key}", "unknown currency")


def _place_of(strategy: Strategy, key: str) -> str:
    for index, step in enumerate(strategy.steps):
        if step.key == key:
            return f"$.steps[{index}].key"
    keys = [referral.key for referral in strategy.referrals]
    return f"$.referrals[{keys.index(key)}].key"
