"""`decorum stop` and `decorum resume`: nobody inside a scope is contacted, from now on."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Final

import typer

from shared import ids
from shared.commands.connections import acting_person, publish_actions
from shared.contracts.operator_actions import StopKind, StopLiftedV1, StopOrderedV1
from shared.errors import Rejection
from shared.service import PlatformSettings

EVERYONE: Final = "all"

All = Annotated[bool, typer.Option("--all", help="every contact of this platform")]
ByChannel = Annotated[str | None, typer.Option("--channel", help="sms or voice")]
ByProvider = Annotated[str | None, typer.Option("--provider", help="a provider's name")]
ByStrategy = Annotated[str | None, typer.Option("--strategy", help="a treatment strategy's name")]
ByBorrower = Annotated[str | None, typer.Option("--borrower", help="one borrower's id")]
Reason = Annotated[str, typer.Option("--reason", help="why; kept with the audit")]
By = Annotated[str | None, typer.Option("--by", help="who orders it (default: the login name)")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object instead of text")]

stop = typer.Typer(help="Stop contacts: all, a channel, a provider, a strategy, or one borrower.")
resume = typer.Typer(help="Lift a stop.")


@stop.command("stop")
def stop_command(
    reason: Reason,
    everything: All = False,
    channel: ByChannel = None,
    provider: ByProvider = None,
    strategy: ByStrategy = None,
    borrower: ByBorrower = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Stop contacts: everything, a channel, a provider, a strategy, or one borrower.

    Open permits of the scope are revoked, no new ones are given.
    The notifier obeys within a second, whether the gate is up or down.
    It holds until `decorum resume` with the same scope.
    Who, when and why is kept; the case timeline shows who and when, and never a text that somebody typed.

    \b
    decorum stop --all --reason "complaint of the regulator"
    decorum stop --channel voice --reason "the voice menu says a wrong amount"
    decorum stop --borrower B-1001 --reason "in hospital, told us by phone"
    """
    kind, value = _scope(everything, channel, provider, strategy, borrower)
    settings = PlatformSettings.load()
    now = settings.make_clock().now()
    order = StopOrderedV1(
        borrower_id=value if kind == "borrower" else EVERYONE,
        stop_id=ids.derive("stop", kind, value),
        kind=kind,
        value=value,
        reason=reason,
        ordered_by=acting_person(by),
        ordered_at=now,
    )
    asyncio.run(publish_actions(settings, [order], at=now))
    _say(order, as_json=as_json)


@resume.command("resume")
def resume_command(
    reason: Reason,
    everything: All = False,
    channel: ByChannel = None,
    provider: ByProvider = None,
    strategy: ByStrategy = None,
    borrower: ByBorrower = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Lift the stop of exactly this scope.

    Other stops that cover the same contacts still hold, and what the stop ended stays ended.

    \b
    decorum resume --channel voice --reason "menu corrected and heard by two people"
    """
    kind, value = _scope(everything, channel, provider, strategy, borrower)
    settings = PlatformSettings.load()
    now = settings.make_clock().now()
    lift = StopLiftedV1(
        borrower_id=value if kind == "borrower" else EVERYONE,
        stop_id=ids.derive("stop", kind, value),
        kind=kind,
        value=value,
        reason=reason,
        lifted_by=acting_person(by),
        lifted_at=now,
    )
    asyncio.run(publish_actions(settings, [lift], at=now))
    _say(lift, as_json=as_json)


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
    return given[0]


def _say(action: StopOrderedV1 | StopLiftedV1, *, as_json: bool) -> None:
    if isinstance(action, StopOrderedV1):
        done, person, at = "stopped", action.ordered_by, action.ordered_at.isoformat(timespec="seconds")
    else:
        done, person, at = "resumed", action.lifted_by, action.lifted_at.isoformat(timespec="seconds")
    if as_json:
        typer.echo(json.dumps({done: {"kind": action.kind, "value": action.value}, "by": person, "at": at}))
        return
    typer.echo(
        f"{done}: {'every contact' if action.kind == 'all' else f'{action.kind} {action.value}'}, {person}, {at}"
    )
    if done == "stopped":
        scope = "--all" if action.kind == "all" else f"--{action.kind} {action.value}"
        typer.echo(f"it holds until: decorum resume {scope} --reason …")
