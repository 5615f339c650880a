"""Texts: what each says, and which template files a service refuses to start with."""

from __future__ import annotations

import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from babel.numbers import format_currency

from notifier.adapters.template_checks import SAMPLES, TemplateError, check_text
from notifier.adapters.templates import CONFIRMATION, Lender, TemplateBook
from notifier.domain.call_keys import DETAIL_KEYS, OPENING_KEYS
from notifier.ports import Speech, TemplateFailed
from notifier.settings import SHIPPED_TEMPLATES
from shared.contracts import TEMPLATE_NAMES, Channel, Language
from shared.money import MINOR_DIGITS
from tests.notifier_world.messages import attempt

NAMES: dict[Language, str] = {"zh": "晨光消费金融", "en": "Dawnlight Consumer Finance"}
LENDER = Lender(names=NAMES, agency_regions=frozenset({"US"}))
BOOK = TemplateBook(SHIPPED_TEMPLATES, lender=LENDER)
HOME = Speech(name="王小明", region="CN-31", zones=("Asia/Shanghai",), contacted_before=False)
ABROAD = Speech(name="Maria Lopez", region="US-NY", zones=("America/New_York",), contacted_before=False)


def text_of(speech: Speech = HOME, **changes: Any) -> str:
    return BOOK.render(attempt(**changes), speech).text


DEMANDS = [name for name in TEMPLATE_NAMES if name != CONFIRMATION]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", DEMANDS)
def test_every_text_names_the_lender_the_person_and_the_amount(name: str, language: Language) -> None:
    channel: Channel = "sms" if name.startswith("sms-") else "voice"
    text = text_of(template=name, language=language, channel=channel)
    assert NAMES[language] in text
    assert not any(other in text for other in set(NAMES.values()) - {NAMES[language]})
    assert "王小明" in text
    assert "1,234.56" in text
    assert "\n" not in text


@pytest.mark.parametrize("name", [name for name in DEMANDS if name.startswith("sms-")])
def test_every_sms_carries_the_way_to_opt_out(name: str) -> None:
    assert text_of(template=name).endswith("回复TD退订")
    assert "Reply STOP to opt out" in text_of(template=name, language="en")


CALLS = ["call-overdue", "call-overdue-late"]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("speech", [HOME, ABROAD], ids=["lender", "agency"])
def test_whoever_picks_up_a_call_hears_who_calls_and_for_whom_and_nothing_of_a_debt(
    name: str, language: Language, speech: Speech
) -> None:
    script = BOOK.render(attempt(template=name, channel="voice", language=language, currency="USD"), speech)
    assert script.opening is not None
    assert NAMES[language] in script.opening
    assert speech.name in script.opening
    assert not re.search(r"1,234|31|2026|debt|past due|collect|owe|pay|欠|逾期|还款|催", script.opening)
    keys = set(re.findall(r"(?:按|press )(\d)", script.opening))
    assert keys == {"5", "7", "9"}
    assert set(re.findall(r"(?:按|press )(\d)", script.text)) == {"0", "1", "2", "3", "9"}


def test_a_text_message_has_no_opening() -> None:
    assert BOOK.render(attempt(), HOME).opening is None


def test_a_confirmation_of_an_opt_out_says_that_and_nothing_else() -> None:
    confirmation: dict[str, Any] = {"template": CONFIRMATION, "purpose": "opt_out_confirmation"}
    assert text_of(**confirmation) == "【晨光消费金融】您已退订，我们不会再向此号码发送短信。"
    english = text_of(**confirmation, language="en", speech=ABROAD)
    assert english == (
        "Dawnlight Consumer Finance: You have opted out. We will send no more text messages to this number."
    )


def test_what_passes_a_suppression_is_never_a_demand() -> None:
    with pytest.raises(TemplateFailed):
        text_of(purpose="opt_out_confirmation")
    with pytest.raises(TemplateFailed):
        text_of(template=CONFIRMATION)


def test_no_key_of_a_call_has_two_meanings() -> None:
    both = OPENING_KEYS.keys() & DETAIL_KEYS.keys()
    assert {key: OPENING_KEYS[key] for key in both} == {key: DETAIL_KEYS[key] for key in both} == {"9": "stop"}


def test_amounts_and_dates_are_written_as_the_language_writes_them() -> None:
    assert "¥1,234.56" in text_of()
    assert "2026年9月1日" in text_of(template="sms-overdue-early")
    english = text_of(template="sms-overdue-early", language="en", currency="USD", speech=ABROAD)
    assert "$1,234.56" in english
    assert "September 1, 2026" in english
    assert "¥123,456" in text_of(currency="JPY", language="en")


