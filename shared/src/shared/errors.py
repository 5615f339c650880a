"""The four kinds of failure. Each tells the consumer what to do with the record in hand.

* `Rejection`: a business outcome; it is published as an event, never raised across a handler's edge.
* `Poison`: the record can never be handled; it goes to the dead letters and its batch goes on.
* `Transient`: the same work may succeed later; bounded retries with jitter.
* `Fatal`: going on could lose or double something; consumption stops with its offsets untouched.
"""

from __future__ import annotations

from typing import Literal, get_args

ReasonCode = Literal[
    "not_json",
    "not_utf8_header",
    "missing_header",
    "bad_header",
    "body_too_large",
    "empty_body",
    "unknown_event_type",
    "unsupported_version",
    "schema_mismatch",
    "key_mismatch",
    "unknown_currency",
    "unknown_zone",
    "unknown_region",
    "invalid_phone_number",
    "impossible_date",
    "time_ahead",
    "time_too_old",
    "id_reused_with_other_body",
    "currency_mismatch",
    "handler_error",
]
"""Why a record is in the dead letters. A closed set: also the label of the metric that counts them."""

REASON_CODES: tuple[str, ...] = get_args(ReasonCode)


class DecorumError(Exception):
    """Root of every error that this code raises on purpose."""


class Rejection(DecorumError):
    """A request that the business refuses; `reason` is shown to the caller and carries no personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Misconfigured(DecorumError):
    """A setting, strategy, pack or template that can't be used: nothing starts with it. The text says where and why."""


class Absent(Rejection):
    """What the caller names is not there: a borrower, a stop, a decision. A command's answer is then 1, not 2."""


class Poison(DecorumError):
    """A record that can never be handled. `detail` names a field or a bound, never a value from the body."""

    def __init__(self, reason: ReasonCode, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: ReasonCode = reason
        self.detail = detail


class Transient(DecorumError):
    """A failure that may pass: a broker or a database that is away, a deadlock, a time-out."""


class Fatal(DecorumError):
    """A state in which going on could lose or double something, for example an offset gap."""
