"""Empty tables for each test of one migrated database."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters import tables
from shared.postgres import platform_tables


async def empty(engine: AsyncEngine) -> None:
    """Take every row out of every table."""
    names = [*tables.metadata.tables, *platform_tables.metadata.tables]
    async with engine.begin() as tx:
        await tx.exec_driver_sql(f"TRUNCATE {', '.join(names)}")