@pytest.mark.parametrize("currency", ["CNY", "USD", "JPY", "KWD", "EUR", "HKD", "VND"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_amount_is_what_babel_writes(currency: str, language: Language) -> None:
    locale = {"zh": "zh_Hans_CN", "en": "en_US"}[language]
    for minor in (1, 9, 100, 12_345, 99_999_999, 10**12 + 7):
        [loan] = attempt().loans
        due = msgspec.structs.replace(loan, due_minor=minor)
        text = text_of(currency=currency, language=language, loans=(due,))
        value = Decimal(minor).scaleb(-MINOR_DIGITS[currency])
        assert format_currency(value, currency, locale=locale) in text


def test_no_amount_is_rounded() -> None:
    assert "123.456" in text_of(currency="IQD")


def test_an_agency_says_so_first_in_full_and_later_in_short() -> None:
    first = text_of(language="en", currency="USD", speech=ABROAD)
    later = text_of(
        language="en", currency="USD", speech=Speech(name="M", region="US", zones=(), contacted_before=True)
    )
    assert "This is an attempt to collect a debt and any information obtained will be used for that purpose." in first
    assert "from a debt collector" in later
    assert "attempt to collect" not in later
    assert "from a debt collector" in first.lower(), "a call may have told of the debt before"
    by_zone = Speech(name="M", region="CN", zones=("Asia/Shanghai", "America/Chicago"), contacted_before=True)
    assert "from a debt collector" in text_of(language="en", speech=by_zone)
    assert "collector" not in text_of(language="en")


def test_several_loans_are_said_as_one_amount_with_the_oldest_date() -> None:
    [loan] = attempt().loans
    older = msgspec.structs.replace(loan, loan_id="L2", due_on=date(2026, 8, 20), days_past_due=27)
    text = text_of(template="sms-overdue-early", loans=(loan, older))
    assert "¥2,469.12" in text
    assert "2026年8月20日" in text


@pytest.mark.parametrize(
    "changes",
    [{"template": "sms-unknown"}, {"channel": "voice"}, {"party": "third_party"}, {"party": "attorney"}],
    ids=["unknown", "another channel", "a third party", "an attorney"],
)
def test_there_is_no_text_for_what_no_text_was_written_for(changes: dict[str, Any]) -> None:
    with pytest.raises(TemplateFailed):
        text_of(**changes)


def test_a_name_is_a_value_and_never_a_template() -> None:
    speech = Speech(name="{{ 7 * 7 }}\n{% raw %}", region="CN", zones=(), contacted_before=True)
    assert "{{ 7 * 7 }} {% raw %}" in text_of(speech=speech)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED_TEMPLATES, tmp_path / "templates"))


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "reason"),
    [
        ("sms-overdue", "{{ amount }}已", "{{ amonut }}已", 4, "amonut"),
        ("sms-overdue", "{{ amount }}已", "{{ amount }已", 4, "unexpected"),
        ("sms-overdue", "回复TD退订", "", 4, "回复TD退订"),
        ("sms-overdue", "Reply STOP to opt out.", "", 7, "Reply STOP"),
        ("sms-overdue", "{{ disclosure }} Reply", "Reply", 7, "attempt to collect"),
        ("sms-overdue", "请您安排还款", "否则我们将起诉您", 4, "起诉"),
        ("sms-final", "【{{ lender }}】", "", 5, "晨光消费金融"),
        ("call-overdue", "如果不希望再接到这类电话，请按9", "如果不希望再接到这类电话，请按8", 14, "keys 9"),
        ("call-overdue", "如果您是{{ name }}，请按5", "如果您是{{ name }}，请按6", 6, "keys 5"),
        ("call-overdue", "如果您不是，打扰了，请按7", "如果您不是，打扰了，请挂断", 6, "keys 7"),
        ("call-overdue", "如果不希望再接到我们的来电，请按9。", "", 6, "keys 9"),
        ("call-overdue", "press 9.\ntexts", "press 9. To promise, press 1.\ntexts", 9, "keys 1"),
        ("call-overdue", "有一件事需要", "您有一笔欠款需要", 6, "欠"),
        ("call-overdue", "有一件事需要", "有{{ amount }}需要", 6, "amount"),
        ("call-overdue", "有一件事需要", "{{ disclosure }}需要", 6, "disclosure"),
        ("call-overdue-late", "calling for {{ name }}. If", "calling {{ name }} about a payment. If", 8, "payment"),
        ("call-overdue-late", "calling for {{ name }}. If", "calling {{ name }}, who must go to court. If", 8, "court"),
        ("call-overdue-late", "Hello, this is {{ lender }} calling", "Hello, we are calling", 8, "Dawnlight"),
        (CONFIRMATION, "您已退订，", "您的欠款已退订，", 5, "欠"),
        (CONFIRMATION, "You have opted out.", "You have opted out. You still owe us money.", 6, "owe"),
        (CONFIRMATION, "You have opted out.", "Goodbye.", 6, "have opted out"),
        (CONFIRMATION, "【{{ lender }}】", "【{{ lender }}】{{ amount }}", 5, "amount"),
        ("call-overdue-late", "openings:", "opening:", 3, "no field"),
        ("call-overdue-late", "channel: voice", "channel: voice\nchannel: voice", 3, "twice"),
        ("disclosures", "later:", "latest:", 7, "no field"),
        ("sms-overdue", "texts:", "openings:", 2, "no field"),
        ("sms-overdue", "channel: sms", "channel: fax", 1, "channel"),
        ("sms-overdue", "  en: |", "  fr: |", 1, "zh, en"),
        ("sms-overdue", "channel: sms", "channel: [", 3, "YAML"),
        ("sms-reminder", "{{ amount }}", "{{ amount.__class__.__mro__ }}", 5, "unsafe"),
        ("sms-reminder", "{{ amount }}", "{% include 'x' %}", 5, "no loader"),
        ("sms-reminder", "{{ amount }}", "{{ range(10 ** 9) }}", 5, "Range too big"),
        ("sms-reminder", "{{ amount }}", "{{ 1 // 0 }}", 5, "zero"),
        ("sms-reminder", "channel: sms", "[" * 20_000, 1, "too deep"),
    ],
)
def test_a_template_that_is_wrong_stops_the_start_with_its_file_line_and_reason(
    folder: Path, name: str, old: str, new: str, line: int, reason: str
) -> None:
    path = folder / f"{name}.yaml"
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))
    with pytest.raises(TemplateError, match=re.escape(f"{name}.yaml:{line}: ")) as refused:
        TemplateBook(folder, lender=LENDER)
    assert reason in str(refused.value)


