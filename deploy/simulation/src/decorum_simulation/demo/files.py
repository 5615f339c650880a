"""The files that a run leaves for an outside auditor: JSON Lines, UTC instants, sorted by instant and id."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

KIND_ORDER: Final = ("request", "accepted", "duplicate", "rejected")
"""What the carrier notes at one instant about one attempt, in the order in which it happens."""
_encoder = msgspec.json.Encoder()


def write_lines(path: Path, rows: Iterable[tuple[Sequence[object], Any]]) -> int:
    """Write `rows` (sort key, line) sorted by key, in one atomic step; how many there are."""
    ordered = sorted(rows, key=lambda row: tuple(map(str, row[0])))
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        for _, line in ordered:
            file.write(line if isinstance(line, bytes) else _encoder.encode(_plain(line)))
            file.write(b"\n")
    os.replace(draft, path)
    return len(ordered)


def write_json(path: Path, value: object) -> None:
    """Write one JSON document, readable."""
    path.write_bytes(msgspec.json.format(_encoder.encode(_plain(value)), indent=2) + b"\n")


def instant(value: datetime | str) -> str:
    """UTC, ISO 8601, always with microseconds, so that text order is time order."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def sort_journal(path: Path) -> int:
    """Put the carrier's journal, which it writes in the order of arrival, in the order of instants and ids."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    rows = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            entry = decoder.decode(line)
            entry["at"] = instant(entry["at"])
            if entry.get("not_after"):
                entry["not_after"] = instant(entry["not_after"])
            kind = entry["kind"]
            rank = KIND_ORDER.index(kind) if kind in KIND_ORDER else len(KIND_ORDER)
            rows.append(((entry["at"], entry["attempt_id"], rank), entry))
    return write_lines(path, rows)


def _plain(value: Any) -> Any:
    """The value with every instant as text of one form."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
