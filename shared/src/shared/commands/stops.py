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
Reason = Annotated[str, typer.Option("--reason", help="why; kept with the audit and the case timeline")]
By = Annotated[str | None, typer.Option("--by", help="who orders it (default: the login name)")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object instead of text")]

stop = typer.Typer(help="Stop contacts: all, a channel, a provider, a strategy, or one borrower.")
resume = typer.Typer(help="Lift a stop.")


@stop.callback(invoke_without_command=True)
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
    """Revoke open permits of the scope and deny new ones; the notifier obeys within a second, gate up or down."""
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
    _say("stopped", kind, value, as_json)


@resume.callback(invoke_without_command=True)
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
    """Lift the stop of exactly this scope. Other stops that cover the same contacts still hold."""
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
    _say("resumed", kind, value, as_json)


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


def _say(done: str, kind: StopKind, value: str, as_json: bool) -> None:
    typer.echo(json.dumps({done: {"kind": kind, "value": value}}) if as_json else f"{done}: {kind} {value}")
