"""A connection to the broker that breaks under a request: the client hears of it, and goes on with another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from decorum_local import LocalPlatform
from shared.contracts.registry import LOAN_EVENTS
from shared.kafka.draining import DrainingConsumer


@asynccontextmanager
async def consuming(platform: LocalPlatform, group: str) -> AsyncIterator[DrainingConsumer]:
    consumer = DrainingConsumer(
        LOAN_EVENTS, bootstrap_servers=platform.kafka_bootstrap_servers, group_id=group, last_topics=()
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def broken(consumer: DrainingConsumer) -> Any:
    """A connection whose transport is closed, when nobody has been told."""
    client = consumer._client
    connection = await client._get_conn(client.get_random_node())
    connection._writer.transport._force_close(ConnectionResetError())  # as when the broker resets it
    await asyncio.sleep(0)
    assert connection.connected()
    return connection


def test_a_request_on_a_connection_that_has_just_closed_fails_as_one_on_a_lost_connection(
    platform: LocalPlatform, topic_prefix: str
) -> None:
    platform.create_topics()

    async def ask() -> None:
        async with consuming(platform, f"{topic_prefix}asks") as consumer:
            connection = await broken(consumer)
            with pytest.raises(KafkaConnectionError):
                await connection.send(MetadataRequest([]))
            assert await consumer.topics()

    uvloop.run(ask())


def test_a_consumer_whose_client_has_given_up_is_told_from_one_that_waits_for_the_broker(
    platform: LocalPlatform, topic_prefix: str
) -> None:
    platform.create_topics()

    async def live() -> None:
        async with consuming(platform, f"{topic_prefix}lives") as consumer:
            await broken(consumer)
            await consumer._client.force_metadata_update()
            assert not consumer.is_beyond_help
            consumer._client._sync_task.cancel()
            await asyncio.wait([consumer._client._sync_task])
            assert consumer.is_beyond_help

    uvloop.run(live())
