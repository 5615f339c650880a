"""Reads record batches in which a header's name isn't UTF-8, on which aiokafka's own reader gives up for good.

Kafka doesn't ask for UTF-8, and clients in other languages write any bytes. Without this, one such record would hold up
every partition of every service: the poll that meets it fails, and so does each one after it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT: Final = 8
_BEFORE_LENGTH_COUNTS: Final = 12
_MAGIC_AT: Final = 16


class ForgivingRecords:
    """aiokafka's `MemoryRecords`: the fetched bytes of one partition, batch by batch."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._records = MemoryRecords(data)
        self._position = 0

    def size_in_bytes(self) -> int:
        """How many bytes were fetched."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        """The next batch, read by aiokafka as far as it can."""
        begin = self._position
        (length,) = struct.unpack_from(">i", self._data, begin + _LENGTH_AT)
        self._position = begin + _BEFORE_LENGTH_COUNTS + length
        batch = self._records.next_batch()
        is_current_format = self._data[begin + _MAGIC_AT] >= 2
        return _Batch(batch, self._data[begin : self._position]) if is_current_format else batch


class _Batch:
    """One batch: aiokafka's reader for all records but those after one that it can't read."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except (UnicodeDecodeError, CorruptRecordException):
            yield from islice(_read_leniently(self._raw), read, None)


def _read_leniently(raw: memoryview) -> Iterator[Any]:
    batch: Any = _DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()
    batch._buffer = _Names(batch._buffer)
    return iter(batch)


class _Names(bytearray):
    """Bytes whose parts decode to text whatever they are; what isn't UTF-8 becomes surrogates, to be found later."""

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return _Names(part) if isinstance(index, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


def readable(name: str) -> str:
    """A header's name that can be written again: bytes that aren't UTF-8 as `\\xff`."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def install() -> None:
    """Let every consumer of this process read this way."""
    fetcher.MemoryRecords = ForgivingRecords
