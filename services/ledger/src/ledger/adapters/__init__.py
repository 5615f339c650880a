"""SQL behind the ledger's ports, and the readings that exports and the command line use."""
