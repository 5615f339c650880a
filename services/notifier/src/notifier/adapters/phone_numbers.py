"""Phone numbers in E.164 form, as carriers and lenders write them."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=65_536)
def to_e164(text: str, *, default_region: str) -> str | None:
    """`text` in E.164 form; a number without a country belongs to `default_region`. None: it isn't a number."""
    if any(character.isalpha() for character in text):
        return None  # the parser would read letters as keys of a telephone
    try:
        number = phonenumbers.parse(text, default_region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
