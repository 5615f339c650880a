"""A header whose very name isn't UTF-8, which Kafka allows and aiokafka's reader does not survive."""

from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from shared.kafka.records import WireMessage
from tests.toy_world import ToyWorld, payment

BAD_NAME = b"branch-\xff\xfe"


class RawName(str):
    """A header's name that is written as the bytes it was made of, as clients in other languages do."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return BAD_NAME


async def send_with_bad_names(producer: AIOKafkaProducer, *messages: WireMessage, partition: int) -> None:
    batch: Any = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, -1, 1024 * 1024)
    for number, message in enumerate(messages):
        headers: list[Any] = list(message.headers)
        if number % 2:
            headers.append((RawName("x"), b"\x00\x01"))
        batch.append(key=message.key, value=message.value, timestamp=None, headers=headers)
    batch.close()
    await (await producer.send_batch(batch, messages[0].topic, partition=partition))


async def test_a_header_name_that_is_not_utf8_harms_no_other_record(world: ToyWorld) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=world.bootstrap_servers, acks="all")
    await producer.start()
    try:
        await send_with_bad_names(producer, *(payment(n) for n in range(5)), partition=2)
        await world.send(payment(100), partition=3)
        await world.send(payment(101), partition=2)
        async with world.replica().running():
            await world.until_applied(5)
            await world.until_idle()
    finally:
        await producer.stop()
    assert sorted(await world.entries()) == ["E-0", "E-100", "E-101", "E-2", "E-4"]
    letters = await world.dead_letters()
    assert [letter.reason for letter in letters] == ["not_utf8_header"] * 2
    assert [letter.value for letter in letters] == [payment(1).value, payment(3).value]
    assert {dict(letter.headers)["branch-\\xff\\xfe"] for letter in letters} == {b"\x00\x01"}
