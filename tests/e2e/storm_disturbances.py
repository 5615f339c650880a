"""What happens to the stack in a storm: seeded kills, pauses and outages, spread over the phases of the script."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Final

from decorum_local import LocalPlatform
from decorum_local.processes import ServiceProcess
from decorum_local.stack import Stack

LEASE_SECONDS: Final = 4
"""Of a claim of the notifier: short, so that a paused replica sleeps past it."""


def disturbances(stack: Stack, platform: LocalPlatform, seed: int) -> tuple[tuple[Callable[[], None], ...], ...]:
    """For each of the four phases, in seeded order: every replica, the broker and Postgres killed, some paused."""
    random = Random(f"storm {seed}")
    replicas = [process for processes in stack.replicas.values() for process in processes]
    actions: list[Callable[[], None]] = [_kill_and_restart(process, random) for process in replicas]
    actions += [_pause(random.choice(stack.replicas[name]), random) for name in ("notifier", "compliance-gate")]
    actions += [_outage(platform.kill_broker, platform.start_broker, random)]
    actions += [_outage(platform.kill_postgres, platform.start_postgres, random)]
    random.shuffle(actions)
    phases: list[list[Callable[[], None]]] = [[], [], [], []]
    for index, action in enumerate(actions):
        phases[index % len(phases)].append(action)
    return tuple(tuple(phase) for phase in phases)


def _kill_and_restart(process: ServiceProcess, random: Random) -> Callable[[], None]:
    before, down = random.uniform(0.2, 4.0), random.uniform(0.0, 1.0)

    def disturb() -> None:
        time.sleep(before)
        process.kill()
        time.sleep(down)
        process.start()
        process.wait_ready()

    return disturb


def _pause(process: ServiceProcess, random: Random) -> Callable[[], None]:
    before = random.uniform(0.2, 4.0)

    def disturb() -> None:
        time.sleep(before)
        while not process.is_running:
            time.sleep(0.1)
        process.pause()
        time.sleep(LEASE_SECONDS + 1.5)
        if process.is_running:
            process.resume()

    return disturb


def _outage(kill: Callable[[], None], start: Callable[[], None], random: Random) -> Callable[[], None]:
    before, down = random.uniform(0.5, 4.0), random.uniform(0.2, 1.0)

    def disturb() -> None:
        time.sleep(before)
        kill()
        time.sleep(down)
        start()

    return disturb
