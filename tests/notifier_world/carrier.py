"""A carrier over real HTTP on loopback, for tests of providers and of sending."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType
from typing import Any, Self

from aiohttp import web

_SLOW_SECONDS = 3_600


class HttpCarrier:
    """Takes requests as RFC-plain HTTP; `answers` sets the status by attempt, 0 takes the request and never answers."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {}
        self.requests: list[dict[str, Any]] = []
        self.messages: dict[str, str] = {}
        self.authorizations: set[str | None] = set()
        self.delay_seconds = 0.0
        self._runner: web.AppRunner | None = None
        self.url = ""

    @property
    def times_asked(self) -> Counter[str]:
        """How many times each attempt arrived."""
        return Counter(request["idempotency_key"] for request in self.requests)

    async def __aenter__(self) -> Self:
        app = web.Application()
        for path in ("/v1/messages", "/v1/calls"):
            app.router.add_post(path, self._take)
            app.router.add_get(path + "/by-key/{key}", self._find)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.authorizations.add(request.headers.get("Authorization"))
        body = await request.json()
        self.requests.append(body)
        key = body["idempotency_key"]
        await asyncio.sleep(self.delay_seconds)
        status = self.answers.get(key, 202)
        if status in (0, 200, 202):
            known = key in self.messages
            message_id = self.messages.setdefault(key, f"M-{key}")
            if status == 0:
                await asyncio.sleep(_SLOW_SECONDS)
            return web.json_response({"message_id": message_id, "duplicate": known}, status=200 if known else status)
        return web.json_response({"reason": "blocked"}, status=status)

    async def _find(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        if key not in self.messages:
            return web.json_response({}, status=404)
        return web.json_response({"message_id": self.messages[key], "status": "accepted", "at": "2026-09-16T02:00:00Z"})
