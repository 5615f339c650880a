"""The ledger's storage: the book of loans and the case timeline, set-based."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.adapters import tables
from ledger.adapters.promise_store import PromiseStore
from ledger.domain.account import BookEvent, LoanAccount
from ledger.domain.amounts import COMPONENTS, AllocationOrder, Split
from ledger.domain.book import LoanBook, WaitingPayment
from ledger.domain.entries import Line, Transaction, balanced
from ledger.ports import CaseRow, LoanKey, PaymentKey, Profile
from shared.contracts import (
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    Message,
    PaymentReceivedV1,
    PaymentReversedV1,
)
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.postgres import rows
from shared.postgres.rows import Upsert, insert_rows, select_matching

BOOK_TYPES: Final[tuple[type[Message], ...]] = (
    LoanRegisteredV1,
    LoanOverdueV1,
    LoanClosedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
)
_BY_KIND: Final = {BY_MESSAGE_TYPE[message_type].ce_type: message_type for message_type in BOOK_TYPES}
_BOOK_KINDS: Final = ", ".join(f"'{kind}'" for kind in _BY_KIND)
PAYMENT_KINDS: Final = "'lender.payment-received.v1', 'lender.payment-reversed.v1'"
_LOAN_COLUMNS: Final = tuple(tables.loan.c.keys())
_POSTING_COLUMNS: Final = tuple(tables.posting.c.keys())
_SPLITS: Final = ("outstanding", "overdue", "next_due")


class SqlLedgerStore(PromiseStore):
    """`LedgerStore` on Postgres."""

    async def lock_borrowers(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        locked = await rows.lock_borrowers(tx, tables.borrower, borrower_ids, columns=("zones",))
        return {borrower_id: tuple(row.zones or ()) for borrower_id, row in locked.items()}

    async def keep_profiles(self, tx: AsyncConnection, profiles: Sequence[Profile]) -> None:
        latest: dict[str, Profile] = {}
        for profile in sorted(profiles, key=lambda p: p.order_key):
            latest[profile.borrower_id] = profile
        columns = ("zones", "profile_at", "profile_source", "profile_event_id")
        await insert_rows(
            tx,
            tables.borrower,
            [
                {"borrower_id": p.borrower_id, **dict(zip(columns, (list(p.zones), *p.order_key), strict=True))}
                for p in latest.values()
            ],
            on_conflict=Upsert(
                keys=("borrower_id",),
                update=columns,
                where='borrower.profile_at IS NULL OR (borrower.profile_at, borrower.profile_source COLLATE "C", '
                'borrower.profile_event_id COLLATE "C") '
                "< (excluded.profile_at, excluded.profile_source, excluded.profile_event_id)",
            ),
        )

    async def accounts(
        self, tx: AsyncConnection, loans: Iterable[LoanKey], order: AllocationOrder
    ) -> dict[LoanKey, LoanAccount]:
        wanted = set(loans)
        keys = [{"borrower_id": borrower_id, "loan_id": loan_id} for borrower_id, loan_id in wanted]
        found = await select_matching(tx, tables.loan, keys, columns=_LOAN_COLUMNS)
        known = {(row.borrower_id, row.loan_id): _account(row) for row in found}
        for borrower_id, loan_id in wanted - known.keys():
            known[(borrower_id, loan_id)] = LoanAccount(
                borrower_id=borrower_id, loan_id=loan_id, book=LoanBook(order=order)
            )
        return known

    async def seen_payments(self, tx: AsyncConnection, payments: Iterable[PaymentKey]) -> set[PaymentKey]:
        columns = ("borrower_id", "loan_id", "payment_id")
        keys = [dict(zip(columns, payment, strict=True)) for payment in payments]
        suffix = f"WHERE t.kind IN ({PAYMENT_KINDS})"
        found = await select_matching(tx, tables.case_event, keys, columns=columns, suffix=suffix)
        return {(row.borrower_id, row.loan_id, row.payment_id) for row in found}

    async def with_histories(self, tx: AsyncConnection, accounts: Sequence[LoanAccount]) -> dict[LoanKey, LoanAccount]:
        keys = [{"borrower_id": a.borrower_id, "loan_id": a.loan_id} for a in accounts]
        events: dict[LoanKey, list[BookEvent]] = defaultdict(list)
        for row in await select_matching(
            tx,
            tables.case_event,
            keys,
            columns=("borrower_id", "loan_id", "at", "source", "event_id", "kind", "detail"),
            suffix=f"WHERE t.kind IN ({_BOOK_KINDS})",
        ):
            message: Any = msgspec.convert(row.detail, _BY_KIND[row.kind])
            events[(row.borrower_id, row.loan_id)].append(
                BookEvent(at=row.at, source=row.source, event_id=row.event_id, message=message)
            )
        written = await select_matching(tx, tables.posting, keys, columns=_POSTING_COLUMNS)
        transactions = _transactions(written)
        return {a.loan: a.with_history(events[a.loan], transactions[a.loan]) for a in accounts}

    async def keep_accounts(self, tx: AsyncConnection, accounts: Sequence[LoanAccount]) -> None:
        keys = ("borrower_id", "loan_id")
        changed = tuple(column for column in _LOAN_COLUMNS if column not in (*keys, "allocation_order"))
        await insert_rows(
            tx, tables.loan, [_loan_row(a) for a in accounts], on_conflict=Upsert(keys=keys, update=changed)
        )

    async def add_transactions(self, tx: AsyncConnection, transactions: Sequence[tuple[LoanKey, Transaction]]) -> None:
        lines = [row for loan, transaction in transactions for row in _posting_rows(loan, transaction)]
        await insert_rows(tx, tables.posting, lines, on_conflict="raise")

    async def add_case_rows(self, tx: AsyncConnection, rows: Sequence[CaseRow]) -> None:
        columns = tuple(tables.case_event.c.keys())
        values = [{column: getattr(row, column) for column in columns} for row in rows]
        await insert_rows(tx, tables.case_event, values)


def _account(row: Any) -> LoanAccount:
    outstanding, overdue, next_due = (_split(row, name) for name in _SPLITS)
    waiting = tuple(
        WaitingPayment(payment_id=payment_id, currency=currency, amount_minor=amount)
        for payment_id, currency, amount in row.waiting
    )
    return LoanAccount(
        borrower_id=row.borrower_id,
        loan_id=row.loan_id,
        book=LoanBook(
            order=AllocationOrder.parse(tuple(row.allocation_order.split(","))),
            currency=row.currency,
            outstanding=outstanding,
            overdue=overdue,
            next_due=next_due,
            oldest_unpaid_due_on=row.oldest_unpaid_due_on,
            next_due_on=row.next_due_on,
            closed=row.closed,
            waiting=waiting,
        ),
        last_key=(row.last_at, row.last_source, row.last_event_id),
        balance_version=row.balance_version,
    )


def _split(row: Any, name: str) -> Split:
    fees, interest, principal = (getattr(row, f"{name}_{component}_minor") for component in COMPONENTS)
    return (fees, interest, principal)


def _loan_row(account: LoanAccount) -> dict[str, Any]:
    book = account.book
    assert account.last_key is not None, "only a loan with an event is kept"
    last_at, last_source, last_event_id = account.last_key
    return {
        "borrower_id": account.borrower_id,
        "loan_id": account.loan_id,
        "allocation_order": ",".join(book.order.names),
        "currency": book.currency,
        **{
            f"{name}_{component}_minor": amount
            for name, split in zip(_SPLITS, (book.outstanding, book.overdue, book.next_due), strict=True)
            for component, amount in zip(COMPONENTS, split, strict=True)
        },
        "oldest_unpaid_due_on": book.oldest_unpaid_due_on,
        "next_due_on": book.next_due_on,
        "closed": book.closed,
        "waiting": [(w.payment_id, w.currency, w.amount_minor) for w in book.waiting],
        "balance_version": account.balance_version,
        "last_at": last_at,
        "last_source": last_source,
        "last_event_id": last_event_id,
    }


def _posting_rows(loan: LoanKey, transaction: Transaction) -> Iterable[dict[str, Any]]:
    for account, amount in transaction.lines:
        yield {
            "borrower_id": loan[0],
            "transaction_id": transaction.transaction_id,
            "account": account,
            "loan_id": loan[1],
            "kind": transaction.kind,
            "payment_id": transaction.payment_id,
            "currency": transaction.currency,
            "amount_minor": amount,
            "at": transaction.at,
            "event_source": transaction.event_id[0],
            "event_id": transaction.event_id[1],
            "trigger_source": transaction.trigger_id[0],
            "trigger_event_id": transaction.trigger_id[1],
            "reverses": transaction.reverses,
        }


def _transactions(written: Iterable[Any]) -> dict[LoanKey, list[Transaction]]:
    by_id: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for row in written:
        by_id[(row.borrower_id, row.loan_id, str(row.transaction_id))].append(row)
    transactions: dict[LoanKey, list[Transaction]] = defaultdict(list)
    for (borrower_id, loan_id, transaction_id), lines in by_id.items():
        transactions[(borrower_id, loan_id)].append(_transaction(transaction_id, lines))
    return transactions


def _transaction(transaction_id: str, posted: Sequence[Any]) -> Transaction:
    row = posted[0]
    at: datetime = row.at
    lines: list[Line] = [(line.account, line.amount_minor) for line in posted]
    return Transaction(
        transaction_id=transaction_id,
        kind=row.kind,
        payment_id=row.payment_id,
        currency=row.currency,
        lines=balanced(lines),
        at=at,
        event_id=(row.event_source, row.event_id),
        trigger_id=(row.trigger_source, row.trigger_event_id),
        reverses=str(row.reverses) if row.reverses is not None else None,
    )
