"""What every handler of the gate works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compliance_gate.ports import EvidenceMaker, GateStore, Lag, Numbers, Policies
from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Storage, policies, business time, and the settings that decisions depend on.

    `providers` tells which provider carries a channel; `late_payment_hours` for how long a payment that the balance
    does not show puts attempts off.
    """

    store: GateStore
    policies: Policies
    numbers: Numbers
    evidence_of: EvidenceMaker
    clock: Clock
    lag: Lag
    providers: Mapping[str, str]
    history_days: int
    late_payment_hours: int
