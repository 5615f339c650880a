"""What borrowers type and press. Only plain wordings: the services' own tests try the harder ones."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from decorum_simulation.borrowers.personas import Reaction
from decorum_simulation.draws import integer
from shared.contracts import Language

STOP_WORDS: Final = {"zh": ("退订", "TD", "拒收", "不要再发短信了，退订"), "en": ("STOP", "Unsubscribe", "stop")}
IT_IS_ME: Final = "5"
"""The key that says that the person who was called is on the line."""
NOT_ME: Final = "7"
KEYS: Final[dict[Reaction, str]] = {"promise": "1", "paid_already": "2", "dispute": "3", "stop": "9", "call_back": "0"}
_TEXTS: Final[dict[tuple[Language, Reaction], tuple[str, ...]]] = {
    ("zh", "stop"): STOP_WORDS["zh"],
    ("en", "stop"): STOP_WORDS["en"],
    ("zh", "dispute"): ("这笔钱不是我借的", "我没借过这笔钱", "金额有误，我有异议"),
    ("en", "dispute"): ("I dispute this debt", "This is not my debt", "I never borrowed this"),
    ("zh", "paid_already"): ("已经还了", "昨天还过了", "我已还款"),
    ("en", "paid_already"): ("I already paid", "Already settled"),
    ("zh", "call_back"): ("请给我回电话", "给我打个电话"),
    ("en", "call_back"): ("Please call me back", "call me"),
    ("zh", "wrong_person"): ("打错了，我不认识他", "不是本人"),
    ("en", "wrong_person"): ("wrong number", "Wrong person"),
    ("zh", "other"): ("知道了", "在哪里可以看账单？", "谢谢提醒", "最近手头紧"),
    ("en", "other"): ("ok", "Where do I see my bill?", "Thanks for the reminder", "Money is tight right now"),
}


def text_of(reaction: Reaction, language: Language, seed: int, *key: str | int) -> str:
    """A wording of `reaction`; promises have their own (`promise_text`)."""
    wordings = _TEXTS[(language, reaction)]
    return wordings[integer(0, len(wordings) - 1, seed, *key, "wording")]


def promise_text(
    language: Language, *, amount_minor: int | None, promised_on: date, today: date, seed: int, key: str
) -> str:
    """A promise to pay on `promised_on`, with or without the amount; all supported currencies here have two digits."""
    amount = None if amount_minor is None else f"{Decimal(amount_minor) / 100:f}"
    style = integer(0, 2, seed, key, "style")
    tomorrow = promised_on == today + timedelta(days=1)
    if language == "zh":
        day = "明天" if tomorrow and style == 0 else f"{promised_on.month}月{promised_on.day}日"
        return f"我{day}还{amount}元" if amount is not None else f"我{day}一定还"
    day = "tomorrow" if tomorrow and style == 0 else f"on {promised_on.isoformat()}"
    return f"I will pay {amount} {day}" if amount is not None else f"I promise to pay {day}"
