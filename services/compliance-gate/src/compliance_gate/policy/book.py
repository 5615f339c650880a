"""Resolves the policy for a borrower: which packs are in force, which of their rules bind, with which calendars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from compliance_gate.domain.calendars import Calendar
from compliance_gate.domain.policy import NotApplicable, Policy, Stack
from compliance_gate.domain.rules import Role, Rule, Terms
from compliance_gate.policy.loading import load_pack
from compliance_gate.policy.pack import Pack
from compliance_gate.policy.yaml_fields import InvalidPack

PACKS_DIRECTORY = Path(__file__).parent.parent / "packs"
_LAYERS = ("nation", "state", "city", "tenant")
_RESOLVED_MAX = 20_000


class CalendarSource(Protocol):
    """Where official calendars come from, and which country a zone lies in."""

    def calendar(self, country: str) -> Calendar | None:
        """The official calendar of a country; None where there is none to rely on."""
        ...

    def country_of(self, zone: str) -> str | None:
        """The country that an IANA zone lies in; None for zones that belong to none."""
        ...


def load_packs(directory: Path = PACKS_DIRECTORY) -> dict[str, Pack]:
    """Every pack of a directory by name; InvalidPack lists the errors of all of them."""
    packs: dict[str, Pack] = {}
    errors: list[str] = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            pack = load_pack(path)
        except InvalidPack as error:
            errors.extend(error.errors)
            continue
        if pack.name != path.stem:
            errors.append(f"{path.name}:1: pack {pack.name} must be in a file of its own name")
        packs[pack.name] = pack
    for pack in packs.values():
        # A role for a name that nothing has would leave the pack that was meant unbound.
        unknown = [name for name, _ in pack.roles if name not in packs]
        errors.extend(f"{pack.name}.yaml:1: roles: there is no pack {name}" for name in unknown)
    if errors:
        raise InvalidPack(errors)
    return packs


class PolicyBook:
    """All packs of a deployment, and the policies that were resolved from them.

    Higher layers come on top of lower ones (tenant over city over state over nation) and every rule of the stack
    binds, so the strictest wins; a rule that names others in `instead_of` takes their place.
    """

    def __init__(
        self,
        packs: Mapping[str, Pack],
        calendars: CalendarSource,
        *,
        overlay: str | None = None,
        terms: Terms | None = None,
    ) -> None:
        if overlay is not None and (overlay not in packs or packs[overlay].layer != "tenant"):
            raise InvalidPack([f"{overlay}: there is no tenant overlay of this name"])
        self._packs = packs
        self._calendars = calendars
        self._overlay = overlay
        self._terms = terms or (packs[overlay].terms if overlay else None) or Terms()
        self._roles = dict(packs[overlay].roles) if overlay else {}
        self._resolved: dict[Stack, Policy] = {}
        self._by_borrower: dict[tuple[str | None, tuple[str, ...], Role | None], Policy] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the packs that aren't tenant overlays."""
        return tuple(sorted(name for name, pack in self._packs.items() if pack.layer != "tenant"))

    def pack(self, name: str) -> Pack:
        """The pack of that name."""
        return self._packs[name]

    def resolve(self, region: str | None, zones: tuple[str, ...], role: Role | None = None) -> Policy:
        """The policy for a borrower of `region` with these candidate zones.

        The packs of the region and those of the countries of the zones are in force together. Without `role` the
        tenant's role for each pack counts. Where no pack covers the region, the policy allows nothing.
        """
        key = (region, zones, role)
        policy = self._by_borrower.get(key)
        if policy is None:
            if len(self._by_borrower) >= _RESOLVED_MAX:
                self._by_borrower.clear()
            names = self._packs_for(region, zones)
            policy = self._by_borrower[key] = self.stack(names, role=role, region=region, zones=zones)
        return policy

    def stack(self, names: Iterable[str], *, role: Role | None, region: str | None, zones: tuple[str, ...]) -> Policy:
        """The policy of exactly these packs, with the deployment's overlay on top where it has one."""
        ordered = sorted(dict.fromkeys(names), key=lambda name: (_LAYERS.index(self._packs[name].layer), name))
        roles = tuple((name, role or self._roles.get(name, "lender")) for name in ordered)
        stack = Stack(packs=tuple(ordered), overlay=self._overlay, roles=roles, region=region, zones=zones)
        return self.resolve_stack(stack)

    def resolve_stack(self, stack: Stack) -> Policy:
        """The policy of a stack that was resolved before, for a replay."""
        policy = self._resolved.get(stack)
        if policy is None:
            if len(self._resolved) >= _RESOLVED_MAX:
                self._resolved.clear()
            policy = self._resolved[stack] = self._build(stack)
        return policy

    def _packs_for(self, region: str | None, zones: tuple[str, ...]) -> list[str]:
        codes = {region, None if region is None else region[:2], *(self._calendars.country_of(zone) for zone in zones)}
        return [name for name, pack in self._packs.items() if any(code in codes for code in pack.regions)]

    def _build(self, stack: Stack) -> Policy:
        names = (*stack.packs, stack.overlay) if stack.overlay else stack.packs
        roles = dict(stack.roles)
        binding: list[Rule] = []
        skipped: list[NotApplicable] = []
        for name in names:
            pack = self._packs[name]
            for rule in pack.rules:
                if roles.get(name, "lender") in rule.binds or pack.layer == "tenant":
                    binding.append(rule)
                else:
                    skipped.append(NotApplicable(rule=rule, reason=pack.not_bound_reason))
        replaced = {rule_id for rule in binding for rule_id in rule.instead_of}
        calendars = tuple((country, self._calendars.calendar(country)) for country in self._countries(stack))
        return Policy(
            policy_hash=self._hash(names, stack, calendars),
            stack=stack,
            rules=tuple(rule for rule in binding if rule.rule_id not in replaced),
            not_applicable=tuple(skipped),
            calendars=calendars,
            terms=self._terms,
            problem=self._problem(stack),
        )

    def _countries(self, stack: Stack) -> tuple[str, ...]:
        region = stack.region[:2] if stack.region else None
        countries = [
            *([region] if region else []),
            *((self._calendars.country_of(zone) or zone) for zone in stack.zones),
        ]
        return tuple(sorted(set(countries)))

    def _problem(self, stack: Stack) -> str | None:
        if stack.packs:
            return None
        return "no policy pack covers the region"

    def _hash(self, names: tuple[str, ...], stack: Stack, calendars: tuple[tuple[str, Calendar | None], ...]) -> str:
        digest = hashlib.sha256()
        for name in names:
            digest.update(f"{name}={self._packs[name].content_hash};".encode())
        digest.update(repr((stack.roles, self._terms)).encode())
        for country, calendar in calendars:
            known = "none" if calendar is None else _calendar_text(calendar)
            digest.update(f"{country}={known};".encode())
        return digest.hexdigest()


def _calendar_text(calendar: Calendar) -> str:
    days = (*sorted(calendar.holidays), "/", *sorted(calendar.makeup_workdays))
    return f"{calendar.valid_from}..{calendar.valid_through}:" + ",".join(map(str, days))
