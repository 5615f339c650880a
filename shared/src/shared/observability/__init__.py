"""Logs, metrics and health, once for all services."""
