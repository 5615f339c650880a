from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from decorum_simulation.carrier.conduct import Conduct, fate_of
from decorum_simulation.carrier.dispatch import Dispatch
from decorum_simulation.carrier.exchange import Exchange, Inbound, Opening, SendRequest
from decorum_simulation.carrier.journal import Journal
from decorum_simulation.carrier.settings import CarrierSettings
from shared.clock import VirtualClock

NOW = datetime(2026, 9, 16, 2, tzinfo=UTC)
FLAWLESS = Conduct(
    reject_share=0, error_share=0, loss_share=0, receipt_loss_share=0, duplicate_share=0, delay_share=0,
    dead_line_share=0, disconnect_share=0,
)  # fmt: skip


class Notifier:
    """Takes webhooks, or refuses the first `refuses` of them."""

    enabled = True

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.taken: list[tuple[str, dict[str, object]]] = []

    async def post(self, path: str, body: bytes, now: datetime) -> bool:
        if self.refuses:
            self.refuses -= 1
            return False
        self.taken.append((path, json.loads(body)))
        return True


def _exchange(folder: Path, conduct: Conduct = FLAWLESS) -> Exchange:
    return Exchange(clock=VirtualClock(NOW), journal=Journal(folder / "carrier.jsonl"), seed=7, conduct=conduct)


def _request(key: str = "a1", *, to: str = "+8613800000001", minutes: int = 30) -> SendRequest:
    return SendRequest(idempotency_key=key, to=to, text="您好", not_after=NOW + timedelta(minutes=minutes))


def _kinds(exchange: Exchange, folder: Path) -> list[str]:
    exchange.journal.flush()
    return [json.loads(line)["kind"] for line in (folder / "carrier.jsonl").read_text().splitlines()]


def _move(exchange: Exchange, **by: int) -> None:
    assert isinstance(exchange.clock, VirtualClock)
    exchange.clock.move_to(exchange.clock.now() + timedelta(**by))


def test_a_known_key_gets_its_first_answer_and_is_never_sent_twice(tmp_path: Path) -> None:
    exchange = _exchange(tmp_path)

    first, second = exchange.take(_request(), "sms"), exchange.take(_request(), "sms")

    assert (first.status, second.status) == (202, 200)
    assert second.body == {**first.body, "duplicate": True}
    assert _kinds(exchange, tmp_path) == ["request", "accepted", "request", "duplicate"]


def test_a_request_that_came_too_late_is_refused_and_stays_refused(tmp_path: Path) -> None:
    exchange = _exchange(tmp_path)

    assert exchange.take(_request(minutes=0), "sms").body == {"reason": "expired"}
    assert exchange.take(_request(), "sms").status == 422


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    assert _exchange(tmp_path).take(_request(to="13800000001"), "voice").body == {"reason": "invalid_number"}


def test_the_fate_of_an_attempt_depends_on_seed_and_attempt_alone() -> None:
    def fate(seed: int) -> object:
        return fate_of("a1", "voice", "+8613800000001", conduct=Conduct(), seed=seed)

    assert fate(1) == fate(1)
    assert len({repr(fate(seed)) for seed in range(50)}) > 20


def test_every_share_can_be_turned_to_always() -> None:
    for name, verdict in (("reject_share", "blocked"), ("error_share", "unavailable")):
        fate = fate_of("a1", "sms", "+8613800000001", conduct=Conduct(**{name: 1.0}), seed=1)
        assert fate.verdict == verdict
    lost = fate_of(
        "a1", "sms", "+8613800000001", conduct=Conduct(loss_share=1.0, error_share=0, reject_share=0), seed=1
    )
    assert (lost.result, lost.receipt_delays_seconds) == (None, ())


def test_of_what_it_swallowed_the_carrier_knows_nothing_but_that_it_was_called(tmp_path: Path) -> None:
    exchange = _exchange(tmp_path, replace(FLAWLESS, swallowed_share=1.0))

    first, second = exchange.take(_request(), "sms"), exchange.take(_request(), "sms")

    assert (first.lost, second.lost) == ("disconnect", "disconnect")
    assert exchange.messages == {}
    assert exchange.next_due_at is None
    assert _kinds(exchange, tmp_path) == ["request", "request"]


async def test_a_receipt_is_sent_when_its_time_has_come_and_doubled_ones_twice(tmp_path: Path) -> None:
    doubling = Conduct(
        reject_share=0, error_share=0, loss_share=0, receipt_loss_share=0, duplicate_share=1, dead_line_share=0
    )
    exchange, notifier = _exchange(tmp_path, doubling), Notifier()
    dispatch = Dispatch(exchange, notifier, CarrierSettings())
    exchange.take(_request(), "sms")

    await dispatch.run_due()
    assert notifier.taken == []
    _move(exchange, hours=6)
    await dispatch.run_due()

    assert [path for path, _ in notifier.taken] == ["/webhooks/sms/receipts"] * 2
    assert notifier.taken[0][1] == notifier.taken[1][1]
    assert notifier.taken[0][1]["idempotency_key"] == "a1"
    assert len(exchange.deliveries) == (1 if notifier.taken[0][1]["status"] == "delivered" else 0)


