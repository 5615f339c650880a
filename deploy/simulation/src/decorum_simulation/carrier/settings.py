"""What the carrier simulator is told by its environment (`CARRIER_*`); faults are fields of `Conduct`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSettings:
    """Unset notifier URLs mean that no receipt and no inbound message is ever sent."""

    key: str = "carrier-key"
    webhook_secret: str = "carrier-secret"
    notifier_urls: tuple[str, ...] = ()
    log: str | None = None
    seed: int = 7
    retry_base_seconds: float = 0.25
    retry_max_seconds: float = 5.0
    receipt_tries_max: int = 50
    webhooks_in_flight_max: int = 16
    webhook_timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.retry_base_seconds <= self.retry_max_seconds:
            raise ValueError("retry_base_seconds must be above zero and at most retry_max_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSettings:
    """Which clock: `DECORUM_CLOCK` and its companions, as for the services."""

    clock: str = "system"
    clock_start: str | None = None
    clock_file: str | None = None
