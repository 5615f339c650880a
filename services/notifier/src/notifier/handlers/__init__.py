"""Batches and webhooks in, decisions of `domain`, one transaction, messages out."""
