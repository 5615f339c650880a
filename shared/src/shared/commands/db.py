"""`decorum db`: the schemas of the four services."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import asyncpg
import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from shared.commands import panels
from shared.errors import Rejection
from shared.postgres.engine import service_database_url
from shared.postgres.migrations import SERVICE_PACKAGES, migrate
from shared.service import PlatformSettings

commands = typer.Typer(
    help="Bring each service's database to its newest schema.", no_args_is_help=True, rich_help_panel=panels.PREPARE
)


@commands.callback()
def group() -> None:
    """Bring each service's database to its newest schema."""


@commands.command("migrate")
def migrate_command(
    service: Annotated[
        str | None, typer.Option(help="only this one: scheduler, compliance-gate, notifier, ledger")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line instead of text")] = False,
) -> None:
    """Migrate all services' databases, or one. Safe to repeat; two at once wait for each other.

    The server of DECORUM_DATABASE_URL must have them: scheduler, compliance_gate, notifier, ledger.

    \b
    decorum db migrate
    decorum db migrate --service ledger
    """
    settings = PlatformSettings.load()
    names = {package.replace("_", "-"): package for package in SERVICE_PACKAGES}
    if service is not None and service not in names:
        raise Rejection(f"there is no service {service}; there are {', '.join(names)}")
    for name, package in names.items():
        if service in (None, name):
            with Console(stderr=True).status(f"migrating {name}"):
                _migrate(settings, package)
            done = json.dumps({"service": name, "at_newest_revision": True})
            typer.echo(done if as_json else f"{name}: at its newest revision")


def _migrate(settings: PlatformSettings, package: str) -> None:
    try:
        asyncio.run(migrate(package, service_database_url(settings.database_url, package)))
    except (OSError, TimeoutError) as error:
        raise Rejection("the database server can't be reached") from error
    except (asyncpg.PostgresError, DBAPIError) as error:
        raise Rejection(f"the database {package} can't be migrated: {_reason(error)}") from error


def _reason(error: asyncpg.PostgresError | DBAPIError) -> str:
    """The server's own first line: about schemas, roles and databases, never about rows."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(original).splitlines()[0].rpartition(">: ")[2]
