"""Who may post to a webhook: an HMAC over instant, delivery and body, fresh, and each delivery once."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

RefusalReason = Literal["missing_header", "forged", "stale", "replayed", "malformed", "invalid_number"]

TIMESTAMP_HEADER: Final = "x-decorum-timestamp"
DELIVERY_HEADER: Final = "x-decorum-delivery"
SIGNATURE_HEADER: Final = "x-decorum-signature"
_DELIVERY_ID_LENGTH_MAX: Final = 128


def signature(secret: bytes, *, timestamp: str, delivery: str, body: bytes) -> str:
    """The signature header of a delivery, as a carrier makes it."""
    digest = hmac.new(secret, f"{timestamp}.{delivery}.".encode() + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def check_delivery(
    headers: Mapping[str, str], body: bytes, *, secret: bytes, now: datetime, age_seconds_max: int
) -> RefusalReason | None:
    """Why this delivery is refused, or None. Whether its id was seen before is for the store to say.

    The signature is checked before the instant, so that a stranger learns nothing from the answer.
    """
    timestamp, delivery = headers.get(TIMESTAMP_HEADER, ""), headers.get(DELIVERY_HEADER, "")
    signed = headers.get(SIGNATURE_HEADER, "")
    if not (timestamp and delivery and signed):
        return "missing_header"
    expected = signature(secret, timestamp=timestamp, delivery=delivery, body=body)
    if len(delivery) > _DELIVERY_ID_LENGTH_MAX or not hmac.compare_digest(expected.encode(), signed.encode()):
        return "forged"
    if not (timestamp.isascii() and timestamp.isdigit()):
        return "stale"
    return "stale" if abs(now.timestamp() - int(timestamp)) > age_seconds_max else None
