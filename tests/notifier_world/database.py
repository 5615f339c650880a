"""What the notifier's tests on a real PostgreSQL stand on: a migrated database, empty at the beginning of each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from decorum_local import LocalPlatform
from notifier.adapters import tables
from shared.postgres import platform_tables
from shared.postgres.engine import create_engine
from tests.databases import migrated_database


@pytest.fixture(scope="module")
def notifier_url(platform: LocalPlatform) -> Iterator[str]:
    """A database with the notifier's schema, dropped after the module."""
    with migrated_database(platform, "notifier") as url:
        yield url


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
