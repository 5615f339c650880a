"""Reads the situation that `decorum gate explain` is given, from options or from JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from compliance_gate.commands.explain import Explanation, explain
from compliance_gate.commands.mistakes import in_words
from compliance_gate.commands.situations import InvalidCase, Situation, read_situation
from compliance_gate.policy.book import CalendarSource, PolicyBook
from compliance_gate.policy.pack import Pack
from compliance_gate.policy.tenant import tenant_book
from compliance_gate.settings import TenantPolicy
from shared.files import read_argument, shown

_PAST_PARTS = 3
_SITUATION_BYTES_MAX = 1024**2


def read_json(path: Path) -> Situation:
    """The situation in a JSON file, or on standard input for `-`; `expect` is left out of account.

    Raises Unreadable, InvalidCase.
    """
    data = read_argument(path, bytes_max=_SITUATION_BYTES_MAX)
    if not data.strip():
        raise InvalidCase(f"{shown(path)}: there is no situation in it")
    try:
        situation = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidCase(f"{shown(path)}: {error}") from error
    if isinstance(situation, dict):
        situation.pop("expect", None)
    return _checked(situation)


def from_options(
    *,
    channel: str,
    at: str | datetime,
    zones: Sequence[str],
    region: str,
    role: str | None,
    packs: Sequence[str],
    party: str,
    loans: Sequence[str],
    number: str | None,
    restrictions: Sequence[str],
    opt_outs: Sequence[str],
    past: Sequence[str],
) -> Situation:
    """The situation that the options of the command describe; `at` as it was typed, or an instant."""
    number = number or "number"
    instant = at if isinstance(at, datetime) else _instant(at)
    since = "1970-01-01T00:00:00Z"
    told: dict[str, Any] = {
        "packs": list(packs),
        "role": role,
        "borrower": {
            "zones": list(zones),
            "region": region,
            "restrictions": [{"kind": kind, "from": since} for kind in restrictions],
            "preferences": [{"kind": "opt_out", "channel": each, "from": since} for each in opt_outs],
        },
        "history": [{**_past(text), "loans": list(loans), "number": number} for text in past],
        "attempt": {"at": instant, "channel": channel, "loans": list(loans), "number": number, "party": party},
    }
    return _checked(told)


def explain_situation(
    situation: Situation, packs: Mapping[str, Pack], calendars: CalendarSource, own: TenantPolicy
) -> Explanation:
    """Explain a situation under the packs that it names, or those of its region with the tenant's overlay and terms."""
    attempt, facts = read_situation(situation)
    if situation.packs:
        book = PolicyBook(packs, calendars)
        missing = [name for name in situation.packs if name not in book.names]
        if missing:
            raise InvalidCase(f"pack not installed: {', '.join(missing)}; there are {', '.join(sorted(book.names))}")
        policy = book.stack(situation.packs, role=situation.role, region=facts.region, zones=facts.zones)
    else:
        policy = tenant_book(packs, calendars, own).resolve(facts.region, facts.zones, situation.role)
    return explain(attempt, facts, policy, situation.attempt.at.astimezone(UTC))


def _past(text: str) -> dict[str, Any]:
    parts = text.split(",")
    if len(parts) != _PAST_PARTS:
        raise InvalidCase(f"{text!r} isn't INSTANT,CHANNEL,RESULT")
    return {"at": _instant(parts[0]), "channel": parts[1], "result": parts[2], "direction": "outbound"}


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidCase(f"{text!r} isn't an instant like 2026-04-01T10:00-04:00") from None
    if instant.tzinfo is None:
        raise InvalidCase(f"{text!r} has no offset from UTC")
    return instant


def _checked(told: Any) -> Situation:
    # Through JSON once more: text becomes instants and is checked just as a case file is.
    try:
        return msgspec.json.decode(msgspec.json.encode(told), type=Situation)
    except msgspec.DecodeError as error:
        raise InvalidCase(in_words(error, Situation)) from error
