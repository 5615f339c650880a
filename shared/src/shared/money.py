"""Money as integer minor units with an ISO 4217 code. Never a float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MINOR_DIGITS: Final[dict[str, int]] = {
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("AED", "AUD", "BRL", "CAD", "CHF", "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP", "HKD"), 2),
    **dict.fromkeys(("HUF", "IDR", "ILS", "INR", "KES", "KZT", "LKR", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD"), 2),
    **dict.fromkeys(("PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD"), 2),
    **dict.fromkeys(("UAH", "USD", "ZAR"), 2),
}
"""Digits after the decimal separator by currency (ISO 4217:2015 list one). A code that is not here is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units (fen, cents) of `currency`; adding two currencies is an error."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in MINOR_DIGITS:
            raise ValueError("unknown currency")

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError("amounts of two currencies cannot be added")
        return Money(amount_minor=self.amount_minor + other.amount_minor, currency=self.currency)
