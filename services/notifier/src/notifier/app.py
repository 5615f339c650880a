"""The notifier put together: `uvicorn notifier.app:app`."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from notifier import router
from notifier.adapters.contact_store import PostgresContacts
from notifier.adapters.http_providers import HTTP_PROVIDERS, HttpProvider, ProviderSettings
from notifier.adapters.inbound_store import PostgresInbound
from notifier.adapters.permit_store import PostgresPermits
from notifier.adapters.phone_numbers import to_e164
from notifier.adapters.receipt_store import PostgresDeliveries, PostgresReceipts
from notifier.adapters.sealing import AesGcmSealer
from notifier.adapters.templates import Lender, TemplateBook
from notifier.handlers.desk import Desk
from notifier.handlers.webhooks import WebhookGuard
from notifier.loops.requests import Pace, Sending
from notifier.loops.sending import RESULTS_RECORDS_MAX, DispatchLoop, LookupLoop, ResultLoop
from notifier.loops.shadow import ShadowLoop
from notifier.loops.upkeep import ENDS_RECORDS_MAX, EndLoop, UpkeepLoop
from notifier.settings import PREFIX, NotifierSettings
from shared.contracts import Channel
from shared.service import PlatformSettings, Service, app_of

ENDS_PACE_SECONDS: Final = 0.1
"""A claim refuses what has ended or is forbidden; to say so may wait this long."""
WAKES_ITSELF: Final = 1_000_000
"""A run that is never full: the loop itself knows better whether it left something."""
Providers = Sequence[tuple[HttpProvider, float]]
"""Each with how many requests a second it may get."""


def build(platform: PlatformSettings, own: NotifierSettings) -> Service:
    """Every adapter, handler, loop and webhook on one service; raises if a template or a setting is wrong."""
    platform.require_loopback(*(url for url in (own.sms_url, own.voice_url) if url))
    lender = Lender(names=own.lender_names, agency_regions=frozenset(own.agency_regions))
    texts = TemplateBook(own.templates_folder, lender=lender)
    service = Service(name="notifier", topics=router.TOPICS, settings=platform)
    hash_key = base64.b64decode(own.number_hash_key) if own.number_hash_key else None
    sealer = AesGcmSealer(base64.b64decode(own.sealing_key), number_hash_key=hash_key)
    providers = _providers(own)
    names = {provider.channel: provider.name for provider, _ in providers}
    desk = Desk(
        permits=PostgresPermits(providers=names),
        contacts=PostgresContacts(sealer=sealer),
        receipts=PostgresReceipts(),
        inbound=PostgresInbound(),
        deliveries=PostgresDeliveries(),
        sealer=sealer,
        clock=service.clock,
        default_zone=own.default_zone,
    )
    router.subscribe(service, desk)
    ends = EndLoop(desk=desk, work=service.work)

    def end_blocked() -> None:
        ends.check_all()
        service.wake(EndLoop.name)

    guard = WebhookGuard(
        secret=own.webhook_secret.encode(),
        desk=desk,
        work=service.work,
        in_flight=service.in_flight,
        silenced=end_blocked,
    )

    def hash_of(number: str) -> bytes | None:
        normal = to_e164(number, default_region=own.default_region)
        return None if normal is None else sealer.hash_number(normal)

    router.serve(service, guard, hash_of)
    sending = Sending(
        desk=desk,
        work=service.work,
        texts=texts,
        owner=f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}",
        in_flight=service.in_flight,
        wake=service.wake,
    )
    lines = _lines(sending, providers, own, live=service.mode == "live")
    _add_loops(service, lines, ends, UpkeepLoop(desk=desk, work=service.work))
    service.after_batch(end_blocked, of=router.STOPS)
    return service


def _providers(own: NotifierSettings) -> Providers:
    """The providers that the settings name, each with its rate."""
    named: tuple[tuple[Channel, str, str | None, str, float], ...] = (
        ("sms", own.sms_name, own.sms_url, own.sms_key, own.sms_rate_per_second),
        ("voice", own.voice_name, own.voice_url, own.voice_key, own.voice_rate_per_second),
    )
    return tuple(
        (
            HTTP_PROVIDERS[channel](
                ProviderSettings(
                    name=name,
                    url=url,
                    key=key,
                    sender=own.sender,
                    timeout_seconds=own.provider_timeout_seconds,
                    connections_max=own.requests_max + 16,
                )
            ),
            rate,
        )
        for channel, name, url, key, rate in named
        if url
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """The loops that send, and their providers, which must be opened first and closed last.

    In shadow mode there is no provider; what a live process has left uncertain is unknown then.
    """

    providers: Sequence[HttpProvider]
    dispatches: Sequence[DispatchLoop]
    shadows: Sequence[ShadowLoop]
    results: ResultLoop
    lookups: LookupLoop

    async def start(self) -> None:
        for provider in self.providers:
            await provider.start()

    async def stop(self) -> None:
        """Let requests in flight end and write their results, then close."""
        for dispatch in self.dispatches:
            await dispatch.drain()
        while await self.results.run_once():
            pass
        for provider in self.providers:
            await provider.stop()


def _lines(sending: Sending, providers: Providers, own: NotifierSettings, *, live: bool) -> _Lines:
    results = ResultLoop(sending)
    paced = [
        (
            provider,
            Pace(
                rate_per_second=rate,
                requests_max=own.requests_max,
                claim_records_max=own.claim_records_max,
                lease_seconds=own.lease_seconds,
                timeout_seconds=own.provider_timeout_seconds,
            ),
        )
        for provider, rate in providers
    ]
    asked = [provider for provider, _ in paced] if live else []
    return _Lines(
        providers=asked,
        dispatches=[DispatchLoop(sending, provider, results, pace) for provider, pace in paced if live],
        shadows=[
            ShadowLoop(sending, channel=provider.channel, provider=provider.name, pace=pace)
            for provider, pace in paced
            if not live
        ],
        results=results,
        lookups=LookupLoop(
            sending, {provider.channel: provider for provider in asked}, results, lease_seconds=own.lease_seconds
        ),
    )


def _add_loops(service: Service, lines: _Lines, ends: EndLoop, upkeep: UpkeepLoop) -> None:
    service.background(lines.start, lines.stop)
    service.add_loop(ResultLoop.name, lines.results.run_once, idle_seconds=0.5, full_run=RESULTS_RECORDS_MAX)
    service.add_loop(
        EndLoop.name,
        ends.run_once,
        idle_seconds=0.5,
        next_due_at=ends.next_due_at,
        full_run=ENDS_RECORDS_MAX,
        pace_seconds=ENDS_PACE_SECONDS,
    )
    service.add_loop(UpkeepLoop.name, upkeep.run_once, idle_seconds=2.0)
    service.add_loop(LookupLoop.name, lines.lookups.run_once, idle_seconds=1.0)
    sending_loops: tuple[DispatchLoop | ShadowLoop, ...] = (*lines.dispatches, *lines.shadows)
    for loop in sending_loops:
        service.add_loop(
            loop.name, loop.run_once, idle_seconds=0.2, rests="while_lines_are_down", full_run=WAKES_ITSELF
        )

    def wake() -> None:
        service.wake(EndLoop.name)
        for loop in sending_loops:
            service.wake(loop.name)

    service.after_batch(wake, of=service.consumer.message_types)


app = app_of(build, NotifierSettings, PREFIX)