async def test_what_a_borrower_sent_is_offered_until_it_is_taken(tmp_path: Path) -> None:
    exchange, notifier = _exchange(tmp_path), Notifier(refuses=3)
    dispatch = Dispatch(exchange, notifier, CarrierSettings())
    said = Inbound(inbound_id="i1", channel="sms", sender="+8613800000001", text="退订", at=NOW)
    exchange.receive(said)
    exchange.receive(said)

    for _ in range(4):
        await dispatch.run_due()
        assert exchange.next_due_at is None or exchange.next_due_at > exchange.clock.now()
        _move(exchange, minutes=1)

    assert [(path, body["text"]) for path, body in notifier.taken] == [("/webhooks/sms/inbound", "退订")]
    assert exchange.inbound[0].known_at == NOW + timedelta(minutes=3)


async def test_a_pause_between_offers_is_bounded(tmp_path: Path) -> None:
    exchange = _exchange(tmp_path)
    dispatch = Dispatch(exchange, Notifier(refuses=1_000), CarrierSettings())
    exchange.receive(Inbound(inbound_id="i1", channel="voice", sender="+8613800000001", text="9", at=NOW))

    for _ in range(60):
        await dispatch.run_due()
        assert exchange.next_due_at is not None
        assert exchange.next_due_at - exchange.clock.now() <= timedelta(seconds=5)
        _move(exchange, seconds=6)


def _call(key: str = "a1") -> SendRequest:
    return SendRequest(
        idempotency_key=key,
        to="+8613800000001",
        text="您有¥100.00已逾期",
        not_after=NOW + timedelta(minutes=30),
        keys={"1": "promise", "9": "stop"},
        opening=Opening(text="您好，请按5", keys={"5": "right_person", "7": "wrong_person", "9": "stop"}),
    )


def _pressed(exchange: Exchange, digits: str) -> list[str]:
    [message] = exchange.messages.values()
    for number, digit in enumerate(digits):
        exchange.receive(
            Inbound(
                inbound_id=f"i{number}",
                channel="voice",
                sender="+8613800000001",
                text=digit,
                at=NOW,
                in_reply_to=message.message_id,
            )
        )
    return [inbound.text for inbound in exchange.inbound]


@pytest.mark.parametrize(
    ("pressed", "taken"),
    [("1", ""), ("51", "51"), ("15", "5"), ("7", "7"), ("71", "7"), ("9", "9"), ("4", ""), ("54", "5"), ("579", "579")],
)
def test_a_call_takes_the_keys_of_its_text_only_once_the_person_has_confirmed(
    tmp_path: Path, pressed: str, taken: str
) -> None:
    exchange = _exchange(tmp_path)
    exchange.take(_call(), "voice")
    assert "".join(_pressed(exchange, pressed)) == taken


def test_who_picks_up_hears_the_opening_and_the_journal_holds_all_that_may_be_spoken(tmp_path: Path) -> None:
    exchange = _exchange(tmp_path, dataclasses.replace(FLAWLESS, answer_share=10.0))
    exchange.take(_call(), "voice")
    [message] = exchange.messages.values()
    exchange.settle(message, NOW)
    assert [delivery.text for delivery in exchange.deliveries] == ["您好，请按5"]

    exchange.journal.flush()
    request = json.loads((tmp_path / "carrier.jsonl").read_text().splitlines()[0])
    assert request["text"] == "您好，请按5 您有¥100.00已逾期"


@pytest.mark.parametrize(("permitted_seconds", "kind"), [(600, "answered"), (10, "failed")])
def test_a_result_is_noted_at_its_own_instant_and_nobody_is_reached_after_not_after(
    tmp_path: Path, permitted_seconds: int, kind: str
) -> None:
    exchange = _exchange(tmp_path, dataclasses.replace(FLAWLESS, answer_share=10.0))
    not_after = NOW + timedelta(seconds=permitted_seconds)
    exchange.take(msgspec.structs.replace(_call(), not_after=not_after), "voice")
    assert isinstance(exchange.clock, VirtualClock)
    exchange.clock.move_to(NOW + timedelta(hours=2))
    [result] = [due for due in exchange.pop_due(10) if due.kind == "result"]
    assert result.message is not None
    exchange.settle(result.message, result.at)
    exchange.journal.flush()
    last = json.loads((tmp_path / "carrier.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == kind
    assert NOW < datetime.fromisoformat(last["at"]) <= not_after
