"""Decisions as sentences, and as evidence that can be replayed."""

from __future__ import annotations

import msgspec
import pytest

from compliance_gate.adapters.evidence import EvidenceMismatch, EvidenceRecord, evidence_of, replay
from compliance_gate.domain import (
    Stop,
    decide,
)
from compliance_gate.domain.sentences import sentence
from tests.unit.gate_cases import BOOK, TUESDAY, attempt, beijing, contact, facts


def test_sentences_name_the_rule_and_the_local_time_in_both_languages() -> None:
    known = facts(history=(contact(beijing("2026-09-15T09:10")),))
    policy = BOOK.resolve("CN", ("Asia/Shanghai",))
    decision = decide(attempt(), known, policy, TUESDAY)
    english, chinese = (sentence(decision, attempt(), policy, language) for language in ("en", "zh"))
    assert "must wait until Wednesday 2026-09-16 09:00 (Asia/Shanghai)" in english
    assert "at most one text message a day (1 counted of 1) [courteous.sms-a-day]" in english
    assert "须推迟至2026年9月16日（周三）09:00（Asia/Shanghai）" in chinese
    assert "每日短信至多一条" in chinese
    denied = decide(attempt(), facts(stops=(Stop(scope="all", reason="drill"),)), policy, TUESDAY)
    assert sentence(denied, attempt(), policy, "zh").startswith("本次短信不得进行")


def test_evidence_replays_and_every_change_of_it_is_found() -> None:
    policy = BOOK.resolve("CN", ("Asia/Shanghai",))
    known = facts(history=(contact(beijing("2026-09-15T09:10")),))
    decision = decide(attempt(), known, policy, TUESDAY)
    evidence = evidence_of(attempt(), known, policy, TUESDAY, decision)
    assert replay(evidence.record, BOOK) == decision
    with pytest.raises(EvidenceMismatch, match="another decision"):
        replay(evidence.record.replace(b'"at":"2026-09-15T01:10:00Z"', b'"at":"2026-09-14T01:10:00Z"'), BOOK)
    with pytest.raises(EvidenceMismatch, match="have changed"):
        replay(evidence.record.replace(policy.policy_hash.encode(), b"0" * 64), BOOK)
    with pytest.raises(EvidenceMismatch, match="not an evidence record"):
        replay(evidence.record[:-2], BOOK)


def test_the_record_is_the_canonical_encoding_of_its_parts() -> None:
    policy = BOOK.resolve("CN", ("Asia/Shanghai",))
    for known in (facts(), facts(history=(contact(beijing("2026-09-15T09:10")),))):
        decision = decide(attempt(), known, policy, TUESDAY)
        record = evidence_of(attempt(), known, policy, TUESDAY, decision).record
        assert msgspec.json.encode(msgspec.json.decode(record, type=EvidenceRecord)) == record
        assert evidence_of(attempt(), known, policy, TUESDAY, decision).record == record
