"""Every service's schema can be made from nothing and from its previous revision, and is what its code writes to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from shared.postgres import platform_tables
from shared.postgres.migrations import SERVICE_PACKAGES, alembic_config, downgrade, migrate

T = TypeVar("T")

SCHEMA = """
WITH own AS (SELECT oid, relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace)
SELECT name, 'column ' || attname,
       concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
  FROM own JOIN pg_attribute ON attrelid = own.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL SELECT name, 'constraint ' || conname, pg_get_constraintdef(pg_constraint.oid)
  FROM own JOIN pg_constraint ON conrelid = own.oid
UNION ALL SELECT name, 'index', pg_get_indexdef(indexrelid) FROM own JOIN pg_index ON indrelid = own.oid
UNION ALL SELECT name, 'trigger', pg_get_triggerdef(pg_trigger.oid)
  FROM own JOIN pg_trigger ON tgrelid = own.oid AND NOT tgisinternal
"""

WRITTEN_BEFORE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "scheduler": (
        "attempt",
        "INSERT INTO attempt VALUES ('B-1', gen_random_uuid(), 'CNY', '2026-09-01', 1, 'step', 'courteous-low', 'hash',"
        " 'low', 'demand', 'sms', 'sms-overdue', '2026-09-16 02:00Z', '2026-09-16 02:00Z', '2026-09-18 02:00Z',"
        " 'planned', NULL, true, 1)",
        {},
    ),
    "compliance_gate": (
        "loan",
        "INSERT INTO loan VALUES ('B-1', 'L-1', 'CNY', 5, 9, 3)",
        {"snapshot_version": 0},
    ),
    "notifier": (
        "permit",
        "INSERT INTO permit (borrower_id, attempt_id, submission_number, decision_id, borrower_sequence, expires_at,"
        " channel, contact_point_id, loans, strategy, attempt_json, state)"
        " VALUES ('B-1', 'A-1', 1, 'D-1', 1, '2026-09-16 02:30Z', 'sms', 'C-1', '{L-1}', 'low', '', 'permitted')",
        {"purpose": "demand"},
    ),
}
"""A row that the previous revision takes, its table, and what the newest one adds to it. The ledger has but one."""


async def _inspect(url: str, look: Callable[[sa.Connection], T]) -> T:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


def _schema(connection: sa.Connection) -> list[tuple[str, ...]]:
    """Columns with type, nullability and default, constraints, indexes, triggers, and how they are defined."""
    return sorted(tuple(row) for row in connection.exec_driver_sql(SCHEMA))


def _rows(connection: sa.Connection, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}").mappings()]


def _previous(package: str) -> str:
    """The revision before the newest one; `base` while there is only one."""
    revisions = list(ScriptDirectory.from_config(alembic_config(package)).walk_revisions())
    return revisions[1].revision if len(revisions) > 1 else "base"


@pytest.mark.parametrize("package", SERVICE_PACKAGES)
async def test_from_the_previous_revision_the_schema_is_the_same_as_from_nothing_and_back_again(
    package: str, fresh_database: Callable[[str], str]
) -> None:
    at_once, in_steps = fresh_database(package), fresh_database(package)
    await migrate(package, at_once)
    schema = await _inspect(at_once, _schema)
    previous = _previous(package)
    if previous != "base":
        await migrate(package, in_steps, revision=previous)
        before = await _inspect(in_steps, _schema)
        assert before != schema
    await migrate(package, in_steps)
    assert await _inspect(in_steps, _schema) == schema
    await migrate(package, in_steps)  # a second time changes nothing
    assert await _inspect(in_steps, _schema) == schema

    await downgrade(package, in_steps, revision=previous)
    left = await _inspect(in_steps, _schema)
    if previous == "base":
        assert {table for table, *_ in left} <= {"alembic_version", "alembic_version_pkc"}
    else:
        # A check that is narrowed again is left unvalidated: rows that only the newer one takes may be there.
        assert [(*place, what.removesuffix(" NOT VALID")) for *place, what in left] == before
    await migrate(package, in_steps)
    assert await _inspect(in_steps, _schema) == schema


def test_every_service_with_a_previous_revision_has_a_row_that_was_written_before() -> None:
    assert {package for package in SERVICE_PACKAGES if _previous(package) != "base"} == set(WRITTEN_BEFORE)


@pytest.mark.parametrize("package", WRITTEN_BEFORE)
async def test_what_was_written_under_the_previous_revision_is_kept(
    package: str, fresh_database: Callable[[str], str]
) -> None:
    url = fresh_database(package)
    table, statement, added = WRITTEN_BEFORE[package]
    await migrate(package, url, revision=_previous(package))

    def write(connection: sa.Connection) -> list[dict[str, Any]]:
        connection.exec_driver_sql(statement)
        connection.commit()
        return _rows(connection, table)

    (written,) = await _inspect(url, write)
    await migrate(package, url)
    assert await _inspect(url, lambda connection: _rows(connection, table)) == [written | added]


@pytest.mark.parametrize("package", SERVICE_PACKAGES)
async def test_the_tables_of_the_code_are_those_of_the_schema(
    package: str, fresh_database: Callable[[str], str]
) -> None:
    url = fresh_database(package)
    await migrate(package, url)
    metadata = sa.MetaData()
    for source in (importlib.import_module(f"{package}.adapters.tables").metadata, platform_tables.metadata):
        for table in source.tables.values():
            table.to_metadata(metadata)

    def differences(connection: sa.Connection) -> Sequence[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    def keys(connection: sa.Connection) -> dict[str, set[str]]:
        inspector = sa.inspect(connection)
        return {name: set(inspector.get_pk_constraint(name)["constrained_columns"]) for name in metadata.tables}

    found = await _inspect(url, differences)
    assert [d for d in found if d[0] in ("add_table", "add_column", "remove_column")] == []
    in_code = {name: {column.name for column in table.primary_key} for name, table in metadata.tables.items()}
    assert await _inspect(url, keys) == in_code
