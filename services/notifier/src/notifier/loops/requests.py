"""What the loops that send have in common: what they work with, how fast they may, and the request of a claim."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from notifier.domain.rates import TokenBucket
from notifier.handlers.desk import Desk
from notifier.ports import (
    Claim,
    Claimed,
    SealBroken,
    SendRequest,
    SendResult,
    Speech,
    TemplateFailed,
    Texts,
)
from shared.contracts import Channel
from shared.postgres.work import Work

PAUSE_SECONDS_MAX: Final = 0.05
"""How long a loop waits at most for a slot or a token before it looks again."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast one process sends to one provider. The lease outlives a request that begins at its safe end."""

    rate_per_second: float
    requests_max: int
    claim_records_max: int
    lease_seconds: float
    timeout_seconds: float

    @property
    def start_seconds_max(self) -> float:
        """How long after its claim a request may still begin, so that it ends inside the lease."""
        return self.lease_seconds - self.timeout_seconds - 1

    def full_bucket(self) -> TokenBucket:
        """The tokens of the rate, full as of now."""
        burst = max(1, min(self.claim_records_max, int(self.rate_per_second)))
        return TokenBucket(
            rate_per_second=self.rate_per_second, burst=burst, tokens=burst, filled_at_seconds=time.monotonic()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What the loops that send work with."""

    desk: Desk
    work: Work
    texts: Texts
    owner: str
    in_flight: Callable[[int], None]
    wake: Callable[[str], None]


def claim_of(sending: Sending, pace: Pace, *, channel: Channel, provider: str, limit: int) -> Claim:
    """What a loop asks of the permits now: so many for its provider, in the name of this process."""
    return Claim(
        channel=channel,
        provider=provider,
        owner=sending.owner,
        now=sending.desk.clock.now(),
        lease_seconds=pace.lease_seconds,
        limit=limit,
    )


def prepared(sending: Sending, claimed: Claimed) -> SendRequest | SendResult:
    """What a provider is asked for a claim, or how the claim ends where nothing can be asked.

    Nothing has left yet, so whatever breaks here is not made: it must not count as a contact that may have been.
    """
    try:
        request = _request(sending, claimed)
    except TemplateFailed:
        return SendResult(key=claimed.key, outcome="not_used", reason="template_failed")
    except SealBroken:
        return SendResult(key=claimed.key, outcome="not_used", reason="no_contact_point")
    except Exception as error:  # edge: one attempt that can't be put into words is no reason to count a contact
        log.error("request.failed", channel=claimed.attempt.channel, error=type(error).__name__, exc_info=error)
        return SendResult(key=claimed.key, outcome="not_used", reason="template_failed")
    if sending.desk.clock.now() >= claimed.expires_at:
        return SendResult(key=claimed.key, outcome="not_used", reason="permit_expired")
    return request


def _request(sending: Sending, claimed: Claimed) -> SendRequest:
    sealer, attempt, borrower_id = sending.desk.sealer, claimed.attempt, claimed.key[0]
    key = claimed.wrapped_key
    field = f"contact_point:{attempt.contact_point_id}"
    to = sealer.open(key, borrower_id=borrower_id, field=field, sealed=claimed.number_sealed)
    name = sealer.open(key, borrower_id=borrower_id, field="name", sealed=claimed.name_sealed or b"")
    speech = Speech(name=name, region=claimed.region, zones=claimed.zones, contacted_before=claimed.contacted_before)
    return SendRequest(
        attempt_id=attempt.attempt_id,
        to=to,
        script=sending.texts.render(attempt, speech),
        language=attempt.language,
        not_after=claimed.expires_at,
    )
