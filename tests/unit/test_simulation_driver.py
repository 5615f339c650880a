from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from decorum_simulation.demo.driver import Driver
from decorum_simulation.demo.options import DemoOptions, parse_start, parse_tick
from decorum_simulation.demo.participants import Ensemble, Participant, Phase, Status
from decorum_simulation.http_client import Answer
from decorum_simulation.lines import Lines, LineState
from decorum_simulation.virtual_world import Plan, VirtualWorld
from shared.errors import Rejection
from shared.kafka.publisher import Publisher
from shared.kafka.records import WireMessage

START = datetime(2026, 9, 14, 16, tzinfo=UTC)


class Scripted(Participant):
    """Answers with the statuses it was given, the last one for ever."""

    def __init__(self, name: str, *statuses: Status) -> None:
        super().__init__(name, "http://127.0.0.1:9")
        self.statuses = list(statuses) or [Status()]
        self.asked: list[dict[str, int] | None] = []
        self.ticks: list[tuple[datetime, Phase]] = []
        self.may_send: list[tuple[datetime, Phase, bool]] = []
        self.told: Callable[[Phase], None] = lambda _phase: None

    async def tick(self, now: datetime, phase: Phase, *, sending: bool = True) -> None:
        self.ticks.append((now, phase))
        self.may_send.append((now, phase, sending))
        self.told(phase)

    async def status(self, *, due: bool, until: object = None) -> Status:
        self.asked.append(dict(until) if isinstance(until, dict) else None)
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class Sent(Publisher):
    """Keeps what is published."""

    def __init__(self) -> None:
        super().__init__(bootstrap_servers="127.0.0.1:9", client_id="test")
        self.sent: list[WireMessage] = []
        self.told: Callable[[], None] = lambda: None

    async def publish(self, messages: Sequence[WireMessage]) -> None:
        self.sent.extend(messages)
        self.told()


async def test_quiet_means_all_is_read_nobody_is_busy_and_nothing_changes_between_two_looks() -> None:
    reader = Scripted(
        "reader",
        Status(assigned=["t-0"], consumed={}),
        Status(assigned=["t-0"], consumed={"t-0": 3}, busy=True),
        Status(assigned=["t-0"], consumed={"t-0": 3}),
    )
    writer = Scripted("writer", Status(published={"t-0": 3, "other-0": 9}))

    await Ensemble([reader, writer], {"t-0": 2}).quiet()

    assert reader.asked == [None, {"t-0": 3}, {}, None]
    assert writer.asked == [None, None]


async def test_a_change_between_two_looks_is_looked_at_again() -> None:
    writer = Scripted("writer", Status(), Status(published={"t-0": 1}), Status(published={"t-0": 1}))

    await Ensemble([writer], {}).quiet()

    assert len(writer.asked) >= 4


async def test_whoever_is_busy_is_asked_again_for_what_is_due() -> None:
    at_work = Scripted("scheduler", Status(busy=True), Status(busy=True), Status(next_due_at=START))

    assert await Ensemble([at_work, Scripted("ledger")], {}).next_due() == {"scheduler": START}


class Carrier(Scripted):
    """A carrier without anything to tell."""

    def __init__(self) -> None:
        super().__init__("carrier")
        self.said: list[bytes] = []
        self.client = _NothingSaid(self.said)  # type: ignore[assignment]


class Open(Lines):
    """Never a wait."""

    def at(self, now: datetime) -> LineState:
        return "open"


class _NothingSaid:
    def __init__(self, said: list[bytes]) -> None:
        self._said = said

    async def request(self, method: str, path: str, *, body: bytes = b"") -> Answer:
        self._said.append(body)
        return Answer(status=200, body=msgspec.json.encode([]))

    def close(self) -> None:
        return


def _driver(*, days: int = 2, lines: Lines | None = None, **due: datetime) -> tuple[Driver, dict[str, Scripted]]:
    plan = Plan(borrowers=5, start=START, end=START + timedelta(days=days), tick=timedelta(hours=1), seed=1)
    people: dict[str, Scripted] = {
        name: Scripted(name, Status(next_due_at=due.get(name))) for name in ("scheduler", "notifier", "ledger")
    }
    carrier = Carrier()
    people["carrier"] = carrier
    ensemble = Ensemble(list(people.values()), {})
    driver = Driver(
        world=VirtualWorld(plan=plan),
        ensemble=ensemble,
        publisher=Sent(),
        on_tick=lambda _: None,
        lines=lines or Open(seed=1),
    )
    return driver, people


async def test_ticks_and_phases_with_nothing_due_are_skipped() -> None:
    driver, people = _driver()
    await driver.run()

    instants = [now for now, phase in people["ledger"].ticks if phase == "clock"]
    assert instants[0] == START
    assert instants[-1] == START + timedelta(days=2)
    assert len(instants) < 30
    assert all((now - START) % timedelta(hours=1) == timedelta() for now in instants)
    assert {phase for _, phase in people["ledger"].ticks} == {"clock"}
    assert not [phase for _, phase in people["scheduler"].ticks if phase == "releases"]


