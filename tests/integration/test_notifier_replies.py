"""Receipts and inbound messages over real Postgres, through the signed webhooks."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics
from notifier.domain.signatures import signature
from notifier.handlers.inbound import take_inbound
from notifier.handlers.webhooks import WebhookGuard, inbound_webhook, receipts_webhook
from notifier.ports import Claim, Inbound
from shared.contracts import (
    Channel,
    ContactMadeV1,
    ContactPoint,
    ContactProgressedV1,
    ContactUnknownV1,
    ReplyReceivedV1,
)
from shared.http import Request, Response
from tests.notifier_world import database
from tests.notifier_world.database import empty
from tests.notifier_world.fakes import FakeProvider
from tests.notifier_world.messages import KEY_MEANINGS, START, allowed, borrower, received
from tests.notifier_world.rig import Rig

notifier_url, engine = database.notifier_url, database.engine

SECRET = b"a secret of the carrier"
NUMBER = "+8613800138000"
_deliveries = itertools.count()


class Hooks:
    """The webhooks of a rig, and a carrier that signs."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.guard = WebhookGuard(
            secret=SECRET,
            desk=rig.desk,
            work=rig.work,
            in_flight=lambda change: None,
            silenced=rig.ends.check_all,
        )
        channels: tuple[Channel, ...] = ("sms", "voice")
        self.endpoints: dict[str, Any] = {}
        for channel in channels:
            self.endpoints[f"{channel}/receipts"] = receipts_webhook(channel, self.guard)
            self.endpoints[f"{channel}/inbound"] = inbound_webhook(
                channel, self.guard, lambda number: rig.sealer.hash_number(number) if number else None
            )

    async def post(self, path: str, body: dict[str, Any] | bytes, **headers: str) -> Response:
        """Sign and deliver; `headers` replace what a well-behaved carrier sends."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {
            "x-decorum-timestamp": str(int(self.rig.clock.now().timestamp())),
            "x-decorum-delivery": f"delivery-{next(_deliveries)}",
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault(
            "x-decorum-signature",
            signature(SECRET, timestamp=sent["x-decorum-timestamp"], delivery=sent["x-decorum-delivery"], body=data),
        )
        request = Request(method="POST", path=path, headers=sent, query={}, body=data)
        answer: Response = await self.endpoints[path](request)
        return answer

    async def receipt(self, status: str, attempt_id: str = "A1", receipt_id: str = "", path: str = "sms") -> Response:
        """Deliver a receipt."""
        body = {
            "receipt_id": receipt_id or f"receipt-{status}",
            "message_id": f"M-{attempt_id}",
            "idempotency_key": attempt_id,
            "status": status,
            "at": self.rig.clock.now().isoformat(),
        }
        return await self.post(f"{path}/receipts", body)

    async def inbound(self, text: str, inbound_id: str = "I1", number: str = NUMBER, **more: Any) -> Response:
        """Deliver a text."""
        at = self.rig.clock.now().isoformat()
        return await self.post(
            "sms/inbound", {"inbound_id": inbound_id, "from": number, "text": text, "at": at, **more}
        )


async def sent(engine: AsyncEngine, *attempts: Any) -> Hooks:
    """A rig that has sent an SMS (A1 to B1, unless other permits are given), with its webhooks."""
    rig = Rig(engine, [FakeProvider(name="sms"), FakeProvider(name="voice", channel="voice")])
    await rig.consume(borrower(), *(attempts or (allowed(),)))
    await rig.send_all()
    return Hooks(rig)


def of(kind: type[Any], messages: list[Any]) -> list[Any]:
    """The messages of one type."""
    return [message for message in messages if isinstance(message, kind)]


async def test_receipts_in_any_order_and_number_converge_on_one_state(engine: AsyncEngine) -> None:
    outcomes = set()
    for order in itertools.permutations(("answered", "no_answer", "failed")):
        await empty(engine)
        hooks = await sent(engine, allowed(channel="voice", template="call-overdue"))
        for status in [*order, *order]:
            assert (await hooks.receipt(status, path="voice")).status == 200
        async with engine.begin() as tx:
            row = (await tx.exec_driver_sql("SELECT state, result, message_id FROM permit")).one()
        messages = await hooks.rig.published()
        progress = sorted(m.result for m in of(ContactProgressedV1, messages))
        assert len(of(ContactMadeV1, messages)) == 1
        outcomes.add((tuple(row), tuple(progress)))
    assert outcomes == {(("made", "conversation", "M-A1"), ("conversation", "failed", "no_answer"))}


async def test_a_receipt_that_comes_before_its_result_counts_the_contact_once(engine: AsyncEngine) -> None:
    rig = Rig(engine, [FakeProvider(name="sms")])
    await rig.consume(borrower(), allowed())
    claim = Claim(channel="sms", provider="sms", owner="x", now=START, lease_seconds=60, limit=1)
    async with rig.work.begin() as tx:
        await rig.store.claim(tx, claim)
    hooks = Hooks(rig)
    await hooks.receipt("delivered")
    await rig.settle()
    assert len(of(ContactMadeV1, await rig.published())) == 1


async def test_a_late_receipt_proves_a_contact_that_was_unknown(engine: AsyncEngine) -> None:
    provider = FakeProvider(name="sms")
    provider.answers["A1"] = 500
    rig = Rig(engine, [provider])
    await rig.consume(borrower(), allowed())
    await rig.send_all()
    await rig.settle()
    hooks = Hooks(rig)
    rig.at(START + timedelta(hours=3))
    await hooks.receipt("delivered")
    kinds = [type(message) for message in await rig.published()]
    assert kinds == [ContactUnknownV1, ContactMadeV1, ContactProgressedV1]
    [made] = of(ContactMadeV1, await rig.published())
    assert made.made_at == START


async def test_a_late_receipt_proves_a_contact_that_counted_as_not_made(engine: AsyncEngine) -> None:
    provider = FakeProvider(name="sms")
    provider.answers["A1"] = 422
    rig = Rig(engine, [provider])
    await rig.consume(borrower(), allowed())
    await rig.send_all()
    await Hooks(rig).receipt("failed")
    assert (await rig.states())[("A1", 1)] == ("made", None)


async def test_a_receipt_whose_attempt_is_not_known_yet_waits_for_it(engine: AsyncEngine) -> None:
    rig = Rig(engine, [FakeProvider(name="sms")])
    hooks = Hooks(rig)
    assert (await hooks.receipt("delivered")).status == 200
    await rig.settle()
    assert await rig.published() == []
    await rig.consume(borrower(), allowed())
    await rig.settle()
    assert [type(m) for m in await rig.published()] == [ContactMadeV1, ContactProgressedV1]
    await rig.send_all()
    assert (await rig.states())[("A1", 1)] == ("made", None)


async def test_forged_stale_replayed_and_malformed_deliveries_are_refused(engine: AsyncEngine) -> None:
    hooks = await sent(engine)
    before = _webhooks_counted()
    body = {"inbound_id": "I9", "from": NUMBER, "text": "STOP", "at": START.isoformat()}
    old, ahead = str(int(START.timestamp()) - 301), str(int(START.timestamp()) + 301)
    assert (await hooks.post("sms/inbound", body, x_decorum_signature="sha256=" + "0" * 64)).status == 401
    assert (await hooks.post("sms/inbound", body, x_decorum_signature="")).status == 401
    assert (await hooks.post("sms/inbound", body, x_decorum_timestamp=old)).status == 401
    assert (await hooks.post("sms/inbound", body, x_decorum_timestamp=ahead)).status == 401
    assert (await hooks.post("sms/inbound", b"not json")).status == 400
    assert (await hooks.post("sms/inbound", body | {"digit": "1"})).status == 400
    assert (await hooks.post("sms/inbound", body | {"at": "0001-01-01T00:00:00+14:00"})).status == 400
    assert (await hooks.post("sms/inbound", body | {"from": ""})).status == 422
    assert (await hooks.receipt("answered")).status == 400
    assert (await hooks.post("sms/inbound", body, x_decorum_delivery="seen")).status == 200
    assert (await hooks.post("sms/inbound", body, x_decorum_delivery="seen")).status == 409
    assert (await hooks.post("sms/inbound", body, x_decorum_delivery="again")).status == 200
    assert len(of(ReplyReceivedV1, await hooks.rig.published())) == 1
    counted = {outcome: number - before.get(outcome, 0) for outcome, number in _webhooks_counted().items()}
    assert {outcome: number for outcome, number in counted.items() if number} == {
        "forged": 1, "missing_header": 1, "stale": 2, "malformed": 3, "invalid_number": 1, "replayed": 1, "stored": 2
    }  # fmt: skip


def _webhooks_counted() -> dict[str, float]:
    """Deliveries of inbound texts so far, by what was done with them."""
    (family,) = metrics.WEBHOOKS.collect()
    wanted = {"channel": "sms", "kind": "inbound"}.items()
    texts = [sample for sample in family.samples if wanted <= sample.labels.items()]
    return {sample.labels["outcome"]: sample.value for sample in texts if sample.name.endswith("_total")}


async def test_a_stop_is_kept_in_the_transaction_of_its_message_for_everybody_with_the_number(
    engine: AsyncEngine,
) -> None:
    hooks = await sent(engine)
    rig = hooks.rig
    await rig.consume(borrower("B2"), borrower("B3", "+8613900139000"))
    await rig.consume(allowed("B1", "A2", sequence=2), allowed("B2", "A3"), allowed("B3", "A4"))
    await hooks.inbound("ＴＤ退订！", in_reply_to="M-A1")
    await rig.send_all()
    await rig.settle()
    states = await rig.states()
    assert states[("A2", 1)] == states[("A3", 1)] == ("not_made", "stopped")
    assert states[("A4", 1)] == ("made", None)
    replies = of(ReplyReceivedV1, await rig.published())
    assert {(r.borrower_id, r.intent) for r in replies} == {("B1", "stop"), ("B2", "stop")}
    by_borrower = {reply.borrower_id: reply for reply in replies}
    assert by_borrower["B1"].attempt_id == "A1"
    assert by_borrower["B2"].attempt_id is None
    assert by_borrower["B2"].contact_point_id == "C1"


async def test_two_numbers_that_use_one_id_in_one_batch_are_both_heard(engine: AsyncEngine) -> None:
    hooks = Hooks(Rig(engine, [FakeProvider(name="sms")]))
    rig, others = hooks.rig, "+8613800138009"
    await rig.consume(borrower(), borrower("B2", others), allowed(), allowed("B2", "A2"))
    said = [
        Inbound(
            inbound_id="I1",
            channel="sms",
            number_hash=rig.sealer.hash_number(number),
            text=text,
            digit=None,
            received_at=START,
            in_reply_to=None,
        )
        for number, text in ((NUMBER, "好的"), (NUMBER, "好的"), (others, "退订"))
    ]
    async with rig.work.begin() as tx:
        replies = await take_inbound(tx, said, desk=rig.desk)
    heard = of(ReplyReceivedV1, [reply.message for reply in replies])
    assert sorted((reply.borrower_id, reply.intent) for reply in heard) == [("B1", "other"), ("B2", "stop")]
    await rig.send_all()
    await rig.settle()
    assert (await rig.states())[("A2", 1)] == ("not_made", "stopped")


async def test_the_confirmation_of_an_opt_out_passes_the_suppression_and_nothing_else_does(engine: AsyncEngine) -> None:
    hooks = await sent(engine)
    await hooks.inbound("stop")
    await hooks.rig.consume(
        allowed("B1", "A2", sequence=2, purpose="opt_out_confirmation", template="sms-opt-out-confirmation"),
        allowed("B1", "A3", sequence=2),
        allowed("B1", "A4", sequence=2, purpose="opt_out_confirmation"),
    )
    await hooks.rig.send_all()
    await hooks.rig.settle()
    states = await hooks.rig.states()
    assert states[("A2", 1)] == ("made", None)
    assert states[("A3", 1)] == ("not_made", "stopped")
    assert states[("A4", 1)] == ("not_made", "template_failed"), "a demand in the name of a confirmation"


async def test_a_stop_on_one_channel_leaves_the_other(engine: AsyncEngine) -> None:
    hooks = await sent(engine)
    await hooks.inbound("stop")
    await hooks.rig.consume(allowed("B1", "A2", sequence=2, channel="voice", template="call-overdue"))
    await hooks.rig.send_all()
    assert (await hooks.rig.states())[("A2", 1)] == ("made", None)


@pytest.mark.parametrize("by_key", [True, False], ids=["key 7 of a call", "a text"])
async def test_a_wrong_person_silences_the_number_for_that_borrower_on_every_channel_and_for_nobody_else(
    engine: AsyncEngine, by_key: bool
) -> None:
    first = allowed(channel="voice", template="call-overdue") if by_key else allowed()
    hooks = await sent(engine, first)
    rig = hooks.rig
    other = ContactPoint(contact_point_id="C2", kind="mobile", value="+8613900139000")
    same = ContactPoint(contact_point_id="C1", kind="mobile", value=NUMBER)
    again = ContactPoint(contact_point_id="C3", kind="mobile", value=NUMBER)
    later = START + timedelta(minutes=1)
    await rig.consume(received(borrower("B1", contact_points=(same, other, again)), ce_time=later))
    await rig.consume(borrower("B2"))
    said = {"inbound_id": "K1", "from": NUMBER, "at": START.isoformat(), "in_reply_to": "M-A1"}
    path = "voice/inbound" if by_key else "sms/inbound"
    await hooks.post(path, said | ({"digit": "7"} if by_key else {"text": "打错了"}))
    [reply] = of(ReplyReceivedV1, await rig.published())
    assert (reply.borrower_id, reply.intent, reply.attempt_id) == ("B1", "wrong_person", "A1")
    assert reply.contact_point_id == "C1"

    await rig.consume(
        allowed("B1", "A3", sequence=9, channel="voice", template="call-overdue"),
        allowed("B1", "A4", sequence=9, contact_point_id="C3"),
        allowed("B1", "A5", sequence=9, contact_point_id="C2"),
        allowed("B2", "A6"),
    )
    await rig.send_all()
    await rig.settle()
    states = await rig.states()
    assert {states[(f"A{n}", 1)] for n in (3, 4)} == {("not_made", "revoked")}
    assert {states[(f"A{n}", 1)] for n in (5, 6)} == {("made", None)}


async def test_a_stop_from_a_number_that_nobody_has_holds_when_somebody_gets_it(engine: AsyncEngine) -> None:
    rig = Rig(engine, [FakeProvider(name="sms")])
    await Hooks(rig).inbound("退订")
    assert await rig.published() == []
    await rig.consume(borrower(), allowed())
    await rig.send_all()
    assert (await rig.states())[("A1", 1)] == ("not_made", "stopped")


async def test_a_promise_answers_the_contact_it_names_and_takes_its_amount(engine: AsyncEngine) -> None:
    hooks = await sent(engine)
    hooks.rig.at(datetime(2026, 9, 16, 16, 30, tzinfo=UTC))  # half past midnight of the 17th in Shanghai
    await hooks.inbound("明天还", in_reply_to="M-A1")
    [reply] = of(ReplyReceivedV1, await hooks.rig.published())
    assert (reply.intent, reply.promised_minor, reply.currency) == ("promise", 123_456, "CNY")
    assert reply.promised_on == date(2026, 9, 18)
    assert (reply.attempt_id, reply.loans) == ("A1", ("L1",))


@pytest.mark.parametrize(("days", "answers"), [(6, "A1"), (8, None)])
async def test_a_message_that_names_nothing_answers_the_latest_contact_of_seven_days(
    engine: AsyncEngine, days: int, answers: str | None
) -> None:
    hooks = await sent(engine)
    hooks.rig.at(START + timedelta(days=days))
    await hooks.inbound("我明天还500元")
    [reply] = of(ReplyReceivedV1, await hooks.rig.published())
    assert (reply.borrower_id, reply.attempt_id, reply.intent) == ("B1", answers, "promise")
    assert reply.promised_minor == 50_000


async def test_a_promise_that_could_be_anybody_s_is_nobody_s(engine: AsyncEngine) -> None:
    rig = Rig(engine, [FakeProvider(name="sms")])
    await rig.consume(borrower("B1"), borrower("B2"))
    await Hooks(rig).inbound("明天还500元")
    replies = of(ReplyReceivedV1, await rig.published())
    assert {(r.borrower_id, r.intent, r.promised_minor) for r in replies} == {
        ("B1", "other", None),
        ("B2", "other", None),
    }


@pytest.mark.parametrize(("digit", "intent"), KEY_MEANINGS)
async def test_keys_mean_what_the_call_said(engine: AsyncEngine, digit: str, intent: str) -> None:
    hooks = await sent(engine, allowed(channel="voice", template="call-overdue"))
    body = {"inbound_id": "K1", "from": NUMBER, "digit": digit, "at": START.isoformat(), "in_reply_to": "M-A1"}
    assert (await hooks.post("voice/inbound", body)).status == 200
    [reply] = of(ReplyReceivedV1, await hooks.rig.published())
    assert (reply.intent, reply.channel) == (intent, "voice")
    if intent == "promise":
        assert (reply.promised_on, reply.promised_minor) == (date(2026, 9, 19), 123_456)


async def test_the_words_are_kept_sealed_under_the_borrower_s_key(engine: AsyncEngine) -> None:
    hooks = await sent(engine)
    await hooks.inbound("我现在有困难", in_reply_to="M-A1")
    async with engine.begin() as tx:
        row = (
            await tx.exec_driver_sql(
                "SELECT r.text_sealed, k.wrapped_key FROM inbound_reply r NATURAL JOIN borrower_key k"
            )
        ).one()
    assert "困难".encode() not in row.text_sealed
    opened = hooks.rig.sealer.open(row.wrapped_key, borrower_id="B1", field="inbound:sms:I1", sealed=row.text_sealed)
    assert opened == "我现在有困难"


async def test_many_deliveries_at_once_are_each_stored(engine: AsyncEngine) -> None:
    hooks = await sent(engine)
    answers = await asyncio.gather(
        *(hooks.receipt("delivered", receipt_id=f"r{i % 20}") for i in range(100)),
        *(hooks.inbound("好的", inbound_id=f"i{i % 20}") for i in range(100)),
    )
    assert {answer.status for answer in answers} == {200}
    messages = await hooks.rig.published()
    assert len(of(ContactProgressedV1, messages)) == 20
    assert len(of(ReplyReceivedV1, messages)) == 20


async def test_a_borrower_with_two_points_on_one_number_gets_one_reply(engine: AsyncEngine) -> None:
    rig = Rig(engine, [FakeProvider(name="sms")])
    points = tuple(ContactPoint(contact_point_id=c, kind="mobile", value=NUMBER) for c in ("C1", "C2"))
    await rig.consume(received(borrower(contact_points=points)))
    await Hooks(rig).inbound("你好")
    assert len(of(ReplyReceivedV1, await rig.published())) == 1
