"""Signed webhooks to the notifier: every POST has its own delivery id and the business second it was sent at."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from collections.abc import Sequence
from datetime import datetime

from decorum_simulation.http_client import HttpClient


def signed_headers(secret: str, *, timestamp: int, delivery: str, body: bytes) -> list[tuple[str, str]]:
    """The three headers that prove who sent `body`, when, and as which delivery."""
    digest = hmac.new(secret.encode(), f"{timestamp}.{delivery}.".encode() + body, hashlib.sha256).hexdigest()
    return [
        ("x-decorum-timestamp", str(timestamp)),
        ("x-decorum-delivery", delivery),
        ("x-decorum-signature", f"sha256={digest}"),
    ]


class Webhooks:
    """Posts to the notifier's replicas in turn; one that is away is passed over for the next."""

    def __init__(self, urls: Sequence[str], *, secret: str, in_flight_max: int, timeout_seconds: float) -> None:
        self._secret = secret
        self._clients = [
            HttpClient(url, connections_max=in_flight_max, timeout_seconds=timeout_seconds) for url in urls
        ]
        self._turn = itertools.count()
        self._process = f"{time.time_ns():x}"
        self._deliveries = itertools.count()

    @property
    def enabled(self) -> bool:
        """Whether there is anybody to send to."""
        return bool(self._clients)

    async def post(self, path: str, body: bytes, now: datetime) -> bool:
        """Send once; True when a replica answered 2xx (or that it has had this very delivery)."""
        first = next(self._turn)
        for offset in range(len(self._clients)):
            client = self._clients[(first + offset) % len(self._clients)]
            delivery = f"{self._process}-{next(self._deliveries)}"
            headers = signed_headers(self._secret, timestamp=int(now.timestamp()), delivery=delivery, body=body)
            try:
                answer = await client.request("POST", path, body=body, headers=headers)
            except (OSError, TimeoutError):
                continue
            return 200 <= answer.status < 300
        return False

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()
