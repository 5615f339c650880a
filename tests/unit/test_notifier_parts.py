"""Sealing, signatures, settings, numbers, group commits: the parts by themselves."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from notifier.adapters.phone_numbers import to_e164
from notifier.adapters.sealing import AesGcmSealer
from notifier.domain.signatures import check_delivery, signature
from notifier.handlers.group_commit import GroupCommit
from notifier.ports import SealBroken
from notifier.settings import PREFIX, NotifierSettings
from shared.contracts import Language
from shared.settings import SettingsError, load

KEY = base64.b64encode(bytes(range(32))).decode()
GOOD = {"NOTIFIER_WEBHOOK_SECRET": "sixteen letters!", "NOTIFIER_SEALING_KEY": KEY}
NOW = datetime(2026, 9, 16, 2, tzinfo=UTC)
SECRET = b"secret"


def test_what_is_sealed_opens_only_for_its_borrower_and_field() -> None:
    sealer = AesGcmSealer(bytes(32))
    key = sealer.new_wrapped_key("B1")
    sealed = sealer.seal(key, borrower_id="B1", field="name", text="王小明")
    assert "王小明".encode() not in sealed
    assert sealer.open(key, borrower_id="B1", field="name", sealed=sealed) == "王小明"
    for borrower_id, field, data in (
        ("B2", "name", sealed),
        ("B1", "number", sealed),
        ("B1", "name", sealed[:-1] + bytes([sealed[-1] ^ 1])),
    ):
        with pytest.raises(SealBroken):
            sealer.open(key, borrower_id=borrower_id, field=field, sealed=data)
    with pytest.raises(SealBroken):
        AesGcmSealer(bytes([1] * 32)).open(key, borrower_id="B1", field="name", sealed=sealed)


def test_one_text_sealed_twice_looks_different() -> None:
    sealer = AesGcmSealer(bytes(32))
    key = sealer.new_wrapped_key("B1")
    first, second = (sealer.seal(key, borrower_id="B1", field="name", text="x") for _ in range(2))
    assert first != second


def test_a_number_s_hash_depends_on_its_key() -> None:
    number = "+8613800138000"
    one = AesGcmSealer(bytes(32))
    assert one.hash_number(number) == AesGcmSealer(bytes(32)).hash_number(number)
    assert one.hash_number(number) != AesGcmSealer(bytes([1] * 32)).hash_number(number)
    other = AesGcmSealer(bytes(32), number_hash_key=bytes([2] * 32))
    assert one.hash_number(number) != other.hash_number(number)


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+8613800138000", "+8613800138000"),
        ("138 0013 8000", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
        ("+1 (212) 555-0123", "+12125550123"),
        ("10086abc", None),
        ("", None),
        ("王", None),
    ],
)
def test_numbers_are_normalised(text: str, e164: str | None) -> None:
    assert to_e164(text, default_region="CN") == e164


def headers(*, at: datetime = NOW, body: bytes = b"{}", **replaced: str) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    signed = signature(SECRET, timestamp=timestamp, delivery="d1", body=body)
    good = {"x-decorum-timestamp": timestamp, "x-decorum-delivery": "d1", "x-decorum-signature": signed}
    return good | {f"x-decorum-{name}": value for name, value in replaced.items()}


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (headers(), None),
        (headers(at=NOW - timedelta(seconds=300)), None),
        (headers(at=NOW + timedelta(seconds=300)), None),
        (headers(at=NOW - timedelta(seconds=301)), "stale"),
        (headers(at=NOW + timedelta(seconds=301)), "stale"),
        (headers(body=b"{} "), "forged"),
        (headers(delivery="d2"), "forged"),
        (headers(timestamp=str(int(NOW.timestamp()) + 1)), "forged"),
        (headers(signature="sha256=é"), "forged"),
        (headers(signature=""), "missing_header"),
        ({}, "missing_header"),
    ],
)
def test_a_delivery_is_taken_only_as_it_was_signed_and_in_time(sent: dict[str, str], reason: str | None) -> None:
    assert check_delivery(sent, b"{}", secret=SECRET, now=NOW, age_seconds_max=300) == reason


def test_good_settings_load() -> None:
    assert load(NotifierSettings, PREFIX, GOOD).agency_regions == ("US",)


def test_the_lender_has_a_name_in_each_language() -> None:
    named = load(NotifierSettings, PREFIX, GOOD | {"NOTIFIER_LENDER": "en=Acme, Inc.;zh=晨光消费金融;"})
    assert named.lender_names == {"en": "Acme, Inc.", "zh": "晨光消费金融"}
    assert set(load(NotifierSettings, PREFIX, GOOD).lender_names) == set(get_args(Language))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NOTIFIER_SEALING_KEY", "c2hvcnQ="),
        ("NOTIFIER_SEALING_KEY", "not base64!"),
        ("NOTIFIER_NUMBER_HASH_KEY", "c2hvcnQ="),
        ("NOTIFIER_WEBHOOK_SECRET", "short"),
        ("NOTIFIER_LENDER", " "),
        ("NOTIFIER_LENDER", "晨光消费金融"),
        ("NOTIFIER_LENDER", "zh=晨光消费金融"),
        ("NOTIFIER_LENDER", "zh=晨光消费金融; en="),
        ("NOTIFIER_LENDER", "zh=晨光消费金融; en=Dawn; fr=Aube"),
        ("NOTIFIER_LENDER", "zh=晨光消费金融; en=Dawn; en=Dusk"),
        ("NOTIFIER_DEFAULT_ZONE", "Mars/Olympus"),
        ("NOTIFIER_PROVIDER_TIMEOUT_SECONDS", "29"),
        ("NOTIFIER_LEASE_SECONDS", "301"),
        ("NOTIFIER_SMS_RATE_PER_SECOND", "0"),
        ("NOTIFIER_REQUESTS_MAX", "0"),
    ],
)
def test_a_setting_that_is_wrong_stops_the_start_and_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as refused:
        load(NotifierSettings, PREFIX, GOOD | {variable: value})
    assert KEY not in str(refused.value)


async def test_what_arrives_together_is_stored_together() -> None:
    batches: list[list[int]] = []

    async def apply(batch: Sequence[int]) -> list[int]:
        batches.append(list(batch))
        await asyncio.sleep(0)
        return [item * 10 for item in batch]

    commits: GroupCommit[int, int] = GroupCommit(apply)
    assert await asyncio.gather(*(commits.submit(i) for i in range(20))) == [i * 10 for i in range(20)]
    assert len(batches) <= 2
    assert await commits.submit(7) == 70


async def test_one_item_that_fails_takes_no_other_down() -> None:
    async def apply(batch: Sequence[int]) -> list[int]:
        if 3 in batch:
            raise LookupError
        return list(batch)

    commits: GroupCommit[int, int] = GroupCommit(apply)
    outcomes: list[Any] = await asyncio.gather(*(commits.submit(i) for i in range(5)), return_exceptions=True)
    assert [o for o in outcomes if isinstance(o, int)] == [0, 1, 2, 4]
    assert isinstance(outcomes[3], LookupError)


async def test_an_absent_database_fails_a_batch_once() -> None:
    calls = 0

    async def apply(batch: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        raise ConnectionRefusedError

    commits: GroupCommit[int, int] = GroupCommit(apply)
    outcomes = await asyncio.gather(*(commits.submit(i) for i in range(5)), return_exceptions=True)
    assert all(isinstance(outcome, ConnectionRefusedError) for outcome in outcomes)
    assert calls <= 2
