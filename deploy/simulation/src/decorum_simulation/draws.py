"""Random draws keyed by what they are about, never taken from one stream: the order of asking changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Choice = TypeVar("Choice")
_SCALE = 1.0 / float(1 << 64)


def uniform(seed: int, *key: str | int) -> float:
    """A number in [0, 1) that depends on `seed` and `key` alone."""
    text = "\x1f".join((str(seed), *map(str, key)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") * _SCALE


def chance(probability: float, seed: int, *key: str | int) -> bool:
    """True with `probability`."""
    return probability > 0 and uniform(seed, *key) < probability


def between(low: float, high: float, seed: int, *key: str | int) -> float:
    """A number in [low, high)."""
    return low + (high - low) * uniform(seed, *key)


def integer(low: int, high: int, seed: int, *key: str | int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + int((high - low + 1) * uniform(seed, *key))


def weighted(options: Sequence[tuple[Choice, float]], seed: int, *key: str | int) -> Choice:
    """One of `options`, each with its weight; the weights need not sum to one."""
    point = uniform(seed, *key) * sum(weight for _, weight in options)
    for option, weight in options:
        point -= weight
        if point < 0:
            return option
    return options[-1][0]
