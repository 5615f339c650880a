"""The gate's sub-commands of `decorum`: each command in a module of its own, added here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.conformance import CaseResult, run_file
from compliance_gate.policy.book import PolicyBook, load_packs
from compliance_gate.policy.yaml_fields import InvalidPack

commands = typer.Typer(help="The compliance gate: conformance, explanations, held attempts.", no_args_is_help=True)
_UNREADABLE = 2


@commands.callback()
def gate() -> None:
    """The compliance gate: conformance, explanations, held attempts."""


@commands.command()
def conformance(
    file: Annotated[Path, typer.Argument(help="Case file, JSON Lines: one situation a line, with `expect`.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object a case instead of a line of text.")] = False,
) -> None:
    """Run a file of conformance cases against the installed packs, without the tenant's overlay.

    Ends with "N passed, N failed, N skipped" (on standard error with --json). Exit code 1 if a case failed, 2 if the file can't be read.
    """
    try:
        book = PolicyBook(load_packs(), OfficialCalendars())
        results = list(run_file(file, book))
    except (OSError, UnicodeError, InvalidPack) as error:
        typer.echo(f"cannot run {file}: {error}", err=True)
        raise typer.Exit(_UNREADABLE) from None
    for result in results:
        typer.echo(msgspec.json.encode(result).decode() if json else _line(result))
    counts = {name: sum(result.result == name for result in results) for name in ("passed", "failed", "skipped")}
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()), err=json)
    if counts["failed"]:
        raise typer.Exit(1)


def _line(result: CaseResult) -> str:
    if result.verdict is None:
        return f"{result.result:8}{result.id}: {result.sentence_en}"
    said = result.mapped if result.result == "passed" else f"{result.mapped}, expected {result.expect}"
    return f"{result.result:8}{result.id}: {said} ({result.verdict}). {result.sentence_en}"
