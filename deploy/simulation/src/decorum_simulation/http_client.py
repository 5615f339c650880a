"""A small HTTP/1.1 client over keep-alive connections: tens of microseconds a request, which a poller needs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection, one request at a time. A close before the answer fails the request with `ConnectionError`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._received = bytearray()
        self.usable = False
        self.answered_any = False
        self.answer_begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Other event loops' transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._fail(ConnectionResetError("closed before the answer was complete"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        self.answer_begun = True
        answer = _parse(self._received)
        if answer is None or self._waiting is None or self._waiting.done():
            return
        self._received.clear()
        self.answered_any = True
        self._waiting.set_result(answer)

    async def exchange(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._received.clear()
        self.answer_begun = False
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            if not self._waiting.done() or self._waiting.cancelled():
                self.close()
            self._waiting = None

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def _parse(received: bytearray) -> Answer | None:
    head_end = received.find(_HEAD_END)
    if head_end < 0:
        return None
    head = bytes(received[:head_end]).lower()
    status = int(head[9:12])
    body_start = head_end + len(_HEAD_END)
    marker = head.find(b"content-length:")
    if marker >= 0:
        line_end = head.find(b"\r\n", marker)
        length = int(head[marker + 15 : line_end if line_end >= 0 else len(head)])
        if len(received) - body_start < length:
            return None
        return Answer(status=status, body=bytes(received[body_start : body_start + length]))
    if b"transfer-encoding: chunked" in head:
        body = _unchunk(bytes(received[body_start:]))
        return None if body is None else Answer(status=status, body=body)
    return Answer(status=status, body=b"")


def _unchunk(data: bytes) -> bytes | None:
    parts: list[bytes] = []
    position = 0
    while (line_end := data.find(b"\r\n", position)) >= 0:
        size = int(data[position:line_end].split(b";")[0], 16)
        start = line_end + 2
        if len(data) < start + size + 2:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(data[start : start + size])
        position = start + size + 2
    return None


class HttpClient:
    """Requests to one origin over at most `connections_max` kept connections; further requests queue."""

    def __init__(self, url: str, *, connections_max: int = 8, timeout_seconds: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError("the simulation speaks plain HTTP on loopback only")
        self._host, self._port = parts.hostname, parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(connections_max)

    async def request(
        self, method: str, path: str, *, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """Send and await the answer. Raises `ConnectionError` or `TimeoutError`; a stale kept connection is retried."""
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
        request = "\r\n".join(lines).encode() + body
        async with self._slots:
            return await asyncio.wait_for(self._exchange(request), self._timeout_seconds)

    async def _exchange(self, request: bytes) -> Answer:
        while True:
            connection = await self._connection()
            reused = connection.answered_any
            try:
                answer = await connection.exchange(request)
            except ConnectionError:
                if reused and not connection.answer_begun:
                    continue
                raise
            self._idle.append(connection)
            return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection

    def close(self) -> None:
        """Close every kept connection."""
        while self._idle:
            self._idle.pop().close()
