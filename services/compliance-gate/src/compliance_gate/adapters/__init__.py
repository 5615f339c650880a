"""Postgres, calendars and numbers: what stands behind the ports."""
