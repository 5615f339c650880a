"""`decorum strategy`: check strategy files, and show what a path looks like for one loan."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from scheduler.adapters.strategy_files import GRADING_FILE, read_book, read_grading, read_strategy
from scheduler.adapters.yaml_lines import StrategyFileError
from scheduler.domain.strategy import LoanShape, path_of, referral_time, step_times
from scheduler.settings import PREFIX, SHIPPED_STRATEGIES, SchedulerSettings
from shared.commands import panels
from shared.commands.times import utc, zone_named
from shared.errors import Rejection
from shared.files import Unreadable
from shared.money import MINOR_DIGITS
from shared.settings import load

HELP: Final = "Check treatment strategies, and show the path that they give a loan."
commands = typer.Typer(help=HELP, no_args_is_help=True, rich_help_panel=panels.PREPARE)
Folder = Annotated[Path, typer.Option("--folder", help="where the strategy files are", show_default="those shipped")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for a machine")]


@commands.callback()
def group() -> None:
    """Check treatment strategies, and show the path that they give a loan."""


@commands.command("check")
def check_command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="strategy files, a grading file, or a folder with all of them", show_default="those shipped"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say of each file whether a service would start with it; the first mistake is told with its line.

    Ends with 1 if there is a mistake, with 2 if a file isn't there.
    With --json one object a line.

    \b
    decorum strategy check
    decorum strategy check services/scheduler/strategies
    """
    paths = paths or [SHIPPED_STRATEGIES]
    for path in paths:
        if not path.exists():
            raise Unreadable(path, "there is no such file")
    failed = False
    for path in paths:
        try:
            found = {"path": str(path), "good": True, "what": _check(path)}
        except StrategyFileError as error:
            found = {"path": str(path), "good": False, "mistake": str(error)}
            failed = True
        if as_json:
            typer.echo(json.dumps(found))
        elif found["good"]:
            typer.echo(f"{path}: good: {found['what']}")
        else:
            typer.echo(found["mistake"], err=True)
    if failed:
        raise typer.Exit(1)


def _check(path: Path) -> str:
    if path.is_dir():
        book = read_book(path)
        return ", ".join(f"{grade} is {s.name}" for grade, s in book.by_grade.items())
    if path.name == GRADING_FILE:
        return f"{len(read_grading(path).bands)} bands"
    strategy = read_strategy(path)
    return f"{strategy.name}, {len(strategy.steps)} steps, {len(strategy.referrals)} referrals"


@commands.command("path")
def path_command(
    amount_minor: Annotated[int, typer.Option(min=1, help="overdue amount in minor units (fen, cents)")],
    due_on: Annotated[str, typer.Option(help="oldest unpaid due date, for example 2026-09-10")],
    currency: Annotated[str, typer.Option(help="ISO 4217")] = "CNY",
    zone: Annotated[str, typer.Option(help="time zone of the borrower")] = "Asia/Shanghai",
    broken_promises: Annotated[int, typer.Option(min=0, help="broken promises in this episode")] = 0,
    folder: Folder = SHIPPED_STRATEGIES,
    as_json: AsJson = False,
) -> None:
    """Every step that a loan of this amount would meet, from the reminder to the last referral.

    Times are the borrower's own, the first of each step's preferred hours; with --json they are in UTC.
    The gate has the last word on when it is legal.

    \b
    decorum strategy path --amount-minor 250000 --due-on 2026-09-10
    """
    zone_named(zone)
    rows = _rows(folder, amount_minor, _day(due_on), _currency(currency), zone, broken_promises)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    _draw(rows, zone)


def _draw(rows: list[dict[str, Any]], zone: str) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", title=f"Times in {zone}", title_justify="left")
    for heading in ("day", "due", "expires", "what", "text", "grade"):
        table.add_column(heading, no_wrap=heading != "text")
    for row in rows:
        kind, _, target = row["what"].partition(" to ")
        text = f"to {target}: {row['text']}" if target else row["text"]
        times = (_local(row[name], zone) for name in ("due_at", "expires_at"))
        table.add_row(str(row["day"]), *times, kind, text, row["grade"])
    Console().print(table)


def _local(instant: str | None, zone: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(zone_named(zone)):%Y-%m-%d %H:%M}" if instant else ""


def strategy_names() -> tuple[str, ...]:
    """The strategies that a scheduler with this environment follows: what a stop of a strategy can be of."""
    try:
        book = read_book(load(SchedulerSettings, PREFIX).strategies_folder)
    except StrategyFileError as error:
        raise Rejection(str(error)) from error
    return tuple(strategy.name for strategy in book.by_grade.values())


def _rows(
    folder: Path, amount_minor: int, due_on: date, currency: str, zone: str, broken_promises: int
) -> list[dict[str, Any]]:
    if not folder.is_dir():
        raise Unreadable(folder, "there is no such folder")
    try:
        book = read_book(folder)
    except StrategyFileError as error:
        raise Rejection(str(error)) from error
    shape = LoanShape(book.grading.size(currency, amount_minor), 0)
    path = path_of(book, frozenset({shape}), currency, broken_promises)
    rows: list[dict[str, Any]] = []
    for step, strategy in path.steps:
        due_at, expires_at = step_times(step, due_on, zone, 0)
        times = {"due_at": utc(due_at), "expires_at": utc(expires_at)}
        rows.append(
            {"day": step.day, **times, "what": step.channel, "text": step.template, "key": step.key}
            | {"grade": strategy.grade, "strategy": strategy.name}
        )
    for referral, strategy in path.referrals:
        due_at = referral_time(referral, due_on, zone)
        rows.append(
            {"day": referral.day, "due_at": utc(due_at), "expires_at": None}
            | {"what": f"referral to {referral.target}", "text": referral.reason, "key": referral.key}
            | {"grade": strategy.grade, "strategy": strategy.name}
        )
    return rows


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Rejection("--due-on is a date such as 2026-09-10") from error


def _currency(code: str) -> str:
    if code not in MINOR_DIGITS:
        raise Rejection(f"{code} is not a currency that is known here; there are {', '.join(sorted(MINOR_DIGITS))}")
    return code
