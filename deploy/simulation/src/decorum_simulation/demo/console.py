"""The demo on a terminal: stages, a progress bar over virtual days, and the table at the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from decorum_simulation.audit.run import AuditResult
from decorum_simulation.demo.options import DemoOptions
from decorum_simulation.demo.participants import DemoStuck
from decorum_simulation.demo.run import DemoResult, Watcher, run_demo
from decorum_simulation.lender.people import SHANGHAI
from decorum_simulation.report.figures import Figures, calendar_note, read_figures

SHOWN_MAX = 10
SHOWN_RULES_MAX = 8


def run_with_progress(options: DemoOptions) -> int:
    """Run and show; the exit code: 0 clean, 1 with violations or dead letters, 3 when it got stuck, 130 interrupted."""
    console = Console()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[day]}"),
        TimeElapsedColumn(),
    )
    plan = options.plan()
    if note := calendar_note(options.dates()):
        console.print(f"[yellow]{note}[/yellow]")
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=(plan.end - plan.start).total_seconds(), day="")

        def on_tick(now: datetime) -> None:
            local = now.astimezone(ZoneInfo(SHANGHAI))
            progress.update(task, completed=(now - plan.start).total_seconds(), day=f"{local:%a %d %b %H:%M}")

        watcher = Watcher(say=lambda stage: progress.update(task, description=stage), on_tick=on_tick)
        try:
            result = run_demo(options, watcher)
        except DemoStuck as error:
            console.print(f"[red]The run got stuck: {error}[/red]  (logs: {options.out / 'logs'})")
            return 3
        except KeyboardInterrupt:
            console.print("Interrupted; everything that was started has ended.")
            return 130
    _show(console, options, result)
    return 1 if result.audit.violations or result.dead_letters else 0


def _show(console: Console, options: DemoOptions, result: DemoResult) -> None:
    console.print(summary_table(read_figures(options.out), result.audit))
    for violation in result.audit.violations[:SHOWN_MAX]:
        ids = ", ".join(f"{name} {value}" for name, value in violation.ids.items())
        console.print(f"[red]{violation.kind}[/red] {violation.at}: {violation.sentence} ({ids})")
    if result.dead_letters:
        console.print(f"[red]{result.dead_letters} records could not be handled: see {options.out / 'logs'}[/red]")
    wall = timedelta(seconds=round(result.wall_seconds))
    console.print(f"{result.ticks:,} ticks in {wall}. Report: {options.out / 'report.html'}")


def summary_table(figures: Figures, audit: AuditResult) -> Table:
    """What came of the run, in one column of numbers."""
    table = Table(title=figures.title, show_header=False, title_justify="left")
    table.add_column(style="dim", overflow="fold")
    table.add_column(justify="right")
    for name, value in figures.summary():
        table.add_row(name, value)
    if note := calendar_note(figures.dates()):
        table.add_section()
        table.add_row(f"[yellow]{note}[/yellow]", "")
    table.add_section()
    for verdict, rules in (*figures.by_rule.items(), ("revoked", figures.revoked_by)):
        for rule, count in sorted(rules.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_RULES_MAX]:
            table.add_row(f"{verdict} by {rule}", f"{count:,}")
    table.add_section()
    style = "red" if audit.violations else "green"
    table.add_row("violations found by the audit", f"[{style}]{len(audit.violations):,}[/{style}]")
    for kind, count in audit.by_kind.most_common():
        table.add_row(f"  {kind}", f"{count:,}")
    return table
