"""What the sub-commands of `decorum` do that answer for the ledger; `ledger.cli` puts them together."""
