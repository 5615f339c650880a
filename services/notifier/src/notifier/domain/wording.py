"""One form for what people type: width, case, invisible characters, punctuation, and Chinese numerals."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_DIGITS: Final[dict[str, int]] = {
    **{character: value for value, character in enumerate("零一二三四五六七八九")},
    "〇": 0,
    "两": 2,
    "兩": 2,
}
_UNITS: Final[dict[str, int]] = {"十": 10, "百": 100, "千": 1_000}
_SIMPLIFIED: Final = str.maketrans(
    "訂絕還後個號點麼無沒過錯繫聯電話訴異議萬", "订绝还后个号点么无没过错系联电话诉异议万"
)
NUMERAL: Final = "[零〇一二两三四五六七八九十百千万]+"


def plain(text: str) -> str:
    """Half-width, lower case, without invisible characters, the common traditional characters made simplified."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_SIMPLIFIED).replace("’", "'")
    return "".join(character for character in folded if unicodedata.category(character) != "Cf").strip()


def compact(text: str) -> str:
    """Only the letters and digits of `plain(text)`: "S.T.O.P !" and "退 订" read as what they mean."""
    return "".join(character for character in plain(text) if character.isalnum())


def chinese_number(text: str) -> int | None:
    """The value of a Chinese numeral below 100 million ("三", "二十", "两千五", "一万二"); None if it is none."""
    if not text:
        return None
    if "万" in text:
        high, _, low = text.partition("万")
        upper = chinese_number(high)
        lower = _after_unit(low, 1_000) if low else 0
        return None if upper is None or lower is None else upper * 10_000 + lower
    return _below_ten_thousand(text)


def _after_unit(rest: str, next_unit: int) -> int | None:
    """ "两千五" is 2,500: a lone digit after a unit counts the next lower unit."""
    if len(rest) == 1 and rest in _DIGITS:
        return _DIGITS[rest] * next_unit
    return _below_ten_thousand(rest.lstrip("零〇"))


def _below_ten_thousand(text: str) -> int | None:
    if len(text) > 1 and all(character in _DIGITS for character in text):
        return int("".join(str(_DIGITS[character]) for character in text))
    total, digit, last_unit = 0, None, 0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _UNITS:
            last_unit = _UNITS[character]
            total += (1 if digit is None else digit) * last_unit
            digit = None
        else:
            return None
    if digit is not None:
        skips_a_unit = re.search("[零〇].$", text) is not None
        total += digit if skips_a_unit or last_unit <= 10 else digit * last_unit // 10
    return total
