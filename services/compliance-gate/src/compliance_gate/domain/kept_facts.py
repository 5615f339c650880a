"""What is kept of a borrower and of a number, and how it becomes the facts of a decision. No number, name or text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compliance_gate.domain.facts import (
    Consent,
    Facts,
    InboundMessage,
    Inconvenience,
    LoanFacts,
    OptOut,
    PastContact,
    Restriction,
    Stop,
    UnpostedPayment,
)
from shared.contracts.types import Part


class ContactPointFacts(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a number or address: its keyed hash and the zones that it points to."""

    contact_point_id: str
    kind: str
    holder: str
    number_key: str
    zones: tuple[str, ...] = ()
    active: bool = True


class Profile(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A borrower as the lender knows them. `zones` are all candidate zones, sorted: told, or shown by a number."""

    region: str
    zones: tuple[str, ...]
    points: tuple[ContactPointFacts, ...] = ()

    def point(self, contact_point_id: str) -> ContactPointFacts | None:
        """The active contact point of that id."""
        for point in self.points:
            if point.contact_point_id == contact_point_id and point.active:
                return point
        return None


class LoadedFacts(Part, frozen=True, kw_only=True):
    """One borrower's facts but the profile, in the shapes that `domain.facts.Facts` takes."""

    restrictions: tuple[Restriction, ...] = ()
    consents: tuple[Consent, ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    inconveniences: tuple[Inconvenience, ...] = ()
    history: tuple[PastContact, ...] = ()
    loans: tuple[LoanFacts, ...] = ()
    unposted_payments: tuple[UnpostedPayment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFacts:
    """What is kept under a number's hash: contacts, newest first, and what its holders refused."""

    contacts: Sequence[tuple[str, PastContact]] = ()
    """With the borrower whom each was for."""
    suppressions: Sequence[tuple[str, OptOut]] = ()


EMPTY_FACTS = LoadedFacts()
NO_NUMBER_FACTS = NumberFacts()


def facts_of(
    borrower_id: str,
    *,
    profile: Profile | None,
    loaded: LoadedFacts,
    stops: tuple[Stop, ...],
    lag_seconds: int,
) -> Facts:
    """The domain's facts of a borrower, without what is kept under the attempt's number."""
    inbound = tuple(
        InboundMessage(
            message_id=row.contact_id, at=row.at, channel=row.channel, number_key=row.number_key, party=row.party
        )
        for row in loaded.history
        if row.direction == "inbound"
    )
    return Facts(
        borrower_id=borrower_id,
        lag_seconds=lag_seconds,
        known=profile is not None,
        region=profile.region if profile is not None else None,
        zones=profile.zones if profile is not None else (),
        restrictions=loaded.restrictions,
        consents=loaded.consents,
        opt_outs=loaded.opt_outs,
        inconveniences=loaded.inconveniences,
        history=loaded.history,
        inbound=inbound,
        loans=loaded.loans,
        unposted_payments=loaded.unposted_payments,
        stops=stops,
    )
