"""The scheduler's metrics. Labels come from closed sets; none carries a borrower, a loan or a template.

| name | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
| decorum_scheduler_submissions_total | counter | attempts | channel, grade, purpose | hand-overs to the gate |
| decorum_scheduler_attempts_ended_total | counter | attempts | reason | attempts that ended without a contact |
| decorum_scheduler_referrals_total | counter | referrals | target | paths handed to a person, an agency, the court |
| decorum_scheduler_reports_unmatched_total | counter | reports | - | reports about attempts unknown here |
| decorum_scheduler_releases_failed_total | counter | borrowers | - | releases that met a defect and wait an hour |
| decorum_scheduler_release_lag_seconds | histogram | business seconds | - | from due to handed over, longest one |
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

SUBMISSIONS: Final = Counter("decorum_scheduler_submissions", "hand-overs to the gate", ("channel", "grade", "purpose"))
ATTEMPTS_ENDED: Final = Counter(
    "decorum_scheduler_attempts_ended", "attempts that ended without a contact", ("reason",)
)
REFERRALS: Final = Counter("decorum_scheduler_referrals", "paths handed to somebody else", ("target",))
REPORTS_UNMATCHED: Final = Counter(
    "decorum_scheduler_reports_unmatched", "reports about attempts that this database doesn't have"
)
RELEASES_FAILED: Final = Counter("decorum_scheduler_releases_failed", "releases that met a defect and wait an hour")
RELEASE_LAG_SECONDS: Final = Histogram(
    "decorum_scheduler_release_lag_seconds",
    "business time from due to handed over, longest of a batch",
    buckets=(0.1, 0.5, 1, 5, 30, 60, 300, 1800, 3600, 14400, 86400),
)
