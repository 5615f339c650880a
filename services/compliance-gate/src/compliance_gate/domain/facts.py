"""What a decision is made from: the attempt, and everything known about its borrower.

These values are built like the parts of messages (msgspec structs, frozen and keyword-only), where the rest of the
domain uses dataclasses: every decision encodes them for its evidence, which for twenty past contacts takes 4 µs
instead of 14 µs, and throughput comes before convention. Optional fields that hold their default are left out of the
encoding. Instants are aware and in UTC; money is integer minor units.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.contracts.types import Part

Channel = Literal["sms", "voice", "email", "letter", "visit"]
Party = Literal["borrower", "third_party", "attorney"]
Purpose = Literal["reminder", "demand", "reply", "opt_out_confirmation"]
Place = Literal["home", "work", "mobile"]
Direction = Literal["outbound", "inbound"]
ContactState = Literal["reserved", "shadowed", "made", "unknown", "external"]
Result = Literal[
    "no_answer",
    "voicemail",
    "busy",
    "not_in_service",
    "dropped",
    "conversation",
    "wrong_person",
    "sent",
    "delivered",
    "failed",
    "replied",
]
RestrictionKind = Literal[
    "attorney",
    "cease",
    "dispute",
    "bankruptcy",
    "deceased",
    "identity_theft",
    "vulnerable",
    "workplace_prohibited",
]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class AttemptAmount(Part, frozen=True, kw_only=True, gc=False):
    """What the text will say about one loan, and the version of the balance that it was read from."""

    loan_id: str
    amount_minor: int
    currency: str
    balance_version: int


class Approval(Part, frozen=True, kw_only=True):
    """A person's answer to a held decision: it answers the rules that held, named here, and nothing that blocks."""

    approved_by: str
    reason: str
    rule_ids: tuple[str, ...]


class Earlier(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the attempt's earlier permits: one is `open` until `permit_ends_at`, or the attempt is `used`.

    `used`: it was made, may have been made, was shadowed, or the carrier refused it; an attempt is sent once at most.
    """

    state: Literal["open", "used"]
    permit_ends_at: datetime


class Attempt(Part, frozen=True, kw_only=True, omit_defaults=True):
    """One contact that somebody wants to make now.

    `number_key` stands for the number or address, opaque to the gate: E.164 in case files, a keyed hash in production.
    `loans` is what the contact is about; a cap per loan must leave room on every one of them.
    """

    attempt_id: str
    submission_number: int
    borrower_id: str
    channel: Channel
    loans: tuple[str, ...]
    number_key: str | None
    expires_at: datetime
    party: Party = "borrower"
    purpose: Purpose = "demand"
    reply_to: str | None = None
    amounts: tuple[AttemptAmount, ...] = ()
    strategy: str | None = None
    provider: str | None = None
    contact_point_id: str | None = None
    place: Place | None = None
    approval: Approval | None = None
    earlier: Earlier | None = None


class PastContact(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A contact that was made, may have been made, or has a slot reserved for it.

    `reserved`: permitted, not ended yet; `shadowed`: it was not made, as the platform ran in shadow mode, and live it
    would have been; `unknown`: nobody can tell whether it was made; `external`: made by somebody else's hands. All of
    them count. What the carrier refused is no contact and isn't listed.
    A `result` of None counts as every result that the channel could have had.
    `discussed`: the loans that a conversation was about, where they differ from `loans`.
    """

    contact_id: str
    at: datetime
    channel: Channel
    direction: Direction = "outbound"
    state: ContactState = "made"
    result: Result | None = None
    loans: tuple[str, ...] = ()
    discussed: tuple[str, ...] | None = None
    number_key: str | None = None
    by: str = "lender"
    party: Party = "borrower"
    purpose: Purpose = "demand"
    reply_to: str | None = None


class InboundMessage(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Something the borrower, or another `party`, started: a message, a key press, a call."""

    message_id: str
    at: datetime
    channel: Channel
    number_key: str | None = None
    party: Party = "borrower"


class Restriction(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A reason not to contact, from the instant it was received; no loans means all of them."""

    kind: RestrictionKind
    since: datetime
    loans: tuple[str, ...] = ()
    until: datetime | None = None


class Consent(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A consent that the borrower gave directly to the one who collects; no channel or loans means all."""

    kind: Literal["call_back", "outside_hours", "channel"]
    since: datetime
    channel: Channel | None = None
    loans: tuple[str, ...] = ()
    until: datetime | None = None


class OptOut(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A channel, or one number on it, that must not be used any more."""

    channel: Channel
    since: datetime
    number_key: str | None = None


class Inconvenience(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Times, and perhaps a place, that the borrower called inconvenient, in the borrower's local time.

    No days means every day; no start means from midnight; no end means to midnight; an end at or before the start
    runs into the next day.
    """

    days: tuple[Weekday, ...] = ()
    start_minute: int | None = None
    end_minute: int | None = None
    place: Place | None = None
    since: datetime | None = None
    until: datetime | None = None


class LoanFacts(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What the book says about one loan."""

    loan_id: str
    overdue_minor: int
    outstanding_minor: int
    currency: str
    balance_version: int
    closed: bool = False


class UnpostedPayment(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A payment that the balance doesn't show: it isn't booked yet, or was booked when a later snapshot was.

    Without a loan it may be for any of them. A booked one has `until`, and counts no longer than that, nor once the
    lender has restated the loan: `snapshot_version`, the version of its last balance that came of a snapshot, is higher
    than `balance_version`, the one at the booking. Records of decisions from before snapshots were told apart have no
    `snapshot_version`: there any higher version of the balance counts.
    """

    payment_id: str
    loan_id: str | None = None
    until: datetime | None = None
    balance_version: int | None = None
    snapshot_version: int | None = None


class Stop(Part, frozen=True, kw_only=True, omit_defaults=True):
    """An operator's stop. `value` is the channel, provider, strategy or borrower; None for scope `all`."""

    scope: Literal["all", "channel", "provider", "strategy", "borrower"]
    reason: str
    value: str | None = None


class Facts(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Everything about one borrower that a decision may use, as it was known at the decision.

    `history` is every contact with the borrower, `number_contacts` those with other borrowers on the attempt's number;
    both newest first, which construction checks. `zones` is every zone that something known about the borrower points
    to. `lag_seconds` tells how far behind the topics are that these facts come from.
    """

    borrower_id: str
    lag_seconds: int
    known: bool = True
    region: str | None = None
    zones: tuple[str, ...] = ()
    restrictions: tuple[Restriction, ...] = ()
    consents: tuple[Consent, ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    inconveniences: tuple[Inconvenience, ...] = ()
    history: tuple[PastContact, ...] = ()
    number_contacts: tuple[PastContact, ...] = ()
    inbound: tuple[InboundMessage, ...] = ()
    loans: tuple[LoanFacts, ...] = ()
    unposted_payments: tuple[UnpostedPayment, ...] = ()
    stops: tuple[Stop, ...] = ()

    def __post_init__(self) -> None:
        for contacts in (self.history, self.number_contacts):
            later: datetime | None = None
            for contact in contacts:
                at = contact.at
                if later is not None and at > later:
                    raise ValueError("past contacts must be given newest first")
                later = at

    def after(self, contact: PastContact) -> Facts:
        """These facts with one more contact, for the next attempt of the same batch."""
        newer = tuple(row for row in self.history if row.at > contact.at)
        older = self.history[len(newer) :]
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return Facts(**{**fields, "history": (*newer, contact, *older)})
