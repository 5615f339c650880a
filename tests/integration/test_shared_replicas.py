"""Several replicas, dealt partitions again and again, killed and stopped: each record is applied once, none is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

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
from tests.toy_world import ToyWorld, payment

ROOT = Path(__file__).parents[2]
BORROWERS = 20


class Unlucky(Publisher):
    """A publisher that loses its connection `failures` times, before or after the broker has taken the messages."""

    def __init__(self, bootstrap_servers: str, *, failures: int, after: bool) -> None:
        super().__init__(bootstrap_servers=bootstrap_servers, client_id="unlucky")
        self.failures = failures
        self._after = after

    async def publish(self, messages: Sequence[WireMessage]) -> None:
        if not messages or not self.failures:
            return await super().publish(messages)
        self.failures -= 1
        if self._after:
            await super().publish(messages)
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
    for after in (False, True):
        unlucky = Unlucky(world.bootstrap_servers, failures=2, after=after)
        async with consuming(world, unlucky):
            await world.send(*(payment(n, borrower=f"B-{n % 3}") for n in range(50 + after * 50, 100 + after * 50)))
            await world.until_idle()
        assert not unlucky.failures
    assert len(await world.entries()) == 150
    answers = await world.answers()
    assert len(answers) > 150
    assert len(set(answers)) == len({ce_id for ce_id, _ in answers}) == 150


def closed(borrower: str, number: int) -> Outgoing:
    message = LoanClosedV1(borrower_id=borrower, loan_id=f"L-{number}", reason="paid")
    return Outgoing(message=message, ce_id=ids.derive("closed", borrower, number), ce_time=AT)


async def test_the_outbox_gives_up_nothing_over_replicas_and_failures(world: ToyWorld) -> None:
    source = f"decorum/{world.name}"
    engine = create_async_engine(world.database_url, pool_size=8)
    publishers: list[Publisher] = [
        Unlucky(world.bootstrap_servers, failures=3, after=number % 2 == 0) for number in range(3)
    ]
    outboxes = [Outbox(source=source, engine=engine, publisher=publisher) for publisher in publishers]
    for publisher in publishers:
        await publisher.start()

    async def relay(outbox: Outbox, done: asyncio.Event) -> None:
        while True:
            try:
                moved = await outbox.relay()
            except Transient:
                continue
            if not moved:
                if done.is_set():
                    return
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
    published: dict[str, set[str]] = {}
    for record in await world.read(LOAN_EVENTS):
        if dict(record.headers)["ce_source"] == source.encode():
            published.setdefault(record.key.decode(), set()).add(dict(record.headers)["ce_id"].decode())
    # Order over replicas whose publishers fail is not promised, and no reader relies on it.
    assert published == {
        f"B-{b}": {ids.derive("closed", f"B-{b}", number) for number in range(100)} for b in range(BORROWERS)
    }
    assert await world.query("SELECT count(*) FROM outbox") == [(0,)]


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
