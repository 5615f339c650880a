"""Topics as `deploy/kafka/topics.yaml` has them: created by a command, and compared with what a cluster has."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from shared.errors import Rejection
from shared.files import read_text

TOPICS_FILE_VARIABLE: Final = "DECORUM_TOPICS_FILE"
REQUEST_TIMEOUT_MS: Final = 30_000
CHANGE_TIMEOUT_SECONDS: Final = 30
POLL_SECONDS: Final = 0.05


class TopicsError(Rejection):
    """The file is wrong, or the cluster could not do what was asked."""


class _NotYet(Exception):
    """Brokers don't agree on a change yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: how it should be, or how it is."""

    name: str
    partitions: int
    replication_factor: int
    settings: Mapping[str, str]


def topics_file() -> Path:
    """`$DECORUM_TOPICS_FILE`, or the file in the tree that this module is part of."""
    configured = os.environ.get(TOPICS_FILE_VARIABLE)
    return Path(configured) if configured else Path(__file__).parents[4] / "deploy" / "kafka" / "topics.yaml"


def load_topics(
    path: Path | None = None, *, partitions: int | None = None, replication_factor: int | None = None
) -> tuple[Topic, ...]:
    """Read the topics and their dead letters; `partitions` and `replication_factor` replace those of the file.

    Raises `Unreadable`, or `TopicsError` with the file and the reason where a field is wrong.
    """
    path = path or topics_file()
    text = read_text(path)
    try:
        document = yaml.safe_load(text)
        replicas = int(replication_factor or document["replication_factor"])
        in_sync = str(min(replicas, int(document["min_insync_replicas"])))
        count = int(partitions or document["partitions"])
        defaults = {**_settings(document["defaults"]), "min.insync.replicas": in_sync}
        topics = []
        for name, own in document["topics"].items():
            settings = {**defaults, **_settings(own)}
            dead_letters = {**settings, **_settings(document["dead_letter_defaults"])}
            for full_name, chosen in ((name, settings), (name + document["dead_letter_suffix"], dead_letters)):
                topics.append(Topic(name=full_name, partitions=count, replication_factor=replicas, settings=chosen))
    except KeyError as error:
        raise TopicsError(f"{path}: {error.args[0]} is missing") from error
    except (yaml.YAMLError, RecursionError, TypeError, ValueError, AttributeError) as error:
        raise TopicsError(f"{path}: is no such file of topics: {error}") from error
    if count < 1 or replicas < 1:
        raise TopicsError(f"{path}: partitions and replication_factor must be at least 1")
    return tuple(topics)


def _settings(fields: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in fields.items()}


async def create_topics(bootstrap_servers: str, topics: Sequence[Topic]) -> tuple[str, ...]:
    """Create the topics that are missing, wait until every partition has a leader, and return their names.

    Topics that exist are left as they are: see `differences`.
    """
    async with _admin(bootstrap_servers) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            response = await admin.create_topics(
                [
                    NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.settings))
                    for topic in missing
                ]
            )
            _raise_errors(response.topic_errors, tolerated=(TopicAlreadyExistsError,))
            await _until_led(admin, missing)
            await _until_served(bootstrap_servers, missing)
    return tuple(topic.name for topic in missing)


async def delete_topics(bootstrap_servers: str, names: Sequence[str]) -> None:
    """Delete topics with their records and wait until they are gone; for tests and `make up` only."""
    async with _admin(bootstrap_servers) as admin:
        existing = set(await admin.list_topics()) & set(names)
        if not existing:
            return
        response = await admin.delete_topics(sorted(existing))
        _raise_errors(response.topic_error_codes, tolerated=(UnknownTopicOrPartitionError,))
        async for attempt in _bounded():
            with attempt:
                if existing & set(await admin.list_topics()):
                    raise _NotYet


async def differences(bootstrap_servers: str, topics: Sequence[Topic]) -> tuple[str, ...]:
    """Compare the cluster with `topics`: one readable line for each difference, none when all is as it should be."""
    async with _admin(bootstrap_servers) as admin:
        actual = await _actual(admin, topics)
    lines: list[str] = []
    for topic in topics:
        found = actual.get(topic.name)
        if found is None:
            lines.append(f"{topic.name}: is missing")
            continue
        if found.partitions != topic.partitions:
            lines.append(f"{topic.name}: partitions are {found.partitions}, expected {topic.partitions}")
        if found.replication_factor != topic.replication_factor:
            lines.append(
                f"{topic.name}: replication factor is {found.replication_factor}, expected {topic.replication_factor}"
            )
        for name, expected in sorted(topic.settings.items()):
            value = found.settings.get(name)
            if value != expected:
                lines.append(f"{topic.name}: {name} is {value}, expected {expected}")
    return tuple(lines)


async def _actual(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, Topic]:
    existing = set(await admin.list_topics())
    names = [topic.name for topic in topics if topic.name in existing]
    if not names:
        return {}
    settings: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for error_code, message, _, name, entries in response.resources:
            if error_code:
                raise TopicsError(f"{name}: {message or for_code(error_code).__name__}")
            settings[name] = {entry[0]: entry[1] for entry in entries}
    return {
        description["topic"]: Topic(
            name=description["topic"],
            partitions=len(description["partitions"]),
            replication_factor=min(len(partition["replicas"]) for partition in description["partitions"]),
            settings=settings[description["topic"]],
        )
        for description in await admin.describe_topics(names)
    }


async def _until_led(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Wait until every partition has a leader for the broker that answers; clients try again at the others."""
    expected = {topic.name: topic.partitions for topic in topics}
    async for attempt in _bounded():
        with attempt:
            descriptions = await admin.describe_topics(list(expected))
            led = {
                description["topic"]: sum(partition["leader"] >= 0 for partition in description["partitions"])
                for description in descriptions
            }
            if led != expected:
                raise _NotYet


async def _until_served(bootstrap_servers: str, topics: Sequence[Topic]) -> None:
    """Wait until the leaders know that they lead: for a moment after its election each refuses what it is sent."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
        await consumer.end_offsets(
            [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        )


def _bounded() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(_NotYet),
        stop=stop_after_delay(CHANGE_TIMEOUT_SECONDS),
        wait=wait_fixed(POLL_SECONDS),
        reraise=True,
    )


def _raise_errors(errors: Sequence[Sequence[Any]], *, tolerated: tuple[type[Exception], ...]) -> None:
    for name, error_code, *message in errors:
        error_type = for_code(error_code)
        if error_code and not issubclass(error_type, tolerated):
            raise TopicsError(f"{name}: {message[0] if message and message[0] else error_type.__name__}")


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        yield admin
    except KafkaError as error:
        raise TopicsError(f"the Kafka broker can't be reached ({bootstrap_servers})") from error
    finally:
        await admin.close()
