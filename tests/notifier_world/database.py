"""What the notifier's tests on a real PostgreSQL stand on: a migrated database, empty at the beginning of each test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from decorum_local import LocalPlatform
from notifier.adapters import tables
from shared.postgres import platform_tables
from shared.postgres.engine import create_engine
from shared.postgres.migrations import migrate

_numbers = count(1)


@pytest.fixture(scope="module")
def notifier_url(platform: LocalPlatform) -> Iterator[str]:
    """A database with the notifier's schema, dropped after the module."""
    name = f"notifier_{os.getpid()}_{next(_numbers)}"
    url = platform.database_url(name)
    asyncio.run(migrate("notifier", url))
    yield url
    platform.drop_databases([name])


@pytest_asyncio.fixture
async def engine(notifier_url: str) -> AsyncIterator[AsyncEngine]:
    """That database without a row in it."""
    made = create_engine(notifier_url, application_name="test", connections_max=6)
    await empty(made)
    yield made
    await made.dispose()


async def empty(engine: AsyncEngine) -> None:
    """Take every row out of every table."""
    names = [*tables.metadata.tables, *platform_tables.metadata.tables]
    async with engine.begin() as tx:
        await tx.exec_driver_sql(f"TRUNCATE {', '.join(names)}")
