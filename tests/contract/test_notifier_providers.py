"""One suite for every provider: the fake that other tests are built on, and the real ones against an HTTP server."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from aiohttp import ClientConnectorError, web
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.test_utils import TestServer

from notifier.adapters.http_providers import (
    KEEP_ALIVE_SECONDS,
    HttpProvider,
    HttpSmsProvider,
    HttpVoiceProvider,
    ProviderSettings,
)
from notifier.ports import Answer, Provider, Script, SendRequest
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.fakes import FakeProvider

KINDS: dict[str, type[HttpProvider]] = {"sms": HttpSmsProvider, "voice": HttpVoiceProvider}


@dataclass
class Setting:
    """A provider and the carrier behind it: `answers` sets a status by attempt, 0 takes it and never answers."""

    provider: Provider
    answers: dict[str, int]
    carrier: HttpCarrier | FakeProvider

    def times_asked(self, attempt_id: str) -> int:
        if isinstance(self.carrier, HttpCarrier):
            return self.carrier.times_asked[attempt_id]
        return sum(request.attempt_id == attempt_id for request in self.carrier.requests)


@pytest.fixture(params=["fake", "sms", "voice"])
async def setting(request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    if request.param == "fake":
        fake = FakeProvider()
        yield Setting(provider=fake, answers=fake.answers, carrier=fake)
        return
    async with HttpCarrier() as carrier:
        settings = ProviderSettings(
            name="http", url=carrier.url, key="key", sender="Decorum", timeout_seconds=1, connections_max=4
        )
        provider = KINDS[request.param](settings)
        await provider.start()
        yield Setting(provider=provider, answers=carrier.answers, carrier=carrier)
        await provider.stop()


@pytest.fixture(params=["fake", "sms", "voice"])
async def away(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if request.param == "fake":
        fake = FakeProvider()
        fake.away = True
        yield fake
        return
    async with HttpCarrier() as gone:
        url = gone.url
    settings = ProviderSettings(name="http", url=url, key="key", sender="s", timeout_seconds=5, connections_max=4)
    provider = KINDS[request.param](settings)
    await provider.start()
    yield provider
    await provider.stop()


def asking(attempt_id: str) -> SendRequest:
    return SendRequest(
        attempt_id=attempt_id,
        to="+8613800138000",
        script=Script(opening="您好", text="您好"),
        language="zh",
        not_after=datetime(2026, 9, 16, 3, tzinfo=UTC),
    )


async def test_an_accepted_request_has_the_carrier_s_id(setting: Setting) -> None:
    assert await setting.provider.send(asking("A1")) == Answer(kind="accepted", message_id="M-A1")


async def test_a_call_without_an_opening_is_never_asked_for() -> None:
    async with HttpCarrier() as carrier:
        settings = ProviderSettings(
            name="http", url=carrier.url, key="key", sender="s", timeout_seconds=5, connections_max=4
        )
        provider = HttpVoiceProvider(settings)
        await provider.start()
        request = dataclasses.replace(asking("A1"), script=Script(text="您好"))
        assert (await provider.send(request)).kind == "rejected"
        assert carrier.requests == []
        await provider.stop()


async def test_a_known_key_is_accepted_with_the_first_id(setting: Setting) -> None:
    first = await setting.provider.send(asking("A1"))
    assert await setting.provider.send(asking("A1")) == first


@pytest.mark.parametrize("status", [422, 429, 503])
async def test_a_refusal_is_a_rejection_and_is_asked_once(setting: Setting, status: int) -> None:
    setting.answers["A1"] = status
    assert (await setting.provider.send(asking("A1"))).kind == "rejected"
    assert setting.times_asked("A1") == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, b'{"reason": "overloaded"}', "rejected"),
        (503, b"<html>Service Unavailable</html>", "uncertain"),
        (503, b"", "uncertain"),
        (400, b"", "rejected"),
        (408, b'{"reason": "timeout"}', "uncertain"),
        (409, b'{"reason": "this key was used"}', "uncertain"),
        (425, b"", "uncertain"),
        (499, b"", "uncertain"),
        (302, b"", "uncertain"),
    ],
)
async def test_only_what_says_that_nothing_was_taken_is_a_rejection(status: int, body: bytes, kind: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_post("/v1/messages", answer)
    async with TestServer(app) as server:
        settings = ProviderSettings(
            name="http", url=str(server.make_url("")), key="key", sender="s", timeout_seconds=5, connections_max=4
        )
        provider = HttpSmsProvider(settings)
        await provider.start()
        try:
            assert (await provider.send(asking("A1"))).kind == kind
        finally:
            await provider.stop()


@pytest.mark.parametrize("status", [500, 502])
async def test_a_breakdown_is_uncertain_and_is_asked_once(setting: Setting, status: int) -> None:
    setting.answers["A1"] = status
    assert (await setting.provider.send(asking("A1"))).kind == "uncertain"
    assert setting.times_asked("A1") == 1
    assert await setting.provider.find("A1") is None


async def test_no_answer_in_time_is_uncertain_and_can_be_found(setting: Setting) -> None:
    setting.answers["A1"] = 0
    assert (await setting.provider.send(asking("A1"))).kind == "uncertain"
    assert setting.times_asked("A1") == 1
    assert await setting.provider.find("A1") == "M-A1"


async def test_what_was_never_asked_is_not_found(setting: Setting) -> None:
    assert await setting.provider.find("A9") is None


async def test_a_refused_connection_says_that_nothing_was_sent(away: Provider) -> None:
    assert (await away.send(asking("A1"))).kind == "refused_connection"
    assert await away.find("A1") is None


class RefusingSession:
    """Stands for an HTTP session whose every connection is refused, and counts them."""

    def __init__(self) -> None:
        self.asked = 0

    def post(self, url: str, **_: object) -> object:
        self.asked += 1
        key = ConnectionKey("carrier", 80, False, False, None, None, None)
        raise ClientConnectorError(key, ConnectionRefusedError())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_claim_is_tried_once_so_that_stops_and_revocations_are_asked_for_again_before_another_try(
    kind: str,
) -> None:
    settings = ProviderSettings(
        name="http", url="http://carrier", key="", sender="", timeout_seconds=1, connections_max=1
    )
    provider = KINDS[kind](settings)
    session = RefusingSession()
    provider._session = session  # type: ignore[assignment]
    assert (await provider.send(asking("A1"))).kind == "refused_connection"
    assert session.asked == 1


async def test_a_redirect_is_not_followed() -> None:
    async with HttpCarrier() as carrier:
        carrier.answers["A1"] = 307
        settings = ProviderSettings(
            name="http", url=carrier.url, key="key", sender="s", timeout_seconds=5, connections_max=4
        )
        provider = HttpSmsProvider(settings)
        await provider.start()
        assert (await provider.send(asking("A1"))).kind == "uncertain"
        assert carrier.times_asked == {"A1": 1}
        await provider.stop()


async def test_a_connection_that_idled_is_not_used_again_lest_the_server_be_closing_it() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while await reader.readuntil(b"}"):
                writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}")
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    settings = ProviderSettings(
        name="http", url=f"http://{host}:{port}", key="key", sender="s", timeout_seconds=5, connections_max=4
    )
    provider = HttpSmsProvider(settings)
    await provider.start()
    seen = []
    for attempt_id, pause_seconds in (("A1", 0.0), ("A2", 0.0), ("A3", KEEP_ALIVE_SECONDS + 0.1)):
        await asyncio.sleep(pause_seconds)
        request = dataclasses.replace(
            asking(attempt_id), script=Script(text="您好")
        )  # one brace: a request ends with it
        assert (await provider.send(request)).kind == "accepted"
        seen.append(connections)
    assert seen == [1, 1, 2]
    await provider.stop()
    server.close()
