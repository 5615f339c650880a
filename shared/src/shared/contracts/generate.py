"""Writes what others read: JSON Schemas, example messages, an AsyncAPI 3 document and a table of settings per service.

`python -m shared.contracts.generate` writes; with `--check` it only says what would change and fails if anything would.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from shared.contracts.examples import AT, EXAMPLES
from shared.contracts.registry import BY_MESSAGE_TYPE, CONTRACTS, TOPICS, Contract
from shared.kafka.records import Outgoing, encode
from shared.settings_tables import settings_of, with_table

ROOT: Final = Path(__file__).parents[4]
SERVICES: Final = ("scheduler", "compliance-gate", "notifier", "ledger")
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[Path, str]:
    """Every generated file with its text, relative to the root of the tree."""
    files: dict[Path, str] = {}
    for contract in CONTRACTS:
        files[Path("shared/schemas") / f"{contract.ce_type}.json"] = _json(schema(contract))
    for message in EXAMPLES:
        contract = BY_MESSAGE_TYPE[type(message)]
        files[Path("shared/examples") / f"{contract.ce_type}.json"] = _json(_example(contract))
    for service in SERVICES:
        files[Path("services") / service / "asyncapi.yaml"] = yaml.safe_dump(
            asyncapi(service), sort_keys=False, allow_unicode=True, width=120
        )
        package = service.replace("-", "_")
        files |= _settings(Path("services") / service, f"{package}.settings", f"{package.upper()}_")
    files |= _settings(Path("shared"), "shared.service", "DECORUM_")
    return files


def _settings(folder: Path, module_name: str, prefix: str) -> dict[Path, str]:
    """The README of `folder` with the table of its settings as they are now."""
    path = folder / "README.md"
    return {path: with_table((ROOT / path).read_text(), settings_of(module_name), prefix, root=ROOT)}


def schema(contract: Contract) -> dict[str, Any]:
    """The JSON Schema of a message's body."""
    body = msgspec.json.schema(contract.message_type)
    return {"$schema": _DRAFT, "$id": contract.ce_type, "title": contract.message_type.__name__, **body}


def _example(contract: Contract) -> dict[str, Any]:
    """The example of `contract` as a record in binary mode."""
    message = next(m for m in EXAMPLES if type(m) is contract.message_type)
    wire = encode(
        Outgoing(message=message, ce_id=f"example-{contract.ce_type}", ce_time=AT), source=f"example/{contract.sender}"
    )
    headers = {name: (value or b"").decode() for name, value in wire.headers}
    return {
        "topic": wire.topic,
        "key": wire.key.decode(),
        "headers": headers,
        "body": msgspec.json.decode(wire.value),
    }


def asyncapi(service: str) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of one service: what it receives and what it sends, by topic."""
    received = [c for c in CONTRACTS if service in c.readers]
    sent = [c for c in CONTRACTS if c.sender == service]
    topics = [topic for topic in TOPICS if any(c.topic == topic for c in (*received, *sent))]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Decorum {service}", "version": "1"},
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, (*received, *sent)) for topic in topics},
        "operations": {
            **_operations("receive", received, topics),
            **_operations("send", sent, topics),
        },
        "components": {
            "messages": {c.ce_type: _message(c) for c in dict.fromkeys((*received, *sent))},
        },
    }


def _channel(topic: str, contracts: tuple[Contract, ...]) -> dict[str, Any]:
    names = sorted({c.ce_type for c in contracts if c.topic == topic})
    return {
        "address": topic,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": {"topic": topic}},
    }


def _operations(action: str, contracts: list[Contract], topics: list[str]) -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for topic in topics:
        names = [c.ce_type for c in contracts if c.topic == topic]
        if names:
            operations[f"{action}.{topic}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic}"},
                "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in names],
            }
    return operations


def _message(contract: Contract) -> dict[str, Any]:
    return {
        "name": contract.ce_type,
        "summary": (contract.message_type.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"],
            "properties": {"ce_type": {"const": contract.ce_type}},
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": "borrower_id"}}},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"../../shared/schemas/{contract.ce_type}.json"},
        },
    }


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode() + "\n"


def _stale(files: dict[Path, str]) -> list[Path]:
    folders = (ROOT / "shared" / "schemas", ROOT / "shared" / "examples")
    present = {path.relative_to(ROOT) for folder in folders for path in folder.glob("*")}
    changed = [path for path, text in files.items() if not (ROOT / path).is_file() or (ROOT / path).read_text() != text]
    return sorted({*changed, *(present - files.keys())})


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` name those that are out of date."""
    files = documents()
    stale = _stale(files)
    if "--check" in arguments:
        for path in stale:
            print(f"out of date: {path} (run `make contracts`)")
        return 1 if stale else 0
    for path in stale:
        if path in files:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(files[path])
        else:
            (ROOT / path).unlink()
    print(f"{len(files)} files, {len(stale)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
