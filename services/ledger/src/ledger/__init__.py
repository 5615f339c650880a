"""Books payments, balances and promises in double entry."""
