"""Metrics of the notifier. Labels come from closed sets; none carries a borrower, a number or a text.

| name | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
| decorum_notifier_permits_ended_total | counter | permits | channel, state, reason | published ends of permits |
| decorum_notifier_sends_total | counter | requests | channel, answer | answers of providers, and look-ups |
| decorum_notifier_shadowed_total | counter | permits | channel | what shadow mode would have sent; nothing was |
| decorum_notifier_send_seconds | histogram | seconds | channel | from the request to the provider's answer |
| decorum_notifier_claimed_total | counter | permits | channel | permits claimed for sending |
| decorum_notifier_in_flight | gauge | requests | channel | requests to providers without an answer |
| decorum_notifier_lapsed_total | counter | permits | channel | claims whose sender's lease ran out |
| decorum_notifier_webhooks_total | counter | requests | channel, kind, outcome | deliveries, by what was done |
| decorum_notifier_receipts_total | counter | receipts | channel, status, outcome | received, applied, waiting |
| decorum_notifier_inbound_total | counter | messages | channel, intent | inbound messages and key presses by intent |
| decorum_notifier_suppressions_total | counter | numbers | channel | stops by borrowers kept at once |
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

PERMITS_ENDED = Counter("decorum_notifier_permits_ended", "ends of permits", ("channel", "state", "reason"))
SENDS = Counter("decorum_notifier_sends", "answers of providers, and look-ups", ("channel", "answer"))
SHADOWED = Counter("decorum_notifier_shadowed", "permits that shadow mode would have sent", ("channel",))
SEND_SECONDS = Histogram(
    "decorum_notifier_send_seconds",
    "from the request to the provider's answer",
    ("channel",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CLAIMED = Counter("decorum_notifier_claimed", "permits claimed for sending", ("channel",))
IN_FLIGHT = Gauge("decorum_notifier_in_flight", "requests to providers without an answer", ("channel",))
LAPSED = Counter("decorum_notifier_lapsed", "claims whose sender's lease ran out", ("channel",))
WEBHOOKS = Counter("decorum_notifier_webhooks", "webhook deliveries", ("channel", "kind", "outcome"))
RECEIPTS = Counter("decorum_notifier_receipts", "receipts", ("channel", "status", "outcome"))
INBOUND = Counter("decorum_notifier_inbound", "inbound messages and key presses", ("channel", "intent"))
SUPPRESSIONS = Counter("decorum_notifier_suppressions", "stops by borrowers kept at once", ("channel",))


class SendMeter:
    """The metrics of one channel's requests, with their labels looked up once: they are on the hot path."""

    def __init__(self, channel: str) -> None:
        self._claimed = CLAIMED.labels(channel)
        self._in_flight = IN_FLIGHT.labels(channel)
        self._shadowed = SHADOWED.labels(channel)
        self._seconds = SEND_SECONDS.labels(channel)
        kinds = ("accepted", "rejected", "uncertain", "refused_connection")
        self._answers = {kind: SENDS.labels(channel, kind) for kind in kinds}

    def claimed(self, count: int, *, in_flight: int) -> None:
        """A claim of `count` permits was made."""
        self._claimed.inc(count)
        self._in_flight.set(in_flight)

    def shadowed(self, count: int) -> None:
        """So many would have been sent."""
        self._shadowed.inc(count)

    def answered(self, kind: str, seconds: float) -> None:
        """A provider answered."""
        self._answers[kind].inc()
        self._seconds.observe(seconds)