def test_what_fails_with_some_attempts_only_ends_that_permit(folder: Path) -> None:
    path = folder / "sms-overdue-early.yaml"
    spoilt = "{% if loans > 1 %}{{ amount + 1 }}{% endif %}{{ amount }}"
    path.write_text(path.read_text().replace("{{ amount }}", spoilt))
    book = TemplateBook(folder, lender=LENDER)
    one = SAMPLES["sms", "zh"][0][1]
    two = msgspec.structs.replace(one, template="sms-overdue-early", loans=(*one.loans, *one.loans))
    with pytest.raises(TemplateFailed):
        book.render(two, SAMPLES["sms", "zh"][0][0])


def test_a_call_in_the_name_of_a_debt_collector_is_refused(folder: Path) -> None:
    names: dict[Language, str] = NAMES | {"en": "Acme Debt Recovery"}
    with pytest.raises(TemplateError, match=r"call-overdue\.yaml:9: .*'Debt'"):
        TemplateBook(folder, lender=Lender(names=names, agency_regions=frozenset({"US"})))


def test_a_lender_with_an_innocent_name_that_holds_such_a_word_may_call(folder: Path) -> None:
    names: dict[Language, str] = NAMES | {"en": "Acme Loans and Credit"}
    TemplateBook(folder, lender=Lender(names=names, agency_regions=frozenset({"US"})))


def test_a_missing_template_stops_the_start(folder: Path) -> None:
    (folder / "sms-final.yaml").unlink()
    with pytest.raises(TemplateError, match=r"sms-final\.yaml: there is no such file"):
        TemplateBook(folder, lender=LENDER)


def test_every_sample_is_in_every_language() -> None:
    assert set(SAMPLES) == {("sms", "zh"), ("sms", "en"), ("voice", "zh"), ("voice", "en")}


def test_a_text_that_is_too_long_is_refused() -> None:
    assert check_text("x" * 500 + "回复TD退订", "sms", "zh", must_say=[]) == "is longer than 500 characters"
