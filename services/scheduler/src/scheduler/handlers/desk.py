"""What every handler of the scheduler works with."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.domain.planning import Playbook
from scheduler.ports import DossierStore
from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Storage, what planning goes by, and business time."""

    store: DossierStore
    playbook: Playbook
    clock: Clock
