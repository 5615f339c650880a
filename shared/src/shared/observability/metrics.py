"""Metrics that every service has. Labels come from closed sets; none carries a borrower or a number.

| name | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
| decorum_records_total | counter | records | group, outcome (handled, dead_lettered) | records taken from Kafka |
| decorum_dead_letters_total | counter | records | group, topic, reason | records that went to the dead letters |
| decorum_loop_runs_total | counter | runs | loop, outcome (worked, idle, failed) | runs of the service's own loops |
| decorum_loop_items_total | counter | items | loop | items that those runs moved |
| decorum_consumer_fused_partitions | gauge | partitions | group | partitions paused by the fuse |
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge

RECORDS = Counter("decorum_records", "records taken from Kafka", ("group", "outcome"))
DEAD_LETTERS = Counter("decorum_dead_letters", "records that went to the dead letters", ("group", "topic", "reason"))
LOOP_RUNS = Counter("decorum_loop_runs", "runs of the service's own loops", ("loop", "outcome"))
LOOP_ITEMS = Counter("decorum_loop_items", "items moved by the service's own loops", ("loop",))
FUSED_PARTITIONS = Gauge("decorum_consumer_fused_partitions", "partitions paused by the fuse", ("group",))
