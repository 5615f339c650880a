"""`decorum contacts`: erase a borrower. `decorum templates`: check texts and show them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from notifier.adapters.contact_store import erase
from notifier.adapters.template_checks import SAMPLES, TemplateError
from notifier.adapters.templates import CONFIRMATION, LANGUAGES, Lender, TemplateBook
from notifier.settings import SHIPPED_TEMPLATES
from shared.commands import panels
from shared.commands.connections import acting_person, require_identifier, require_reason
from shared.contracts import TEMPLATE_NAMES
from shared.errors import Absent, Rejection
from shared.files import Unreadable
from shared.postgres.engine import create_engine, service_database_url
from shared.service import PlatformSettings

SAMPLE_LENDER: Final = Lender(
    names={"zh": "晨光消费金融", "en": "Dawnlight Consumer Finance"}, agency_regions=frozenset({"US"})
)
Folder = Annotated[Path, typer.Option("--folder", help="where the template files are", show_default="those shipped")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a line instead of text")]

contacts = typer.Typer(
    help="Contact data of borrowers, which the notifier alone keeps, sealed.",
    no_args_is_help=True,
    rich_help_panel=panels.OPERATE,
)
templates = typer.Typer(
    help="Check the texts that are sent, and show them with sample data.",
    no_args_is_help=True,
    rich_help_panel=panels.PREPARE,
)


@contacts.callback()
def contacts_group() -> None:
    """Contact data of borrowers, which the notifier alone keeps, sealed."""


@contacts.command("erase")
def erase_command(
    borrower: Annotated[str, typer.Argument(help="the borrower's id")],
    reason: Annotated[str, typer.Option("--reason", help="why; kept with the audit")],
    by: Annotated[str | None, typer.Option("--by", help="who does it (default: the login name)")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="don't ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a borrower's key: name, numbers and messages can never be read again, in no backup of the tables alone.

    Open permits end unused.
    Stops stay in force for the number.
    It can't be undone; the lender has to send the borrower again to contact them.
    Ends with 1 if there was nothing to erase: it is noted all the same, and the id may be wrong.

    \b
    decorum contacts erase B-1001 --reason "request of 2026-09-16"
    """
    require_identifier(borrower, of="BORROWER")
    require_reason(reason)
    if not yes:
        if not sys.stdin.isatty():
            raise Rejection("nobody can be asked here: --yes erases without a question")
        typer.confirm(f"Erase the contact data of {borrower} for good?", abort=True)
    erased = asyncio.run(_erase(borrower, reason, acting_person(by)))
    if as_json:
        typer.echo(json.dumps({"borrower_id": borrower, "erased": erased}))
    elif erased:
        typer.echo(f"erased: {borrower}")
    if not erased:
        raise Absent(f"nothing to erase: {borrower}; noted in the audit")


async def _erase(borrower_id: str, reason: str, acted_by: str) -> bool:
    settings = PlatformSettings.load()
    engine = create_engine(
        service_database_url(settings.database_url, "notifier"), application_name="decorum-cli", connections_max=1
    )
    try:
        async with engine.begin() as tx:
            now = settings.make_clock().now()
            return await erase(tx, borrower_id=borrower_id, now=now, acted_by=acted_by, reason=reason)
    except OSError as error:
        raise Rejection("the notifier's database can't be reached") from error
    finally:
        await engine.dispose()


@templates.callback()
def templates_group() -> None:
    """Check the texts that are sent, and show them with sample data."""


@templates.command("check")
def check_command(folder: Folder = SHIPPED_TEMPLATES, as_json: AsJson = False) -> None:
    """Say whether the notifier would start with these templates; a mistake is told with its file and line.

    Ends with 1 if it would not, with 2 if there is no such folder.

    \b
    decorum templates check
    decorum templates check --folder services/notifier/templates
    """
    _require_folder(folder)
    try:
        TemplateBook(folder, lender=SAMPLE_LENDER)
    except TemplateError as error:
        if as_json:
            typer.echo(json.dumps({"folder": str(folder), "good": False, "mistake": str(error)}))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if as_json:
        counts = {"templates": len(TEMPLATE_NAMES), "languages": len(LANGUAGES)}
        typer.echo(json.dumps({"folder": str(folder), "good": True, **counts}))
    else:
        typer.echo(f"{folder}: good: {len(TEMPLATE_NAMES)} templates in {len(LANGUAGES)} languages")


@templates.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="for example sms-overdue")],
    folder: Folder = SHIPPED_TEMPLATES,
    as_json: AsJson = False,
) -> None:
    """Every text of a template with sample data: to the lender's own borrower, and where it is an agency.

    \b
    decorum templates show sms-overdue
    """
    if name not in TEMPLATE_NAMES:
        raise Rejection(f"there is no template {name}; there are {', '.join(TEMPLATE_NAMES)}")
    book = _book(folder)
    channel = "sms" if name.startswith("sms-") else "voice"
    for (of_channel, language), samples in SAMPLES.items():
        for speech, attempt in samples if of_channel == channel else ():
            purpose = "opt_out_confirmation" if name == CONFIRMATION else attempt.purpose
            script = book.render(msgspec.structs.replace(attempt, template=name, purpose=purpose), speech)
            shown = {"template": name, "language": language, "region": speech.region, "text": script.text}
            if script.opening is not None:
                shown["opening"] = script.opening
            parts = [part for part in (script.opening, script.text) if part is not None]
            plain = f"[{language} {speech.region}] " + "\n  once confirmed: ".join(parts)
            typer.echo(json.dumps(shown, ensure_ascii=False) if as_json else plain)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise Unreadable(folder, "there is no such folder")


def _book(folder: Path) -> TemplateBook:
    _require_folder(folder)
    try:
        return TemplateBook(folder, lender=SAMPLE_LENDER)
    except TemplateError as error:
        raise Rejection(str(error)) from error
