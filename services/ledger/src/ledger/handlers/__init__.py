"""Batches in, one transaction, messages out."""
