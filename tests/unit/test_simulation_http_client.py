from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from decorum_simulation.http_client import HttpClient

Script = Callable[[int], Sequence[bytes]]


@asynccontextmanager
async def _server(script: Script, *, closes: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers request number n with the pieces of `script(n)`."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                requests.append(head + await reader.readexactly(length))
                for piece in script(len(requests)):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if closes:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/base", requests
    finally:
        server.close()
        await server.wait_closed()


async def test_an_answer_that_comes_in_pieces_is_put_together() -> None:
    pieces = [b"HTTP/1.1 202 Accepted\r\nContent-Le", b"ngth: 5\r\n\r\nhe", b"llo"]
    async with _server(lambda _: pieces) as (url, requests):
        client = HttpClient(url)
        answer = await client.request("POST", "/x", body=b"{}", headers=[("a", "b")])
        client.close()

    assert (answer.status, answer.body) == (202, b"hello")
    assert requests[0].startswith(b"POST /base/x HTTP/1.1\r\n")
    assert b"a: b\r\n" in requests[0]


async def test_chunks_and_answers_without_a_body_are_read() -> None:
    answers = {
        1: [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"],
        2: [b"HTTP/1.1 204 No Content\r\n\r\n"],
    }
    async with _server(lambda n: answers[n]) as (url, _):
        client = HttpClient(url)
        assert (await client.request("GET", "/")).body == b"abcde"
        assert (await client.request("GET", "/")).status == 204
        client.close()


async def test_a_connection_that_broke_inside_the_answer_is_an_error_and_not_tried_again() -> None:
    def script(number: int) -> Sequence[bytes]:
        body = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
        return [body + b"ok"] if number == 1 else [body]

    async with _server(script, closes=False) as (url, requests):
        client = HttpClient(url, timeout_seconds=0.5)
        assert (await client.request("GET", "/")).body == b"ok"
        with pytest.raises(TimeoutError):
            await client.request("GET", "/")
        client.close()

    assert len(requests) == 2


async def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    async with _server(lambda _: [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], closes=True) as (url, requests):
        client = HttpClient(url)
        for _ in range(3):
            assert (await client.request("GET", "/")).status == 200
        client.close()

    assert len(requests) == 3


async def test_no_more_connections_are_opened_than_allowed() -> None:
    async with _server(lambda _: [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]) as (url, requests):
        client = HttpClient(url, connections_max=2)
        await asyncio.gather(*(client.request("GET", "/") for _ in range(20)))
        client.close()

    assert len(requests) == 20


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="plain HTTP"):
        HttpClient("https://example.org")
