"""The connection pool of a service, and which database errors may pass by themselves."""

from __future__ import annotations

import time
from typing import Final

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

STATEMENT_TIMEOUT_SECONDS: Final = 30
"""Ends a statement that hangs; stays below the consumer's `poll_interval_seconds_max`."""

RESTED_SECONDS: Final = 1.0

_RETRYABLE_STATES: Final = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes that may pass: connection, rollback, resources, lock, operator intervention, system."""


def service_database_url(base_url: str, database: str) -> str:
    """`base_url` with its database replaced by the service's own."""
    return make_url(base_url).set(database=database).render_as_string(hide_password=False)


def create_engine(url: str, *, application_name: str, connections_max: int = 8) -> AsyncEngine:
    """An asyncpg pool; a connection that has rested is tried before use, so a restarted server is met with a new one.

    One that was in use a moment ago is not: a server that went away in that moment is a transient failure.
    """
    engine = create_async_engine(
        url,
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=30,
        connect_args={
            "timeout": 10,
            # For a server that is gone without a word; one that is there ends a statement sooner by itself.
            "command_timeout": STATEMENT_TIMEOUT_SECONDS + 10,
            "server_settings": {
                "application_name": application_name,
                "statement_timeout": str(STATEMENT_TIMEOUT_SECONDS * 1000),
                "idle_in_transaction_session_timeout": "60000",
                "jit": "off",
                "timezone": "UTC",
            },
        },
    )
    _try_rested_connections(engine)
    return engine


def _try_rested_connections(engine: AsyncEngine) -> None:
    pool, dialect = engine.sync_engine.pool, engine.sync_engine.dialect

    @event.listens_for(pool, "connect")
    @event.listens_for(pool, "checkin")
    def used(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(pool, "checkout")
    def try_it(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        if time.monotonic() - record.info["used_at"] > RESTED_SECONDS:
            try:
                dialect.do_ping(connection)
            except Exception as error:
                raise DisconnectionError from error


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed on another try: the server is away, a deadlock, a time-out."""
    if isinstance(error, (OSError, TimeoutError, PoolTimeoutError, InterfaceError)):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in _RETRYABLE_STATES
    if isinstance(error, asyncpg.InterfaceError):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, OperationalError):
            return True
        state = getattr(error.orig, "sqlstate", None) or ""
        return str(state)[:2] in _RETRYABLE_STATES
    return False
