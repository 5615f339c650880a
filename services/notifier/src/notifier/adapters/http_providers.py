"""SMS and voice providers over HTTP. A request is made once; what may have left is never made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

import aiohttp
import msgspec
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from notifier.domain.call_keys import DETAIL_KEYS, OPENING_KEYS
from notifier.ports import Answer, SendRequest
from shared.contracts import Channel
from shared.contracts.types import Identifier

FIND_TRIES: Final = 2
KEEP_ALIVE_SECONDS: Final = 2.0
"""Shorter than servers keep an idle connection (uvicorn 5 s, many balancers 4 s): a request that meets a closing one is
uncertain, and at most once means that it is never made again."""
ANSWER_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Where a provider is. `timeout_seconds` bounds a whole request; it stays below the sending lease."""

    name: str
    url: str
    key: str
    sender: str
    timeout_seconds: float
    connections_max: int


MAY_HAVE_BEEN_TAKEN: Final = frozenset({408, 409, 425, 499})
"""Timed out, in conflict with what is there, too early, given up: none of them says that nothing was taken."""


class _Accepted(msgspec.Struct, frozen=True):
    message_id: Identifier
    """Receipts and replies name it in this form; another one is taken for none: the attempt's own id is enough."""


class _Refused(msgspec.Struct, frozen=True):
    reason: str


class _Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Spoken first, to whoever picks up. Only the key that means `right_person` leads on to the call's text."""

    text: str
    keys: Mapping[str, str]


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    idempotency_key: str
    to: str
    text: str
    language: str
    not_after: str
    sender: str
    keys: Mapping[str, str] | None = None
    opening: _Opening | None = None


_encode: Final = msgspec.json.Encoder().encode
_decode_accepted: Final = msgspec.json.Decoder(_Accepted).decode
_decode_refused: Final = msgspec.json.Decoder(_Refused).decode


class HttpProvider:
    """The HTTP protocol that SMS and voice share: a bearer key, an idempotency key, a look-up by that key."""

    channel: Channel
    path: str

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._send_url = settings.url.rstrip("/") + self.path
        self._headers = {"Authorization": f"Bearer {settings.key}", "Content-Type": "application/json"}

    async def start(self) -> None:
        """Open the one session; it needs a running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._settings.connections_max, ttl_dns_cache=60, keepalive_timeout=KEEP_ALIVE_SECONDS
            ),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Close it; requests in flight become uncertain."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def send(self, request: SendRequest) -> Answer:
        opening = request.script.opening
        message = _Message(
            idempotency_key=request.attempt_id,
            to=request.to,
            text=request.script.text,
            language=request.language,
            not_after=request.not_after.astimezone(UTC).isoformat(),
            sender=self._settings.sender,
            keys=None if opening is None else DETAIL_KEYS,
            opening=None if opening is None else _Opening(text=opening, keys=OPENING_KEYS),
        )
        if self._session is None:
            return Answer(kind="refused_connection")
        try:
            async with self._session.post(self._send_url, data=_encode(message), allow_redirects=False) as response:
                return _answer(response.status, await _body(response))
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, ConnectionRefusedError)
            return Answer(kind="refused_connection" if refused else "uncertain")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Answer(kind="uncertain")

    async def find(self, attempt_id: str) -> str | None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((aiohttp.ClientError, TimeoutError, OSError)),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            stop=stop_after_attempt(FIND_TRIES),
            retry_error_callback=lambda _state: None,
        )
        found: str | None = await retrying(self._find_once, attempt_id)
        return found

    async def _find_once(self, attempt_id: str) -> str | None:
        if self._session is None:
            return None
        async with self._session.get(f"{self._send_url}/by-key/{attempt_id}", allow_redirects=False) as response:
            if response.status != 200:
                return None
            return _message_id(await _body(response))


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, or what fits; a connection that breaks inside it raises."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            break
    return body


def _answer(status: int, body: bytes) -> Answer:
    """What a status means. A refusal that says that nothing was taken is final: the attempt is not tried again.

    Anything between us and the provider may say 503 after the request went through; only the provider gives a reason.
    """
    if status in (200, 201, 202):
        return Answer(kind="accepted", message_id=_message_id(body))
    if 400 <= status < 500 and status not in MAY_HAVE_BEEN_TAKEN:
        return Answer(kind="rejected")
    return Answer(kind="rejected" if status == 503 and _gives_reason(body) else "uncertain")


def _gives_reason(body: bytes) -> bool:
    try:
        return bool(_decode_refused(body).reason)
    except msgspec.DecodeError:
        return False


def _message_id(body: bytes) -> str | None:
    try:
        return _decode_accepted(body).message_id
    except msgspec.DecodeError:
        return None


class HttpSmsProvider(HttpProvider):
    """Texts."""

    channel: Channel = "sms"
    path = "/v1/messages"


class HttpVoiceProvider(HttpProvider):
    """Text-to-speech calls: an opening for whoever picks up, a text for the person who confirmed, key presses.

    A request without an opening is refused here: a carrier that got one would speak of the debt to anybody.
    """

    channel: Channel = "voice"
    path = "/v1/calls"

    async def send(self, request: SendRequest) -> Answer:
        if request.script.opening is None:
            return Answer(kind="rejected")
        return await super().send(request)


HTTP_PROVIDERS: Final[dict[Channel, Any]] = {"sms": HttpSmsProvider, "voice": HttpVoiceProvider}
