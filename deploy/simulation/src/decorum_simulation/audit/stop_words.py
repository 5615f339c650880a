"""The audit's own list of what means "no more of this": by itself, or anywhere in a message.

It is written apart from the notifier's, which it checks; a test holds the two together.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import product
from typing import Final

from decorum_simulation.audit.records import Inbound

STOP_KEY: Final = "9"
ALONE: Final = frozenset(
    ("stop", "stopall", "unsubscribe", "unsub", "cancel", "end", "quit", "revoke", "optout", "remove", "removeme")
) | frozenset(
    ("t", "td", "n", "退订", "td退订", "回td", "回复td", "退", "取消", "停止", "请停止", "停", "拒收", "拒绝")
)
_BEGINNINGS: Final = ("stop", "td退订")
_FORBIDDING: Final = ("不要", "别", "勿", "不许", "禁止", "请勿")
_FORBIDDEN: Final = ("联系", "发", "打", "给我发", "给我打", "骚扰", "来电", "催", "烦")
_STOPPED: Final = ("联系", "发", "打", "短信", "骚扰", "催收")
_RECEIVED: Final = ("收到", "接到", "接你", "接电话")
CHINESE: Final = (
    "退订",
    "拒收",
    "停发",
    "勿扰",
    *("取消" + what for what in ("订阅", "短信", "发送", "通知")),
    *("".join(parts) for parts in product(("不想", "不愿", "不愿意"), ("", "再"), _RECEIVED)),
    *("停止" + what for what in _STOPPED),
    *("".join(parts) for parts in product(_FORBIDDING, ("", "再"), _FORBIDDEN)),
)
ENGLISH: Final = re.compile(
    r"\bstop\b|unsubscribe|\bopt(?:ing)? ?out\b|\bleave me alone\b|\b(?:remove|take) me (?:off|from)\b|"
    r"(?:\bdo not|\bdont|\bnever|\bno more) (?:ever )?(?:contact|call|text|message|send)"
)
_SIMPLIFIED: Final = str.maketrans("訂絕聯係繫發電騷擾來別複復", "订绝联系系发电骚扰来别复复")


def says_stop(item: Inbound) -> bool:
    """Whether an inbound message is a stop: the key, or the words."""
    return item.text.strip() == STOP_KEY if item.kind == "keypress" else is_stop(item.text)


def is_stop(text: str) -> bool:
    """Whether a text asks for no more, in any width, case and punctuation, in simplified or traditional characters."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_SIMPLIFIED)
    shown = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    letters = "".join(character for character in shown if character.isalnum())
    if letters in ALONE or letters.startswith(_BEGINNINGS) or any(phrase in letters for phrase in CHINESE):
        return True
    words = re.findall(r"[a-z]+", re.sub("['’]", "", shown))
    return ENGLISH.search(" ".join(words)) is not None
