"""`decorum demo`: a month of a lender, or any number of days, with its audit and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.commands import panels

commands = typer.Typer()


@commands.command("demo", rich_help_panel=panels.RUN)
def demo_command(
    borrowers: Annotated[int, typer.Option(help="how many synthetic borrowers")] = 2_000,
    days: Annotated[int, typer.Option(help="how many days")] = 30,
    start: Annotated[str, typer.Option(help="first day, a date in China")] = "2026-09-15",
    seed: Annotated[int, typer.Option(help="same seed, same outcome")] = 7,
    tick: Annotated[str, typer.Option(help="step of virtual time, from 1m to 2h: the finer, the slower")] = "2h",
    portfolio: Annotated[Path | None, typer.Option(help="replay the real accounts of this CSV file instead")] = None,
    limit: Annotated[int | None, typer.Option(help="at most so many accounts of the portfolio")] = None,
    out: Annotated[Path, typer.Option(help="folder for the files and the report")] = Path("var/demo"),
) -> None:
    """Live a month of a lender, or DAYS of it, in virtual time on the real services; leaves files, audit and report.

    Ends with 1 if the audit finds a violation or a record could not be handled.
    The audit can be repeated from the files alone: `decorum audit`.

    \b
    decorum demo --borrowers 60 --days 5
    decorum demo --portfolio accounts.csv --limit 1000
    """
    from decorum_simulation.demo.console import run_with_progress
    from decorum_simulation.demo.options import DemoOptions, parse_start, parse_tick

    options = DemoOptions(
        borrowers=borrowers,
        days=days,
        start=parse_start(start),
        seed=seed,
        tick=parse_tick(tick),
        out=out,
        portfolio=portfolio,
        limit=limit,
    )
    raise typer.Exit(run_with_progress(options))
