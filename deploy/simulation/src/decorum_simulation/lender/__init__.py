"""The virtual lender: loans, statements, daily snapshots, payments, and everything else its core publishes."""
