"""Dates of instalments."""

from __future__ import annotations

from datetime import date


def months_after(day: date, months: int) -> date:
    """The same day of a later (or earlier) month, at most the 28th so that every month has it."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, min(day.day, 28))
