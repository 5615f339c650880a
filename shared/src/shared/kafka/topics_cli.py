"""`decorum topics`: create the topics of `deploy/kafka/topics.yaml`, or show where a cluster differs from it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from shared.commands import panels
from shared.kafka.topics import Topic, TopicsError, create_topics, differences, load_topics

commands = typer.Typer(
    help="Create Kafka topics as the file has them, or check that they are.",
    no_args_is_help=True,
    rich_help_panel=panels.PREPARE,
)

Servers = Annotated[
    str,
    typer.Option(
        "--bootstrap-servers",
        envvar="DECORUM_KAFKA_BOOTSTRAP_SERVERS",
        show_envvar=False,
        help="Kafka's addresses, comma-separated.",
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        envvar="DECORUM_TOPICS_FILE",
        show_envvar=False,
        help="Another topics.yaml.",
        exists=True,
        dir_okay=False,
    ),
]
Partitions = Annotated[
    int | None,
    typer.Option(
        "--partitions",
        envvar="DECORUM_TOPICS_PARTITIONS",
        show_envvar=False,
        min=1,
        help="Instead of the file's number.",
    ),
]
Replication = Annotated[
    int | None,
    typer.Option(
        "--replication-factor",
        envvar="DECORUM_TOPICS_REPLICATION_FACTOR",
        show_envvar=False,
        min=1,
        help="Instead of the file's number: 1 for a cluster of one broker.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


@commands.command()
def create(
    bootstrap_servers: Servers,
    file: File = None,
    partitions: Partitions = None,
    replication_factor: Replication = None,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing, then check all of them.

    Topics that exist are never changed.
    Ends with 1 and a line for each difference where they are not as the file says.
    In the environment: DECORUM_KAFKA_BOOTSTRAP_SERVERS, DECORUM_TOPICS_FILE, …_PARTITIONS, …_REPLICATION_FACTOR.

    \b
    decorum topics create --bootstrap-servers kafka-1:9092,kafka-2:9092
    decorum topics create --replication-factor 1
    """
    try:
        topics = load_topics(file, partitions=partitions, replication_factor=replication_factor)
        created = asyncio.run(create_topics(bootstrap_servers, topics))
    except TopicsError as error:
        raise _failed(error) from error
    _report(bootstrap_servers, topics, created=created, as_json=as_json)


@commands.command()
def check(
    bootstrap_servers: Servers,
    file: File = None,
    partitions: Partitions = None,
    replication_factor: Replication = None,
    as_json: AsJson = False,
) -> None:
    """Compare partitions, replication and settings of every topic with the file.

    Ends with 1 and a line for each difference, with 2 when the cluster or the file can't be read.
    In the environment: DECORUM_KAFKA_BOOTSTRAP_SERVERS, DECORUM_TOPICS_FILE, …_PARTITIONS, …_REPLICATION_FACTOR.

    \b
    decorum topics check
    """
    try:
        topics = load_topics(file, partitions=partitions, replication_factor=replication_factor)
    except TopicsError as error:
        raise _failed(error) from error
    _report(bootstrap_servers, topics, created=(), as_json=as_json)


def _report(bootstrap_servers: str, topics: tuple[Topic, ...], *, created: tuple[str, ...], as_json: bool) -> None:
    try:
        found = asyncio.run(differences(bootstrap_servers, topics))
    except TopicsError as error:
        raise _failed(error) from error
    if as_json:
        typer.echo(json.dumps({"created": created, "differences": found, "topics": len(topics)}))
    else:
        for name in created:
            typer.echo(f"created {name}")
        for line in found:
            typer.echo(line, err=True)
        if not found:
            typer.echo(f"all {len(topics)} topics are as they should be")
    if found:
        raise typer.Exit(1)


def _failed(error: TopicsError) -> typer.Exit:
    typer.echo(f"decorum topics: {error}", err=True)
    return typer.Exit(2)
