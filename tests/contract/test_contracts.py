"""The contracts as others read them: schemas, examples and AsyncAPI documents say what the code does."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from decorum_local.stack import embedded_secret
from shared.contracts import generate
from shared.contracts.examples import EXAMPLES
from shared.contracts.registry import BY_CE_TYPE, BY_MESSAGE_TYPE, CONTRACTS, TOPICS, Contract
from shared.contracts.types import Message
from shared.kafka.records import decode
from shared.kafka.topics import load_topics
from tests.unit.record_cases import NOW, Record

ROOT = Path(__file__).parents[2]
SERVICES = {"scheduler": "scheduler", "compliance-gate": "compliance_gate", "notifier": "notifier", "ledger": "ledger"}
OWN_SETTINGS = {
    "NOTIFIER_SMS_URL": "http://127.0.0.1:1",
    "NOTIFIER_SMS_KEY": "key",
    "NOTIFIER_SMS_RATE_PER_SECOND": "10",
    "NOTIFIER_VOICE_URL": "http://127.0.0.1:1",
    "NOTIFIER_VOICE_KEY": "key",
    "NOTIFIER_VOICE_RATE_PER_SECOND": "10",
    "NOTIFIER_WEBHOOK_SECRET": embedded_secret("webhooks"),
    "NOTIFIER_SEALING_KEY": embedded_secret("contact data"),
    "NOTIFIER_NUMBER_HASH_KEY": embedded_secret("numbers"),
    "COMPLIANCE_GATE_NUMBER_HASH_KEY": embedded_secret("numbers"),
}
WRONG: tuple[Any, ...] = (None, -1, 1.5, "", "a b", "a\n", [], {}, True, 10**15, "2026-02-30")
PERSONAL_DATA = {"name", "value", "contact_points"}


def schema(contract: Contract) -> dict[str, Any]:
    text = (ROOT / "shared" / "schemas" / f"{contract.ce_type}.json").read_text()
    return dict(json.loads(text))


def example(contract: Contract) -> dict[str, Any]:
    text = (ROOT / "shared" / "examples" / f"{contract.ce_type}.json").read_text()
    return dict(json.loads(text))


def document(service: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "services" / service / "asyncapi.yaml").read_text()))


def validator(contract: Contract) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        schema(contract), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


every_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: str(contract.ce_type))
every_service = pytest.mark.parametrize("service", SERVICES)


def test_the_generated_files_are_those_that_the_code_generates() -> None:
    assert generate.main(["--check"]) == 0


@every_contract
def test_a_schema_is_a_valid_schema_and_takes_its_example(contract: Contract) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(contract))
    validator(contract).validate(example(contract)["body"])


@every_contract
def test_an_example_is_decoded_as_a_service_decodes_it(contract: Contract) -> None:
    shown = example(contract)
    record = Record(
        topic=shown["topic"],
        key=shown["key"].encode(),
        value=json.dumps(shown["body"]).encode(),
        headers=[(name, value.encode()) for name, value in shown["headers"].items()],
    )
    received = decode(record, now=NOW)
    assert type(received.message) is contract.message_type
    assert shown["headers"]["ce_type"] == contract.ce_type
    assert shown["topic"] == contract.topic


@every_contract
def test_an_added_field_is_taken_by_schema_and_code(contract: Contract) -> None:
    body = {**example(contract)["body"], "added_later": {"by": "a newer sender"}}
    validator(contract).validate(body)
    assert msgspec.json.decode(json.dumps(body), type=contract.message_type)


@every_contract
def test_what_the_schema_requires_the_code_requires(contract: Contract) -> None:
    body = example(contract)["body"]
    definition = _definition(schema(contract))
    for field in definition["properties"]:
        reduced = {name: value for name, value in body.items() if name != field}
        taken_by_schema = validator(contract).is_valid(reduced)
        try:
            msgspec.json.decode(json.dumps(reduced), type=contract.message_type)
            taken_by_code = True
        except msgspec.ValidationError:
            taken_by_code = False
        assert taken_by_schema == taken_by_code, field


@every_contract
def test_schema_and_code_refuse_the_same_wrong_values(contract: Contract) -> None:
    body = example(contract)["body"]
    for field in _definition(schema(contract))["properties"]:
        for wrong in WRONG:
            changed = {**body, field: wrong}
            try:
                msgspec.json.decode(json.dumps(changed), type=contract.message_type)
            except msgspec.ValidationError:
                continue
            # What the code takes the schema takes: a sender that follows it is never surprised.
            assert validator(contract).is_valid(changed), (field, wrong)


@every_contract
def test_money_is_in_whole_minor_units_and_instants_have_an_offset(contract: Contract) -> None:
    for name, field in _fields(schema(contract)):
        types = {part.get("type") for part in field.get("anyOf", [field])}
        assert "number" not in types, name
        if name.endswith("_minor"):
            assert types <= {"integer", "null"}, name


def test_names_and_numbers_travel_in_one_message_alone() -> None:
    carriers = {
        contract.ce_type for contract in CONTRACTS for name, _ in _fields(schema(contract)) if name in PERSONAL_DATA
    }
    assert carriers == {
        "lender.borrower-updated.v1",
        # `value` of a stop is the name of a channel, provider, strategy, or an id.
        "operator.stop-ordered.v1",
        "operator.stop-lifted.v1",
    }


def test_every_message_type_is_in_the_registry_and_has_one_example() -> None:
    def concrete(message_type: type[Message]) -> Iterator[type[Message]]:
        for each in message_type.__subclasses__():
            if each.__module__.startswith("shared.contracts."):
                yield from concrete(each)
                if each.__name__[-1].isdigit():
                    yield each

    assert set(concrete(Message)) == set(BY_MESSAGE_TYPE)
    assert sorted(type(m).__name__ for m in EXAMPLES) == sorted(t.__name__ for t in BY_MESSAGE_TYPE)
    assert len(BY_CE_TYPE) == len(CONTRACTS)


def test_every_topic_is_in_topics_yaml_with_dead_letters_and_the_same_partitions() -> None:
    topics = {topic.name: topic for topic in load_topics()}
    assert set(topics) == {*TOPICS, *(f"{topic}.dead-letter" for topic in TOPICS)}
    assert len({topic.partitions for topic in topics.values()}) == 1


@every_service
def test_a_document_names_exactly_what_the_service_reads_and_sends(service: str) -> None:
    content = document(service)
    for action, wanted in (
        ("receive", {c.ce_type for c in CONTRACTS if service in c.readers}),
        ("send", {c.ce_type for c in CONTRACTS if c.sender == service}),
    ):
        operations = [o for o in content["operations"].values() if o["action"] == action]
        named = {reference["$ref"].rpartition("/")[2] for o in operations for reference in o["messages"]}
        assert named == wanted
    assert set(content["components"]["messages"]) == {
        c.ce_type for c in CONTRACTS if service in c.readers or c.sender == service
    }


def test_every_type_is_in_the_document_of_each_who_deals_with_it() -> None:
    documents = {service: set(document(service)["components"]["messages"]) for service in SERVICES}
    for contract in CONTRACTS:
        for service in {*contract.readers, contract.sender} & set(SERVICES):
            assert contract.ce_type in documents[service]
        assert contract.readers, f"nobody reads {contract.ce_type}"


@every_service
def test_a_document_is_sound_asyncapi_3(service: str) -> None:
    content = document(service)
    assert content["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(content["info"])
    assert set(content) <= {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    for name, channel in content["channels"].items():
        assert channel["address"] == name
        assert set(channel) <= {"address", "messages", "title", "summary", "description", "servers", "bindings"}
        for message in channel["messages"].values():
            assert _resolve(content, message["$ref"])["payload"]
    for operation in content["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = _resolve(content, operation["channel"]["$ref"])
        for message in operation["messages"]:
            # In AsyncAPI 3 an operation's messages are references into its own channel.
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")
            assert message["$ref"].rpartition("/")[2] in channel["messages"]
    for ce_type, message in content["components"]["messages"].items():
        assert message["name"] == ce_type
        payload = message["payload"]
        assert payload["schemaFormat"] == "application/schema+json;version=draft-2020-12"
        referenced = (ROOT / "services" / service / payload["schema"]["$ref"]).resolve()
        assert referenced == ROOT / "shared" / "schemas" / f"{ce_type}.json"
        jsonschema.Draft202012Validator.check_schema(message["headers"])


@every_service
def test_a_service_handles_exactly_the_types_that_the_registry_says_it_reads(service: str, tmp_path: Path) -> None:
    assert _handled(service, tmp_path) == {
        contract.message_type.__name__ for contract in CONTRACTS if service in contract.readers
    }


def _handled(service: str, folder: Path) -> set[str]:
    """The types that the service's own consumer takes, asked in a process of its own: `app` reads the environment."""
    package = SERVICES[service]
    code = (
        "import gc, importlib\n"
        "from shared.kafka.consumer import Consumer\n"
        f"importlib.import_module('{package}.app')\n"
        "(consumer,) = [o for o in gc.get_objects() if isinstance(o, Consumer)]\n"
        "print(*sorted(t.__name__ for t in consumer.message_types))\n"
    )
    environment = {
        **os.environ,
        "DECORUM_DATABASE_URL": "postgresql+asyncpg://decorum@127.0.0.1:1/postgres",
        "DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DECORUM_MODE": "shadow",
        "DECORUM_LOG_LEVEL": "critical",
        **OWN_SETTINGS,
    }
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def _definition(content: dict[str, Any]) -> dict[str, Any]:
    definition = _resolve(content, content["$ref"]) if "$ref" in content else content
    assert isinstance(definition, dict)
    return definition


def _fields(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    definitions = [*content.get("$defs", {}).values(), content]
    return [field for each in definitions for field in each.get("properties", {}).items()]


def _resolve(content: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    place: Any = content
    for part in reference[2:].split("/"):
        place = place[part.replace("~1", "/").replace("~0", "~")]
    return _resolve(content, place["$ref"]) if isinstance(place, dict) and set(place) == {"$ref"} else place
