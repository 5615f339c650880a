"""Checks of a decoded message that its schema cannot say: real currencies, zones, regions, numbers and dates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import available_timezones

import phonenumbers
from babel import Locale

from shared.contracts.loan_events import (
    BorrowerUpdatedV1,
    ConsentChangedV1,
    ContactPoint,
    ExternalContactMadeV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentReceivedV1,
    RestrictionChangedV1,
)
from shared.contracts.types import Message
from shared.errors import Poison
from shared.money import MINOR_DIGITS

_EARLIEST: Final = date(1970, 1, 1)
_LATEST: Final = date(2100, 1, 1)
_ZONES: Final = available_timezones() - {"localtime", "Factory"}  # the machine's own zone, and the lack of one
_TERRITORIES: Final = frozenset(Locale("en").territories) - frozenset(
    # Unions, parts of countries that ISO 3166-1 has no code for, and "unknown": no law's country.
    ("AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ")
)


def check(message: Message) -> None:
    """Raise `Poison` with its reason code where a value of `message` is well-formed but can't be."""
    checker = _CHECKERS.get(type(message))
    if checker is not None:
        checker(message)


def _currency(code: str) -> None:
    if code not in MINOR_DIGITS:
        raise Poison("unknown_currency", "currency")


def _day(field: str, day: date | None) -> None:
    if day is not None and not _EARLIEST <= day <= _LATEST:
        raise Poison("impossible_date", field)


def _representable(field: str, instant: datetime) -> None:
    """An end may be as far away as "never"; but it must be an instant in UTC too."""
    try:
        instant.astimezone(UTC)
    except OverflowError as error:
        raise Poison("impossible_date", field) from error


def _instant(field: str, instant: datetime) -> None:
    _representable(field, instant)
    _day(field, instant.date())


def _loan_registered(message: LoanRegisteredV1) -> None:
    _currency(message.currency)
    _day("opened_on", message.opened_on)
    _day("next_due_on", message.next_due_on)


def _loan_overdue(message: LoanOverdueV1) -> None:
    _currency(message.currency)
    _day("as_of", message.as_of)
    _day("oldest_unpaid_due_on", message.oldest_unpaid_due_on)
    if message.oldest_unpaid_due_on is not None and message.oldest_unpaid_due_on > message.as_of:
        raise Poison("impossible_date", "oldest_unpaid_due_on is after as_of")
    if message.overdue.total_minor > 0 and message.oldest_unpaid_due_on is None:
        raise Poison("impossible_date", "overdue amounts need oldest_unpaid_due_on")
    if message.overdue.total_minor > message.outstanding.total_minor:
        raise Poison("schema_mismatch", "more is overdue than outstanding")


def _payment(message: PaymentReceivedV1) -> None:
    _currency(message.currency)


def _borrower(message: BorrowerUpdatedV1) -> None:
    for zone in message.zones:
        if zone not in _ZONES:
            raise Poison("unknown_zone", "zones")
    if message.region.split("-")[0] not in _TERRITORIES:
        raise Poison("unknown_region", "region")
    if len({point.contact_point_id for point in message.contact_points}) < len(message.contact_points):
        # What is checked under an id and what is dialled under it must be one number.
        raise Poison("schema_mismatch", "contact_points: one id is given twice")
    for point in message.contact_points:
        _contact_point(point)


def _contact_point(point: ContactPoint) -> None:
    if point.kind == "email":
        if point.value.count("@") != 1 or any(character.isspace() for character in point.value):
            raise Poison("schema_mismatch", "contact_points: not an address")
    elif not is_e164(point.value):
        raise Poison("invalid_phone_number", "contact_points")


@lru_cache(maxsize=65_536)
def is_e164(value: str) -> bool:
    """Whether `value` is a possible and valid number in E.164 form (leading plus, digits only)."""
    if not value.startswith("+") or not value[1:].isascii() or not value[1:].isdigit():
        return False
    try:
        number = phonenumbers.parse(value)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)


def _effective(message: ConsentChangedV1 | RestrictionChangedV1) -> None:
    _instant("effective_from", message.effective_from)
    if message.effective_until is not None:
        _representable("effective_until", message.effective_until)
    if message.effective_until is not None and message.effective_until < message.effective_from:
        raise Poison("impossible_date", "effective_until is before effective_from")


def _consent(message: ConsentChangedV1) -> None:
    _effective(message)
    if message.kind in ("channel", "opt_out") and message.channel is None:
        raise Poison("schema_mismatch", f"{message.kind} needs a channel")


def _external(message: ExternalContactMadeV1) -> None:
    _instant("made_at", message.made_at)


_CHECKERS: Final[dict[type[Message], Callable[[Any], None]]] = {
    LoanRegisteredV1: _loan_registered,
    LoanOverdueV1: _loan_overdue,
    PaymentReceivedV1: _payment,
    BorrowerUpdatedV1: _borrower,
    ConsentChangedV1: _consent,
    RestrictionChangedV1: _effective,
    ExternalContactMadeV1: _external,
}
