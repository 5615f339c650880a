"""Messages whose trigger isn't Kafka (a due attempt, a webhook): written with the change, published after it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.kafka.publisher import Publisher
from shared.kafka.records import Outgoing, encode, pack, unpack
from shared.postgres import platform_tables
from shared.postgres.rows import insert_rows

RELAY_RECORDS_MAX = 1_000


class Outbox:
    """Adds messages inside the caller's transaction; `relay` publishes them in order and forgets them.

    A crash between publishing and forgetting publishes again; readers drop the doubles by their ids.
    """

    def __init__(self, *, source: str, engine: AsyncEngine, publisher: Publisher) -> None:
        self._source = source
        self._engine = engine
        self._publisher = publisher

    async def add(self, tx: AsyncConnection, messages: Sequence[Outgoing]) -> None:
        """Write `messages` in the caller's transaction; the caller wakes the relay after its commit."""
        rows = [
            {"borrower_id": m.message.borrower_id, "message": pack([encode(m, source=self._source)])} for m in messages
        ]
        await insert_rows(tx, platform_tables.outbox, rows, on_conflict="raise")

    async def relay(self) -> int:
        """Publish one bounded batch and forget it; the number of messages that it moved."""
        async with self._engine.begin() as tx:
            result = await tx.exec_driver_sql(
                "DELETE FROM outbox WHERE (borrower_id, outbox_id) IN (SELECT borrower_id, outbox_id FROM outbox "
                "ORDER BY outbox_id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING outbox_id, message",
                (RELAY_RECORDS_MAX,),
            )
            rows = sorted(result.all(), key=lambda row: int(row.outbox_id))
            await self._publisher.publish([message for row in rows for message in unpack(row.message)])
        return len(rows)
