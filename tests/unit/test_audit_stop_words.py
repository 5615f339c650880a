"""The audit's list of stops and the notifier's are written apart: what one of them reads as a stop, both do."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decorum_simulation.audit import stop_words
from decorum_simulation.audit.stop_words import is_stop
from decorum_simulation.borrowers.personas import Reaction
from decorum_simulation.borrowers.phrases import text_of
from notifier.domain.replies import STOP_WHOLE, STOP_WITHIN, read_text
from shared.contracts import Language

REACTIONS: tuple[Reaction, ...] = ("stop", "dispute", "paid_already", "call_back", "wrong_person", "other")


def notifier_stops(text: str) -> bool:
    return read_text(text, answered=None, today=date(2026, 9, 16)).intent == "stop"


@pytest.mark.parametrize("word", sorted(STOP_WHOLE))
def test_every_word_that_stops_the_notifier_is_a_stop_for_the_audit(word: str) -> None:
    assert is_stop(word)
    assert is_stop(f" {word.upper()}。")


@settings(max_examples=1_500, derandomize=True, deadline=None)
@given(st.from_regex(STOP_WITHIN, fullmatch=True))
def test_every_phrase_that_stops_the_notifier_is_a_stop_for_the_audit(phrase: str) -> None:
    assert is_stop(phrase)
    assert is_stop(f"我会还的，{phrase} 。")


@pytest.mark.parametrize("phrase", [*sorted(stop_words.ALONE), *stop_words.CHINESE])
def test_every_word_on_the_audits_list_stops_the_notifier(phrase: str) -> None:
    assert notifier_stops(phrase)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.from_regex(stop_words.ENGLISH, fullmatch=True))
def test_every_english_phrase_of_the_audit_stops_the_notifier(phrase: str) -> None:
    assert notifier_stops(phrase)


@pytest.mark.parametrize(
    "text",
    ["ＳＴＯＰ！", "S.T.O.P", "退 訂", "st\u200bop", "STOP ALL", "不要再聯系我", "Don’t call me again", "OPT-OUT"],
)
def test_width_case_punctuation_and_script_make_no_difference(text: str) -> None:
    assert is_stop(text)
    assert notifier_stops(text)


def test_of_what_simulated_borrowers_say_both_read_the_same() -> None:
    languages: tuple[Language, ...] = ("zh", "en")
    said = {
        (reaction, text_of(reaction, language, seed))
        for reaction in REACTIONS
        for language in languages
        for seed in range(50)
    }
    assert {text for reaction, text in said if reaction == "stop"} == {text for _, text in said if is_stop(text)}
    assert not any(notifier_stops(text) != is_stop(text) for _, text in said)
    assert not is_stop("我明天还500元")
    assert not is_stop("I will pay on Friday, call me")