async def test_what_is_due_at_the_scheduler_is_released_at_its_tick_and_not_before() -> None:
    due_at = START + timedelta(hours=9, minutes=10)
    driver, people = _driver(scheduler=due_at)
    await driver.run()

    released = [now for now, phase in people["scheduler"].ticks if phase == "releases"]
    assert released[0] == START + timedelta(hours=10)
    # It stays due for ever in this script: the driver goes on tick by tick instead of turning on the spot.
    assert released == sorted(set(released))


class Fixed(Lines):
    """The same on every tick, but open from `opens` on."""

    state: LineState = "slow"
    opens: datetime | None = None

    def at(self, now: datetime) -> LineState:
        return "open" if self.opens is not None and now >= self.opens else self.state

    def comes_meanwhile(self, who: str, now: datetime) -> bool:
        return True


def _orders(people: dict[str, Scripted], now: datetime) -> list[tuple[Phase, bool]]:
    return [(phase, sending) for at, phase, sending in people["notifier"].may_send if at == now]


async def test_on_a_slow_line_contacts_leave_only_after_everything_else_of_their_instant() -> None:
    due_at = START + timedelta(hours=9)
    driver, people = _driver(lines=Fixed(seed=1), scheduler=due_at)
    await driver.run()

    assert _orders(people, due_at) == [("clock", False), ("sends", True)]
    assert _orders(people, START + timedelta(hours=8)) in ([], [("clock", True)])


async def test_while_the_lines_are_down_nothing_leaves_and_what_waited_leaves_last_once_they_are_up() -> None:
    due_at, up_at = START + timedelta(hours=9), START + timedelta(hours=11)
    lines = Fixed(seed=1)
    lines.state, lines.opens = "down", up_at
    driver, people = _driver(lines=lines, scheduler=due_at)
    await driver.run()

    assert _orders(people, due_at) == [("clock", False)]
    assert _orders(people, due_at + timedelta(hours=1)) == [("clock", False)]
    assert _orders(people, up_at) == [("clock", False), ("sends", True)]


async def test_on_a_slow_line_what_comes_meanwhile_is_published_after_the_releases_and_before_the_contacts() -> None:
    order: list[str] = []
    driver, people = _driver(lines=Fixed(seed=1), scheduler=START)
    for name in ("scheduler", "notifier"):
        people[name].told = lambda phase: order.append(phase)
    cast("Sent", driver.publisher).told = lambda: order.append("events")
    driver._due = {"scheduler": START}
    await driver._tick(START)

    assert order == ["clock", "clock", "releases", "events", "sends"]


def test_how_the_lines_are_depends_on_seed_and_instant_alone() -> None:
    instants = [START + timedelta(hours=2 * number) for number in range(1_000)]
    states = [Lines(seed=3).at(instant) for instant in instants]

    assert states == [Lines(seed=3).at(instant) for instant in reversed(instants)][::-1]
    assert states != [Lines(seed=4).at(instant) for instant in instants]
    assert set(states) == {"open", "slow", "down"}
    assert Lines(seed=3).at(START + timedelta(minutes=1)) in ("open", "slow", "down")


def test_an_outage_lasts_two_hours_whatever_the_tick() -> None:
    lines = Lines(seed=3)
    for number in range(300):
        block = START + timedelta(hours=2 * number)
        down = {lines.at(block + timedelta(minutes=minutes)) == "down" for minutes in (0, 30, 119)}
        assert len(down) == 1


async def test_every_clock_moves_before_anything_else_happens_at_an_instant() -> None:
    driver, people = _driver(carrier=START, scheduler=START)
    await driver.run()

    for person in people.values():
        instants = [now for now, _ in person.ticks]
        assert instants == sorted(instants)
        for now, phase in person.ticks:
            assert phase == "clock" or (now, "clock") in person.ticks


@pytest.mark.parametrize("text", ["", "7m", "3h", "30", "0m", "25m", "1d"])
def test_a_tick_that_does_not_divide_a_day_is_refused(text: str) -> None:
    with pytest.raises(Rejection):
        parse_tick(text)


def test_options_are_checked_and_the_lenders_day_begins_in_shanghai() -> None:
    options = DemoOptions(
        borrowers=10, days=30, start=parse_start("2026-09-15"), seed=1, tick=parse_tick("30m"), out=Path("x")
    )
    assert options.plan().start == START
    assert options.plan().end - START == timedelta(days=30)
    wrong: dict[str, Any]
    for wrong in ({"borrowers": 0}, {"days": 0}, {"portfolio": Path("nowhere.csv")}, {"limit": 0}):
        with pytest.raises(Rejection):
            dataclasses.replace(options, **wrong)
    with pytest.raises(Rejection):
        parse_start("15.9.2026")
    with pytest.raises(Rejection, match="from 2000-01-01"):
        parse_start("1969-01-01")
    assert parse_start("2026-09-15") == date(2026, 9, 15)
