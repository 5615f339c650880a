"""What every handler of the notifier works with."""

from __future__ import annotations

from dataclasses import dataclass

from notifier.ports import ContactStore, DeliveryLog, InboundStore, PermitStore, ReceiptStore, Sealer
from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Storage, sealing, business time, and the zone of a borrower whose own isn't known."""

    permits: PermitStore
    contacts: ContactStore
    receipts: ReceiptStore
    inbound: InboundStore
    deliveries: DeliveryLog
    sealer: Sealer
    clock: Clock
    default_zone: str
