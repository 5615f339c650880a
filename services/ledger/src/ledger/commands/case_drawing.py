"""A borrower's case drawn for a terminal: balances, promises, and the timeline with each decision's rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ledger.adapters.case_file import CaseFile
from shared.commands.times import local
from shared.contracts.operator_actions import scope_in_words
from shared.money import MINOR_DIGITS

Detail = Mapping[str, Any]

_STYLES: Final = {
    "contact-allowed": "green",
    "contact-made": "green",
    "contact-denied": "red",
    "contact-held": "magenta",
    "contact-deferred": "yellow",
    "permit-revoked": "red",
    "contact-unknown": "magenta",
    "payment-posted": "bold green",
    "payment-unposted": "bold red",
    "promise-kept": "bold green",
    "promise-broken": "bold red",
    "promise-partly-kept": "bold yellow",
    "stop-ordered": "bold red",
    "stop-lifted": "bold green",
}
_COMPONENTS: Final = ("fees_minor", "interest_minor", "principal_minor")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def draw_case(case: CaseFile, zone: tzinfo) -> RenderableType:
    """Balances, promises and the timeline, with times in `zone`."""
    parts: list[RenderableType] = [Text(f"Case of borrower {case.borrower_id}", style="bold")]
    parts.append(_loans(case.loans) if case.loans else Text("No loan is known."))
    if case.promises:
        parts.append(_promises(case.promises, zone))
    parts.append(_timeline(case.events, zone) if case.events else Text("Nothing has happened."))
    return Group(*parts)


def money(amount_minor: int, currency: str | None) -> str:
    """An amount with its currency, for a person: `CNY 1,234.50`."""
    if currency is None:
        return "–"
    digits = MINOR_DIGITS.get(currency, 2)
    sign, amount = ("-" if amount_minor < 0 else ""), abs(amount_minor)
    whole, rest = divmod(amount, 10**digits)
    return f"{currency} {sign}{whole:,}" + (f".{rest:0{digits}d}" if digits else "")


def _table(title: str, *headings: str) -> Table:
    """Without lines, which take room; what is longer than its column goes on in the next line, and nothing is cut."""
    table = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _loans(loans: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("Balances", "loan", "overdue", "outstanding", "oldest unpaid", "next due", "version", "state")
    for loan in loans:
        total = {
            name: sum(loan[f"{name}_{component}"] for component in _COMPONENTS)
            for name in ("overdue", "outstanding", "next_due")
        }
        next_due = f"{money(total['next_due'], loan['currency'])} on {loan['next_due_on']}" if total["next_due"] else ""
        table.add_row(
            loan["loan_id"],
            money(total["overdue"], loan["currency"]),
            money(total["outstanding"], loan["currency"]),
            str(loan["oldest_unpaid_due_on"] or ""),
            next_due,
            str(loan["balance_version"]),
            "closed" if loan["closed"] else "open",
        )
    return table


def _promises(promises: Iterable[Mapping[str, Any]], zone: tzinfo) -> Table:
    table = _table(f"Promises to pay ({zone})", "made", "promised", "for", "paid", "grace ends", "state")
    for promise in promises:
        table.add_row(
            local(promise["promised_at"], zone),
            money(promise["promised_minor"], promise["currency"]),
            str(promise["promised_on"]),
            money(promise["paid_minor"], promise["currency"]),
            local(promise["grace_ends_at"], zone),
            promise["state"],
        )
    return table


def _timeline(events: Iterable[Mapping[str, Any]], zone: tzinfo) -> Table:
    table = _table(f"Timeline ({zone})", "time", "what", "about, and details")
    table.columns[0].no_wrap = True
    for event in events:
        name = event["kind"].split(".")[1]
        about = _about(event)
        flags = f" [{event['flags']}]" if event["flags"] else ""
        what = Text(name.replace("-", " "), style=_STYLES.get(name, ""))
        told = summary(name, local_instants(event["detail"], zone)) + flags
        table.add_row(local(event["at"], zone), what, Text(f"{about}\n{told}" if about and told else about or told))
    return table


def _about(event: Mapping[str, Any]) -> str:
    """The whole id, since it is looked for elsewhere: alone in its line where an attempt's fits."""
    if event["loan_id"]:
        return f"loan {event['loan_id']}"
    return str(event["attempt_id"] or "")


