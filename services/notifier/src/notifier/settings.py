"""The notifier's settings. Environment: NOTIFIER_ + the field's name in capitals."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast, get_args
from zoneinfo import available_timezones

from shared.contracts import Language

PREFIX: Final = "NOTIFIER_"
SHIPPED_TEMPLATES: Final = Path(__file__).parents[2] / "templates"
_LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
"""Those that every template has a text in, and the lender a name."""
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierSettings:
    """What can be set. A channel without a URL has no provider: its permits end as `no_provider`.

    Rates are this replica's share: what the provider allows, divided by the number of replicas.
    """

    webhook_secret: str
    """Signs what providers deliver to the webhooks; at least 16 characters."""
    sealing_key: str
    """32 bytes in base64: wraps every borrower's key. Losing it loses all contact data."""
    number_hash_key: str | None = None
    """32 bytes in base64 for the hashes of numbers; absent: derived from the sealing key."""
    lender: str = "zh=晨光消费金融; en=Dawnlight Consumer Finance"
    """The name that every text gives, for each language: `zh=…; en=…`. Calls say it to whoever picks up."""
    agency_regions: tuple[str, ...] = ("US",)
    """Where the lender collects as an agency under Regulation F: texts carry its disclosures."""
    templates_folder: Path = SHIPPED_TEMPLATES
    """Every text that is sent; checked before the service starts."""
    default_zone: str = "Asia/Shanghai"
    """Whose date "tomorrow" is told from where the lender names no zone."""
    default_region: str = "CN"
    """Where an inbound number without a country belongs."""

    sms_name: str = "sms-http"
    """What the provider of texts is called in stops and outcomes; the gate must call it the same."""
    sms_url: str | None = None
    """Where it listens; absent: no texts are sent."""
    sms_key: str = ""
    """The key that it knows this lender by."""
    sms_rate_per_second: float = 500.0
    """This replica's share of the texts that it takes."""
    voice_name: str = "voice-http"
    """What the provider of calls is called; the gate must call it the same."""
    voice_url: str | None = None
    """Where it listens; absent: no calls are made."""
    voice_key: str = ""
    """The key that it knows this lender by."""
    voice_rate_per_second: float = 100.0
    """This replica's share of the calls that it takes."""
    sender: str = "Decorum"
    """What a provider shows as the sender, where it can."""

    provider_timeout_seconds: float = 10.0
    """Bounds one request; stays below the lease."""
    lease_seconds: float = 30.0
    """After so much wall time a claim without a result is looked up by whichever replica comes first."""
    requests_max: int = 256
    """Requests to one provider that may be without an answer."""
    claim_records_max: int = 400
    """Permits claimed in one transaction at most."""

    def __post_init__(self) -> None:
        for name in ("sealing_key", "number_hash_key"):
            text = getattr(self, name)
            if text is not None and not _is_key(text):
                raise ValueError(f"{PREFIX}{name.upper()} must be {_KEY_BYTES} bytes in base64")
        if len(self.webhook_secret) < 16:
            raise ValueError(f"{PREFIX}WEBHOOK_SECRET must have at least 16 characters")
        named = _named(self.lender)
        if sorted(language for language, _ in named) != sorted(_LANGUAGES) or not all(name for _, name in named):
            forms = "; ".join(f"{language}=…" for language in _LANGUAGES)
            raise ValueError(f"{PREFIX}LENDER must name the lender once in each language and no other: {forms}")
        if self.default_zone not in available_timezones():
            raise ValueError(f"{PREFIX}DEFAULT_ZONE is not a time zone")
        if not 0 < self.provider_timeout_seconds + 2 <= self.lease_seconds <= 300:
            raise ValueError(
                f"{PREFIX}PROVIDER_TIMEOUT_SECONDS must stay 2 s below {PREFIX}LEASE_SECONDS, and that 300"
            )
        if min(self.sms_rate_per_second, self.voice_rate_per_second) <= 0:
            raise ValueError(f"{PREFIX}SMS_RATE_PER_SECOND and {PREFIX}VOICE_RATE_PER_SECOND must be above 0")
        if not (1 <= self.requests_max <= 2_000 and 1 <= self.claim_records_max <= 2_000):
            raise ValueError(f"{PREFIX}REQUESTS_MAX and {PREFIX}CLAIM_RECORDS_MAX must be 1 to 2000")

    @property
    def lender_names(self) -> dict[Language, str]:
        """The lender's name by language."""
        return dict(_named(self.lender))


def _named(lender: str) -> list[tuple[Language, str]]:
    parts = (part.partition("=") for part in lender.split(";") if part.strip())
    return [(cast(Language, language.strip()), name.strip()) for language, _, name in parts]


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
