"""Several replicas, dealt partitions again and again, killed and stopped: each record is applied once, none is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from decorum_local import LocalPlatform, ServiceProcess
from shared import ids
from shared.contracts import LoanClosedV1, PaymentReceivedV1
from shared.contracts.examples import AT
from shared.contracts.registry import LOAN_EVENTS
from shared.errors import Transient
from shared.kafka.consumer import Consumer
from shared.kafka.publisher import Publisher
from shared.kafka.records import Outgoing, WireMessage
from shared.kafka.subscription import Subscription
from shared.postgres.engine import create_engine
from shared.postgres.outbox import Outbox
from tests.toy_service import add_payments
from tests.toy_world import ToyWorld, changed, payment

ROOT = Path(__file__).parents[2]
BORROWERS = 20


class Unlucky(Publisher):
    """A publisher that loses its connection `failures` times, when the broker has taken `part` of the messages."""

    def __init__(self, bootstrap_servers: str, *, failures: int, part: float) -> None:
        super().__init__(bootstrap_servers=bootstrap_servers, client_id="unlucky")
        self.failures = failures
        self._part = part

    async def publish(self, messages: Sequence[WireMessage]) -> None:
        if not messages or not self.failures:
            return await super().publish(messages)
        self.failures -= 1
        await super().publish(messages[: int(len(messages) * self._part)])
        raise Transient("the connection is lost")


class Slow(Publisher):
    """A publisher that has its messages in hand until it is let go, and then loses its connection."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__(bootstrap_servers=bootstrap_servers, client_id="slow")
        self.in_hand, self.let_go = asyncio.Event(), asyncio.Event()

    async def publish(self, messages: Sequence[WireMessage]) -> None:
        self.in_hand.set()
        await self.let_go.wait()
        raise Transient("the connection is lost")


def process(platform: LocalPlatform, world: ToyWorld, number: int, folder: Path) -> ServiceProcess:
    return ServiceProcess(
        platform.supervisor,
        name=f"{world.name}-{number}",
        app="tests.toy_app:app",
        environment={**world.environment(), "PYTHONPATH": str(ROOT)},
        log_folder=folder,
    )


