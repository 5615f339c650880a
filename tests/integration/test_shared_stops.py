"""What stops the consumer: the fuse one partition, a gap in the log everything; and what must not stop it."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from shared.contracts.registry import LOAN_EVENTS
from shared.kafka.fuse import FUSE_RECORDS
from tests.toy_service import Replica, until
from tests.toy_world import ToyWorld, changed, payment

NOT_JSON = b"<payment/>"


async def fused(replica: Replica) -> bool:
    return bool(replica.service.consumer.state.fused)


async def test_a_hundred_dead_letters_in_a_row_pause_their_partition_and_no_other(world: ToyWorld) -> None:
    good = [payment(n) for n in range(1_000, 1_040)]
    async with world.replica().running() as replica:
        await replica.until_ready()
        places = await world.send(*(changed(payment(n), value=NOT_JSON) for n in range(150)), partition=3)
        await world.send(payment(500), partition=3)
        await until(lambda: fused(replica), "the fuse blows")
        await world.send(*good, partition=4)
        await world.until_applied(len(good))

        async def said() -> bool:
            return "fuse" in await replica.reasons()

        await until(said, "/readyz is red")
        status, body = await replica.get("/readyz")
        assert (status, body["reasons"]) == (503, {"fuse": f"{LOAN_EVENTS}-3"})
        assert (await replica.get("/livez"))[0] == 200
        letters = await world.dead_letters()
        assert [letter.origin for letter in letters] == places[:FUSE_RECORDS]
        # What lies behind stays in the log, untouched and uncommitted.
        assert "E-500" not in await world.entries()

        async def committed() -> bool:
            return await world.lag() == 51

        await until(committed, "what was read is committed, and no more")

    async with world.replica().running():
        await world.until_applied(len(good) + 1)
        await world.until_idle()
    assert len(await world.dead_letters()) == 150
    assert "E-500" in await world.entries()


async def test_a_restart_goes_on_behind_the_last_dead_letter_and_counts_from_zero(world: ToyWorld) -> None:
    bad = await world.send(
        *(changed(payment(n), value=NOT_JSON) for n in range(2 * FUSE_RECORDS + 50)), payment(500), partition=3
    )
    for run in (1, 2):
        async with world.replica().running() as replica:
            await until(lambda: fused(replica), "the fuse blows")
        assert [letter.origin for letter in await world.dead_letters()] == bad[: run * FUSE_RECORDS]
        assert await world.lag() == len(bad) - run * FUSE_RECORDS
    async with world.replica().running() as replica:
        await world.until_idle()
        await replica.until_ready()
    assert [letter.origin for letter in await world.dead_letters()] == bad[:-1]
    assert await world.entries() == ["E-500"]


async def test_records_that_a_handler_refuses_blow_the_fuse_too_also_over_several_batches(world: ToyWorld) -> None:
    async with world.replica().running() as replica:
        for start in range(0, FUSE_RECORDS, 25):
            await world.send(*(payment(n, loan="poison") for n in range(start, start + 25)), partition=1)
            await world.until_idle()
        await until(lambda: fused(replica), "the fuse blows")
    assert replica.service.consumer.state.fused == {(LOAN_EVENTS, 1)}


async def test_one_good_record_in_between_keeps_the_fuse_whole(world: ToyWorld) -> None:
    messages = [changed(payment(n), value=NOT_JSON) for n in range(2 * FUSE_RECORDS - 2)]
    messages.insert(FUSE_RECORDS - 1, payment(500))
    async with world.replica().running() as replica:
        await world.send(*messages, payment(501), partition=2)
        await world.until_idle()
        assert not await fused(replica)
    assert await world.entries() == ["E-500", "E-501"]


async def test_types_of_a_newer_sender_never_blow_the_fuse(world: ToyWorld) -> None:
    newer = [changed(payment(n), ce_type=b"lender.loan-split.v1") for n in range(FUSE_RECORDS)]
    newer += [changed(payment(n), ce_type=b"lender.payment-received.v2") for n in range(FUSE_RECORDS)]
    async with world.replica().running() as replica:
        await world.send(*newer, payment(500), partition=2)
        await world.until_idle()
        assert not await fused(replica)
    assert await world.entries() == ["E-500"]
    reasons = [letter.reason for letter in await world.dead_letters()]
    assert sorted(set(reasons)) == ["unknown_event_type", "unsupported_version"]
    assert len(reasons) == 2 * FUSE_RECORDS


async def test_a_fuse_stays_blown_when_the_group_is_dealt_again(world: ToyWorld) -> None:
    async with world.replica().running() as replica:
        await world.send(*(changed(payment(n), value=NOT_JSON) for n in range(FUSE_RECORDS + 5)), partition=0)
        await until(lambda: fused(replica), "the fuse blows")
        consumer = replica.service.subscription.consumer if replica.service.subscription else None
        assert consumer is not None
        # Somebody who reads another topic joins the group: everything is dealt again, and comes back to us.
        async with AIOKafkaConsumer(
            "operator.actions.v1",
            bootstrap_servers=world.bootstrap_servers,
            group_id=world.name,
            partition_assignment_strategy=(RangePartitionAssignor,),
        ) as newcomer:

            async def dealt() -> bool:
                await newcomer.getmany(timeout_ms=10)
                return bool(newcomer.assignment()) and await replica.has_partitions()

            await until(dealt, "the group is dealt again")
            await world.send(payment(500), partition=5)
            await world.until_applied(1)
        assert replica.service.consumer.state.fused == {(LOAN_EVENTS, 0)}
        assert consumer.paused() == {TopicPartition(LOAN_EVENTS, 0)}
    assert len(await world.dead_letters()) == FUSE_RECORDS


async def test_a_partition_that_another_replica_has_read_meanwhile_is_read_on_when_it_comes_back(
    world: ToyWorld,
) -> None:
    async with world.replica().running() as replica:
        for partition in range(6):
            await world.send(*(changed(payment(n), value=NOT_JSON) for n in range(FUSE_RECORDS)), partition=partition)

        async def all_fused() -> bool:
            return len(replica.service.consumer.state.fused) == 6

        await until(all_fused, "every fuse blows")
        async with AIOKafkaConsumer(
            LOAN_EVENTS,
            bootstrap_servers=world.bootstrap_servers,
            group_id=world.name,
            enable_auto_commit=False,
            partition_assignment_strategy=(RangePartitionAssignor,),
        ) as newcomer:

            async def dealt() -> bool:
                await newcomer.getmany(timeout_ms=10)
                return bool(newcomer.assignment()) and len(replica.service.consumer.state.fused) == 3

            await until(dealt, "the group is dealt again")
            elsewhere = sorted(tp.partition for tp in newcomer.assignment())
        kept = {(LOAN_EVENTS, partition) for partition in range(6) if partition not in elsewhere}
        for partition in range(6):
            await world.send(payment(500 + partition), partition=partition)
        await world.until_applied(3)
        assert sorted(await world.entries()) == [f"E-{500 + partition}" for partition in elsewhere]
        assert replica.service.consumer.state.fused == kept


async def test_records_that_were_deleted_unread_stop_everything_for_good(world: ToyWorld) -> None:
    async with world.replica().running():
        await world.send(*(payment(n) for n in range(5)), partition=2)
        await world.until_idle()
    places = await world.send(*(payment(n) for n in range(5, 15)), partition=2)
    admin = AIOKafkaAdminClient(bootstrap_servers=world.bootstrap_servers)
    await admin.start()
    try:
        tp = TopicPartition(LOAN_EVENTS, 2)
        await admin.delete_records({tp: RecordsToDelete(before_offset=places[3][1])})
    finally:
        await admin.close()
    lag = await world.lag()
    async with world.replica().running() as replica:

        async def dead() -> bool:
            return (await replica.get("/livez"))[0] == 503

        await until(dead, "/livez is red")
        _, body = await replica.get("/livez")
        assert body["reason"].startswith(f"offset_gap: {LOAN_EVENTS}-2 was to go on at")
        assert "fatal" in await replica.reasons()
        await world.send(payment(100), partition=4)
        await asyncio.sleep(0.5)
    # Nothing more is applied and no offset moves: a person has to look.
    assert len(await world.entries()) == 5
    assert await world.lag() == lag + 1


async def test_a_senders_transactions_leave_no_gap_and_no_lag(world: ToyWorld) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=world.bootstrap_servers, transactional_id=f"lender-{world.name}")
    await producer.start()
    try:
        async with world.replica(last_topics=("contact.attempts.v1",)).running() as replica:
            for number in range(4):
                await producer.begin_transaction()
                for message in (payment(2 * number), payment(2 * number + 1)):
                    await producer.send_and_wait(
                        message.topic, message.value, key=message.key, headers=list(message.headers), partition=1
                    )
                await (producer.abort_transaction() if number == 2 else producer.commit_transaction())
            await world.until_applied(6)
            assert (await replica.get("/livez"))[0] == 200
            assert replica.service.facts_lag_seconds() < 5
    finally:
        await producer.stop()
    assert await world.entries() == [f"E-{n}" for n in (0, 1, 2, 3, 6, 7)]
    assert not await world.dead_letters()
