"""The world around toy services: their database and group, the lender that sends, and whoever reads what comes out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sqlalchemy.ext.asyncio import create_async_engine

from shared.clock import write_offset
from shared.contracts import PaymentReceivedV1
from shared.contracts.examples import AT, EXAMPLES
from shared.contracts.registry import ATTEMPTS, LEDGER_ENTRIES, LOAN_EVENTS, OPERATOR_ACTIONS
from shared.contracts.types import Message
from shared.kafka.dead_letters import PREFIX, SUFFIX
from shared.kafka.log_reader import ends_of, read_to_end
from shared.kafka.records import Outgoing, WireMessage, encode, unpack
from shared.postgres import platform_tables
from shared.service import PlatformSettings
from tests.commands import Said, decorum
from tests.toy_service import Replica, metadata, toy_service, until

_numbers = count(1)


class ToyWorld:
    """One database and one consumer group of its own on shared servers, from the present ends of all topics on."""

    def __init__(self, *, bootstrap_servers: str, database_url: str, folder: Path, name: str) -> None:
        self.name = name
        self.bootstrap_servers = bootstrap_servers
        self.database_url = database_url
        self._clock_file = folder / "clock.json"
        self._begins: dict[TopicPartition, int] = {}
        self._producer: AIOKafkaProducer | None = None

    async def open(self, *topics: str) -> None:
        """Make the tables, put the group to the ends of `topics`, connect the lender."""
        write_offset(self._clock_file, AT - datetime.now(UTC))
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers, acks="all", enable_idempotence=True, max_request_size=2 * 1024**2
        )
        await asyncio.gather(
            self._make_tables(),
            self._producer.start(),
            self._skip_history(topics or (LOAN_EVENTS, ATTEMPTS, LEDGER_ENTRIES, OPERATOR_ACTIONS)),
        )

    async def _make_tables(self) -> None:
        engine = create_async_engine(self.database_url, poolclass=sa.NullPool)
        async with engine.begin() as tx:
            await tx.run_sync(platform_tables.metadata.create_all)
            await tx.run_sync(metadata.create_all)
            await tx.exec_driver_sql("TRUNCATE inbox, outbox, applied_offset, account, entry")
        await engine.dispose()

    async def close(self) -> None:
        """Disconnect the lender."""
        if self._producer is not None:
            await self._producer.stop()

    @property
    def settings(self) -> PlatformSettings:
        """The platform with its clock at the instant of the examples."""
        return PlatformSettings(
            database_url=self.database_url,
            kafka_bootstrap_servers=self.bootstrap_servers,
            clock="shifted",
            clock_file=str(self._clock_file),
            log_level="critical",
        )

    def environment(self) -> dict[str, str]:
        """The same for a process."""
        return {
            "DECORUM_DATABASE_URL": self.database_url,
            "DECORUM_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "DECORUM_CLOCK": "shifted",
            "DECORUM_CLOCK_FILE": str(self._clock_file),
            "DECORUM_LOG_LEVEL": "warning",
            "TOY_NAME": self.name,
        }

    async def decorum(self, *arguments: str, **environment: str) -> Said:
        """Run a `decorum` command against this world, and tell what a person sees."""

        together = {**self.environment(), **environment}
        return await asyncio.to_thread(lambda: decorum(*arguments, environment=together))

    def replica(self, **options: Any) -> Replica:
        """A replica of the toy, not yet running."""
        return Replica(toy_service(self.settings, self.name, **options))

    async def send(self, *messages: WireMessage, partition: int | None = None) -> list[tuple[int, int]]:
        """Publish in order, and tell where each one lies: partition and offset."""
        assert self._producer is not None, "the world is open"
        futures = [
            await self._producer.send(
                m.topic, value=m.value, key=m.key or None, headers=list(m.headers), partition=partition
            )
            for m in messages
        ]
        return [(metadata.partition, metadata.offset) for metadata in await asyncio.gather(*futures)]

    async def query(self, statement: str) -> list[Any]:
        """Rows of the toy's database."""
        connection = await asyncpg.connect(self.database_url.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    async def totals(self) -> dict[str, int]:
        """What each account holds."""
        return dict(await self.query("SELECT borrower_id, total_minor FROM account"))

    async def entries(self) -> list[str]:
        """The ids of the records that were applied, in the order of their application."""
        return [ce_id for (ce_id,) in await self.query("SELECT ce_id FROM entry ORDER BY entry_id")]

    async def until_applied(self, number: int) -> None:
        """Wait until so many records were applied."""

        async def enough() -> bool:
            return len(await self.entries()) >= number

        await until(enough, f"{number} records are applied")

    async def until_idle(self) -> None:
        """Wait until the group has committed everything that lies on its topics."""

        async def nothing_behind() -> bool:
            return await self.lag() == 0

        await until(nothing_behind, "the group has no lag")

    async def lag(self) -> int:
        """How many offsets lie between what the group has committed of the lender's topic and its ends."""
        async with self._group() as group:
            partitions = [tp for tp in self._begins if tp.topic == LOAN_EVENTS]
            group.assign(partitions)
            ends = await group.end_offsets(partitions)
            return sum([end - (await group.committed(tp) or 0) for tp, end in ends.items()])

    async def read(self, topic: str) -> list[Any]:
        """The records of `topic` since this world was opened, partition by partition."""
        records = await read_to_end(self.bootstrap_servers, [topic], begins=self._begins, records_max=100_000)
        return sorted(records, key=lambda record: (record.partition, record.offset))

    async def answers(self) -> list[tuple[str, bytes]]:
        """The toy's answers: id and body."""
        records = await self.read(LEDGER_ENTRIES)
        return [(dict(r.headers)["ce_id"].decode(), r.value) for r in records if self._is_ours(r)]

    async def answered(self) -> list[str]:
        """The ids of the answers that are stored with the records that they answer."""
        rows = await self.query("SELECT published FROM inbox WHERE published IS NOT NULL")
        return [dict(m.headers)["ce_id"].decode() for (packed,) in rows for m in unpack(packed)]  # type: ignore[union-attr]

    async def dead_letters(self, topic: str = LOAN_EVENTS) -> list[DeadLetterSeen]:
        """The dead letters of this group."""
        letters = [DeadLetterSeen(record) for record in await self.read(topic + SUFFIX)]
        return [letter for letter in letters if letter.facts["group"] == self.name]

    def is_new(self, place: str) -> bool:
        """Whether a dead letter, named TOPIC/PARTITION/OFFSET, is of this world and not of one before it."""
        topic, partition, offset = place.split("/")
        return int(offset) >= self._begins[TopicPartition(topic + SUFFIX, int(partition))]

    def _is_ours(self, record: Any) -> bool:
        return dict(record.headers).get("ce_source") == f"decorum/{self.name}".encode()

    async def _skip_history(self, topics: Sequence[str]) -> None:
        self._begins = await ends_of(self.bootstrap_servers, [*topics, *(topic + SUFFIX for topic in topics)])
        begins = {tp: begin for tp, begin in self._begins.items() if tp.topic in topics}
        async with self._group() as group:
            group.assign(list(begins))
            await group.commit(begins)

    @contextlib.asynccontextmanager
    async def _group(self) -> AsyncIterator[Any]:
        group = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers, group_id=self.name, enable_auto_commit=False)
        await group.start()
        try:
            yield group
        finally:
            await group.stop()


