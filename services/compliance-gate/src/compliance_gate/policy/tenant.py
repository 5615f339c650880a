"""The policy book of a tenant: every pack under the tenant's overlay, with its terms as the settings have them."""

from __future__ import annotations

from collections.abc import Mapping

from compliance_gate.policy.book import CalendarSource, PolicyBook
from compliance_gate.policy.pack import Pack
from compliance_gate.policy.yaml_fields import InvalidPack
from compliance_gate.settings import TenantPolicy


def tenant_book(packs: Mapping[str, Pack], calendars: CalendarSource, own: TenantPolicy) -> PolicyBook:
    """What a gate with these settings decides by; raises InvalidPack where there is no such overlay."""
    overlay = packs.get(own.overlay)
    if overlay is None:
        raise InvalidPack([f"{own.overlay}: there is no tenant overlay of this name"])
    terms = own.terms(overlay.terms) if overlay.terms is not None else None
    return PolicyBook(packs, calendars, overlay=own.overlay, terms=terms)
