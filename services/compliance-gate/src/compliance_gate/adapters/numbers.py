"""What may be kept of a phone number or address: a keyed hash, and the zones that it points to."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

from compliance_gate.adapters.calendars import zones_of_number

_HASH_BYTES = 18  # 144 bits: no two numbers of a lender meet, and no padding in the text


class KeyedNumbers:
    """Implements `ports.Numbers`. Without the key nobody can tell a number from its hash, nor try all numbers."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, value: str) -> str:
        """The same text for the same number or address."""
        digest = hmac.new(self._secret, value.strip().lower().encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:_HASH_BYTES]).decode()

    def zones(self, value: str) -> tuple[str, ...]:
        """Every zone of the number's area; empty for one that has none."""
        return _zones(value)


@lru_cache(maxsize=16_384)
def _zones(value: str) -> tuple[str, ...]:
    try:
        return zones_of_number(value)
    except ValueError:
        return ()
