"""`decorum topics`: create the topics of `deploy/kafka/topics.yaml`, or show where a cluster differs from it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from shared.commands import panels
from shared.kafka.topics import Topic, create_topics, differences, load_topics
from shared.settings import SettingMissing

SERVERS_VARIABLE: Final = "DECORUM_KAFKA_BOOTSTRAP_SERVERS"

commands = typer.Typer(
    help="Create Kafka topics as the file has them, or check that they are.",
    no_args_is_help=True,
    rich_help_panel=panels.PREPARE,
)

Servers = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        envvar=SERVERS_VARIABLE,
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
    bootstrap_servers: Servers = None,
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
    topics = load_topics(file, partitions=partitions, replication_factor=replication_factor)
    servers = _given(bootstrap_servers)
    with Console(stderr=True).status("creating topics"):
        created = asyncio.run(create_topics(servers, topics))
    _report(servers, topics, created=created, as_json=as_json)


@commands.command()
def check(
    bootstrap_servers: Servers = None,
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
    topics = load_topics(file, partitions=partitions, replication_factor=replication_factor)
    _report(_given(bootstrap_servers), topics, created=(), as_json=as_json)


def _report(bootstrap_servers: str, topics: tuple[Topic, ...], *, created: tuple[str, ...], as_json: bool) -> None:
    with Console(stderr=True).status("comparing topics"):
        found = asyncio.run(differences(bootstrap_servers, topics))
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


def _given(bootstrap_servers: str | None) -> str:
    if bootstrap_servers is None:
        raise SettingMissing(SERVERS_VARIABLE)
    return bootstrap_servers
