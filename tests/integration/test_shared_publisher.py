"""A producer that failed while the broker was away: the next publication begins with another one."""

from __future__ import annotations

import pytest

from decorum_local import LocalPlatform
from decorum_local.loopback import HOST, free_port
from shared.errors import Transient
from shared.kafka.publisher import Publisher
from tests.toy_world import payment


async def test_a_failed_producer_is_replaced_before_the_next_publication_and_never_used_again(
    platform: LocalPlatform,
) -> None:
    platform.create_topics()
    publisher = Publisher(bootstrap_servers=platform.kafka_bootstrap_servers, client_id="test")
    await publisher.start()
    failed = publisher._producer
    assert failed is not None
    try:
        publisher._bootstrap_servers = f"{HOST}:{free_port()}"
        await publisher._replace(failed)
        with pytest.raises(Transient):
            await publisher.publish([payment(1)])
        publisher._bootstrap_servers = platform.kafka_bootstrap_servers
        await publisher.publish([payment(2)])
        assert publisher._producer is not failed
    finally:
        await publisher.stop()
