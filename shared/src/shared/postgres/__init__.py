"""Postgres, once for all services: the engine, set-based rows, the inbox, the outbox, migrations."""
