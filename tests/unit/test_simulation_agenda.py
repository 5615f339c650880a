from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from decorum_simulation.agenda import Agenda, rounded_up
from decorum_simulation.draws import between, integer, uniform, weighted

START = datetime(2026, 9, 14, 16, tzinfo=UTC)


@given(st.integers(0, 10**6), st.sampled_from([1, 15, 30, 60]))
def test_an_instant_is_rounded_up_to_the_first_tick_that_is_not_before_it(seconds: int, minutes: int) -> None:
    tick, instant = timedelta(minutes=minutes), START + timedelta(seconds=seconds)
    rounded = rounded_up(instant, tick, START)

    assert rounded - tick < instant <= rounded
    assert (rounded - START) % tick == timedelta()


@given(st.permutations(range(8)))
def test_the_order_of_equal_instants_does_not_depend_on_who_came_first(order: list[int]) -> None:
    def done_in(order: list[int]) -> list[int]:
        agenda, done = Agenda(), list[int]()
        for number in order:
            agenda.add(START, f"key {number}", lambda _, number=number: done.append(number))  # type: ignore[misc]
        agenda.run_due(START)
        return done

    assert done_in(order) == done_in(list(range(8)))


def test_the_last_of_an_instant_runs_after_all_others_and_what_they_added() -> None:
    agenda, done = Agenda(), list[str]()

    def pay(now: datetime) -> None:
        done.append("pay")
        agenda.add(now, "more", lambda _: done.append("more"))

    agenda.add(START, "run", lambda _: done.append("last"), last=True)
    agenda.add(START, "pay", pay)

    assert agenda.run_due(START) == 3
    assert done == ["pay", "more", "last"]
    assert agenda.next_due_at is None


@given(st.integers(0, 1_000), st.text(max_size=10))
def test_draws_stay_in_their_bounds_and_depend_on_their_key_alone(seed: int, key: str) -> None:
    assert 0 <= uniform(seed, key) < 1
    assert uniform(seed, key) == uniform(seed, key)
    assert 3 <= integer(3, 5, seed, key) <= 5
    assert 1 <= between(1, 2, seed, key) < 2
    assert weighted((("never", 0.0), ("always", 1.0)), seed, key) == "always"
