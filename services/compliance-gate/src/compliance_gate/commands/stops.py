"""`decorum stop`, `resume` and `stops`: nobody inside a scope is contacted, from now on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Annotated, Any, Final, Literal, assert_never

import typer

from compliance_gate.adapters.reading import borrower_is_known
from compliance_gate.adapters.stops_in_force import StopInForce, stops_in_force
from compliance_gate.settings import PREFIX, ChannelProviders
from shared import ids
from shared.commands import panels
from shared.commands.connections import acting_person, publish_actions, require_identifier, require_reason
from shared.commands.times import utc
from shared.contracts.operator_actions import StopKind, StopLiftedV1, StopOrderedV1, scope_in_words
from shared.errors import Absent, Rejection
from shared.service import PlatformSettings
from shared.settings import load

EVERYONE: Final = "all"
STRATEGIES: Final = "decorum.strategies"
"""The entry points by which the scheduler tells which strategies there are."""
TOLD_MAX: Final = 5

All = Annotated[bool, typer.Option("--all", help="every contact of this platform")]
ByChannel = Annotated[str | None, typer.Option("--channel", help="sms or voice")]
ByProvider = Annotated[str | None, typer.Option("--provider", help="a provider's name, such as sms-http")]
ByStrategy = Annotated[str | None, typer.Option("--strategy", help="a strategy's name, such as courteous-high")]
ByBorrower = Annotated[str | None, typer.Option("--borrower", help="one borrower's id")]
Unknown = Annotated[
    bool, typer.Option("--unknown", help="also a provider, strategy or stop that this platform doesn't know")
]
Reason = Annotated[str, typer.Option("--reason", help="why; kept for good, on the case timeline: name no person in it")]
By = Annotated[str | None, typer.Option("--by", help="who orders it (default: the login name)")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object instead of text")]

stop, resume, stops = typer.Typer(), typer.Typer(), typer.Typer()

STOP: Final = """Stop contacts: everything, a channel, a provider, a strategy, or one borrower.

Open permits of the scope are revoked, no new ones are given.
The notifier obeys within a second, whether the gate is up or down.
It holds until `decorum resume` with the same scope; `decorum stops` lists what is in force.
Who, when and why is kept, and `decorum case show` tells it.
A borrower may be stopped before anything is known of them; it is said where that is so.

\b
decorum stop --all --reason "complaint of the regulator"
decorum stop --channel voice --reason "the voice menu says a wrong amount"
decorum stop --borrower B-1001 --reason "in hospital, told us by phone"
"""
RESUME: Final = """Lift the stop of exactly this scope; ends with 1 if there is none in force.

Other stops that cover the same contacts still hold, and what the stop ended stays ended.

