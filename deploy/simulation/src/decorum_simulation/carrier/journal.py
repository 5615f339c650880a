"""`carrier.jsonl`: the carrier's own record of every call it received and what became of it."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened at the carrier."""

    at: datetime
    kind: str
    channel: str
    to: str
    attempt_id: str
    message_id: str | None


class RequestLine(Line, frozen=True, kw_only=True):
    """A call that was received, before anything was answered."""

    text: str
    not_after: datetime | None


class Journal:
    """Appends lines; `flush` writes what is buffered with one call. Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._encoder = msgspec.json.Encoder()
        self._buffered = bytearray()
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, line: Line) -> None:
        """Buffer one line."""
        if self._file is not None:
            self._buffered += self._encoder.encode(line)
            self._buffered += b"\n"

    def flush(self) -> None:
        """Hand everything buffered to the operating system: it survives a kill of this process from here on."""
        if self._file is not None and self._buffered:
            os.write(self._file, self._buffered)
            self._buffered.clear()

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None
