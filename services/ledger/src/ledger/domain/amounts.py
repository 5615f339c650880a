"""Amounts by component, and the order in which a payment pays them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from shared.contracts import Amounts

Component = Literal["fees", "interest", "principal"]
COMPONENTS: Final[tuple[Component, ...]] = get_args(Component)

Split: TypeAlias = tuple[int, int, int]
"""Minor units of fees, interest and principal, in this order."""
NOTHING: Final[Split] = (0, 0, 0)


class AllocationOrder(tuple[int, ...]):
    """Which component a payment pays first, second and third (positions in a `Split`).

    A loan keeps the order that was configured when its first event was booked: the order is part of what was
    agreed with the borrower, and a re-posting years later must pay in the order of the first posting.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, names: tuple[str, ...]) -> AllocationOrder:
        """The order of `names`; refuses (`ValueError`) anything but each component exactly once."""
        if sorted(names) != sorted(COMPONENTS):
            raise ValueError(f"allocation order must name each of {', '.join(COMPONENTS)} once")
        return cls(COMPONENTS.index(name) for name in names)

    @property
    def names(self) -> tuple[Component, ...]:
        """The components' names, first paid first."""
        return tuple(COMPONENTS[position] for position in self)


def from_amounts(amounts: Amounts) -> Split:
    """The parts of a message's amounts."""
    return (amounts.fees_minor, amounts.interest_minor, amounts.principal_minor)


def to_amounts(split: Split) -> Amounts:
    """`split` as a message carries it."""
    return Amounts(fees_minor=split[0], interest_minor=split[1], principal_minor=split[2])


def plus(left: Split, right: Split) -> Split:
    """The sum by component."""
    return (left[0] + right[0], left[1] + right[1], left[2] + right[2])


def minus(left: Split, right: Split) -> Split:
    """The difference by component; parts may be negative."""
    return (left[0] - right[0], left[1] - right[1], left[2] - right[2])


def lower(left: Split, right: Split) -> Split:
    """The lower of the two, by component."""
    return (min(left[0], right[0]), min(left[1], right[1]), min(left[2], right[2]))


def take(available: Split, amount_minor: int, order: AllocationOrder) -> tuple[Split, int]:
    """Pay `amount_minor` into `available` in `order`: what each component got, and what is left over."""
    taken = [0, 0, 0]
    for position in order:
        part = min(amount_minor, available[position])
        taken[position] = part
        amount_minor -= part
    return (taken[0], taken[1], taken[2]), amount_minor


def covering(outstanding: Split, overdue: Split) -> Split:
    """`outstanding` with the same total, split so that no component is lower than what is `overdue` of it.

    What is overdue is owed. A lender's snapshot may split the two differently; its totals hold. Where even the
    total is lower (the contract refuses that), the overdue amounts win.
    """
    missing = sum(max(0, due - owed) for due, owed in zip(overdue, outstanding, strict=True))
    if not missing:
        return outstanding
    parts = [max(owed, due) for owed, due in zip(outstanding, overdue, strict=True)]
    for position in (2, 1, 0):
        spare = min(missing, parts[position] - overdue[position])
        parts[position] -= spare
        missing -= spare
    return (parts[0], parts[1], parts[2])
