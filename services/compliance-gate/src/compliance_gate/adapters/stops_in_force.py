"""Which stops are in force: what the gate has stored, and what lies on the topic that it has not read yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiokafka.errors import KafkaError

from compliance_gate.adapters.reading import gate_database
from shared.contracts.operator_actions import StopKind, StopLiftedV1, StopOrderedV1
from shared.contracts.registry import OPERATOR_ACTIONS
from shared.errors import Poison, Rejection
from shared.kafka.log_reader import read_to_end
from shared.kafka.records import decode
from shared.service import PlatformSettings

READ_RECORDS_MAX: Final = 100_000
_STORED: Final = "SELECT kind, value, in_force, reason, event_at, event_source, event_id FROM stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopInForce:
    """A stop that holds. `value` is `all`, or the channel, provider, strategy or borrower."""

    kind: StopKind
    value: str
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    order_key: tuple[datetime, str, str]
    ordered: bool
    stop: StopInForce


async def stops_in_force(settings: PlatformSettings) -> list[StopInForce]:
    """Every stop in force, the widest first. An order that was published before this is called is counted.

    The topic keeps orders for a month, the gate for good: the latest of either decides, as it does in the gate.
    """
    latest: dict[tuple[str, str], _Change] = {}
    for change in [*await _stored(settings), *await _published(settings)]:
        key = (change.stop.kind, change.stop.value)
        if key not in latest or latest[key].order_key <= change.order_key:
            latest[key] = change
    in_force = [change.stop for change in latest.values() if change.ordered]
    widths = ("all", "channel", "provider", "strategy", "borrower")
    return sorted(in_force, key=lambda stop: (widths.index(stop.kind), stop.value))


async def _stored(settings: PlatformSettings) -> list[_Change]:
    async with gate_database(settings) as engine, engine.connect() as connection:
        return [
            _Change(
                order_key=(row.event_at, row.event_source, row.event_id),
                ordered=row.in_force,
                stop=StopInForce(kind=row.kind, value=row.value, since=row.event_at, reason=row.reason),
            )
            for row in await connection.exec_driver_sql(_STORED)
        ]


async def _published(settings: PlatformSettings) -> list[_Change]:
    try:
        records = await read_to_end(settings.kafka_bootstrap_servers, [OPERATOR_ACTIONS], records_max=READ_RECORDS_MAX)
    except KafkaError as error:
        raise Rejection("the Kafka broker can't be reached") from error
    return list(_changes(records, settings.make_clock().now()))


def _changes(records: list[Any], now: datetime) -> Iterator[_Change]:
    for record in records:
        try:
            received = decode(record, now=now)
        except Poison:
            continue  # the gate dead-letters it
        action = received.message
        if isinstance(action, (StopOrderedV1, StopLiftedV1)):
            yield _Change(
                order_key=received.order_key,
                ordered=isinstance(action, StopOrderedV1),
                stop=StopInForce(kind=action.kind, value=action.value, since=received.ce_time, reason=action.reason),
            )
