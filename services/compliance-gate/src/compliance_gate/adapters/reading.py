"""The gate's database as its commands read it: one connection, and one line where it is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.errors import Rejection
from shared.postgres.engine import create_engine, service_database_url
from shared.service import PlatformSettings

_KNOWN: Final = """
SELECT EXISTS (SELECT FROM borrower WHERE borrower_id = $1 AND event_at IS NOT NULL)
    OR EXISTS (SELECT FROM loan WHERE borrower_id = $1)
"""


@asynccontextmanager
async def gate_database(settings: PlatformSettings) -> AsyncIterator[AsyncEngine]:
    """An engine on the gate's database; raises `Rejection` where it can't be read."""
    engine = create_engine(
        service_database_url(settings.database_url, "compliance_gate"),
        application_name="decorum-cli",
        connections_max=1,
    )
    try:
        yield engine
    except (OSError, SQLAlchemyError) as error:
        raise Rejection(f"the gate's database can't be read: {type(error).__name__}") from error
    finally:
        await engine.dispose()


async def borrower_is_known(settings: PlatformSettings, borrower_id: str) -> bool:
    """Whether the lender told of this borrower, or of a loan of theirs; raises `Rejection` where that can't be read."""
    async with gate_database(settings) as engine, engine.connect() as connection:
        return bool((await connection.exec_driver_sql(_KNOWN, (borrower_id,))).scalar_one())
