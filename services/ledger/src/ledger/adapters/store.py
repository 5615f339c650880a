"""The ledger's storage: the book of loans and the case timeline, set-based."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.adapters import tables
from ledger.adapters.promise_store import PromiseStore
from ledger.domain.account import BookEvent, LoanAccount
from ledger.domain.amounts import AllocationOrder
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
from shared.postgres.rows import Upsert, append_rows, insert_rows, select_matching

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
_json: Final = msgspec.json.Encoder()


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

    async def accounts_of(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> dict[LoanKey, LoanAccount]:
        keys = [{"borrower_id": borrower_id} for borrower_id in sorted(set(borrower_ids))]
        found = await select_matching(tx, tables.loan, keys, columns=_LOAN_COLUMNS)
        return {(row.borrower_id, row.loan_id): _account(row) for row in found}

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
        lines = [line for loan, transaction in transactions for line in _posting_lines(loan, transaction)]
        await append_rows(tx, tables.posting, lines)

    async def add_case_rows(self, tx: AsyncConnection, rows: Sequence[CaseRow]) -> None:
        await append_rows(tx, tables.case_event, [_case_line(row) for row in rows])


def _account(row: Any) -> LoanAccount:
    """An account from a row of `_LOAN_COLUMNS`, taken by position: this runs once an event."""
    borrower_id, loan_id, order, currency, *amounts = row[:13]
    oldest_unpaid_due_on, next_due_on, closed, waiting, balance_version, *last_key = row[13:]
    return LoanAccount(
        borrower_id=borrower_id,
        loan_id=loan_id,
        book=LoanBook(
            order=_order(order),
            currency=currency,
            outstanding=(amounts[0], amounts[1], amounts[2]),
            overdue=(amounts[3], amounts[4], amounts[5]),
            next_due=(amounts[6], amounts[7], amounts[8]),
            oldest_unpaid_due_on=oldest_unpaid_due_on,
            next_due_on=next_due_on,
            closed=closed,
            waiting=tuple(
                WaitingPayment(payment_id=payment_id, currency=waiting_currency, amount_minor=amount)
                for payment_id, waiting_currency, amount in waiting
            ),
        ),
        last_key=(last_key[0], last_key[1], last_key[2]),
        balance_version=balance_version,
    )


@lru_cache(maxsize=16)
def _order(names: str) -> AllocationOrder:
    return AllocationOrder.parse(tuple(names.split(",")))


def _loan_row(account: LoanAccount) -> dict[str, Any]:
    book = account.book
    assert account.last_key is not None, "only a loan with an event is kept"
    waiting = [(w.payment_id, w.currency, w.amount_minor) for w in book.waiting]
    values = (
        account.borrower_id,
        account.loan_id,
        ",".join(book.order.names),
        book.currency,
        *book.outstanding,
        *book.overdue,
        *book.next_due,
        book.oldest_unpaid_due_on,
        book.next_due_on,
        book.closed,
        waiting,
        account.balance_version,
        *account.last_key,
    )
    return dict(zip(_LOAN_COLUMNS, values, strict=True))


def _posting_lines(loan: LoanKey, transaction: Transaction) -> Iterable[tuple[Any, ...]]:
    """Rows in the order of the table's columns."""
    for account, amount in transaction.lines:
        yield (
            loan[0],
            transaction.transaction_id,
            account,
            loan[1],
            transaction.kind,
            transaction.payment_id,
            transaction.currency,
            amount,
            transaction.at,
            *transaction.event_id,
            *transaction.trigger_id,
            transaction.reverses,
        )


def _case_line(row: CaseRow) -> tuple[Any, ...]:
    """A row in the order of the table's columns."""
    return (
        row.borrower_id,
        row.at,
        row.source,
        row.event_id,
        row.kind,
        row.loan_id,
        row.payment_id,
        row.attempt_id,
        ",".join(row.flags) or None,
        _json.encode(row.detail).decode(),
    )


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
