"""Batches in, facts and decisions in one transaction, messages out."""
