"""What a text must say and must not, whoever wrote it; and the samples that every template is tried with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from notifier.ports import Speech
from shared.contracts import AttemptLoan, AttemptSubmittedV1, Channel, Language

SMS_LENGTH_MAX: Final = 500
CALL_LENGTH_MAX: Final = 1_200
_OPT_OUT: Final[dict[Language, str]] = {"zh": "回复TD退订", "en": "Reply STOP to opt out"}
"""12 CFR 1006.6(e): every electronic message carries a simple way to opt out."""
_CALL_KEYS: Final = "12390"
_THREATS: Final[dict[Language, re.Pattern[str]]] = {
    "zh": re.compile(r"起诉|法院|报警|公安|刑事|坐牢|拘留|黑名单|曝光|通知(?:您的)?(?:家人|亲友|单位)|后果自负|上门"),
    "en": re.compile(r"\b(?:sue|lawsuit|court|police|arrest|jail|prison|garnish|blacklist|criminal|seize)\w*", re.I),
}
"""No threats and nothing that involves a third person: GB/T 45251, the bankers' guideline, 12 CFR 1006.22."""


class TemplateError(Exception):
    """A template that can't be used: the service doesn't start."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")


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
    missing = [key for key in _CALL_KEYS if not re.search(rf"(?:按|press ){key}", text, re.IGNORECASE)]
    if missing:
        return f"must explain the keys {', '.join(missing)}"
    return f"is longer than {CALL_LENGTH_MAX} characters" if len(text) > CALL_LENGTH_MAX else None


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
