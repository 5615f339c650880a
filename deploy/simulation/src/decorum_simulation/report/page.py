"""`report.html`: one file with everything in it; nothing is fetched when it is opened."""

from __future__ import annotations

import os
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from decorum_simulation.audit.calendar import Country
from decorum_simulation.audit.run import AuditResult
from decorum_simulation.report import charts
from decorum_simulation.report.figures import Figures, calendar_note, money_text, read_figures
from decorum_simulation.report.timeline import timeline_html

_COUNTRIES: Final[tuple[tuple[Country, str], ...]] = (
    ("CN", "Borrowers in mainland China"),
    ("US", "Borrowers in the United States"),
)
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>{style}</style></head>
<body><main>{body}</main></body></html>
"""


def write_report(folder: Path, result: AuditResult) -> Path:
    """Draw the report of the run in `folder` and write it beside the files."""
    page = render(read_figures(folder), result)
    target, draft = folder / "report.html", folder / "report.draft"
    draft.write_text(page, encoding="utf-8")
    os.replace(draft, target)
    return target


def render(figures: Figures, result: AuditResult) -> str:
    """The page as text."""
    style = files("decorum_simulation.report").joinpath("style.css").read_text(encoding="utf-8")
    body = "".join((_header(figures, result), _numbers(figures), _sections(figures, result), _footer(figures)))
    return _PAGE.format(title=f"Decorum: {figures.title.lower()}", style=style, body=body)


def _header(figures: Figures, result: AuditResult) -> str:
    run = figures.evidence.run
    first, last = figures.dates()[0], figures.dates()[-1]
    found = len(result.violations)
    missing = calendar_note(figures.dates())
    note = f"<p class='note'>{escape(missing)}</p>" if missing else ""
    checks = sum(result.checked.values())
    verdict = f"{checks:,} checks by an independent audit, " + (f"{found:,} violations" if found else "no violation")
    return (
        f"<header><h1>{figures.title}</h1>"
        f"<p>{run.borrowers:,} borrowers, {first:%d %B} to {last:%d %B %Y}, seed {run.seed}, "
        f"rules {escape(', '.join(run.packs))} under the overlay “{escape(run.overlay)}”; "
        f"lived in {run.wall_seconds:,.0f} seconds.</p>{note}"
        f"<span class='verdict {'dirty' if found else 'clean'}'>{verdict}</span></header>"
    )


def _numbers(figures: Figures) -> str:
    recovered = " + ".join(money_text(sum(d.values()), c) for c, d in sorted(figures.recovered.items())) or "0"
    cost = " + ".join(money_text(n, c) for c, n in sorted(figures.cost_minor.items())) or "0"
    kept, settled = figures.promises["kept"], sum(figures.promises[k] for k in ("kept", "partly-kept", "broken"))
    numbers = [
        (f"{len(figures.attempts):,}", "contacts planned"),
        (f"{sum(figures.sent.values()):,}", "contacts made"),
        (f"{figures.delivered:,}", "texts delivered"),
        (f"{figures.conversations:,}", "conversations"),
        (f"{figures.promises['opened']:,}", "promises to pay"),
        (f"{kept / settled:.0%}" if settled else "–", "promises kept in full"),
        (recovered, "received"),
        (cost, "cost of contacts"),
    ]
    return "<div class='numbers'>" + "".join(f"<div><b>{n}</b><span>{t}</span></div>" for n, t in numbers) + "</div>"


def _sections(figures: Figures, result: AuditResult) -> str:
    shown = [(country, title) for country, title in _COUNTRIES if any(c == country for c, _, _ in figures.hours)]
    maps = [f"<h3>{title}</h3>{charts.heat_map(figures, country)}" for country, title in shown]
    curves = [f"<h3>{currency}</h3>{charts.recovery(figures, currency)}" for currency in sorted(figures.overdue)]
    sections = (
        _section("From plan to payment", "Attempts, each counted once.", charts.funnel(figures)),
        _section(
            "Why contacts were put off",
            "Rules that deferred, denied or held a submission, by how often they did.",
            charts.refusals(figures) + _key(("deferred", "deferred"), ("denied", "denied"), ("held", "held")),
        ),
        _section(
            "Permits that were not used",
            "What became known, or how long it took, between a permit and its contact.",
            charts.unused_permits(figures) + _key(("denied", "revoked"), ("deferred", "ended otherwise")),
        ),
        _section(
            "What became of the contacts",
            f"What the carrier said of them; of {figures.unknown:,} it is unknown whether they were made: they count.",
            charts.outcomes(figures) + _key(("sms", "texts"), ("voice", "calls")),
        ),
        _section(
            "Contacts by local hour and weekday",
            "Each borrower's own time, in the steps of the run's. A make-up workday has the hours of a workday.",
            _pair(maps)
            + _key(("heat", "contacts"), ("frame", "allowed by the overlay"), ("forbidden", "forbidden by law")),
            wide=True,
        ),
        _section(
            "Contacts by day",
            "Dates in Shanghai. On public holidays nobody at home in China is contacted.",
            f"<div class='scroll'>{charts.contacts_by_day(figures)}</div>"
            + _key(("sms", "texts"), ("voice", "calls"), ("holiday", "public holiday"), ("makeup", "make-up workday")),
            wide=True,
        ),
        _section(
            "Recovery",
            "What has been received since the start, and what is overdue at the end of each day.",
            _pair(curves) + _key(("curve", "received, cumulated"), ("overdue", "overdue")),
            wide=True,
        ),
        _section("In numbers", "Everything counted from the run's files.", _results_table(figures, result)),
        _section("What the audit looked at", "How often each check was made.", _checks_table(result)),
        _section(
            "One borrower's story",
            "Everything that happened, with the sentence of each decision in English and Chinese.",
            timeline_html(figures),
            wide=True,
        ),
    )
    return f"<div class='grid'>{''.join(sections)}</div>"


def _pair(drawings: list[str]) -> str:
    return "<div class='pair'>" + "".join(f"<div>{drawing}</div>" for drawing in drawings) + "</div>"


def _section(title: str, subtitle: str, content: str, *, wide: bool = False) -> str:
    return f"<section{' class=wide' if wide else ''}><h2>{title}</h2><p>{subtitle}</p>{content}</section>"


def _key(*items: tuple[str, str]) -> str:
    return "<div class='key'>" + "".join(f"<span><i class='k-{k}'></i>{t}</span>" for k, t in items) + "</div>"


def _results_table(figures: Figures, result: AuditResult) -> str:
    rows = [row for row in figures.summary() if row[0] not in ("borrowers", "money recovered", "cost of contacts")]
    rows.append(("violations found by the audit", f"{len(result.violations):,}"))
    return "<table>" + "".join(f"<tr><td>{escape(n)}</td><td>{escape(v)}</td></tr>" for n, v in rows) + "</table>"


def _checks_table(result: AuditResult) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{n:,}</td></tr>" for name, n in sorted(result.checked.items()))
    found = "".join(
        f"<tr class='found'><td>violation: {escape(kind)}</td><td>{n:,}</td></tr>"
        for kind, n in result.by_kind.most_common()
    )
    return f"<table>{rows}{found}</table>"


def _footer(figures: Figures) -> str:
    run = figures.evidence.run
    zone = ZoneInfo("Asia/Shanghai")
    return (
        f"<footer>Virtual time {run.virtual_start.astimezone(zone):%Y-%m-%d %H:%M} to "
        f"{run.virtual_end.astimezone(zone):%Y-%m-%d %H:%M} in Shanghai. Every number here is counted from the "
        f"files beside this report. Names, numbers and accounts are synthetic or public data.</footer>"
    )
