"""`decorum gate decisions`: what was decided about one borrower, each as a sentence that a person can read."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from compliance_gate.adapters.exports import decisions, latest_zone
from compliance_gate.adapters.reading import gate_database
from shared.commands.times import local, utc
from shared.errors import Absent
from shared.service import PlatformSettings

_INSTANTS: Final = ("at", "permit_expires_at", "next_legal_instant")


def decisions_command(
    borrower_id: Annotated[str, typer.Argument(metavar="BORROWER", help="The borrower's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with all rules.")] = False,
) -> None:
    """Show every verdict and revocation about BORROWER, oldest first, in English and Chinese.

    Times are the borrower's own; with --json they are in UTC.
    Ends with 1 if nothing was decided about BORROWER.

    \b
    decorum gate decisions B-1001
    decorum gate decisions B-1001 --json
    """
    lines, zone = asyncio.run(_read(PlatformSettings.load(), borrower_id))
    if not lines:
        raise Absent(f"nothing was decided about borrower {borrower_id}")
    if as_json:
        for line in lines:
            typer.echo(msgspec.json.encode(line | _instants(line)).decode())
    else:
        _draw(lines, ZoneInfo(zone))


async def _read(settings: PlatformSettings, borrower_id: str) -> tuple[list[dict[str, Any]], str]:
    async with gate_database(settings) as engine:
        lines = [line async for line in decisions(engine, borrower_id=borrower_id)]
        return lines, await latest_zone(engine, borrower_id)


def _instants(line: dict[str, Any]) -> dict[str, str | None]:
    return {name: line[name] and utc(datetime.fromisoformat(line[name])) for name in _INSTANTS}


def _draw(lines: list[dict[str, Any]], zone: ZoneInfo) -> None:
    table = Table(f"at ({zone})", "channel", "verdict", Column("why", overflow="fold"), show_lines=True)
    for line in lines:
        at = local(datetime.fromisoformat(line["at"]), zone)
        table.add_row(at, line["channel"], line["verdict"], f"{line['sentence_en']}\n{line['sentence_zh']}")
    Console().print(table)
