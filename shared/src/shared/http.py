"""Small HTTP routes for an ASGI app: bounded bodies in, JSON or text out. No framework, no path parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import structlog

BODY_BYTES_MAX: Final = 64 * 1024
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back: `json` when given, else `text`."""

    status: int = 200
    json: Any = None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Endpoint = Callable[[Request], Awaitable[Response]]


class Route:
    """One path of an ASGI app with an endpoint for each method."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoints.get(scope["method"])
        if endpoint is None:
            allowed = {"allow": ", ".join(sorted(self.endpoints))}
            await _send(send, Response(status=405, text="method not allowed", headers=allowed))
            return
        try:
            body = await _body(receive)
        except _TooLarge:
            await _send(send, Response(status=413, text="body too large", headers={"connection": "close"}))
            return
        except _Gone:
            return
        request = Request(
            method=scope["method"],
            path=scope["path"],
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            query=parse_qs(scope["query_string"].decode("latin-1")),
            body=body,
        )
        try:
            response = await endpoint(request)
        except Exception as error:  # edge: a defect in one request must not end the server
            log.error("http.failed", path=scope["path"], error=type(error).__name__, exc_info=error)
            response = Response(status=500, text="internal error")
        await _send(send, response)


class _TooLarge(Exception):
    """The body is larger than `BODY_BYTES_MAX`."""


class _Gone(Exception):
    """The client left before its body was complete: half a request is none."""


async def _body(receive: Receive) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise _TooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send(send: Send, response: Response) -> None:
    if response.json is not None:
        body, content_type = msgspec.json.encode(response.json), b"application/json"
    else:
        body, content_type = response.text.encode(), b"text/plain; charset=utf-8"
    given = {name.lower().encode(): value.encode() for name, value in response.headers.items()}
    headers = list({b"content-type": content_type, b"content-length": str(len(body)).encode(), **given}.items())
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
