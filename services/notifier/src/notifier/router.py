"""Which topics the notifier reads, which handler takes their messages, and which endpoint which path; no logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from notifier.handlers.contacts import ContactHandlers
from notifier.handlers.inbound import InboundHandlers
from notifier.handlers.permits import PermitHandlers
from notifier.handlers.receipts import ReceiptHandlers
from notifier.handlers.webhooks import WebhookGuard, inbound_webhook, receipts_webhook
from shared.contracts import BorrowerUpdatedV1, Channel, ContactAllowedV1, PermitRevokedV1, StopLiftedV1, StopOrderedV1
from shared.contracts.registry import DECISIONS, LOAN_EVENTS, OPERATOR_ACTIONS
from shared.service import Service

TOPICS: Final = (LOAN_EVENTS, OPERATOR_ACTIONS, DECISIONS)
"""In order of priority: contact data and stops are known before the permits that came after them."""
CHANNELS: Final[tuple[Channel, ...]] = ("sms", "voice")


def subscribe(service: Service, contacts: ContactHandlers, permits: PermitHandlers) -> None:
    """Register the handlers of Kafka records."""
    service.handles(BorrowerUpdatedV1)(contacts.on_borrowers)
    service.handles(StopOrderedV1, StopLiftedV1)(permits.on_stops)
    service.handles(ContactAllowedV1, PermitRevokedV1)(permits.on_decisions)


def serve(
    service: Service,
    guard: WebhookGuard,
    receipts: ReceiptHandlers,
    inbound: InboundHandlers,
    hash_of: Callable[[str], bytes | None],
) -> None:
    """Serve the carriers' webhooks."""
    for channel in CHANNELS:
        service.add_route("POST", f"/webhooks/{channel}/receipts", receipts_webhook(channel, guard, receipts))
        service.add_route("POST", f"/webhooks/{channel}/inbound", inbound_webhook(channel, guard, inbound, hash_of))
