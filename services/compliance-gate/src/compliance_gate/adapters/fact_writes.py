"""Writing facts: every table in one statement for the whole batch, merged as `merging` says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from compliance_gate.adapters import tables
from compliance_gate.adapters.merging import (
    BALANCE_MERGE,
    CLOSURE_MERGE,
    CONTACT_MERGE,
    HOLDER_MERGE,
    ORDER_COLUMNS,
    PAYMENT_MERGE,
    PROFILE_IS_OLDER,
    UNPOSTED,
    in_rounds,
    last_writer_wins,
    latest,
    with_order,
)
from compliance_gate.adapters.shared_numbers import mirror_contacts, mirror_suppressions
from compliance_gate.ports import FactKind, FactRow, FactRows, OrderKey, PaymentKey, Tx, Values, Written
from shared.postgres.rows import insert_rows, update_rows

Won = tuple[FactKind, tuple[str, str], OrderKey]

_KEYED: Final[dict[FactKind, tuple[sa.Table, str]]] = {
    "restriction": (tables.restriction, "restriction_id"),
    "consent": (tables.consent, "consent_id"),
    "external_contact": (tables.contact, "contact_id"),
    "review": (tables.held_review, "decision_id"),
    "stop": (tables.stop, "stop_id"),
}
_UPSERTS: Final = {
    kind: last_writer_wins(table, ("borrower_id", id_column)) for kind, (table, id_column) in _KEYED.items()
}


class FactWrites:
    """The writing half of `ports.GateStore`."""

    async def write_facts(self, tx: Tx, rows: FactRows) -> Written:
        """Merge facts into the state, each by the way in which it converges."""
        won: list[Won] = [*await self._write_profiles(tx, rows.profiles)]
        by_kind: tuple[tuple[FactKind, list[FactRow]], ...] = (
            ("restriction", rows.restrictions),
            ("consent", rows.consents),
            ("external_contact", rows.external_contacts),
            ("review", rows.reviews),
            ("stop", rows.stops),
        )
        for kind, facts in by_kind:
            won.extend(await self._write_keyed(tx, kind, facts))
        await self._write_loans(tx, rows)
        await _merge_contacts(tx, rows.contacts)
        await self._end_permits(tx, rows.permit_ends)
        unposted = await self._write_payments(tx, rows.payments)
        return Written(
            won=frozenset(won),
            unposted_payments=frozenset(unposted),
            suppressed=await self._write_numbers(tx, rows),
        )

    async def _write_profiles(self, tx: Tx, facts: list[FactRow]) -> list[Won]:
        rows = [with_order(fact, borrower_id=fact.key[0]) for fact in latest(facts)]
        written = await update_rows(
            tx,
            tables.borrower,
            rows,
            keys=("borrower_id",),
            where=PROFILE_IS_OLDER,
            returning=("borrower_id", *ORDER_COLUMNS),
        )
        return [("profile", (row.borrower_id, ""), (row.event_at, row.event_source, row.event_id)) for row in written]

    async def _write_keyed(self, tx: Tx, kind: FactKind, facts: list[FactRow]) -> list[Won]:
        table, id_column = _KEYED[kind]
        rows = [with_order(fact, borrower_id=fact.key[0], **{id_column: fact.key[1]}) for fact in latest(facts)]
        written = await insert_rows(
            tx,
            table,
            rows,
            on_conflict=_UPSERTS[kind],
            returning=("borrower_id", id_column, *ORDER_COLUMNS),
        )
        return [(kind, (key[0], key[1]), (at, source, event_id)) for *key, at, source, event_id in map(tuple, written)]

    async def _write_loans(self, tx: Tx, rows: FactRows) -> None:
        newest: dict[tuple[str, str], Values] = {}
        for balance in rows.balances:
            key = (balance["borrower_id"], balance["loan_id"])
            known = newest.setdefault(key, balance)
            newer = balance if known["balance_version"] < balance["balance_version"] else known
            restated = max(known["snapshot_version"], balance["snapshot_version"])
            newest[key] = newer if newer["snapshot_version"] == restated else {**newer, "snapshot_version": restated}
        await insert_rows(tx, tables.loan, list(newest.values()), on_conflict=BALANCE_MERGE)
        closures = [
            {"borrower_id": borrower_id, "loan_id": loan_id, "closed_by_lender": True}
            for borrower_id, loan_id in dict.fromkeys(rows.closures)
        ]
        await insert_rows(tx, tables.loan, closures, on_conflict=CLOSURE_MERGE)

    async def _write_payments(self, tx: Tx, payments: Sequence[Values]) -> list[PaymentKey]:
        waiting: dict[PaymentKey, bool] = {}
        for rows in in_rounds(payments, PAYMENT_MERGE.keys):
            written = await insert_rows(
                tx,
                tables.payment,
                rows,
                on_conflict=PAYMENT_MERGE,
                returning=(*PAYMENT_MERGE.keys, f"{UNPOSTED} AS waits"),
            )
            waiting.update({(row.borrower_id, row.loan_id, row.payment_id): row.waits for row in written})
        return [key for key, waits in waiting.items() if waits]

    async def _end_permits(self, tx: Tx, ends: Sequence[Values]) -> None:
        highest: dict[tuple[str, str, int], Values] = {}
        for end in ends:
            key = (end["borrower_id"], end["attempt_id"], end["submission_number"])
            if key not in highest or highest[key]["end_rank"] < end["end_rank"]:
                highest[key] = end
        await update_rows(
            tx,
            tables.permit,
            list(highest.values()),
            keys=("borrower_id", "attempt_id", "submission_number"),
            where="t.end_rank < r.end_rank",
        )

    async def _write_numbers(self, tx: Tx, rows: FactRows) -> list[tuple[str, str, str]]:
        """Bring what is kept under numbers' hashes in line with the borrowers' own rows."""
        newest: dict[tuple[str, str, str], Values] = {}
        for row in rows.number_holders:
            key = (row["number_key"], row["borrower_id"], row["contact_point_id"])
            if key not in newest or newest[key]["last_at"] < row["last_at"]:
                newest[key] = row
        await insert_rows(tx, tables.number_holder, list(newest.values()), on_conflict=HOLDER_MERGE)
        renumbered = {row["borrower_id"] for row in newest.values()}
        touched = [(row["borrower_id"], row["contact_id"]) for row in rows.contacts]
        replaced = [fact.key for fact in rows.external_contacts]
        await mirror_contacts(tx, touched, replaced=replaced, renumbered=renumbered)
        wished = renumbered | {fact.key[0] for fact in rows.consents}
        return await mirror_suppressions(tx, wished) if wished else []


async def _merge_contacts(tx: Tx, contacts: Sequence[Values]) -> None:
    """What is told of contacts differs by the event, and a batch may tell of one several times."""
    by_columns: defaultdict[tuple[str, ...], list[Values]] = defaultdict(list)
    for row in contacts:
        by_columns[tuple(row)].append(row)
    for alike in by_columns.values():
        for rows in in_rounds(alike, ("borrower_id", "contact_id")):
            await insert_rows(tx, tables.contact, rows, on_conflict=CONTACT_MERGE)