class DeadLetterSeen:
    """A dead letter with its own headers apart from those that it came with."""

    def __init__(self, record: Any) -> None:
        self.value: bytes = record.value
        self.key: bytes | None = record.key
        self.headers = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
        self.facts = {n.removeprefix(PREFIX): v.decode() for n, v in record.headers if n.startswith(PREFIX)}

    @property
    def origin(self) -> tuple[int, int]:
        """Partition and offset of the record that was refused."""
        return int(self.facts["partition"]), int(self.facts["offset"])

    @property
    def reason(self) -> str:
        """Its reason code."""
        return str(self.facts["reason"])


def payment(number: int, *, borrower: str = "B-1", amount_minor: int = 100, loan: str = "L-1") -> WireMessage:
    """Payment `number` of `borrower`; its CloudEvents id is `E-<number>`."""
    message = PaymentReceivedV1(
        borrower_id=borrower, loan_id=loan, payment_id=f"P-{number}", currency="CNY", amount_minor=amount_minor
    )
    return encode(Outgoing(message=message, ce_id=f"E-{number}", ce_time=AT), source="lender/core")


def example_of(message_type: type[Message]) -> Message:
    """The example of a type."""
    return next(message for message in EXAMPLES if type(message) is message_type)


def changed(message: WireMessage, *, value: bytes | None = None, **headers: bytes | None) -> WireMessage:
    """`message` with another body or other headers (named with _ for -)."""
    names = {name.replace("__", "-"): text for name, text in headers.items()}
    return WireMessage(
        topic=message.topic,
        key=message.key,
        value=message.value if value is None else value,
        headers=(*((n, v) for n, v in message.headers if n not in names), *names.items()),
    )


def fresh_name() -> str:
    """The name of a database and consumer group that no other test has."""
    return f"toy_{next(_numbers)}"
