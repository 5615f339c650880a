"""Topics are as the file says: created by the command, compared by the command, never changed behind anyone's back."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from decorum_local import LocalPlatform
from shared.contracts.registry import CONTRACTS
from shared.kafka.topics import TopicsError, create_topics, delete_topics, load_topics, topics_file
from shared.kafka.topics_cli import commands
from tests.commands import decorum

MEBIBYTE = 1024 * 1024
DAY_MILLISECONDS = 24 * 60 * 60 * 1000


def own_file(folder: Path, prefix: str) -> Path:
    """The committed file with one topic, under a name that no other test uses."""
    document = yaml.safe_load(topics_file().read_text())
    document["topics"] = {f"{prefix}events": {"retention.ms": "3600000"}}
    path = folder / "topics.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def run(platform: LocalPlatform, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(commands, list(arguments), env=platform.environment())
    return result.exit_code, result.output


def test_create_makes_what_is_missing_and_check_agrees(
    platform: LocalPlatform, topic_prefix: str, tmp_path: Path
) -> None:
    file = str(own_file(tmp_path, topic_prefix))
    code, output = run(platform, "check", "--file", file)
    assert (code, f"{topic_prefix}events: is missing" in output) == (1, True)
    code, output = run(platform, "create", "--file", file)
    assert (code, f"created {topic_prefix}events.dead-letter" in output) == (0, True)
    code, output = run(platform, "check", "--file", file, "--json")
    assert (code, json.loads(output)) == (0, {"created": [], "differences": [], "topics": 2})


def test_a_topic_that_differs_is_reported_and_left_as_it_is(
    platform: LocalPlatform, topic_prefix: str, tmp_path: Path
) -> None:
    path = own_file(tmp_path, topic_prefix)
    run(platform, "create", "--file", str(path), "--partitions", "2")
    document = yaml.safe_load(path.read_text())
    document["topics"][f"{topic_prefix}events"]["retention.ms"] = "7200000"
    path.write_text(yaml.safe_dump(document))
    for command in ("create", "check"):
        code, output = run(platform, command, "--file", str(path), "--partitions", "3")
        assert code == 1
        assert f"{topic_prefix}events: partitions are 2, expected 3" in output
        assert f"{topic_prefix}events: retention.ms is 3600000, expected 7200000" in output


async def test_topics_that_two_create_at_once_are_created_once(platform: LocalPlatform, topic_prefix: str) -> None:
    topics = [
        topic.__class__(name=topic_prefix + topic.name, partitions=1, replication_factor=1, settings={})
        for topic in load_topics()
    ]
    names = [topic.name for topic in topics]
    await asyncio.gather(*(create_topics(platform.kafka_bootstrap_servers, topics) for _ in range(2)))
    assert await create_topics(platform.kafka_bootstrap_servers, topics) == ()
    await delete_topics(platform.kafka_bootstrap_servers, names)
    assert set(await create_topics(platform.kafka_bootstrap_servers, topics)) == set(names)
    await delete_topics(platform.kafka_bootstrap_servers, names)


def test_a_broker_that_is_away_is_said_in_one_line() -> None:
    said = decorum("topics", "check", "--bootstrap-servers", "127.0.0.1:1")
    assert (said.code, said.err) == (2, "the Kafka broker can't be reached (127.0.0.1:1)")


def test_a_wrong_file_is_refused_with_its_name_and_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text("partitions: many\nreplication_factor: 1\nmin_insync_replicas: 1\n")
    with pytest.raises(TopicsError, match=r"topics\.yaml: .*many"):
        load_topics(path)


def test_the_file_has_every_topic_of_the_contracts_and_its_dead_letters() -> None:
    names = {topic.name for topic in load_topics()}
    assert names == {name + end for name in {contract.topic for contract in CONTRACTS} for end in ("", ".dead-letter")}


def test_every_topic_has_the_same_partitions_and_the_brokers_own_time() -> None:
    topics = load_topics()
    assert len({topic.partitions for topic in topics}) == 1
    assert {topic.settings["message.timestamp.type"] for topic in topics} == {"LogAppendTime"}


def test_a_body_of_a_mebibyte_fits_its_topic_and_with_its_history_the_dead_letters() -> None:
    room = {topic.name: int(topic.settings["max.message.bytes"]) for topic in load_topics()}
    for name in (name for name in room if not name.endswith(".dead-letter")):
        assert MEBIBYTE < room[name] < room[f"{name}.dead-letter"]


def test_personal_data_is_on_no_topic_for_more_than_seven_days() -> None:
    for topic in load_topics():
        if topic.name.startswith("lender.loan-events.v1"):
            longest = int(topic.settings["retention.ms"]) + int(topic.settings["segment.ms"])
            assert longest < 7 * DAY_MILLISECONDS
