"""What the loops that send have in common: what they work with, how fast they may, and the request of a claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from notifier.ports import (
    Claimed,
    PermitStore,
    SealBroken,
    Sealer,
    SendRequest,
    SendResult,
    Speech,
    TemplateFailed,
    Texts,
    Work,
)
from shared.clock import Clock

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What dispatching works with."""

    work: Work
    permits: PermitStore
    sealer: Sealer
    texts: Texts
    clock: Clock
    owner: str
    in_flight: Callable[[int], None]
    wake: Callable[[str], None]


def prepared(desk: Desk, claimed: Claimed) -> SendRequest | SendResult:
    """What a provider is asked for a claim, or how the claim ends where nothing can be asked.

    Nothing has left yet, so whatever breaks here is not made: it must not count as a contact that may have been.
    """
    try:
        request = _request(desk, claimed)
    except TemplateFailed:
        return SendResult(key=claimed.key, outcome="not_used", reason="template_failed")
    except SealBroken:
        return SendResult(key=claimed.key, outcome="not_used", reason="no_contact_point")
    except Exception as error:  # edge: one attempt that can't be put into words is no reason to count a contact
        log.error("request.failed", channel=claimed.attempt.channel, error=type(error).__name__, exc_info=error)
        return SendResult(key=claimed.key, outcome="not_used", reason="template_failed")
    if desk.clock.now() >= claimed.expires_at:
        return SendResult(key=claimed.key, outcome="not_used", reason="permit_expired")
    return request


def _request(desk: Desk, claimed: Claimed) -> SendRequest:
    sealer, attempt, borrower_id = desk.sealer, claimed.attempt, claimed.key[0]
    key = claimed.wrapped_key
    field = f"contact_point:{attempt.contact_point_id}"
    to = sealer.open(key, borrower_id=borrower_id, field=field, sealed=claimed.number_sealed)
    name = sealer.open(key, borrower_id=borrower_id, field="name", sealed=claimed.name_sealed or b"")
    speech = Speech(name=name, region=claimed.region, zones=claimed.zones, contacted_before=claimed.contacted_before)
    return SendRequest(
        attempt_id=attempt.attempt_id,
        to=to,
        script=desk.texts.render(attempt, speech),
        language=attempt.language,
        not_after=claimed.expires_at,
    )
