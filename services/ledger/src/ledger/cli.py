"""`decorum case`: one borrower's balances, promises, and everything that happened."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from ledger.adapters.case_file import CaseFile, read_case
from ledger.commands.case_drawing import draw_case
from shared import settings
from shared.commands import panels
from shared.commands.times import zone_named
from shared.errors import Absent, Rejection
from shared.postgres.engine import service_database_url

commands = typer.Typer(
    help="Read a borrower's case: balances, promises and the timeline.",
    no_args_is_help=True,
    rich_help_panel=panels.LOOK,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    database_url: str


@commands.callback()
def _case() -> None:
    """Keeps `show` a sub-command of its own."""


@commands.command()
def show(
    borrower_id: Annotated[str, typer.Argument(metavar="BORROWER", help="The borrower's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    zone: Annotated[
        str | None, typer.Option(help="IANA zone of the times that are shown.", show_default="the borrower's")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many of the latest events.")] = 500,
) -> None:
    """Show what is owed, what was promised, and everything that happened to BORROWER, oldest first.

    Times are the borrower's own; in UTC where no zone is known, and with --json.
    Decisions name the rules that spoke; stops say who ordered them, and why.
    Names, numbers and what borrowers write are never kept here.
    Ends with 1 if nothing is known of BORROWER.

    \b
    decorum case show B-1001
    decorum case show B-1001 --zone America/New_York --limit 20
    """
    chosen = None if zone is None else zone_named(zone)
    case = asyncio.run(_read(borrower_id, limit + 1))
    if case is None:
        raise Absent(f"nothing is known of borrower {borrower_id}")
    older = len(case.events) > limit
    case = replace(case, events=case.events[-limit:])
    if as_json:
        typer.echo(msgspec.json.encode(asdict(case)).decode())
    else:
        Console().print(draw_case(case, chosen or zone_named(case.zones[0] if case.zones else "UTC")))
    if older:
        typer.echo(f"these are the latest {limit} events; there are older ones (--limit)", err=True)


async def _read(borrower_id: str, events_max: int) -> CaseFile | None:
    server = settings.load(_Server, "DECORUM_")
    engine = create_async_engine(service_database_url(server.database_url, "ledger"))
    try:
        async with engine.connect() as connection:
            return await read_case(connection, borrower_id, events_max=events_max)
    except (OSError, SQLAlchemyError) as error:
        raise Rejection(f"the ledger's database can't be read: {type(error).__name__}") from error
    finally:
        await engine.dispose()
