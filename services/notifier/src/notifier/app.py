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
from notifier.adapters.work import OutboxWork
from notifier.handlers.contacts import ContactHandlers
from notifier.handlers.inbound import InboundHandlers
from notifier.handlers.permits import PermitHandlers
from notifier.handlers.receipts import ReceiptHandlers
from notifier.handlers.webhooks import WebhookGuard
from notifier.loops.desk import Desk, Pace
from notifier.loops.sending import RESULTS_RECORDS_MAX, DispatchLoop, LookupLoop, ResultLoop
from notifier.loops.shadow import ShadowLoop
from notifier.loops.upkeep import ENDS_RECORDS_MAX, EndLoop, UpkeepLoop
from notifier.settings import PREFIX, NotifierSettings
from shared.contracts import Channel
from shared.service import PlatformSettings, Service, app_of

ENDS_PACE_SECONDS: Final = 0.1
"""A claim refuses what has ended or is forbidden; to say so may wait this long."""
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
    work = OutboxWork(engine=service.engine, outbox=service.outbox, wake_outbox=lambda: service.wake("outbox"))
    providers = _providers(own)
    names = {provider.channel: provider.name for provider, _ in providers}
    store = PostgresPermits(providers=names)
    deliveries = PostgresDeliveries()
    permits = PermitHandlers(permits=store, clock=service.clock)
    contacts = ContactHandlers(contacts=PostgresContacts(sealer=sealer), permits=permits)
    receipts = ReceiptHandlers(receipts=PostgresReceipts(), clock=service.clock)
    inbound = InboundHandlers(
        store=PostgresInbound(), permits=permits, sealer=sealer, clock=service.clock, default_zone=own.default_zone
    )
    router.subscribe(service, contacts, permits)
    guard = WebhookGuard(
        secret=own.webhook_secret.encode(),
        clock=service.clock,
        deliveries=deliveries,
        work=work,
        in_flight=service.in_flight,
        stopped=lambda: service.wake(EndLoop.name),
    )

    def hash_of(number: str) -> bytes | None:
        normal = to_e164(number, default_region=own.default_region)
        return None if normal is None else sealer.hash_number(normal)

    router.serve(service, guard, receipts, inbound, hash_of)
    desk = Desk(
        work=work,
        permits=store,
        sealer=sealer,
        texts=texts,
        clock=service.clock,
        owner=f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}",
        in_flight=service.in_flight,
        wake=service.wake,
    )
    sending = _sending(desk, providers, own, live=service.mode == "live")
    ends = EndLoop(work=work, permits=store, clock=service.clock, decisions=permits, inbound=inbound)
    upkeep = UpkeepLoop(work=work, receipts=receipts, deliveries=deliveries, clock=service.clock)
    _add_loops(service, sending, ends, upkeep)
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
class _Sending:
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


def _sending(desk: Desk, providers: Providers, own: NotifierSettings, *, live: bool) -> _Sending:
    results = ResultLoop(desk)
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
    return _Sending(
        providers=asked,
        dispatches=[DispatchLoop(desk, provider, results, pace) for provider, pace in paced if live],
        shadows=[
            ShadowLoop(desk, channel=provider.channel, provider=provider.name, pace=pace)
            for provider, pace in paced
            if not live
        ],
        results=results,
        lookups=LookupLoop(
            desk, {provider.channel: provider for provider in asked}, results, lease_seconds=own.lease_seconds
        ),
    )


def _add_loops(service: Service, sending: _Sending, ends: EndLoop, upkeep: UpkeepLoop) -> None:
    service.background(sending.start, sending.stop)
    service.add_loop(ResultLoop.name, sending.results.run_once, idle_seconds=0.5, full_run=RESULTS_RECORDS_MAX)
    service.add_loop(
        EndLoop.name,
        ends.run_once,
        idle_seconds=0.5,
        next_due_at=ends.next_due_at,
        full_run=ENDS_RECORDS_MAX,
        pace_seconds=ENDS_PACE_SECONDS,
    )
    service.add_loop(UpkeepLoop.name, upkeep.run_once, idle_seconds=2.0)
    service.add_loop(LookupLoop.name, sending.lookups.run_once, idle_seconds=1.0)
    woken = [EndLoop.name]
    sending_loops: tuple[DispatchLoop | ShadowLoop, ...] = (*sending.dispatches, *sending.shadows)
    for loop in sending_loops:
        service.add_loop(loop.name, loop.run_once, idle_seconds=0.2, rests="while_lines_are_down")
        woken.append(loop.name)
    for name in woken:
        service.after_batch(lambda name=name: service.wake(name))  # type: ignore[misc]


app = app_of(build, NotifierSettings, PREFIX)
