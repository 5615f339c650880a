"""What the platform's commands need from the environment: one publisher, the clock, who is acting."""

from __future__ import annotations

import getpass
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from aiokafka.errors import KafkaError

from shared import ids
from shared.contracts.types import Identifier, Message
from shared.errors import Poison, Rejection
from shared.kafka.publisher import Publisher
from shared.kafka.records import Outgoing, WireMessage, decode, encode
from shared.service import PlatformSettings


@asynccontextmanager
async def publisher(settings: PlatformSettings) -> AsyncIterator[Publisher]:
    """A connected publisher; says in one line when the broker can't be reached."""
    connection = Publisher(bootstrap_servers=settings.kafka_bootstrap_servers, client_id="decorum-cli")
    try:
        await connection.start()
    except (KafkaError, TimeoutError) as error:
        raise Rejection("the Kafka broker can't be reached") from error
    try:
        yield connection
    finally:
        await connection.stop()


def acting_person(given: str | None) -> str:
    """Who does this: the option's value, else the login name, in the form of an id."""
    try:
        name = given or getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return re.sub(r"[^A-Za-z0-9._:\-]", "-", name)[:96] or "unknown"


def require_reason(reason: str) -> None:
    """Raise `Rejection` for a reason without a word in it: it is what an audit rests on."""
    if not reason.strip():
        raise Rejection("--reason must say why")


def require_identifier(text: str, *, of: str) -> None:
    """Raise `Rejection` for what can't be an id, naming the option that it was given to."""
    try:
        msgspec.convert(text, Identifier)
    except msgspec.ValidationError as error:
        raise Rejection(f"{of}: an id is 1 to 96 letters, digits and . _ : - without a space") from error


async def publish_actions(settings: PlatformSettings, actions: Sequence[Message], *, at: datetime) -> None:
    """Publish operator actions and wait until every in-sync replica has them.

    Raises `Rejection` for one that the services would refuse: an order that nobody obeys must not look given.
    """
    messages = [
        encode(
            Outgoing(
                message=action,
                ce_id=ids.derive("operator-action", type(action).__name__, repr(action)),
                ce_time=at,
            ),
            source="decorum/operator",
        )
        for action in actions
    ]
    for message in messages:
        try:
            decode(_AsRead(message), now=at)
        except Poison as poison:
            raise Rejection(f"this can't be ordered: {poison.detail or poison.reason}") from poison
    async with publisher(settings) as connection:
        await connection.publish(messages)


class _AsRead:
    """A message as its readers see it."""

    partition = offset = 0

    def __init__(self, message: WireMessage) -> None:
        self.topic, self.key, self.value, self.headers = message.topic, message.key, message.value, message.headers
