"""`decorum up`: everything running on this machine, with its addresses printed, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from decorum_local.platform import LocalPlatform, require_embedded_servers
from decorum_local.stack import SERVICES, Stack, StackOptions
from decorum_local.supervisor import ChildProcess, ServerError
from shared.clock import write_offset
from shared.commands import panels
from shared.errors import Rejection

DEFAULT_AT: Final = "2026-09-16T10:00+08:00"
commands = typer.Typer()


@commands.command("up", rich_help_panel=panels.RUN)
def up_command(
    at: Annotated[
        str, typer.Option("--at", help="where the clock starts: an instant with its offset, or now")
    ] = DEFAULT_AT,
    folder: Annotated[Path, typer.Option("--folder", help="where data, logs and journal go")] = Path("var/up"),
    shadow: Annotated[bool, typer.Option("--shadow", help="decide and record everything, send nothing")] = False,
) -> None:
    """Run the whole platform on this machine until Ctrl-C; `decorum` commands in this folder work on it.

    Kafka, Postgres, a carrier simulator and the four services start on free ports.
    Their data goes when it ends; logs and the carrier's journal stay in --folder.
    Unless --at is now, the clock is shifted: `decorum clock advance` moves it on.
    Ends with 2 if one of its processes ends by itself.

    \b
    decorum up
    decorum up --at now --shadow
    """
    console = Console()
    if at != "now":
        require_embedded_servers("a shifted clock (--at other than now)")
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Rejection(f"--folder: {folder} can't be made: {error.strerror}") from error
    clock = _clock(at, folder)
    environment = {**clock, "DECORUM_MODE": "shadow" if shadow else "live"}
    with LocalPlatform(folder / "servers") as platform, _environment_file(folder / "environment") as publish:
        stack = Stack(platform, folder / "logs", StackOptions(environment=environment))
        with console.status("preparing topics and databases"):
            stack.prepare()
        with console.status("starting the services"):
            stack.start()
        publish(stack.environment())
        _print_addresses(console, stack, at, clock)
        try:
            until_interrupted((*platform.servers, *(each.process for each in stack.processes)))
        finally:
            console.print("stopping …")
            stack.stop()


def _clock(at: str, folder: Path) -> dict[str, str]:
    if at == "now":
        return {}
    try:
        start = datetime.fromisoformat(at)
    except ValueError as error:
        raise Rejection("--at is an ISO 8601 instant such as 2026-09-16T10:00+08:00, or now") from error
    if start.tzinfo is None:
        raise Rejection("--at needs a UTC offset, for example +08:00")
    path = folder / "clock.json"
    write_offset(path, start - datetime.now(UTC))
    return {"DECORUM_CLOCK": "shifted", "DECORUM_CLOCK_FILE": str(path)}


@contextlib.contextmanager
def _environment_file(path: Path) -> Iterator[_Publish]:
    try:
        yield _Publish(path)
    finally:
        path.unlink(missing_ok=True)


class _Publish:
    """Writes the addresses for other commands, readable by this user alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, environment: dict[str, str]) -> None:
        self._path.touch(mode=0o600)
        self._path.write_text("".join(f"{name}={value}\n" for name, value in sorted(environment.items())))


def _print_addresses(console: Console, stack: Stack, at: str, clock: dict[str, str]) -> None:
    if clock:
        console.rule(f"[bold]the clock is shifted: it started at {at}[/]")
        console.print("[bold].venv/bin/decorum clock advance 1d[/] moves it on", highlight=False)
    else:
        console.rule("[bold]real time[/]")
    table = Table("what", "address", title="Decorum is up; Ctrl-C ends it")
    for name in SERVICES:
        for process in stack.replicas[name]:
            table.add_row(process.name, f"{process.url}/readyz  {process.url}/metrics")
    notifier = stack.replicas["notifier"][0]
    table.add_row("webhooks", f"{notifier.url}/webhooks/sms/receipts, /webhooks/sms/inbound, the same under voice")
    table.add_row("carrier simulator", f"{stack.carrier.url}  (what it got: {_short(stack.carrier_journal)})")
    table.add_row("Kafka", stack.environment()["DECORUM_KAFKA_BOOTSTRAP_SERVERS"])
    table.add_row("logs", _short(stack.folder))
    console.print(table)
    console.print("Try: [bold].venv/bin/decorum events publish …[/], [bold].venv/bin/decorum case show BORROWER[/]")


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def until_interrupted(processes: Sequence[ChildProcess]) -> None:
    """Wait for Ctrl-C or SIGTERM; raises ServerError when one of `processes` ends before."""
    ended = threading.Event()
    previous = {sig: signal.signal(sig, lambda *_: ended.set()) for sig in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not ended.wait(1.0):
            for process in processes:
                if not process.is_running():
                    raise ServerError(f"{process.name} ended by itself; see {process.log_path}")
    finally:
        for sig, handler in previous.items():
            signal.signal(sig, handler)
