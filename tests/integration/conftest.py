"""What the tests on real servers share beyond the servers themselves."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from decorum_local import LocalPlatform
from tests.toy_world import ToyWorld, fresh_name


@pytest.fixture(scope="session")
def toy_databases(platform: LocalPlatform) -> Iterator[list[str]]:
    """The names of the databases that toys had. Dropping one takes a checkpoint; embedded ones go with their server."""
    made: list[str] = []
    yield made
    if not platform.is_embedded:
        platform.drop_databases(made)


@pytest.fixture
async def world(platform: LocalPlatform, toy_databases: list[str], tmp_path: Path) -> AsyncIterator[ToyWorld]:
    """A database and a consumer group for a toy service, with nothing to read yet."""
    platform.create_topics()
    name = fresh_name()
    toy_databases.append(name)
    toy_world = ToyWorld(
        bootstrap_servers=platform.kafka_bootstrap_servers,
        database_url=platform.database_url(name),
        folder=tmp_path,
        name=name,
    )
    try:
        await toy_world.open()
        yield toy_world
    finally:
        await toy_world.close()
