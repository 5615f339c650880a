from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from decorum_local.loopback import free_port
from decorum_simulation.carrier.app import CarrierApp
from decorum_simulation.carrier.conduct import Conduct
from decorum_simulation.carrier.settings import CarrierSettings
from decorum_simulation.http_client import Answer, HttpClient
from notifier.domain.signatures import check_delivery
from shared.clock import Clock, SystemClock, VirtualClock

NOW = datetime(2026, 9, 16, 2, tzinfo=UTC)
FLAWLESS = {
    "reject_share": 0.0, "error_share": 0.0, "loss_share": 0.0, "receipt_loss_share": 0.0, "duplicate_share": 0.0,
    "delay_share": 0.0, "dead_line_share": 0.0, "disconnect_share": 0.0,
}  # fmt: skip


class Notifier:
    """Checks signatures as the real one does; refuses the first `refuses` webhooks."""

    def __init__(self) -> None:
        self.refuses = 0
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.problems: list[str | None] = []
        self.deliveries: list[str] = []
        self.now = NOW
        self.called = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.deliveries.append(headers["x-decorum-delivery"])
        self.problems.append(
            check_delivery(headers, body, secret=b"secret", now=self.now + timedelta(hours=1), age_seconds_max=7_200)
        )
        self.refuses -= 1
        if self.refuses < 0:
            self.taken.append((scope["path"], json.loads(body)))
        self.called.set()
        status = 204 if self.refuses < 0 else 503
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _running(app: Any, *, lifespan: str = "on") -> AsyncIterator[str]:
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="critical", lifespan=lifespan, ws="none")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    server.config.load()
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def _carrier(
    folder: Path, notifier: Notifier, *, clock: Clock | None = None, **conduct: float
) -> AsyncIterator[HttpClient]:
    notifier.now = clock.now() if clock else NOW
    async with _running(notifier, lifespan="off") as notifier_url:
        settings = CarrierSettings(
            key="k",
            webhook_secret="secret",
            notifier_urls=("http://127.0.0.1:9", notifier_url),
            log=str(folder / "c.jsonl"),
        )
        app = CarrierApp(settings, Conduct(**{**FLAWLESS, **conduct}), clock or VirtualClock(NOW))
        async with _running(app) as url:
            client = HttpClient(url, timeout_seconds=5)
            try:
                yield client
            finally:
                client.close()


async def _send(
    client: HttpClient,
    key: str,
    *,
    authorization: str = "Bearer k",
    path: str = "/v1/messages",
    not_after: str = "2026-09-16T02:30:00Z",
) -> Answer:
    request = {"idempotency_key": key, "to": "+8613800000001", "text": "您好", "not_after": not_after}
    return await client.request(
        "POST", path, body=json.dumps(request).encode(), headers=[("authorization", authorization)]
    )


async def _tick(client: HttpClient, now: datetime, phase: str) -> None:
    body = json.dumps({"now": now.isoformat(), "phase": phase}).encode()
    assert (await client.request("POST", "/simulation/tick", body=body)).status == 204
    while json.loads((await client.request("GET", "/simulation/status")).body)["busy"]:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.01)


async def test_a_message_is_accepted_looked_up_and_its_receipt_comes_signed_over_the_replica_that_is_there(
    tmp_path: Path,
) -> None:
    notifier = Notifier()
    async with _carrier(tmp_path, notifier) as client:
        answer = await _send(client, "a1")
        message_id = json.loads(answer.body)["message_id"]
        assert answer.status == 202
        assert (await client.request("GET", "/v1/messages/by-key/none")).status == 404
        await _tick(client, NOW + timedelta(minutes=30), "clock")
        assert notifier.taken == []
        await _tick(client, NOW + timedelta(minutes=30), "receipts")
        found = json.loads((await client.request("GET", "/v1/messages/by-key/a1")).body)
        delivered = json.loads((await client.request("GET", "/simulation/deliveries?after=0")).body)

    assert found["message_id"] == message_id
    assert [path for path, _ in notifier.taken] == ["/webhooks/sms/receipts"]
    assert notifier.taken[0][1]["message_id"] == message_id
    assert notifier.problems == [None]
    assert [d["attempt_id"] for d in delivered] == (["a1"] if found["status"] == "delivered" else [])


async def test_who_has_no_key_is_refused_and_what_is_malformed_too(tmp_path: Path) -> None:
    async with _carrier(tmp_path, Notifier()) as client:
        assert (await _send(client, "a1", authorization="Bearer x")).status == 401
        malformed = await client.request("POST", "/v1/calls", body=b"{}", headers=[("authorization", "Bearer k")])
        assert malformed.status == 400
        assert (await client.request("GET", "/nowhere")).status == 404

    assert (tmp_path / "c.jsonl").read_text() == ""


async def test_a_lost_answer_leaves_the_message_accepted(tmp_path: Path) -> None:
    async with _carrier(tmp_path, Notifier(), disconnect_share=1.0) as client:
        try:
            await _send(client, "a1", path="/v1/calls")
            raise AssertionError("the answer should have been lost")
        except ConnectionError:
            pass
        assert (await client.request("GET", "/v1/calls/by-key/a1")).status == 200

    kinds = [json.loads(line)["kind"] for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert kinds == ["request", "accepted"]


async def test_inbound_is_offered_with_a_new_delivery_id_until_it_is_taken_and_known_from_then_on(
    tmp_path: Path,
) -> None:
    notifier = Notifier()
    notifier.refuses = 2
    said = [{"inbound_id": "i1", "channel": "voice", "from": "+8613800000001", "text": "9", "at": NOW.isoformat()}]
    async with _carrier(tmp_path, notifier) as client:
        assert (await client.request("POST", "/simulation/inbound", body=json.dumps(said).encode())).status == 202
        for minute in range(4):
            await _tick(client, NOW + timedelta(minutes=minute), "receipts")
        known = json.loads((await client.request("GET", "/simulation/inbound")).body)

    assert [(path, body["digit"]) for path, body in notifier.taken] == [("/webhooks/voice/inbound", "9")]
    assert len(set(notifier.deliveries)) == 3
    assert known[0]["known_at"] == "2026-09-16T02:02:00Z"


async def test_faults_can_be_changed_while_it_runs(tmp_path: Path) -> None:
    async with _carrier(tmp_path, Notifier()) as client:
        changed = await client.request("POST", "/simulation/faults", body=b'{"reject_share": 1.0}')
        assert changed.status == 200
        assert (await _send(client, "a1")).status == 422
        assert (await client.request("POST", "/simulation/faults", body=b'{"no_such": 1.0}')).status == 422


async def test_with_a_clock_that_runs_by_itself_receipts_come_by_themselves(tmp_path: Path) -> None:
    notifier = Notifier()
    async with _carrier(tmp_path, notifier, clock=SystemClock(), delay_scale=0.0) as client:
        assert (await _send(client, "a1", not_after="2100-01-01T00:00:00Z")).status == 202
        async with asyncio.timeout(20):
            await notifier.called.wait()

    assert notifier.problems == [None]
