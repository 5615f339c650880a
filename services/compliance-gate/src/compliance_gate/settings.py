"""The gate's settings. Environment: COMPLIANCE_GATE_ + the field's name in capitals."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Final

from compliance_gate.domain import Terms

PREFIX: Final = "COMPLIANCE_GATE_"
_KEY_BYTES_MIN: Final = 16
_PERMIT_MINUTES_MAX: Final = 24 * 60
_LATE_PAYMENT_HOURS_MAX: Final = 30 * 24
_POLICY_LOOK_BACK_DAYS: Final = 31
"""The longest window that a shipped pack counts over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProviders:
    """Which provider carries which channel; commands ask for this alone, without the gate's secrets."""

    sms_provider: str = "sms-http"
    """The provider of texts, as the notifier calls it (`NOTIFIER_SMS_NAME`): what a stop of a provider covers."""
    voice_provider: str = "voice-http"
    """The provider of calls, likewise (`NOTIFIER_VOICE_NAME`)."""

    @property
    def providers(self) -> dict[str, str]:
        """The provider of each channel."""
        return {"sms": self.sms_provider, "voice": self.voice_provider}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPolicy(ChannelProviders):
    """The tenant's overlay, and what is set in place of its terms; commands explain decisions by these, likewise."""

    overlay: str = "courteous"
    """The tenant's own pack, on top of those of the borrower's region and zones."""
    permit_minutes_max: int | None = None
    """How long a permit lasts at most; absent: as the overlay says."""
    sms_margin_minutes: int | None = None
    """How long before the legal window's end a permit of a text ends at the latest; absent: as the overlay says."""
    voice_margin_minutes: int | None = None
    """The same for a call."""
    facts_lag_seconds_max: int | None = None
    """While facts are behind by more, everything is put off; absent: as the overlay says."""

    def __post_init__(self) -> None:
        if self.permit_minutes_max is not None and not 1 <= self.permit_minutes_max <= _PERMIT_MINUTES_MAX:
            raise ValueError(f"permit_minutes_max must be from 1 to {_PERMIT_MINUTES_MAX}")
        for name in ("sms_margin_minutes", "voice_margin_minutes", "facts_lag_seconds_max"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} can't be negative")

    def terms(self, overlay: Terms) -> Terms:
        """The overlay's terms with what is set here in their place."""
        margins = dict(overlay.margin_minutes)
        if self.sms_margin_minutes is not None:
            margins["sms"] = self.sms_margin_minutes
        if self.voice_margin_minutes is not None:
            margins["voice"] = self.voice_margin_minutes
        given = {"permit_minutes_max": self.permit_minutes_max, "facts_lag_seconds_max": self.facts_lag_seconds_max}
        changed = {name: value for name, value in given.items() if value is not None}
        return replace(overlay, margin_minutes=tuple(margins.items()), **changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings(TenantPolicy):
    """What can be set. Roles per jurisdiction are the overlay's `roles`."""

    number_hash_key: str
    """At least 16 bytes in base64, for the hashes of numbers. With another key nothing on file is found again."""
    history_days: int = 60
    """How far back contacts are read; must cover every window that a pack counts over."""
    late_payment_hours: int = 24
    """How long a payment that was booked after a later-dated snapshot puts attempts off, if no new balance comes."""
    permit_overdue_minutes: int = 60
    """A permit that is over for longer and has no end raises `decorum_gate_permits_overdue`."""

    def __post_init__(self) -> None:
        TenantPolicy.__post_init__(self)
        if len(self.secret) < _KEY_BYTES_MIN:
            raise ValueError(f"number_hash_key must be at least {_KEY_BYTES_MIN} bytes in base64")
        if self.history_days < _POLICY_LOOK_BACK_DAYS:
            raise ValueError(f"history_days must be at least {_POLICY_LOOK_BACK_DAYS}")
        if not 0 <= self.late_payment_hours <= _LATE_PAYMENT_HOURS_MAX:
            raise ValueError(f"late_payment_hours must be from 0 to {_LATE_PAYMENT_HOURS_MAX}")
        if self.permit_overdue_minutes < 1:
            raise ValueError("permit_overdue_minutes must be at least 1")

    @property
    def secret(self) -> bytes:
        """The key of the hashes of numbers."""
        try:
            return base64.b64decode(self.number_hash_key, validate=True)
        except binascii.Error:
            raise ValueError("number_hash_key must be base64") from None
