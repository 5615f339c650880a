"""The gate's database behind its ports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from compliance_gate.adapters.decision_records import DecisionRecords
from compliance_gate.adapters.fact_reads import FactReads
from compliance_gate.adapters.fact_writes import FactWrites
from compliance_gate.domain.facts import Stop
from compliance_gate.ports import PermitCounts, Tx

_TO_STOP: Final = """
SELECT DISTINCT p.borrower_id FROM permit p
JOIN unnest($1::text[], $2::text[]) AS s(scope, value)
  ON s.scope = 'all'
  OR (s.scope = 'channel' AND s.value = p.channel)
  OR (s.scope = 'provider' AND s.value = p.provider)
  OR (s.scope = 'strategy' AND s.value = p.strategy)
  OR (s.scope = 'borrower' AND s.value = p.borrower_id)
WHERE p.end_rank = 0 AND p.revocation_id IS NULL
ORDER BY p.borrower_id LIMIT $3
"""
_COUNTS: Final = """
SELECT count(*) AS open, count(*) FILTER (WHERE expires_at <= $1) AS overdue FROM permit WHERE end_rank = 0
"""


class PostgresGateStore(FactWrites, FactReads, DecisionRecords):
    """Implements `ports.GateStore`."""

    async def borrowers_to_stop(self, tx: Tx, stops: Sequence[Stop], *, limit: int) -> list[str]:
        """Borrowers with an open permit, not revoked, inside a stop's scope."""
        arrays = ([stop.scope for stop in stops], [stop.value or "" for stop in stops], limit)
        return list((await tx.exec_driver_sql(_TO_STOP, arrays)).scalars())

    async def permit_counts(self, tx: Tx, *, ended_before: datetime) -> PermitCounts:
        """Open permits, and those of them that ended before an instant without anybody saying how."""
        row = (await tx.exec_driver_sql(_COUNTS, (ended_before,))).one()
        return PermitCounts(open=row.open, overdue=row.overdue)
