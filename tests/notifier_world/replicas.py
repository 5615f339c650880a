"""A replica with real providers, and the carrier that they talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.http_providers import HttpProvider, HttpSmsProvider, HttpVoiceProvider, ProviderSettings
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.rig import Rig


@pytest.fixture
async def carrier() -> AsyncIterator[HttpCarrier]:
    async with HttpCarrier() as started:
        yield started


@asynccontextmanager
async def replica(engine: AsyncEngine, url: str, *, timeout_seconds: float = 30, **options: Any) -> AsyncIterator[Rig]:
    """A replica with an SMS and a voice provider."""
    settings = ProviderSettings(
        name="http", url=url, key="secret", sender="Decorum", timeout_seconds=timeout_seconds, connections_max=64
    )
    providers: list[HttpProvider] = [HttpSmsProvider(settings), HttpVoiceProvider(settings)]
    for provider in providers:
        await provider.start()
    try:
        yield Rig(engine, providers, **options)
    finally:
        for provider in providers:
            await provider.stop()
