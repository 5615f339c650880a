"""How the carrier behaves: what becomes of one request, drawn from (seed, attempt, purpose) alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from decorum_simulation.draws import between, chance, weighted

CarrierChannel = Literal["sms", "voice"]
Verdict = Literal["accepted", "blocked", "invalid_number", "unavailable", "swallowed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Shares of everything that may go wrong, each in [0, 1], and the latency of every answer in wall time.

    `timeout_share`: the request is taken and its answer never comes. `disconnect_share`: it is taken and the
    connection breaks inside the answer. `loss_share`: it is taken and nothing is heard of it again. `swallowed_share`:
    the connection breaks and the carrier itself knows nothing of it afterwards.
    """

    reject_share: float = 0.01
    error_share: float = 0.003
    loss_share: float = 0.02
    receipt_loss_share: float = 0.02
    duplicate_share: float = 0.05
    delay_share: float = 0.05
    dead_line_share: float = 0.015
    timeout_share: float = 0.0
    disconnect_share: float = 0.002
    swallowed_share: float = 0.0
    latency_ms: float = 0.0
    delay_scale: float = 1.0
    """Receipts come after so much of the delay that they would have taken."""
    answer_share: float = 0.38


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What one request will meet. Delays count in seconds of business time from its arrival."""

    verdict: Verdict
    answer_lost: Literal["no", "timeout", "disconnect"] = "no"
    result: str | None = None
    result_delay_seconds: float = 0.0
    receipt_delays_seconds: tuple[float, ...] = ()


def fate_of(attempt_id: str, channel: CarrierChannel, to: str, *, conduct: Conduct, seed: int) -> Fate:
    """Equal arguments give an equal fate, in any order and process."""
    if chance(conduct.error_share, seed, attempt_id, "error"):
        return Fate(verdict="unavailable")
    if chance(conduct.reject_share, seed, attempt_id, "reject"):
        return Fate(verdict="blocked")
    if chance(conduct.swallowed_share, seed, attempt_id, "swallowed"):
        return Fate(verdict="swallowed", answer_lost="disconnect")
    answer_lost: Literal["no", "timeout", "disconnect"] = "no"
    if chance(conduct.timeout_share, seed, attempt_id, "timeout"):
        answer_lost = "timeout"
    elif chance(conduct.disconnect_share, seed, attempt_id, "disconnect"):
        answer_lost = "disconnect"
    if chance(conduct.loss_share, seed, attempt_id, "loss"):
        return Fate(verdict="accepted", answer_lost=answer_lost)
    dead = chance(conduct.dead_line_share, seed, to, "dead line")
    result = (
        _sms_result(attempt_id, seed, dead) if channel == "sms" else _call_result(attempt_id, to, seed, dead, conduct)
    )
    delay = (
        between(3, 90, seed, attempt_id, "delay") if channel == "sms" else between(20, 180, seed, attempt_id, "delay")
    )
    delay *= conduct.delay_scale
    late = 0.0
    if chance(conduct.delay_share, seed, attempt_id, "slow"):
        late = between(600, 9_000, seed, attempt_id, "slow by") * conduct.delay_scale
    receipts: list[float] = []
    if not chance(conduct.receipt_loss_share, seed, attempt_id, "receipt loss"):
        receipts.append(delay + late)
        if chance(conduct.duplicate_share, seed, attempt_id, "duplicate"):
            receipts.append(delay + late + between(0, 7_200, seed, attempt_id, "duplicate by") * conduct.delay_scale)
    return Fate(
        verdict="accepted",
        answer_lost=answer_lost,
        result=result,
        result_delay_seconds=delay,
        receipt_delays_seconds=tuple(receipts),
    )


def _sms_result(attempt_id: str, seed: int, dead: bool) -> str:
    return "failed" if dead or chance(0.02, seed, attempt_id, "failed") else "delivered"


def _call_result(attempt_id: str, to: str, seed: int, dead: bool, conduct: Conduct) -> str:
    if dead:
        return "not_in_service"
    answered = conduct.answer_share * between(0.4, 1.6, seed, to, "answers calls")
    options = (
        ("answered", answered),
        ("no_answer", (1 - answered) * 0.62),
        ("voicemail", (1 - answered) * 0.18),
        ("busy", (1 - answered) * 0.16),
        ("failed", (1 - answered) * 0.04),
    )
    return weighted(options, seed, attempt_id, "call")
