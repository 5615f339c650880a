"""The gate's metrics. Labels come from closed sets; none carries a borrower or a number.

| name | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
| decorum_gate_decisions_total | counter | decisions | verdict, rule | new decisions by verdict and deciding rule |
| decorum_gate_replays_total | counter | decisions | | submissions that got their stored decision again |
| decorum_gate_revocations_total | counter | revocations | reason | revocations of open permits |
| decorum_gate_permits_open | gauge | permits | | permits that have no end yet |
| decorum_gate_permits_overdue | gauge | permits | | of those: past their end by `permit_overdue_minutes` or more |
| decorum_gate_decide_seconds | histogram | seconds | | one batch of submissions, from its facts to its rows |

`rule` is `none` where no single rule decided; rule ids come from the packs. `decorum_gate_permits_overdue` above zero
is an alert: somebody else's end is missing, and the slots stay counted (`deploy/runbooks/permits-overdue.md`).
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("decorum_gate_decisions", "new decisions by verdict and deciding rule", ("verdict", "rule"))
REPLAYS = Counter("decorum_gate_replays", "submissions that got their stored decision again")
REVOCATIONS = Counter("decorum_gate_revocations", "revocations of open permits", ("reason",))
PERMITS_OPEN = Gauge("decorum_gate_permits_open", "permits that have no end yet")
PERMITS_OVERDUE = Gauge("decorum_gate_permits_overdue", "permits that are long over and have no end")
DECIDE_SECONDS = Histogram("decorum_gate_decide_seconds", "one batch of submissions, from its facts to its rows")
