"""The ledger's metrics. Labels come from closed sets; nothing names a borrower, a loan or an amount of one."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

TRANSACTIONS: Final = Counter(
    "ledger_transactions",
    "Transactions written to the book; `correction` takes an earlier one back because a late event changed it.",
    ["kind"],
)
FLAGGED_EVENTS: Final = Counter(
    "ledger_flagged_events",
    "Events a person may want to look at: late, aged, doubled_payment, other_currency, unknown_loan, overpaid.",
    ["flag"],
)
BALANCE_CHANGES: Final = Counter(
    "ledger_balance_changes", "Changes of a loan's balance, by what caused them.", ["cause"]
)
HISTORIES_READ: Final = Counter(
    "ledger_histories_read", "Loans whose whole history was folded again for a late event, a reversal or a double."
)
PROMISES: Final = Counter(
    "ledger_promises",
    "Promises to pay by the state they entered: open, kept, partly_kept, broken, replaced, voided.",
    ["state"],
)
CASE_ROWS: Final = Counter("ledger_case_rows", "Rows added to the case timeline.")
