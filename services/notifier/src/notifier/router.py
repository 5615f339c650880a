"""Which topics the notifier reads, which handler takes their messages, and which endpoint which path; no logic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from notifier.handlers.contacts import keep_contacts
from notifier.handlers.desk import Desk
from notifier.handlers.permits import keep_stops, take_decisions
from notifier.handlers.webhooks import WebhookGuard, inbound_webhook, receipts_webhook
from shared.contracts import BorrowerUpdatedV1, Channel, ContactAllowedV1, PermitRevokedV1, StopLiftedV1, StopOrderedV1
from shared.contracts.registry import DECISIONS, LOAN_EVENTS, OPERATOR_ACTIONS
from shared.service import Service

TOPICS: Final = (LOAN_EVENTS, OPERATOR_ACTIONS, DECISIONS)
"""In order of priority: contact data and stops are known before the permits that came after them."""
STOPS: Final = (StopOrderedV1, StopLiftedV1)
DECIDED: Final = (ContactAllowedV1, PermitRevokedV1)
CHANNELS: Final[tuple[Channel, ...]] = ("sms", "voice")


def subscribe(service: Service, desk: Desk) -> None:
    """Register the handlers of Kafka records."""
    service.handles(BorrowerUpdatedV1)(partial(keep_contacts, desk=desk))
    service.handles(*STOPS)(partial(keep_stops, desk=desk))
    service.handles(*DECIDED)(partial(take_decisions, desk=desk))


def serve(service: Service, guard: WebhookGuard, hash_of: Callable[[str], bytes | None]) -> None:
    """Serve the carriers' webhooks."""
    for channel in CHANNELS:
        service.add_route("POST", f"/webhooks/{channel}/receipts", receipts_webhook(channel, guard))
        service.add_route("POST", f"/webhooks/{channel}/inbound", inbound_webhook(channel, guard, hash_of))
