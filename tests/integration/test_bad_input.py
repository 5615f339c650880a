"""Bad input on the real topic: each case has its reason, its offset, its bytes as they came; the rest goes on."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from decorum_local import LocalPlatform
from shared.contracts.examples import AT
from shared.contracts.registry import LOAN_EVENTS
from shared.kafka.records import WireMessage
from tests.toy_world import DeadLetterSeen, ToyWorld, changed, fresh_name, payment
from tests.unit.record_cases import Record, at, record, with_body, with_header

CASES: dict[str, tuple[str, Record]] = {
    "an unknown event type": ("unknown_event_type", with_header("ce_type", b"lender.loan-forgotten.v1")),
    "a wrong schema version": ("unsupported_version", with_header("ce_type", b"lender.loan-overdue.v2")),
    "a body that is not JSON": ("not_json", record(value=b"borrower=B-1001&amount=5")),
    "a wrong type": ("schema_mismatch", with_body(days_past_due="six")),
    "a negative amount": ("schema_mismatch", with_body("PaymentReceivedV1", amount_minor=-53_500)),
    "an unknown currency": ("unknown_currency", with_body("PaymentReceivedV1", currency="XYZ")),
    "an unknown zone": ("unknown_zone", with_body("BorrowerUpdatedV1", zones=["Asia/Beijing"])),
    "a date that no calendar has": ("schema_mismatch", with_body(as_of="2026-02-30")),
    "a date that cannot be": ("impossible_date", with_body("LoanRegisteredV1", opened_on="0001-01-01")),
    "a phone number that is not one": (
        "invalid_phone_number",
        with_body(
            "BorrowerUpdatedV1", contact_points=[{"contact_point_id": "P-1", "kind": "mobile", "value": "+8612"}]
        ),
    ),
    "a header that is not UTF-8": ("not_utf8_header", with_header("ce_source", b"lender/\xff\xfe")),
    "a null header": ("missing_header", with_header("ce_id", None)),
    "a body of 1 MiB": ("body_too_large", record(value=b'{"padding": "' + b"x" * (1024 * 1024) + b'"}')),
    "an instant more than 10 minutes ahead": ("time_ahead", at(AT + timedelta(minutes=15))),
    "an instant more than 800 days back": ("time_too_old", at(AT - timedelta(days=801))),
    "no body": ("empty_body", record(value=b"")),
    "the key of somebody else": ("key_mismatch", record(key=b"B-2")),
}
REUSED = "an id that is used again"
AGELESS = ("PaymentReceivedV1", "PaymentReversedV1", "RestrictionChangedV1", "ConsentChangedV1")


def as_message(bad: Record) -> WireMessage:
    return WireMessage(topic=bad.topic, key=bad.key or b"", value=bad.value or b"", headers=tuple(bad.headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of all cases in one batch, each between two good records."""

    places: dict[str, tuple[int, int]]
    letters: dict[tuple[int, int], DeadLetterSeen]
    entries: list[str]
    totals: dict[str, int]


@pytest.fixture(scope="module")
def outcome(platform: LocalPlatform, toy_databases: list[str], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Every case published to one partition, and read once."""
    platform.create_topics()
    name = fresh_name()
    toy_databases.append(name)
    world = ToyWorld(
        bootstrap_servers=platform.kafka_bootstrap_servers,
        database_url=platform.database_url(name),
        folder=tmp_path_factory.mktemp("toy"),
        name=name,
    )
    return asyncio.run(_outcome(world))


async def _outcome(world: ToyWorld) -> Outcome:
    try:
        await world.open()
        places: dict[str, tuple[int, int]] = {}
        for number, (case, (_, bad)) in enumerate(CASES.items()):
            good = payment(300 + number, borrower="B-7")
            _, places[case] = await world.send(good, as_message(bad), partition=4)
        _, places[REUSED] = await world.send(payment(100, borrower="B-7"), payment(100, borrower="B-7", amount_minor=5))
        old = (AT - timedelta(days=3_000)).isoformat().encode()
        await world.send(changed(payment(200, borrower="B-8"), ce_time=old))
        long_ago = timedelta(days=900)
        await world.send(*(changed(as_message(at(AT - long_ago, of)), ce_id=of.encode()) for of in AGELESS))
        async with world.replica().running():
            await world.until_idle()
        letters = {letter.origin: letter for letter in await world.dead_letters()}
        return Outcome(places=places, letters=letters, entries=await world.entries(), totals=await world.totals())
    finally:
        await world.close()


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_a_dead_letter_with_its_reason_and_offset(outcome: Outcome, case: str) -> None:
    reason, bad = CASES[case]
    letter = outcome.letters[outcome.places[case]]
    assert (letter.reason, letter.facts["topic"]) == (reason, LOAN_EVENTS)
    assert (letter.value, letter.key, letter.headers) == (bad.value, bad.key, list(bad.headers))


def test_an_id_that_is_used_again_with_another_body_is_a_dead_letter(outcome: Outcome) -> None:
    assert outcome.letters[outcome.places[REUSED]].reason == "id_reused_with_other_body"


def test_the_rest_of_the_batch_goes_on_and_nothing_else_is_refused(outcome: Outcome) -> None:
    good = [f"E-{300 + number}" for number in range(len(CASES))]
    assert [entry for entry in outcome.entries if entry in good] == good
    assert outcome.totals["B-7"] == 100 * len(CASES) + 100
    assert set(outcome.letters) == set(outcome.places.values())


def test_old_money_and_old_protection_are_never_refused_for_their_age(outcome: Outcome) -> None:
    assert outcome.totals["B-8"] == 100
    assert {entry for entry in outcome.entries if entry in AGELESS} == set(AGELESS)
