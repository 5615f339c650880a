"""The small HTTP routes: bounded bodies, clear refusals, and nothing from half a request."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.http import BODY_BYTES_MAX, Request, Response, Route


class Client:
    """Plays the server's part of ASGI: gives the body in `chunks`, keeps what is sent back."""

    def __init__(self, *chunks: bytes, leaves: bool = False) -> None:
        self._messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": leaves or number < len(chunks)}
            for number, chunk in enumerate(chunks, start=1)
        ]
        if not chunks and not leaves:
            self._messages.append({"type": "http.request"})
        if leaves:
            self._messages.append({"type": "http.disconnect"})
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> Mapping[str, Any]:
        return self._messages.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return bytes(self.sent[1]["body"])


class Endpoint:
    """Keeps the requests that reached it."""

    def __init__(self, response: Response | Exception | None = None) -> None:
        self.requests: list[Request] = []
        self._response = response or Response(json={"ok": True})

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        if isinstance(self._response, Exception):
            raise self._response
        return self._response


async def post(endpoint: Endpoint, client: Client, method: str = "POST") -> Client:
    route = Route()
    route.endpoints["POST"] = endpoint
    scope = {
        "method": method,
        "path": "/webhooks/sms/receipts",
        "headers": [(b"x-decorum-signature", b"sha256=ab\xff")],
        "query_string": b"a=1&a=2&b=%20x",
    }
    await route(scope, client.receive, client.send)
    return client


async def test_a_request_arrives_whole_with_headers_and_query() -> None:
    endpoint = Endpoint()
    client = await post(endpoint, Client(b'{"receipt_id"', b"", b': "R-1"}'))
    (request,) = endpoint.requests
    assert request.body == b'{"receipt_id": "R-1"}'
    assert request.headers["x-decorum-signature"] == "sha256=ab\u00ff"
    assert request.query == {"a": ["1", "2"], "b": [" x"]}
    assert (client.status, client.body) == (200, b'{"ok":true}')
    assert client.headers[b"content-type"] == b"application/json"
    assert client.headers[b"content-length"] == b"11"


async def test_another_method_is_refused_with_those_that_are_allowed() -> None:
    endpoint = Endpoint()
    client = await post(endpoint, Client(), method="DELETE")
    assert (client.status, client.headers[b"allow"]) == (405, b"POST")
    assert not endpoint.requests


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    endpoint = Endpoint()
    client = await post(endpoint, Client(b"x" * (BODY_BYTES_MAX - 1), b"x"))
    assert client.status == 200
    assert len(endpoint.requests[0].body) == BODY_BYTES_MAX


@pytest.mark.parametrize("chunks", [(b"x" * (BODY_BYTES_MAX + 1),), (b"x" * BODY_BYTES_MAX, b"x"), (b"x" * 1024,) * 65])
async def test_an_oversized_body_is_refused_however_it_is_cut(chunks: tuple[bytes, ...]) -> None:
    endpoint = Endpoint()
    client = await post(endpoint, Client(*chunks))
    assert client.status == 413
    assert not endpoint.requests


@pytest.mark.parametrize("chunks", [(), (b'{"receipt_id": ',)])
async def test_a_client_that_leaves_early_has_asked_for_nothing(chunks: tuple[bytes, ...]) -> None:
    endpoint = Endpoint()
    client = await post(endpoint, Client(*chunks, leaves=True))
    assert not endpoint.requests
    assert not client.sent


async def test_a_defect_in_an_endpoint_is_answered_without_its_text() -> None:
    client = await post(Endpoint(ValueError("13912345678")), Client(b"{}"))
    assert (client.status, client.body) == (500, b"internal error")


async def test_an_answer_has_its_own_headers_and_text() -> None:
    answer = Response(status=409, text="replayed", headers={"Retry-After": "1", "Content-Type": "text/markdown"})
    client = await post(Endpoint(answer), Client(b"{}"))
    assert (client.status, client.body) == (409, b"replayed")
    assert client.headers[b"retry-after"] == b"1"
    assert client.headers[b"content-type"] == b"text/markdown"
