"""The gate's sub-commands of `decorum`: each command in a module of its own, added here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import track

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.commands import held
from compliance_gate.commands.conformance import CaseResult, read_cases, run_line
from compliance_gate.commands.decisions import decisions_command
from compliance_gate.commands.explain import draw, to_builtins
from compliance_gate.commands.situations import InvalidCase
from compliance_gate.commands.told import explain_situation, from_options, read_json
from compliance_gate.policy.book import PolicyBook, load_packs
from compliance_gate.policy.yaml_fields import InvalidPack
from compliance_gate.settings import PREFIX, TenantPolicy
from shared.commands import panels
from shared.commands.clock import present_instant
from shared.errors import Rejection
from shared.files import shown
from shared.settings import load

commands = typer.Typer(
    help="The compliance gate: decisions, explanations, held attempts, conformance.",
    no_args_is_help=True,
    rich_help_panel=panels.LOOK,
)
commands.add_typer(held.commands, name="held")
commands.command("decisions")(decisions_command)


@commands.callback()
def gate() -> None:
    """The compliance gate: decisions, explanations, held attempts, conformance."""


@commands.command()
def conformance(
    file: Annotated[
        Path,
        typer.Argument(help="Case file, JSON Lines: one situation a line, with `expect`; - reads standard input."),
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object a case instead of a line of text.")] = False,
) -> None:
    """Run a file of conformance cases against the installed packs, without the tenant's overlay.

    Says "N passed, N failed, N skipped" at its end, on standard error with --json.
    Ends with 1 if a case failed, with 2 if the file can't be read or has no case.

    \b
    decorum gate conformance services/compliance-gate/cases/cn.jsonl
    """
    cases = read_cases(file)
    if not cases:
        raise Rejection(f"{shown(file)}: there is no case in it")
    try:
        book = PolicyBook(load_packs(), OfficialCalendars())
    except InvalidPack as error:
        raise Rejection(f"the packs can't be used: {error}") from error
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    # Where a person sees the lines come, they are the progress.
    bar = Console(stderr=True)
    hidden = sys.stdout.isatty() or not bar.is_terminal
    for number, line in track(cases, "running", console=bar, transient=True, disable=hidden):
        result = run_line(line, number, book)
        counts[result.result] += 1
        typer.echo(msgspec.json.encode(result).decode() if json else _on_one_line(_line(result)))
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()), err=json)
    if counts["failed"]:
        raise typer.Exit(1)


@commands.command()
def explain(
    situation: Annotated[
        Path | None,
        typer.Argument(help="A situation as JSON, as a conformance case without `expect`; - reads standard input."),
    ] = None,
    channel: Annotated[str, typer.Option(help="sms, voice, email, letter or visit.")] = "sms",
    at: Annotated[
        str | None,
        typer.Option(help="The instant, ISO 8601 with its offset; default: now, as `decorum clock show` has it."),
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(help="A candidate zone of the borrower; repeat for several. Default for CN: Asia/Shanghai."),
    ] = None,
    region: Annotated[str, typer.Option(help="ISO 3166 code of the residence.")] = "CN",
    role: Annotated[str | None, typer.Option(help="lender or agency; default: the tenant's for each pack.")] = None,
    pack: Annotated[
        list[str] | None, typer.Option(help="Packs in force, without the tenant's overlay; default: by region.")
    ] = None,
    party: Annotated[str, typer.Option(help="borrower, third_party or attorney.")] = "borrower",
    loan: Annotated[list[str] | None, typer.Option(help="A loan that the contact is about.")] = None,
    number: Annotated[str | None, typer.Option(help="The number or address.")] = None,
    restriction: Annotated[
        list[str] | None, typer.Option(help="A restriction in force: attorney, cease, dispute, vulnerable …")
    ] = None,
    opt_out: Annotated[list[str] | None, typer.Option(help="A channel that was opted out of.")] = None,
    past: Annotated[
        list[str] | None,
        typer.Option(help="A past contact: INSTANT,CHANNEL,RESULT, such as 2026-04-01T10:00-04:00,voice,no_answer."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Explain a decision: the verdict, each rule with its source, the next legal instant, the week's legal hours.

    Give a situation by options, or as JSON in a file.
    Without packs, those of the borrower's region and zones are in force, with the overlay of COMPLIANCE_GATE_OVERLAY.
    Without --at it is the instant of the platform that runs here, or real time.

    \b
    decorum gate explain --at 2026-10-04T10:00+08:00
    decorum gate explain --channel voice --region US-NY --zone America/New_York
    decorum gate explain --past 2026-09-15T09:10+08:00,sms,delivered --opt-out voice
    """
    try:
        told = (
            read_json(situation)
            if situation is not None
            else from_options(
                channel=channel,
                at=present_instant() if at is None else at,
                zones=zone or (["Asia/Shanghai"] if region.startswith("CN") else []),
                region=region,
                role=role,
                packs=pack or [],
                party=party,
                loans=loan or ["loan"],
                number=number,
                restrictions=restriction or [],
                opt_outs=opt_out or [],
                past=past or [],
            )
        )
        explanation = explain_situation(told, load_packs(), OfficialCalendars(), load(TenantPolicy, PREFIX))
    except (InvalidPack, InvalidCase) as error:
        raise Rejection(f"cannot explain this: {error}") from error
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(to_builtins(explanation))).decode())
    else:
        draw(explanation, Console())


def _on_one_line(text: str) -> str:
    """`text` with what would end the line or steer the terminal written as an escape."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _line(result: CaseResult) -> str:
    if result.verdict is None:
        return f"{result.result:8}{result.id}: {result.sentence_en}"
    said = result.mapped if result.result == "passed" else f"{result.mapped}, expected {result.expect}"
    return f"{result.result:8}{result.id}: {said} ({result.verdict}). {result.sentence_en}"
