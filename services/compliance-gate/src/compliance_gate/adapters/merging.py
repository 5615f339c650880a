"""How each table of facts merges what arrives, so that any order and any number of copies give the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from compliance_gate.ports import FactRow, Values
from shared.postgres.rows import Upsert

ORDER_COLUMNS: Final = ("event_at", "event_source", "event_id")


def last_writer_wins(table: sa.Table, keys: tuple[str, ...]) -> Upsert:
    """The later event's row replaces the earlier one's; texts are compared as Python compares them."""
    return Upsert(
        keys=keys,
        update=tuple(column.name for column in table.columns if column.name not in keys),
        where=_is_older(table.name, "excluded"),
    )


def _is_older(there: str, new: str) -> str:
    left = f'({there}.event_at, {there}.event_source COLLATE "C", {there}.event_id COLLATE "C")'
    right = f'({new}.event_at, {new}.event_source COLLATE "C", {new}.event_id COLLATE "C")'
    return f"{there}.event_at IS NULL OR {left} < {right}"


PROFILE_IS_OLDER: Final = _is_older("t", "r")


def latest(rows: Iterable[FactRow]) -> list[FactRow]:
    """One row a key: a statement can't touch a row twice."""
    winners: dict[tuple[str, str], FactRow] = {}
    for row in rows:
        known = winners.get(row.key)
        if known is None or known.order_key < row.order_key:
            winners[row.key] = row
    return list(winners.values())


def with_order(row: FactRow, **keys: str) -> dict[str, object]:
    """The row as columns."""
    at, source, event_id = row.order_key
    return {**row.values, **keys, "event_at": at, "event_source": source, "event_id": event_id}


def in_rounds(rows: Sequence[Values], keys: tuple[str, ...]) -> list[list[Values]]:
    """`rows` in lists in which no key occurs twice, so that each list can be one statement."""
    rounds: list[list[Values]] = []
    seen: dict[tuple[object, ...], int] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        number = seen.get(key, 0)
        seen[key] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(row)
    return rounds


def _from_later_submission(column: str, otherwise: str) -> tuple[str, str]:
    later = "excluded.reserved_submission > contact.reserved_submission"
    return (column, f"CASE WHEN {later} THEN excluded.{column} ELSE {otherwise} END")


def _told(column: str) -> tuple[str, str]:
    return _from_later_submission(column, f"COALESCE(NULLIF(contact.{column}, ''), excluded.{column})")


def _highest(column: str) -> tuple[str, str]:
    return (column, f"GREATEST(contact.{column}, excluded.{column})")


CONTACT_MERGE: Final = Upsert(
    keys=("borrower_id", "contact_id"),
    merge=(
        (
            "at",
            "CASE WHEN excluded.proof > contact.proof THEN excluded.at WHEN excluded.proof < contact.proof "
            "THEN contact.at WHEN contact.proof = 0 THEN GREATEST(contact.at, excluded.at) "
            "ELSE LEAST(contact.at, excluded.at) END",
        ),
        _told("channel"),
        _told("party"),
        _told("purpose"),
        _told("contact_point_id"),
        _told("number_key"),
        _told("reply_to"),
        _from_later_submission(
            "loans", "CASE WHEN contact.loans = '[]'::jsonb THEN excluded.loans ELSE contact.loans END"
        ),
        _highest("reserved_submission"),
        _highest("ended_submission"),
        _highest("proof"),
        (
            "result",
            "CASE WHEN excluded.result_rank > contact.result_rank THEN excluded.result ELSE contact.result END",
        ),
        _highest("result_rank"),
    ),
)
"""Marks only rise; what the gate permitted says more than what was reported of it; a surer proof has the instant."""

_NEWER_BALANCE: Final = "(loan.balance_version IS NULL OR loan.balance_version < excluded.balance_version)"

BALANCE_MERGE: Final = Upsert(
    keys=("borrower_id", "loan_id"),
    merge=(
        *(
            (column, f"CASE WHEN {_NEWER_BALANCE} THEN excluded.{column} ELSE loan.{column} END")
            for column in ("currency", "overdue_minor", "outstanding_minor", "balance_version", "closed_in_book")
        ),
        ("snapshot_version", "GREATEST(loan.snapshot_version, excluded.snapshot_version)"),
    ),
    where=f"{_NEWER_BALANCE} OR loan.snapshot_version < excluded.snapshot_version",
)

CLOSURE_MERGE: Final = Upsert(keys=("borrower_id", "loan_id"), update=("closed_by_lender",))

PAYMENT_MERGE: Final = Upsert(
    keys=("borrower_id", "loan_id", "payment_id"),
    merge=(
        *((mark, f"payment.{mark} OR excluded.{mark}") for mark in ("received", "reversed", "posted", "unposted")),
        *((mark, f"GREATEST(payment.{mark}, excluded.{mark})") for mark in ("uncounted_at", "uncounted_version")),
    ),
)

HOLDER_MERGE: Final = Upsert(
    keys=("number_key", "borrower_id", "contact_point_id"),
    merge=(("last_at", "GREATEST(number_holder.last_at, excluded.last_at)"),),
)

UNPOSTED: Final = "received AND (NOT (posted OR unposted) OR (reversed AND NOT unposted))"
"""A payment, or its reversal, that is known of and isn't in the book yet."""

UNCOUNTED: Final = "uncounted_at IS NOT NULL AND NOT (reversed OR unposted)"
"""A payment that is in the book and, when it was booked, was not in the balance."""
