"""What a text must say and must not, whoever wrote it; and the samples that every template is tried with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from notifier.domain.call_keys import DETAIL_KEYS, OPENING_KEYS
from notifier.ports import Speech
from shared.contracts import AttemptLoan, AttemptSubmittedV1, Channel, Language
from shared.errors import Misconfigured

SMS_LENGTH_MAX: Final = 500
CALL_LENGTH_MAX: Final = 1_200
OPENING_LENGTH_MAX: Final = 400
CONFIRMATION_LENGTH_MAX: Final = 160
_OPT_OUT: Final[dict[Language, str]] = {"zh": "回复TD退订", "en": "Reply STOP to opt out"}
"""12 CFR 1006.6(e): every electronic message carries a simple way to opt out."""
_THREATS: Final[dict[Language, re.Pattern[str]]] = {
    "zh": re.compile(r"起诉|法院|报警|公安|刑事|坐牢|拘留|黑名单|曝光|通知(?:您的)?(?:家人|亲友|单位)|后果自负|上门"),
    "en": re.compile(r"\b(?:sue|lawsuit|court|police|arrest|jail|prison|garnish|blacklist|criminal|seize)\w*", re.I),
}
"""No threats and nothing that involves a third person: GB/T 45251, the bankers' guideline, 12 CFR 1006.22."""


_OPTED_OUT: Final[dict[Language, str]] = {"zh": "已退订", "en": "have opted out"}
_EXPLAINED_KEY: Final = re.compile(r"(?:按|press )(\d)", re.IGNORECASE)
_OF_A_DEBT: Final[dict[Language, re.Pattern[str]]] = {
    "zh": re.compile(r"债|欠|逾期|贷|借|还款|还钱|还清|催|账单|账户|款|到期|付|金额|余额|信用|[¥￥$]"),
    "en": re.compile(
        r"\b(?:debts?|loan|lend|owe|owing|over-?due|past due|due|arrears|pay|repay|collect|balance|amount|bill|credit|"
        r"account|delinquen|default|money|dollar|remind)\w*|[¥$€£]",
        re.IGNORECASE,
    ),
}
"""Words that let a third person guess a debt: 12 CFR 1006.6(d)(1), 1006.2(j); GB/T 45251 and the bankers' guideline,
nobody but the debtor hears of the debt; PIPL 25."""
_COLLECTS: Final[dict[Language, re.Pattern[str]]] = {
    "zh": re.compile(r"催收|追债|讨债|清收|债"),
    "en": re.compile(r"\b(?:collect|debt|recover)\w*", re.IGNORECASE),
}
"""12 CFR 1006.2(j)(1)(i): the name that a third person hears doesn't indicate the business of debt collection."""


class TemplateError(Misconfigured):
    """A template that can't be used: the service doesn't start."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}" if line else f"{path}: {reason}")


def check_text(text: str, channel: Channel, language: Language, *, must_say: Sequence[str]) -> str | None:
    """Why `text` must not be used, or None."""
    for needed in must_say:
        if needed not in text:
            return f"must say {needed!r}"
    threat = _THREATS[language].search(text)
    if threat is not None:
        return f"must not say {threat[0]!r}"
    if channel == "sms":
        if _OPT_OUT[language] not in text:
            return f"must say {_OPT_OUT[language]!r}"
        return f"is longer than {SMS_LENGTH_MAX} characters" if len(text) > SMS_LENGTH_MAX else None
    return _check_call(text, DETAIL_KEYS, CALL_LENGTH_MAX)


def check_opening(text: str, language: Language, *, lender: str, name: str) -> str | None:
    """Why a call must not begin with `text`, which anybody may hear, or None. The lender's name is judged apart from
    the words: it has to be said as it is (12 CFR 1006.14(g), the bankers' guideline), unless it gives the debt away.
    """
    for needed in (lender, name):
        if needed not in text:
            return f"must say {needed!r}"
    collects = _COLLECTS[language].search(lender)
    if collects is not None:
        return f"must not be said in a name that tells of debt collection: {collects[0]!r}"
    said = text.replace(lender, " ").replace(name, " ")
    for pattern in (_THREATS[language], _OF_A_DEBT[language]):
        found = pattern.search(said)
        if found is not None:
            return f"must not say {found[0]!r} before the person has confirmed"
    return _check_call(text, OPENING_KEYS, OPENING_LENGTH_MAX)


def check_confirmation(text: str, language: Language, *, lender: str) -> str | None:
    """Why an opt-out must not be confirmed with `text`, or None: it contains the confirmation and nothing else."""
    for needed in (lender, _OPTED_OUT[language]):
        if needed not in text:
            return f"must say {needed!r}"
    said = text.replace(lender, " ")
    for pattern in (_THREATS[language], _OF_A_DEBT[language]):
        found = pattern.search(said)
        if found is not None:
            return f"must not say {found[0]!r} to somebody who has opted out"
    too_long = len(text) > CONFIRMATION_LENGTH_MAX
    return f"is longer than {CONFIRMATION_LENGTH_MAX} characters" if too_long else None


def _check_call(text: str, keys: Mapping[str, str], length_max: int) -> str | None:
    """Each part of a call explains the keys that it takes, and no other."""
    explained = set(_EXPLAINED_KEY.findall(text))
    if missing := [key for key in keys if key not in explained]:
        return f"must explain the keys {', '.join(missing)}"
    if extra := sorted(explained - set(keys)):
        return f"must not explain the keys {', '.join(extra)}, which it doesn't take"
    return f"is longer than {length_max} characters" if len(text) > length_max else None


def _attempt(channel: Channel, language: Language, currency: str) -> AttemptSubmittedV1:
    loan = AttemptLoan(
        loan_id="L1",
        balance_version=1,
        overdue_minor=123_456,
        due_minor=123_456,
        due_on=date(2026, 9, 30),
        days_past_due=31,
    )
    at = datetime(2026, 10, 1, tzinfo=UTC)
    return AttemptSubmittedV1(
        borrower_id="B1",
        attempt_id="A1",
        submission_number=1,
        submitted_at=at,
        expires_at=at,
        purpose="demand",
        channel=channel,
        contact_point_id="C1",
        currency=currency,
        loans=(loan,),
        template="sample",
        language=language,
        risk_grade="low",
        strategy="sample",
        strategy_hash="sample",
        step_key="sample",
    )


_SPEECHES: Final = (
    Speech(name="王小明", region="CN-31", zones=("Asia/Shanghai",), contacted_before=True),
    Speech(name="Maria Lopez", region="US-NY", zones=("America/New_York",), contacted_before=False),
    Speech(name="", region="US-CA", zones=("America/Los_Angeles",), contacted_before=True),
)
SAMPLES: Final[dict[tuple[Channel, Language], tuple[tuple[Speech, AttemptSubmittedV1], ...]]] = {
    (channel, language): tuple(
        (speech, _attempt(channel, language, "CNY" if speech.region.startswith("CN") else "USD"))
        for speech in _SPEECHES
    )
    for channel in ("sms", "voice")
    for language in ("zh", "en")
}
