"""The ledger's metrics. Labels come from closed sets; none carries a borrower, a loan or an amount of one.

| name | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
| decorum_ledger_transactions_total | counter | transactions | kind | written to the book; `correction` takes one back |
| decorum_ledger_flagged_events_total | counter | events | flag | events that a person may want to look at |
| decorum_ledger_balance_changes_total | counter | changes | cause | changes of a loan's balance |
| decorum_ledger_histories_read_total | counter | loans | - | histories folded again: late event, reversal, double |
| decorum_ledger_promises_total | counter | promises | state | promises to pay by the state that they entered |
| decorum_ledger_case_rows_total | counter | rows | - | rows added to the case timeline |

A `correction` is made where a late event changed an earlier transaction. Flags: late, aged, doubled_payment,
other_currency, unknown_loan, overpaid. States: open, kept, partly_kept, broken, replaced,
voided.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

TRANSACTIONS: Final = Counter("decorum_ledger_transactions", "transactions written to the book", ("kind",))
FLAGGED_EVENTS: Final = Counter("decorum_ledger_flagged_events", "events that a person may want to look at", ("flag",))
BALANCE_CHANGES: Final = Counter("decorum_ledger_balance_changes", "changes of a loan's balance, by cause", ("cause",))
HISTORIES_READ: Final = Counter("decorum_ledger_histories_read", "loans whose whole history was folded again")
PROMISES: Final = Counter("decorum_ledger_promises", "promises to pay by the state that they entered", ("state",))
CASE_ROWS: Final = Counter("decorum_ledger_case_rows", "rows added to the case timeline")
