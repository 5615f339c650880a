"""A country's working days and holidays, as a value that knows how far it is valid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

DayClass = Literal["workday", "makeup_workday", "saturday", "sunday", "holiday"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The official days of one country (ISO 3166-1).

    `holidays` holds every day of an official break, also the weekend days inside it; `makeup_workdays` the weekend
    days that are worked instead. Outside `valid_from` … `valid_through` nothing is known, and nothing is guessed.
    """

    country: str
    holidays: frozenset[date]
    makeup_workdays: frozenset[date]
    valid_from: date
    valid_through: date
    source: str

    def day_class(self, day: date) -> DayClass | None:
        """The class of `day`; None where the calendar isn't valid."""
        if not self.valid_from <= day <= self.valid_through:
            return None
        if day in self.holidays:
            return "holiday"
        if day in self.makeup_workdays:
            return "makeup_workday"
        return weekday_class(day)


def weekday_class(day: date) -> DayClass:
    """The class of `day` by its weekday alone."""
    match day.weekday():
        case 5:
            return "saturday"
        case 6:
            return "sunday"
        case _:
            return "workday"
