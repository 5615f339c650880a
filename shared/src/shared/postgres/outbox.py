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
    """Adds messages inside the caller's transaction; `relay` publishes them and forgets them.

    Order: of two messages of one borrower on one topic, the one that was committed before the other was added, or
    stands before it in one `add`, appears on the topic first, however many replicas relay and whatever fails. A row is
    not taken while an earlier one of its borrower is in other hands, is forgotten only once it is acknowledged, and a
    publisher writes no message without those before it. This is said of first appearances: a failure between
    publishing and forgetting publishes again, also behind later ones, and readers drop the doubles by their ids.

    Not promised: an order of transactions that ran at the same time (who needs one holds the borrower's lock, as
    every writer does that numbers its messages), of messages in the outbox and answers that a consumer publishes, or
    over a change of the topic's partitions.
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
        """Publish one bounded batch and forget it; the number of messages that it moved.

        None moved doesn't mean that none are left: what waits for another replica's leaves with a later run.
        """
        async with self._engine.begin() as tx:
            result = await tx.exec_driver_sql(_TAKE, (RELAY_RECORDS_MAX,))
            rows = sorted(result.all(), key=lambda row: int(row.outbox_id))
            await self._publisher.publish([message for row in rows for message in unpack(row.message)])
        return len(rows)


# A row waits while another replica has an earlier one of the same borrower in hand.
_TAKE = """
WITH free AS MATERIALIZED (
  SELECT borrower_id, outbox_id FROM outbox ORDER BY outbox_id LIMIT $1 FOR UPDATE SKIP LOCKED
), in_other_hands AS (
  SELECT held.borrower_id, min(held.outbox_id) AS outbox_id FROM outbox AS held
  WHERE held.outbox_id < (SELECT max(outbox_id) FROM free)
    AND NOT EXISTS (SELECT FROM free WHERE free.outbox_id = held.outbox_id)
  GROUP BY held.borrower_id
)
DELETE FROM outbox USING free
WHERE outbox.borrower_id = free.borrower_id AND outbox.outbox_id = free.outbox_id AND NOT EXISTS (
  SELECT FROM in_other_hands AS held
  WHERE held.borrower_id = free.borrower_id AND held.outbox_id < free.outbox_id
)
RETURNING outbox.outbox_id, outbox.message
"""
