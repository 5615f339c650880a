"""`decorum audit`: the audit of a run's files alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

commands = typer.Typer()
SHOWN_MAX = 20


@commands.command("audit", rich_help_panel="Run it on this machine")
def audit_command(
    folder: Annotated[Path, typer.Argument(help="the folder of the run")] = Path("var/demo"),
    json: Annotated[bool, typer.Option("--json", help="one JSON object a line instead of text")] = False,
) -> None:
    """Audit the files that a run left, without asking any service or using its code.

    Hours, holidays, caps, permits, opt-outs, amounts, books, and the form of the files.
    Ends with 1 if there is a violation, with 2 if a file can't be read.

    \b
    decorum demo && decorum audit
    decorum audit var/demo --json
    """
    from decorum_simulation.audit.records import UnreadableRun
    from decorum_simulation.audit.run import audit

    try:
        with Console(stderr=True).status("auditing"):
            result = audit(folder)
    except UnreadableRun as error:
        print(f"decorum: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    if json:
        for violation in result.violations:
            typer.echo(msgspec.json.encode(violation))
    else:
        for name, count in sorted(result.checked.items()):
            typer.echo(f"{count:>9,}  {name} checked")
        for violation in result.violations[:SHOWN_MAX]:
            ids = ", ".join(f"{name} {value}" for name, value in violation.ids.items())
            typer.echo(f"{violation.at}  {violation.kind}: {violation.sentence} ({ids})")
        if len(result.violations) > SHOWN_MAX:
            typer.echo(f"… and {len(result.violations) - SHOWN_MAX} more; --json lists all")
        typer.echo(f"{len(result.violations)} violations")
    raise typer.Exit(1 if result.violations else 0)
