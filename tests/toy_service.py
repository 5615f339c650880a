"""A service of one table on the real servers, and the lender and the reader around it: for tests of the runtime.

It adds payments to accounts and answers each with what the account held then, so that anything applied twice, lost or
answered afresh shows. Loans named `poison` and `defect` are what its handler refuses and breaks on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from typer.testing import CliRunner

from shared import ids
from shared.cli import build
from shared.clock import write_offset
from shared.contracts import AttemptSubmittedV1, LoanOverdueV1, PaymentPostedV1, PaymentReceivedV1
from shared.contracts.examples import AT, EXAMPLES
from shared.contracts.registry import ATTEMPTS, LEDGER_ENTRIES, LOAN_EVENTS, OPERATOR_ACTIONS
from shared.contracts.types import Amounts, Message
from shared.errors import DecorumError
from shared.kafka.consumer import PoisonRecord
from shared.kafka.dead_letters import PREFIX, SUFFIX
from shared.kafka.log_reader import ends_of, read_to_end
from shared.kafka.records import Outgoing, Received, WireMessage, encode, unpack
from shared.postgres import platform_tables
from shared.postgres.rows import Upsert, insert_rows, lock_borrowers, select_matching
from shared.service import PlatformSettings, Service

WAIT_SECONDS_MAX: Final = 60
metadata = sa.MetaData()
account = sa.Table(
    "account",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("total_minor", sa.BigInteger, nullable=False, server_default="0"),
)
entry = sa.Table(
    "entry",
    metadata,
    sa.Column("entry_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("borrower_id", sa.Text, nullable=False),
    sa.Column("ce_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
)
_numbers = count(1)


async def add_payments(tx: AsyncConnection, batch: Sequence[Received[PaymentReceivedV1]]) -> list[Outgoing]:
    """Add each payment to its account; the answer carries what the account holds then."""
    for received in batch:
        if received.message.loan_id == "poison":
            raise PoisonRecord(received, "currency_mismatch", "loan_id")
        if received.message.loan_id == "defect":
            raise ValueError(f"no payment for {received.message.payment_id}")
    await lock_borrowers(tx, account, (r.borrower_id for r in batch))
    keys = [{"borrower_id": r.borrower_id} for r in batch]
    rows = await select_matching(tx, account, keys, columns=("borrower_id", "total_minor"))
    totals: dict[str, int] = {row.borrower_id: row.total_minor for row in rows}
    answers: list[Outgoing] = []
    for received in batch:
        totals[received.borrower_id] += received.message.amount_minor
        answers.append(_posted(received, totals[received.borrower_id]))
    await insert_rows(
        tx,
        account,
        [{"borrower_id": borrower_id, "total_minor": total} for borrower_id, total in totals.items()],
        on_conflict=Upsert(keys=("borrower_id",), update=("total_minor",)),
    )
    await _note(tx, [(r, r.message.amount_minor) for r in batch])
    return answers


async def keep(tx: AsyncConnection, batch: Sequence[Received[Message]]) -> list[Outgoing]:
    """Only keep that the record came; nothing is answered."""
    await _note(tx, [(r, 0) for r in batch])
    return []


async def _note(tx: AsyncConnection, received: Sequence[tuple[Received[Any], int]]) -> None:
    rows = [
        {"borrower_id": r.borrower_id, "ce_id": r.ce_id, "topic": r.topic, "amount_minor": amount}
        for r, amount in received
    ]
    await insert_rows(tx, entry, rows, on_conflict="raise")


def _posted(received: Received[PaymentReceivedV1], total_minor: int) -> Outgoing:
    payment = received.message
    answer = PaymentPostedV1(
        borrower_id=payment.borrower_id,
        loan_id=payment.loan_id,
        payment_id=payment.payment_id,
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        allocated=Amounts(),
        suspense_minor=total_minor,
        posted_to="loan",
        effective_at=received.ce_time,
    )
    ce_id = ids.derive("posted", received.borrower_id, received.ce_source, received.ce_id)
    return Outgoing(message=answer, ce_id=ce_id, ce_time=received.ce_time, cause=received)


def toy_service(settings: PlatformSettings, name: str, *, last_topics: tuple[str, ...] = ()) -> Service:
    """The toy, put together as the real ones are."""
    service = Service(name=name, topics=(LOAN_EVENTS, *last_topics), settings=settings, last_topics=last_topics)
    service.handles(PaymentReceivedV1)(add_payments)
    service.handles(LoanOverdueV1, AttemptSubmittedV1)(keep)
    return service


class Replica:
    """A toy that runs in this process as uvicorn would run it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._app = service.asgi()

    @contextlib.asynccontextmanager
    async def running(self, *, with_partitions: bool = True) -> AsyncIterator[Replica]:
        """From its start to its drain; by default begins when the group has given it partitions."""
        async with self._app.start_lifespan_context():
            if with_partitions:
                await until(self.has_partitions, "the consumer has its partitions")
            yield self

    async def has_partitions(self) -> bool:
        """Whether the consumer takes part in its group."""
        consumer = self.service.subscription.consumer if self.service.subscription else None
        return consumer is not None and bool(consumer.assignment())

    async def get(self, path: str) -> tuple[int, Any]:
        """The status and JSON of one of the service's own pages."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
        await self._app(scope, receive, send)  # type: ignore[arg-type]
        return sent[0]["status"], json.loads(sent[1]["body"])

    async def reasons(self) -> dict[str, str]:
        """What /readyz says is missing."""
        _, body = await self.get("/readyz")
        reasons: dict[str, str] = body["reasons"]
        return reasons

    async def until_ready(self) -> None:
        """Wait until /readyz is green."""

        async def ready() -> bool:
            return (await self.get("/readyz"))[0] == 200

        await until(ready, "/readyz is green")


async def until(reached: Callable[[], Awaitable[object]], what: str, *, seconds: float = WAIT_SECONDS_MAX) -> None:
    """Wait until `reached` is true; fails with `what` was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not await reached():  # noqa: ASYNC110 - what is waited for happens in other processes
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s in vain until {what}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


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

        def run() -> Said:
            result = CliRunner().invoke(
                build(), list(arguments), env={**self.environment(), "COLUMNS": "150", **environment}
            )
            refused = result.exception if isinstance(result.exception, DecorumError) else None
            if result.exception is not None and refused is None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return Said(code=2 if refused else result.exit_code, out=result.stdout, err=str(refused or result.stderr))

        return await asyncio.to_thread(run)

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
