"""Field types that every message uses, with their bounds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

# Python's `$` lets a line feed follow; `(?!\n)` does not, and changes nothing for the readers of the JSON Schemas.
Identifier = Annotated[str, Meta(min_length=1, max_length=96, pattern=r"^[A-Za-z0-9._:\-]+$(?!\n)")]
"""An opaque id of the lender or of this platform. It must not be personal data: it appears in logs."""
Instant = Annotated[datetime, Meta(tz=True)]
"""An aware instant; UTC on the wire."""
MinorUnits = Annotated[int, Meta(ge=0, le=10**14)]
"""A non-negative amount in minor units."""
PositiveMinorUnits = Annotated[int, Meta(ge=1, le=10**14)]
CurrencyCode = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$(?!\n)")]
"""ISO 3166-1 alpha-2 or ISO 3166-2 code of a residence."""
ZoneName = Annotated[str, Meta(min_length=1, max_length=64)]
LocalTime = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)")]
ShortText = Annotated[str, Meta(max_length=500)]

Channel = Literal["sms", "voice", "email", "letter", "visit"]
"""How a contact is made. The notifier sends sms and voice; the others arrive as external contacts."""
Party = Literal["borrower", "third_party", "attorney"]
Language = Literal["zh", "en"]
RiskGrade = Literal["low", "medium", "high"]
Purpose = Literal["reminder", "demand", "reply", "opt_out_confirmation"]
"""`reminder` is before the due date; `demand` needs something overdue."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ContactResult = Literal[
    "sent",
    "delivered",
    "failed",
    "replied",
    "no_answer",
    "voicemail",
    "busy",
    "not_in_service",
    "dropped",
    "conversation",
    "wrong_person",
]
RestrictionKind = Literal[
    "attorney",
    "cease",
    "dispute",
    "bankruptcy",
    "deceased",
    "identity_theft",
    "vulnerable",
    "workplace_prohibited",
]
OF_THE_PERSON: Final[frozenset[RestrictionKind]] = frozenset({"deceased"})
"""Restrictions that cover every loan of the borrower, whatever loans they name."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Root of all message bodies. `borrower_id` is the record's key; unknown fields are ignored (additive change)."""

    borrower_id: Identifier


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Root of the values inside message bodies."""


class Amounts(Part, frozen=True, kw_only=True):
    """An amount by component, in minor units of the message's currency."""

    fees_minor: MinorUnits = 0
    interest_minor: MinorUnits = 0
    principal_minor: MinorUnits = 0

    @property
    def total_minor(self) -> int:
        """The sum of the three components."""
        return self.fees_minor + self.interest_minor + self.principal_minor
