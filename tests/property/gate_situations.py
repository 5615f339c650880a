"""Situations for the gate's properties: borrowers in several zones, with contacts, wishes and restrictions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import strategies as st

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.domain import (
    Attempt,
    Consent,
    Facts,
    InboundMessage,
    Inconvenience,
    LoanFacts,
    OptOut,
    PastContact,
    Policy,
    Restriction,
)
from compliance_gate.domain.facts import Channel, RestrictionKind, Result, Weekday
from compliance_gate.domain.rules import Role
from compliance_gate.policy.book import PolicyBook, load_packs

PACKS = load_packs()
PLAIN_BOOK = PolicyBook(PACKS, OfficialCalendars())
TENANT_BOOK = PolicyBook(PACKS, OfficialCalendars(), overlay="courteous")
MINUTE = timedelta(minutes=1)
AGENCY: Role = "agency"
BORROWERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CN", ("Asia/Shanghai",)),
    ("CN", ("Asia/Shanghai", "Asia/Urumqi")),
    ("US-NY", ("America/New_York",)),
    ("US-CA", ("America/Los_Angeles", "America/New_York")),
    ("US-HI", ("America/Chicago", "Pacific/Honolulu")),
    ("US-AZ", ("America/Denver", "America/Phoenix")),
)
LOANS = ("L1", "L2", "L3")
NUMBERS = ("+10000000001", "+10000000002")
VOICE_RESULTS: tuple[Result, ...] = ("no_answer", "voicemail", "busy", "not_in_service", "dropped", "conversation")
MESSAGE_RESULTS: tuple[Result, ...] = ("sent", "delivered", "failed")

instants = st.integers(0, 300 * 24 * 60).map(lambda minutes: datetime(2026, 1, 20, tzinfo=UTC) + minutes * MINUTE)
CHANNELS: tuple[Channel, ...] = ("sms", "voice", "email")
channels = st.sampled_from(CHANNELS)
some_loans = st.lists(st.sampled_from(LOANS), min_size=1, max_size=2, unique=True).map(lambda ids: tuple(sorted(ids)))


@st.composite
def past_contacts(draw: st.DrawFn, now: datetime, *, plain: bool) -> tuple[PastContact, ...]:
    """Contacts of the last days, newest first; `plain` ones call for no exception."""
    rows = []
    for index in range(draw(st.integers(0, 14))):
        channel: Channel = draw(channels)
        results = VOICE_RESULTS if channel == "voice" else MESSAGE_RESULTS
        if not plain and channel == "voice":
            results = (*results, "wrong_person")
        rows.append(
            PastContact(
                contact_id=f"c{index}",
                at=now - draw(st.integers(0, 10 * 24 * 60)) * MINUTE,
                channel=channel,
                direction=draw(st.sampled_from(("outbound", "outbound", "outbound", "inbound"))),
                state=draw(st.sampled_from(("made", "reserved", "unknown", "external"))),
                result=draw(st.sampled_from((*results, None))),
                loans=draw(some_loans),
                number_key=draw(st.sampled_from((*NUMBERS, None))),
                party=draw(st.sampled_from(("borrower", "borrower", "borrower", "third_party", "attorney"))),
                purpose="demand" if plain else draw(st.sampled_from(("demand", "opt_out_confirmation"))),
                reply_to=None if plain else draw(st.sampled_from((None, None, "m0", "m1"))),
            )
        )
    return tuple(sorted(rows, key=lambda row: row.at, reverse=True))


@st.composite
def restrictions(draw: st.DrawFn, now: datetime) -> Restriction:
    since = now + draw(st.integers(-3 * 24 * 60, 24 * 60)) * MINUTE
    until = draw(st.none() | st.integers(1, 3 * 24 * 60).map(lambda minutes: since + minutes * MINUTE))
    kind = draw(st.sampled_from(get_args(RestrictionKind)))
    return Restriction(kind=kind, since=since, until=until, loans=draw(st.sampled_from(((), ("L1",), ("L2",)))))


@st.composite
def consents(draw: st.DrawFn, now: datetime) -> Consent:
    since = now + draw(st.integers(-9 * 24 * 60, 24 * 60)) * MINUTE
    until = draw(st.none() | st.integers(1, 5 * 24 * 60).map(lambda minutes: since + minutes * MINUTE))
    return Consent(
        kind=draw(st.sampled_from(("call_back", "outside_hours", "channel"))),
        since=since,
        until=until,
        channel=draw(st.sampled_from((None, "voice", "sms"))),
        loans=draw(st.sampled_from(((), ("L1",), ("L1", "L2", "L3")))),
    )


@st.composite
def inconveniences(draw: st.DrawFn, now: datetime) -> Inconvenience:
    return Inconvenience(
        days=draw(st.lists(st.sampled_from(get_args(Weekday)), max_size=3, unique=True).map(tuple)),
        start_minute=draw(st.none() | st.integers(0, 1439)),
        end_minute=draw(st.none() | st.integers(1, 1440)),
        place=draw(st.sampled_from((None, None, "home"))),
        since=draw(st.none() | st.just(now - 30 * MINUTE) | st.just(now + 90 * MINUTE)),
        until=draw(st.none() | st.just(now + 26 * 60 * MINUTE)),
    )


@st.composite
def situations(
    draw: st.DrawFn, *, plain: bool = False, restricted: bool = True
) -> tuple[Attempt, Facts, Policy, datetime]:
    """An attempt, the facts about its borrower, the policy and the instant."""
    now = draw(instants)
    region, zones = draw(st.sampled_from(BORROWERS))
    book = draw(st.sampled_from((PLAIN_BOOK, TENANT_BOOK)))
    role: Role | None = draw(st.sampled_from((AGENCY, None)))
    channel: Channel = draw(channels)
    attempt = Attempt(
        attempt_id="attempt",
        submission_number=1,
        borrower_id="borrower",
        channel=channel,
        loans=draw(some_loans),
        number_key=draw(st.sampled_from(NUMBERS)),
        expires_at=now + timedelta(days=90),
        purpose="demand" if plain else draw(st.sampled_from(("demand", "demand", "reply", "opt_out_confirmation"))),
        reply_to=None if plain else draw(st.sampled_from((None, None, "m0"))),
        place=None if plain else draw(st.sampled_from((None, "mobile", "home", "work"))),
    )
    inbound = [] if plain else [("m0", now - 45 * MINUTE), ("m1", now - 26 * 60 * MINUTE)]
    facts = Facts(
        borrower_id="borrower",
        lag_seconds=0,
        region=region,
        zones=zones,
        history=draw(past_contacts(now, plain=plain)),
        inbound=tuple(InboundMessage(message_id=name, at=at, channel="sms") for name, at in inbound),
        loans=tuple(
            LoanFacts(loan_id=loan, overdue_minor=1, outstanding_minor=1, currency="CNY", balance_version=1)
            for loan in LOANS
        ),
        restrictions=() if plain or not restricted else tuple(draw(st.lists(restrictions(now), max_size=1))),
        consents=() if plain else tuple(draw(st.lists(consents(now), max_size=2))),
        inconveniences=() if plain else tuple(draw(st.lists(inconveniences(now), max_size=2))),
        opt_outs=() if plain or not restricted else tuple(draw(st.lists(opt_outs(now), max_size=1))),
    )
    return attempt, facts, book.resolve(region, zones, role), now


@st.composite
def opt_outs(draw: st.DrawFn, now: datetime) -> OptOut:
    return OptOut(
        channel=draw(channels),
        since=now + draw(st.integers(-3 * 24 * 60, 24 * 60)) * MINUTE,
        number_key=draw(st.sampled_from((None, *NUMBERS))),
    )