async def test_replicas_that_come_go_and_die_apply_each_record_once(
    platform: LocalPlatform, world: ToyWorld, tmp_path: Path
) -> None:
    first, second = (process(platform, world, number, tmp_path) for number in range(2))
    total = 6_000

    async def send(start: int) -> None:
        await world.send(*(payment(n, borrower=f"B-{n % BORROWERS}") for n in range(start, start + total // 6)))

    try:
        first.start()
        await send(0)
        second.start()
        await asyncio.to_thread(second.wait_ready)
        await send(1_000)
        await world.until_applied(1_500)
        # Killed between any two steps of a batch.
        second.kill()
        await send(2_000)
        second.start()
        await world.until_applied(2_500)
        first.pause()
        await send(3_000)
        await asyncio.to_thread(second.wait_ready)
        first.resume()
        await send(4_000)
        first.kill()
        await send(5_000)
        first.start()
        await world.until_idle()
    finally:
        await asyncio.to_thread(first.stop)
        await asyncio.to_thread(second.stop)
    entries = await world.entries()
    assert len(entries) == len(set(entries)) == total
    assert await world.totals() == {f"B-{n}": 100 * total // BORROWERS for n in range(BORROWERS)}
    answers = set(await world.answers())
    assert {ce_id for ce_id, _ in answers} == set(await world.answered())
    assert len(answers) == total
    assert not await world.dead_letters()


@contextlib.asynccontextmanager
async def consuming(world: ToyWorld, publisher: Publisher) -> AsyncIterator[Consumer]:
    """The consumer on its own, with a publisher of the test's choice."""
    engine = create_engine(world.database_url, application_name=world.name)
    consumer = Consumer(
        group=world.name, topics=(LOAN_EVENTS,), engine=engine, publisher=publisher, clock=world.settings.make_clock()
    )
    consumer.handles(PaymentReceivedV1)(add_payments)
    subscription = Subscription(
        bootstrap_servers=world.bootstrap_servers,
        client_id=world.name,
        group=world.name,
        topics=(LOAN_EVENTS,),
        last_topics=(),
        on_batch=consumer.on_batch,
        listener=consumer,
    )
    await publisher.start()
    await subscription.start()
    try:
        yield consumer
    finally:
        await subscription.stop()
        await publisher.stop()
        await engine.dispose()


async def test_a_failure_between_commit_and_publish_is_made_good_with_the_stored_answers(world: ToyWorld) -> None:
    await world.send(*(payment(n, borrower=f"B-{n % 3}") for n in range(50)))
    for sent, part in ((50, 0.0), (100, 1.0)):
        unlucky = Unlucky(world.bootstrap_servers, failures=2, part=part)
        async with consuming(world, unlucky):
            await world.send(*(payment(n, borrower=f"B-{n % 3}") for n in range(sent, sent + 50)))
            await world.until_idle()
        assert not unlucky.failures
    assert len(await world.entries()) == 150
    answers = await world.answers()
    assert len(answers) > 150
    assert len(set(answers)) == len({ce_id for ce_id, _ in answers}) == 150


def closed(borrower: str, number: int) -> Outgoing:
    message = LoanClosedV1(borrower_id=borrower, loan_id=f"L-{number}", reason="paid")
    return Outgoing(message=message, ce_id=ids.derive("closed", borrower, number), ce_time=AT)


async def first_appearances(world: ToyWorld) -> dict[str, list[str]]:
    """The ids of what the toy's outbox published, without doubles, by borrower."""
    published: dict[str, dict[str, None]] = {}
    for record in await world.read(LOAN_EVENTS):
        headers = dict(record.headers)
        if headers["ce_source"] == f"decorum/{world.name}".encode():
            published.setdefault(record.key.decode(), {})[headers["ce_id"].decode()] = None
    return {borrower_id: list(ce_ids) for borrower_id, ce_ids in published.items()}


async def test_the_outbox_gives_up_nothing_and_keeps_each_borrowers_order_over_replicas_and_failures(
    world: ToyWorld,
) -> None:
    engine = create_async_engine(world.database_url, pool_size=8)
    publishers = [Unlucky(world.bootstrap_servers, failures=5, part=part) for part in (0.0, 0.5, 1.0)]
    outboxes = [Outbox(source=f"decorum/{world.name}", engine=engine, publisher=publisher) for publisher in publishers]
    for publisher in publishers:
        await publisher.start()

    async def relay(outbox: Outbox, done: asyncio.Event) -> None:
        # To the end: a replica that takes nothing now may have met rows that wait for another one's.
        while not done.is_set() or await world.query("SELECT FROM outbox LIMIT 1"):
            with contextlib.suppress(Transient):
                await outbox.relay()
            await asyncio.sleep(0.001)

    async def write(done: asyncio.Event) -> None:
        for number in range(100):
            async with engine.begin() as tx:
                await outboxes[0].add(tx, [closed(f"B-{b}", number) for b in range(BORROWERS)])
        with contextlib.suppress(ZeroDivisionError):
            async with engine.begin() as tx:
                await outboxes[0].add(tx, [closed("B-0", 999)])
                raise ZeroDivisionError  # what is rolled back was never said
        done.set()

    try:
        finished = asyncio.Event()
        await asyncio.gather(write(finished), *(relay(outbox, finished) for outbox in outboxes))
    finally:
        for publisher in publishers:
            await publisher.stop()
        await engine.dispose()
    assert await first_appearances(world) == {
        f"B-{b}": [ids.derive("closed", f"B-{b}", number) for number in range(100)] for b in range(BORROWERS)
    }


async def test_a_message_waits_while_another_replica_has_an_earlier_one_of_its_borrower_in_hand(
    world: ToyWorld,
) -> None:
    engine = create_async_engine(world.database_url)
    slow, other = Slow(world.bootstrap_servers), Publisher(bootstrap_servers=world.bootstrap_servers, client_id="other")
    holding, passing = (
        Outbox(source=f"decorum/{world.name}", engine=engine, publisher=publisher) for publisher in (slow, other)
    )
    await other.start()
    async with engine.begin() as tx:
        await holding.add(tx, [closed("B-1", 1)])
    held = asyncio.create_task(holding.relay())
    try:
        await slow.in_hand.wait()
        async with engine.begin() as tx:
            await passing.add(tx, [closed("B-1", 2), closed("B-2", 1)])
        assert await passing.relay() == 1
        assert await first_appearances(world) == {"B-2": [ids.derive("closed", "B-2", 1)]}
        slow.let_go.set()
        with pytest.raises(Transient):
            await held
        assert await passing.relay() == 2
    finally:
        held.cancel()
        await asyncio.wait([held])
        await other.stop()
        await engine.dispose()
    assert (await first_appearances(world))["B-1"] == [ids.derive("closed", "B-1", number) for number in (1, 2)]


async def test_a_publisher_whose_broker_connection_is_gone_says_so_and_recovers(world: ToyWorld) -> None:
    publisher = Publisher(bootstrap_servers=world.bootstrap_servers, client_id="test")
    try:
        with contextlib.suppress(Transient):
            await publisher.publish([payment(1)])
        assert not publisher.published
        await publisher.start()
        await publisher.publish([])
        await publisher.publish([payment(n, borrower=f"B-{n}") for n in range(2_000)])
    finally:
        await publisher.stop()
    assert len(await world.read(LOAN_EVENTS)) == 2_000
    ends = {f"{r.topic}-{r.partition}": r.offset + 1 for r in await world.read(LOAN_EVENTS)}
    assert publisher.published == ends


async def test_what_follows_a_message_that_the_broker_refuses_is_not_written_before_it(world: ToyWorld) -> None:
    # A new producer has no sequence yet: the broker takes a second batch from it although the first is missing.
    publisher = Publisher(bootstrap_servers=world.bootstrap_servers, client_id="test")
    refused = changed(payment(1), value=b"-" * 1_600_000)
    await publisher.start()
    try:
        with pytest.raises(Transient):
            await publisher.publish([refused, payment(2)])
        assert not await world.read(LOAN_EVENTS)
        await publisher.publish([payment(1), payment(2)])
    finally:
        await publisher.stop()
    assert [dict(r.headers)["ce_id"] for r in await world.read(LOAN_EVENTS)] == [b"E-1", b"E-2"]


async def test_keys_go_to_the_partition_that_every_other_client_chooses(world: ToyWorld) -> None:
    publisher = Publisher(bootstrap_servers=world.bootstrap_servers, client_id="test")
    messages = [payment(n, borrower=f"借-{n}" if n % 2 else f"B-{n}") for n in range(300)]
    await publisher.start()
    try:
        await publisher.publish(messages)
    finally:
        await publisher.stop()
    await world.send(*messages)
    partitions: dict[bytes, set[int]] = {}
    for record in await world.read(LOAN_EVENTS):
        partitions.setdefault(record.key, set()).add(record.partition)
    assert len(partitions) == 300
    assert {len(each) for each in partitions.values()} == {1}
