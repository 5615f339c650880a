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


async def _inspect(url: str, look: Callable[[sa.Connection], T]) -> T:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


def _tables(connection: sa.Connection) -> dict[str, list[str]]:
    found = sa.inspect(connection)
    return {table: sorted(c["name"] for c in found.get_columns(table)) for table in found.get_table_names()}


def _previous(package: str) -> str:
    """The revision before the newest one; `base` while there is only one."""
    revisions = list(ScriptDirectory.from_config(alembic_config(package)).walk_revisions())
    return revisions[1].revision if len(revisions) > 1 else "base"


@pytest.mark.parametrize("package", SERVICE_PACKAGES)
async def test_a_schema_made_again_from_the_previous_revision_is_the_same(
    package: str, fresh_database: Callable[[str], str]
) -> None:
    url = fresh_database(package)
    await migrate(package, url)
    first = await _inspect(url, _tables)
    await downgrade(package, url, revision=_previous(package))
    if _previous(package) == "base":
        assert set(await _inspect(url, _tables)) <= {"alembic_version"}
    await migrate(package, url)
    assert await _inspect(url, _tables) == first
    await migrate(package, url)  # a second time changes nothing
    assert await _inspect(url, _tables) == first


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
