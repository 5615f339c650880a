"""`decorum gate decisions`: what was decided about one borrower, each as a sentence that a person can read."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from compliance_gate.adapters.exports import decisions
from compliance_gate.adapters.reading import gate_database
from shared.errors import Absent
from shared.service import PlatformSettings


def decisions_command(
    borrower_id: Annotated[str, typer.Argument(metavar="BORROWER", help="The borrower's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with all rules.")] = False,
) -> None:
    """Show every verdict and revocation about BORROWER, oldest first, in English and Chinese.

    Ends with 1 if nothing was decided about BORROWER.

    \b
    decorum gate decisions B-1001
    decorum gate decisions B-1001 --json
    """
    lines = asyncio.run(_read(PlatformSettings.load(), borrower_id))
    if as_json:
        for line in lines:
            typer.echo(msgspec.json.encode(line).decode())
    elif lines:
        _draw(lines)
    else:
        raise Absent(f"nothing was decided about borrower {borrower_id}")


async def _read(settings: PlatformSettings, borrower_id: str) -> list[dict[str, Any]]:
    async with gate_database(settings) as engine:
        return [line async for line in decisions(engine, borrower_id=borrower_id)]


def _draw(lines: list[dict[str, Any]]) -> None:
    table = Table("at (UTC)", "channel", "verdict", Column("why", overflow="fold"), show_lines=True)
    for line in lines:
        at = line["at"][:19].replace("T", " ")
        table.add_row(at, line["channel"], line["verdict"], f"{line['sentence_en']}\n{line['sentence_zh']}")
    Console().print(table)
