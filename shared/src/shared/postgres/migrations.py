"""Alembic, one history per service, run through asyncpg."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from sqlalchemy.ext.asyncio import create_async_engine

SERVICE_PACKAGES: Final = ("scheduler", "compliance_gate", "notifier", "ledger")
"""Every service's package; its database has the same name."""
_ONE_AT_A_TIME: Final = threading.Lock()
"""Alembic keeps the migration that runs in a module of its own, so one process runs one at a time."""


def alembic_config(package: str) -> Config:
    """Where the migrations of `package` are."""
    location = Path(str(importlib.import_module(package).__file__)).parents[2] / "migrations"
    config = Config()
    config.set_main_option("script_location", str(location))
    return config


def run_env(target_metadata: sa.MetaData) -> None:
    """The body of each service's `migrations/env.py`: run inside the connection that `upgrade` opened."""
    connection: sa.Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=target_metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def migrate(package: str, database_url: str, *, revision: str = "head") -> None:
    """Bring the database of `package` to `revision`; two at once wait for each other."""
    await _run(package, database_url, lambda config: command.upgrade(config, revision))


async def downgrade(package: str, database_url: str, *, revision: str) -> None:
    """Take the database of `package` back to `revision` (tests of the way from the previous one)."""
    await _run(package, database_url, lambda config: command.downgrade(config, revision))


async def _run(package: str, database_url: str, action: Callable[[Config], None]) -> None:
    engine = create_async_engine(database_url, poolclass=sa.NullPool)
    config = alembic_config(package)

    def upgrade(connection: sa.Connection) -> None:
        connection.execute(sa.text("SELECT pg_advisory_lock(727001)"))
        config.attributes["connection"] = connection
        try:
            with _ONE_AT_A_TIME:
                action(config)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(727001)"))
            connection.commit()

    try:
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()