\b
decorum stops
decorum resume --channel voice --reason "menu corrected and heard by two people"
"""


def _command(order: Literal["stop", "resume"]) -> Callable[..., None]:
    """The command that stops, or the one that resumes: they take the same options."""

    def command(
        reason: Reason,
        everything: All = False,
        channel: ByChannel = None,
        provider: ByProvider = None,
        strategy: ByStrategy = None,
        borrower: ByBorrower = None,
        unknown: Unknown = False,
        by: By = None,
        as_json: AsJson = False,
    ) -> None:
        kind, value = _scope(everything, channel, provider, strategy, borrower)
        require_reason(reason)
        settings = PlatformSettings.load()
        now, person = settings.make_clock().now(), acting_person(by)
        borrower_id = value if kind == "borrower" else EVERYONE
        scope: dict[str, Any] = {
            "borrower_id": borrower_id,
            "stop_id": ids.derive("stop", kind, value),
            "kind": kind,
            "value": value,
        }
        if not unknown:
            _require_known(settings, order, kind, value)
        action = (
            StopOrderedV1(**scope, reason=reason, ordered_by=person, ordered_at=now)
            if order == "stop"
            else StopLiftedV1(**scope, reason=reason, lifted_by=person, lifted_at=now)
        )
        asyncio.run(publish_actions(settings, [action], at=now))
        # Asked only once the stop is on its way: nothing that is asked may hold it up.
        known = _borrower_is_known(settings, value) if (order, kind) == ("stop", "borrower") else True
        done, at = ("stopped" if order == "stop" else "resumed"), utc(now)
        if as_json:
            typer.echo(json.dumps({done: {"kind": kind, "value": value}, "by": person, "at": at, "known": known}))
            return
        typer.echo(f"{done}: {scope_in_words(kind, value)}, {person}, {at}")
        if known is not True:
            typer.echo(_doubt(value, known), err=True)
        if order == "stop":
            typer.echo(f"it holds until: decorum resume {_option(kind, value)} --reason …")

    return command


stop.command("stop", help=STOP, rich_help_panel=panels.OPERATE)(_command("stop"))
resume.command("resume", help=RESUME, rich_help_panel=panels.OPERATE)(_command("resume"))


@stops.command("stops", rich_help_panel=panels.OPERATE)
def stops_command(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line instead of text")] = False,
) -> None:
    """List the stops that are in force: their scope, since when, and why.

    \b
    decorum stops
    decorum stops --json
    """
    in_force = asyncio.run(stops_in_force(PlatformSettings.load()))
    for each in in_force:
        since = utc(each.since)
        if as_json:
            typer.echo(json.dumps({"kind": each.kind, "value": each.value, "since": since, "reason": each.reason}))
        else:
            typer.echo(f"{scope_in_words(each.kind, each.value)}, since {since}: {each.reason}")
    if not in_force and not as_json:
        typer.echo("nothing is stopped")


def _scope(
    everything: bool, channel: str | None, provider: str | None, strategy: str | None, borrower: str | None
) -> tuple[StopKind, str]:
    given: list[tuple[StopKind, str]] = [("all", EVERYONE)] if everything else []
    options: list[tuple[StopKind, str | None]] = [
        ("channel", channel),
        ("provider", provider),
        ("strategy", strategy),
        ("borrower", borrower),
    ]
    given += [(kind, value) for kind, value in options if value is not None]
    if len(given) != 1:
        raise Rejection("give exactly one of --all, --channel, --provider, --strategy, --borrower")
    if given[0][0] == "channel" and given[0][1] not in ("sms", "voice"):
        raise Rejection("--channel is sms or voice")
    require_identifier(given[0][1], of=f"--{given[0][0]}")
    return given[0]


def _borrower_is_known(settings: PlatformSettings, borrower_id: str) -> bool | None:
    """None where the gate's database is away: the stop is obeyed all the same."""
    try:
        return asyncio.run(borrower_is_known(settings, borrower_id))
    except Rejection:
        return None


def _doubt(borrower_id: str, known: bool | None) -> str:
    if known is None:
        return f"whether borrower {borrower_id} is known can't be told now: the gate's database can't be read"
    return f"borrower {borrower_id} isn't known yet: the stop holds from the first event on; is the id right?"


def _require_known(settings: PlatformSettings, order: Literal["stop", "resume"], kind: StopKind, value: str) -> None:
    """A stop is of something that there is; what is lifted is a stop in force."""
    if order == "resume":
        in_force = asyncio.run(stops_in_force(settings))
        if (kind, value) not in {(each.kind, each.value) for each in in_force}:
            raise Absent(f"there is no stop of {scope_in_words(kind, value)} in force; {_what_is_stopped(in_force)}")
        return
    match kind:
        case "provider":
            known = tuple(load(ChannelProviders, PREFIX).providers.values())
        case "strategy":
            known = tuple(name for entry in entry_points(group=STRATEGIES) for name in entry.load()())
        case "all" | "channel" | "borrower":
            return
        case _:
            assert_never(kind)
    if value not in known:
        raise Rejection(f"there is no {kind} {value}; there are {', '.join(known)} (--unknown stops it all the same)")


def _what_is_stopped(in_force: Sequence[StopInForce]) -> str:
    if not in_force:
        return "nothing is stopped"
    told = [_option(each.kind, each.value) for each in in_force[:TOLD_MAX]]
    more = f" and {len(in_force) - TOLD_MAX} more (decorum stops)" if len(in_force) > TOLD_MAX else ""
    return f"in force: {', '.join(told)}{more}"


def _option(kind: StopKind, value: str) -> str:
    return "--all" if kind == "all" else f"--{kind} {value}"
