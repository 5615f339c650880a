"""Synthetic borrowers: names, languages, homes and numbers that are valid and belong to nobody we know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from decorum_simulation.draws import chance, integer, weighted
from shared.contracts import BorrowerUpdatedV1, ContactPoint, Language
from shared.ids import derive

SHANGHAI: Final = "Asia/Shanghai"
_FAMILY: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹"
_GIVEN: Final = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "强",
    "磊",
    "洋",
    "艳",
    "勇",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "秀英",
    "建国",
    "海燕",
    "志强",
    "婷婷",
)
_FIRST: Final = ("Wei", "Mei", "Grace", "Kevin", "Lily", "Jason", "Emily", "Daniel", "Amy", "Victor", "Helen", "Steven")
_LAST: Final = ("Chen", "Wang", "Li", "Zhang", "Liu", "Lin", "Huang", "Wu", "Zhou", "Xu", "Sun", "Ma")
_CHINA_PREFIXES: Final = ("136", "137", "138", "139", "150", "151", "158", "159", "182", "187")
_CHINA_REGIONS: Final = ("CN-SH", "CN-BJ", "CN-GD", "CN-ZJ", "CN-JS", "CN-SC", "CN-HB", "CN-FJ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A place in the United States: zone, region, area code."""

    zone: str
    region: str
    area_code: str


AMERICAN_HOMES: Final = (
    (Home(zone="America/New_York", region="US-NY", area_code="212"), 0.4),
    (Home(zone="America/Los_Angeles", region="US-CA", area_code="213"), 0.35),
    (Home(zone="America/Chicago", region="US-IL", area_code="312"), 0.15),
    (Home(zone="America/Denver", region="US-CO", area_code="303"), 0.06),
    (Home(zone="Pacific/Honolulu", region="US-HI", area_code="808"), 0.04),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number of a borrower and the zone that its prefix points to."""

    contact_point_id: str
    value: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A borrower as the lender knows one."""

    borrower_id: str
    name: str
    language: Language
    region: str
    zones: tuple[str, ...]
    numbers: tuple[Number, ...]

    @property
    def american(self) -> bool:
        """Whether the home is in the United States."""
        return self.region.startswith("US")

    @property
    def candidate_zones(self) -> tuple[str, ...]:
        """Every zone that something known about the borrower points to."""
        return tuple(dict.fromkeys((*self.zones, *(number.zone for number in self.numbers))))

    def reached_through(self, other: Person) -> Person:
        """This borrower, with the other's first number in the place of the own one."""
        own, shared = self.numbers[0], other.numbers[0]
        return replace(self, numbers=(replace(own, value=shared.value, zone=shared.zone), *self.numbers[1:]))

    def profile(self) -> BorrowerUpdatedV1:
        """The event that tells the platform."""
        points = tuple(
            ContactPoint(contact_point_id=number.contact_point_id, kind="mobile", value=number.value)
            for number in self.numbers
        )
        return BorrowerUpdatedV1(
            borrower_id=self.borrower_id,
            name=self.name,
            language=self.language,
            region=self.region,
            zones=self.zones,
            contact_points=points,
        )


def chinese_person(index: int, seed: int, *, second_number_share: float = 0.12) -> Person:
    """The borrower number `index`, at home in mainland China."""
    borrower_id = f"B{index + 1:06d}"
    family = _FAMILY[integer(0, len(_FAMILY) - 1, seed, borrower_id, "family")]
    given = _GIVEN[integer(0, len(_GIVEN) - 1, seed, borrower_id, "given")]
    count = 2 if chance(second_number_share, seed, borrower_id, "second number") else 1
    numbers = tuple(_number(borrower_id, slot, _chinese(index, slot, seed), SHANGHAI) for slot in range(count))
    return Person(
        borrower_id=borrower_id,
        name=family + given,
        language="zh",
        region=_CHINA_REGIONS[integer(0, len(_CHINA_REGIONS) - 1, seed, borrower_id, "region")],
        zones=(SHANGHAI,),
        numbers=numbers,
    )


def american_person(index: int, seed: int) -> Person:
    """The borrower number `index`, at home in the United States; some have a number or a second home elsewhere."""
    borrower_id = f"B{index + 1:06d}"
    home = weighted(AMERICAN_HOMES, seed, borrower_id, "home")
    zones: tuple[str, ...] = (home.zone,)
    line = home
    if chance(0.08, seed, borrower_id, "kept an old number"):
        line = weighted(AMERICAN_HOMES, seed, borrower_id, "old home")
    if chance(0.02, seed, borrower_id, "lives in both countries"):
        zones = (home.zone, SHANGHAI)
    first = _FIRST[integer(0, len(_FIRST) - 1, seed, borrower_id, "first")]
    last = _LAST[integer(0, len(_LAST) - 1, seed, borrower_id, "last")]
    return Person(
        borrower_id=borrower_id,
        name=f"{first} {last}",
        language="zh" if chance(0.3, seed, borrower_id, "language") else "en",
        region=home.region,
        zones=zones,
        numbers=(_number(borrower_id, 0, _american(index, line.area_code), line.zone),),
    )


def _number(borrower_id: str, slot: int, value: str, zone: str) -> Number:
    contact_point_id = f"cp-{derive('contact point', borrower_id, slot)[:18]}"
    return Number(contact_point_id=contact_point_id, value=value, zone=zone)


def _chinese(index: int, slot: int, seed: int) -> str:
    """Unique by construction: the eight digits are a permutation of (index, slot)."""
    digits = ((index * 2 + slot) * 48_271 + seed * 7_919) % 100_000_000
    prefix = _CHINA_PREFIXES[index % len(_CHINA_PREFIXES)]
    return f"+86{prefix}{digits:08d}"


def _american(index: int, area_code: str) -> str:
    """Unique by index: an exchange from 220 to 899 that is no service code, and four digits."""
    exchange, line = divmod(index, 10_000)
    return f"+1{area_code}{_EXCHANGES[exchange % len(_EXCHANGES)]}{line:04d}"


_EXCHANGES: Final = tuple(number for number in range(230, 900) if number % 100 not in (11, 55) and number != 555)
