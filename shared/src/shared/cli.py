"""The `decorum` command: sub-commands come from the entry points of group `decorum.commands`."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import typer

from shared.errors import Absent, DecorumError
from shared.settings import SettingMissing, SettingsError

GROUP: Final = "decorum.commands"
HELP: Final = """Decides when, how and whether a borrower may be contacted, makes the contact, books what comes back.

Commands work on the platform that `decorum up` runs in this folder, or on
what DECORUM_KAFKA_BOOTSTRAP_SERVERS and DECORUM_DATABASE_URL name.
They end with 1 where the answer is no, with 2 where there can't be an answer.

\b
decorum up                              in one terminal; in another:
decorum events example > events.jsonl   one event of each kind, to change
decorum events publish events.jsonl     checked, then published
decorum case show B-1001                what came of it
decorum gate decisions B-1001           and why
"""
UP_ENVIRONMENT: Final = Path("var/up/environment")
"""Written by `decorum up`: addresses of what runs there, as NAME=value lines."""
NOTHING_RUNS: Final = (
    "no platform runs in this folder: start one with `decorum up`, or name one "
    "(DECORUM_KAFKA_BOOTSTRAP_SERVERS, DECORUM_DATABASE_URL)"
)
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
STARTERS: Final = frozenset({"demo", "up"})
"""Commands that start a platform of their own; the one that runs here, or was killed here, is none of theirs."""


def build(wanted: str | None = None) -> typer.Typer:
    """The command with every installed package's sub-commands, or with the `wanted` one alone if there is such a one.

    A service's modules are loaded only when one of its commands, or the list of all, is asked for.
    """
    app = typer.Typer(
        name="decorum",
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root() -> None:
        pass  # makes it a group, also of one command

    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    for entry in [entry for entry in entries if entry.name == wanted] or entries:
        _add(app, entry.name, entry.load())
    return app


def _add(app: typer.Typer, name: str, loaded: typer.Typer) -> None:
    """A group of commands, or the one command that has the group's own name."""
    if [command.name for command in loaded.registered_commands] == [name] and not loaded.registered_groups:
        app.registered_commands += loaded.registered_commands
    else:
        app.add_typer(loaded, name=name, rich_help_panel=loaded.rich_help_panel)


def use_running_platform(wanted: str | None, path: Path = UP_ENVIRONMENT) -> None:
    """Point the `wanted` command at what `decorum up` runs in this folder, unless the environment points elsewhere."""
    if wanted in STARTERS or "DECORUM_KAFKA_BOOTSTRAP_SERVERS" in os.environ or not path.is_file():
        return
    for line in path.read_text().splitlines():
        name, _, value = line.partition("=")
        os.environ.setdefault(name, value)


def main() -> None:
    """Run the command; what a person can mend is said in one line, without a trace."""
    run(ready=lambda: None)


def run(*, ready: Callable[[], object]) -> None:
    """As `main`; calls `ready` once everything that the command needs is loaded and before it does anything."""
    wanted = next(iter(sys.argv[1:]), None)
    use_running_platform(wanted)
    # What keeps a broker away is said by the command; its client would say it too.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        command = build(wanted)
        ready()
        command()
    except (SettingsError, DecorumError) as error:
        nothing_runs = isinstance(error, SettingMissing) and error.variable.startswith("DECORUM_")
        print(f"decorum: {NOTHING_RUNS if nothing_runs else error}", file=sys.stderr)
        raise SystemExit(exit_code(error)) from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        print(f"decorum: what it says can't be written: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from error


def exit_code(error: Exception) -> int:
    """1 where the answer is no, as for checks that find something; 2 where there can't be an answer."""
    return 1 if isinstance(error, Absent) else 2
