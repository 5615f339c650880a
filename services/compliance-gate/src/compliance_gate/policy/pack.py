"""One policy pack: its rules, and what else its sources ask for that no decision can check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compliance_gate.domain.rules import Confirmation, Role, Rule, Terms

Layer = Literal["nation", "state", "city", "tenant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """A duty of content, record keeping, licensing or conduct, kept with its source so that nothing is lost."""

    obligation_id: str
    text_en: str
    source: str
    confirmation: Confirmation


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEncoded:
    """Something that a source says too unclearly to be a rule, with the reason."""

    text_en: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A pack as it was read. `content_hash` is the SHA-256 of its canonical content, comments and layout apart.

    `regions` are the ISO 3166 codes that it is in force for; a tenant overlay is in force everywhere. `roles` and
    `terms` are the tenant's.
    """

    name: str
    title: str
    layer: Layer
    regions: tuple[str, ...]
    not_bound_reason: str
    rules: tuple[Rule, ...]
    obligations: tuple[Obligation, ...]
    not_encoded: tuple[NotEncoded, ...]
    roles: tuple[tuple[str, Role], ...]
    terms: Terms | None
    content_hash: str
