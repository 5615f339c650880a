from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest

from shared.clock import VirtualClock
from shared.http import Request
from shared.service import Service
from shared.simulation import Phase, SimulationControl

NOW = datetime(2026, 9, 15, 2, tzinfo=UTC)


class Idle:
    """A service with a clock and nothing else."""

    def __init__(self) -> None:
        self.clock = VirtualClock(NOW)
        self.loops = ()


async def _told(control: SimulationControl, phase: Phase, **more: bool) -> None:
    body = msgspec.json.encode({"now": NOW, "phase": phase, **more})
    answer = await control.tick(Request(method="POST", path="/simulation/tick", query={}, headers={}, body=body))
    assert answer.status == 204


async def test_while_the_lines_are_down_only_the_loops_that_send_rest_until_it_is_said_that_they_are_up() -> None:
    control = SimulationControl(cast(Service, Idle()))
    assert control.lets_run("while_lines_are_down")

    await _told(control, "clock", sending=False)
    assert not control.lets_run("while_lines_are_down")
    assert control.lets_run(None)

    await _told(control, "sends")
    assert control.lets_run("while_lines_are_down")


@pytest.mark.parametrize("phase", ["clock", "events", "receipts", "releases", "sends"])
async def test_what_is_due_leaves_in_the_releases_phase_alone(phase: Phase) -> None:
    control = SimulationControl(cast(Service, Idle()))
    await _told(control, phase)

    assert control.lets_run("outside_releases") is (phase == "releases")