def local_instants(detail: Detail, zone: tzinfo) -> Detail:
    """`detail` with its instants as the table shows its own."""
    return {
        name: local(datetime.fromisoformat(value), zone)
        if isinstance(value, str) and _INSTANT.fullmatch(value)
        else value
        for name, value in detail.items()
    }


def summary(name: str, detail: Detail) -> str:
    """One line about an event, from the ids, codes and amounts that the timeline keeps."""
    for names, describe in _SUMMARIES:
        if name in names:
            return describe(detail)
    return _plain(detail)


def _total(amounts: Detail) -> int:
    return sum(amounts.get(component, 0) for component in _COMPONENTS)


def _snapshot(detail: Detail) -> str:
    parts = [f"outstanding {money(_total(detail['outstanding']), detail['currency'])}"]
    if "overdue" in detail:
        late = detail.get("days_past_due")
        days = f", {late} {'day' if late == 1 else 'days'} past due" if late is not None else ""
        parts.insert(0, f"overdue {money(_total(detail['overdue']), detail['currency'])}{days}")
    if "balance_version" in detail:
        parts.append(f"version {detail['balance_version']} by {detail['cause']}")
    return ", ".join(parts)


def _payment(detail: Detail) -> str:
    text = f"{detail['payment_id']}: {money(detail['amount_minor'], detail['currency'])}"
    if "allocated" in detail:
        parts = [
            f"{component.removesuffix('_minor')} {money(amount, detail['currency'])}"
            for component in _COMPONENTS
            if (amount := detail["allocated"].get(component, 0))
        ]
        if detail["suspense_minor"]:
            parts.append(f"suspense {money(detail['suspense_minor'], detail['currency'])}")
        text += " → " + ", ".join(parts)
        if not detail.get("counted", True):
            text += ", not in the balance: a later snapshot restated it"
    return text


def _attempt(detail: Detail) -> str:
    return (
        f"{detail['purpose']} by {detail['channel']}, {money(detail['due_minor'], detail['currency'])}, "
        f"step {detail['step_key']}, submission {detail['submission_number']}"
    )


def _decision(detail: Detail) -> str:
    spoken = [f"{result}: {', '.join(ids)}" for result, ids in detail["rules"].items() if result in _TELLING]
    passed = len(detail["rules"].get("passed", ()))
    extra = [
        f"{label} {detail[field]}"
        for label, field in (("until", "permit_expires_at"), ("next", "next_legal_instant"), ("because", "reason"))
        if detail.get(field)
    ]
    return "; ".join([*spoken, f"{passed} rules passed", *extra])


def _not_made(detail: Detail) -> str:
    if detail["reason"] != "shadow":
        return _plain(detail)
    return (
        f"shadow mode: live it would have been sent by {detail['channel']} to {detail['contact_point_id']}; nothing was"
    )


def _promise(detail: Detail) -> str:
    promised = money(detail["promised_minor"], detail["currency"])
    return f"{promised} by {detail['promised_on']}, paid {money(detail['paid_minor'], detail['currency'])}"


def _stop(detail: Detail) -> str:
    scope = scope_in_words(detail["kind"], detail["value"])
    return f"{scope}, by {detail.get('ordered_by') or detail['lifted_by']}: {detail.get('reason', 'reason not kept')}"


def _plain(detail: Detail) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in detail.items()
        if isinstance(value, (str, int)) and name not in ("borrower_id", "loan_id", "attempt_id") and value != ""
    )


_TELLING: Final = ("blocked", "deferred", "held", "warned")
_SUMMARIES: Final[tuple[tuple[tuple[str, ...], Callable[[Detail], str]], ...]] = (
    (("loan-registered", "loan-overdue", "balance-changed"), _snapshot),
    (("payment-received", "payment-posted", "payment-unposted"), _payment),
    (("attempt-submitted",), _attempt),
    (("stop-ordered", "stop-lifted"), _stop),
    (("contact-allowed", "contact-deferred", "contact-denied", "contact-held"), _decision),
    (("promise-opened", "promise-kept", "promise-partly-kept", "promise-broken", "promise-voided"), _promise),
    (("contact-not-made",), _not_made),
)
