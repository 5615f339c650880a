"""Set-based writes: many rows in one statement, their columns as arrays (`INSERT … SELECT unnest(…)`), or by COPY."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

Row = sa.Row[Any]
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_json = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """On a conflict of `keys`, set `update` columns to the new values where SQL `where` holds.

    `merge` sets further columns, each to an SQL expression. It and `where` speak of the row that is there by the
    table's name and of the new one as `excluded`.
    """

    keys: tuple[str, ...]
    update: tuple[str, ...] = ()
    where: str | None = None
    merge: tuple[tuple[str, str], ...] = ()


OnConflict = Literal["nothing", "raise"] | Upsert
COPY_ROWS_MIN: Final = 64
"""From so many rows on COPY is faster than an INSERT from arrays, and asks one round trip more."""


async def insert_rows(
    tx: AsyncConnection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    on_conflict: OnConflict = "nothing",
    returning: tuple[str, ...] = (),
) -> Sequence[Row]:
    """Insert `rows` (all with the same keys) and return the `returning` columns of those that were written."""
    if not rows:
        return ()
    columns = tuple(rows[0])
    statement = _insert_statement(table, columns, on_conflict, returning)
    result = await tx.exec_driver_sql(statement, _arrays(table, columns, rows))
    return result.all() if returning else ()


async def append_rows(tx: AsyncConnection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add `rows`, in the order of the table's columns and with JSON as text; one that is there already is an error."""
    columns = tuple(table.c.keys())
    if len(rows) >= COPY_ROWS_MIN:
        await copy_rows(tx, table.name, columns, rows)
    elif rows:
        arrays = tuple(list(values) for values in zip(*rows, strict=True))
        await tx.exec_driver_sql(_insert_statement(table, columns, "raise", ()), arrays)


async def copy_rows(
    tx: AsyncConnection, table_name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Add `rows` by COPY inside the caller's transaction; a violation comes as the driver's own error."""
    driver: Any = (await tx.get_raw_connection()).driver_connection
    if not driver.is_in_transaction():
        # SQLAlchemy begins the transaction on the server with the first statement, and COPY goes past it.
        await tx.exec_driver_sql("SELECT 1")
    await driver.copy_records_to_table(table_name, records=rows, columns=columns)


async def update_rows(
    tx: AsyncConnection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: tuple[str, ...],
    where: str | None = None,
    returning: tuple[str, ...] = (),
) -> Sequence[Row]:
    """Set every column of `rows` that isn't in `keys`, on the rows that `keys` name and SQL `where` lets through.

    `where` speaks of the row that is there as `t` and of the new values as `r`.
    """
    if not rows:
        return ()
    columns = tuple(rows[0])
    statement = _update_statement(table, columns, keys, where, returning)
    result = await tx.exec_driver_sql(statement, _arrays(table, columns, rows))
    return result.all() if returning else ()


async def select_matching(
    tx: AsyncConnection,
    table: sa.Table,
    keys: Sequence[Mapping[str, Any]],
    *,
    columns: tuple[str, ...],
    suffix: str = "",
) -> Sequence[Row]:
    """The `columns` of the rows whose key is among `keys` (mappings with the same columns); SQL `suffix` may order."""
    if not keys:
        return ()
    names = tuple(keys[0])
    arrays = ", ".join(f"${i}::{_array_type(table, name)}" for i, name in enumerate(names, start=1))
    statement = (
        f"SELECT {', '.join('t.' + c for c in columns)} FROM {table.name} t "
        f"JOIN (SELECT DISTINCT * FROM unnest({arrays}) AS u({', '.join(names)})) r USING ({', '.join(names)}) {suffix}"
    )
    return (await tx.exec_driver_sql(statement, _arrays(table, names, keys))).all()


async def lock_borrowers(
    tx: AsyncConnection, table: sa.Table, borrower_ids: Iterable[str], *, columns: tuple[str, ...] = ("borrower_id",)
) -> dict[str, Row]:
    """Insert the missing rows of `borrower_ids`, lock all in id order, and give their `columns` by borrower.

    One order everywhere means that two transactions wait for each other in a line, never in a circle.
    """
    ordered = sorted(set(borrower_ids))
    if not ordered:
        return {}
    await tx.exec_driver_sql(
        f"INSERT INTO {table.name} (borrower_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
        (ordered,),
    )
    names = ("borrower_id", *(c for c in columns if c != "borrower_id"))
    result = await tx.exec_driver_sql(
        f"SELECT {', '.join(names)} FROM {table.name} "
        "WHERE borrower_id = ANY($1::text[]) ORDER BY borrower_id FOR UPDATE",
        (ordered,),
    )
    return {row.borrower_id: row for row in result}


@lru_cache(maxsize=512)
def _insert_statement(
    table: sa.Table, columns: tuple[str, ...], on_conflict: OnConflict, returning: tuple[str, ...]
) -> str:
    conflict = "ON CONFLICT DO NOTHING" if on_conflict == "nothing" else ""
    if isinstance(on_conflict, Upsert):
        taken = (f"{c} = excluded.{c}" for c in on_conflict.update)
        assignments = ", ".join((*taken, *(f"{c} = {expression}" for c, expression in on_conflict.merge)))
        where = f" WHERE {on_conflict.where}" if on_conflict.where else ""
        conflict = f"ON CONFLICT ({', '.join(on_conflict.keys)}) DO UPDATE SET {assignments}{where}"
    tail = f" RETURNING {', '.join(returning)}" if returning else ""
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) "
        f"SELECT {_selected(table, columns)} FROM {_unnested(table, columns)} {conflict}{tail}"
    )


@lru_cache(maxsize=512)
def _update_statement(
    table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...], where: str | None, returning: tuple[str, ...]
) -> str:
    changed = [c for c in columns if c not in keys]
    assignments = ", ".join(f"{c} = {_expression(table, c)}" for c in changed)
    condition = " AND ".join([*(f"t.{key} = r.{key}" for key in keys), *([f"({where})"] if where else [])])
    tail = " RETURNING " + ", ".join(f"t.{c}" for c in returning) if returning else ""
    return f"UPDATE {table.name} t SET {assignments} FROM {_unnested(table, columns)} WHERE {condition}{tail}"


def _unnested(table: sa.Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"${i}::{_array_type(table, column)}" for i, column in enumerate(columns, start=1))
    return f"unnest({arrays}) AS r({', '.join(columns)})"


def _selected(table: sa.Table, columns: tuple[str, ...]) -> str:
    return ", ".join(_expression(table, column) for column in columns)


def _expression(table: sa.Table, column: str) -> str:
    column_type = table.c[column].type
    if isinstance(column_type, sa.ARRAY):
        element = column_type.item_type.compile(dialect=_DIALECT)
        return (
            f"CASE WHEN r.{column} IS NULL THEN NULL "
            f"ELSE ARRAY(SELECT jsonb_array_elements_text(r.{column}::jsonb)::{element}) END"
        )
    return f"r.{column}::jsonb" if isinstance(column_type, sa.JSON) else f"r.{column}"


def _array_type(table: sa.Table, column: str) -> str:
    column_type = table.c[column].type
    if isinstance(column_type, (sa.ARRAY, sa.JSON)):
        return "text[]"
    return f"{column_type.compile(dialect=_DIALECT)}[]"


def _arrays(table: sa.Table, columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], ...]:
    return tuple(
        [None if row[c] is None else _json.encode(row[c]).decode() for row in rows]
        if isinstance(table.c[c].type, (sa.ARRAY, sa.JSON))
        else [row[c] for row in rows]
        for c in columns
    )
