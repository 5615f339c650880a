"""What borrowers' words and key presses mean."""

from __future__ import annotations

from datetime import date

import pytest

from notifier.domain.promise_dates import named_dates
from notifier.domain.replies import AnsweredContact, Reading, read_key, read_text
from notifier.domain.wording import chinese_number, compact, plain
from tests.notifier_world.messages import KEY_MEANINGS

TODAY = date(2026, 9, 16)
"""A Wednesday."""
DUE = AnsweredContact(attempt_id="A1", due_minor=123_456, currency="CNY", loans=("L1",))


def read(text: str, answered: AnsweredContact | None = DUE) -> Reading:
    return read_text(text, answered=answered, today=TODAY)


@pytest.mark.parametrize(
    "text",
    [
        "stop",
        "STOP",
        "Stop.",
        "ＳＴＯＰ！",
        "s t o p",
        "S.T.O.P",
        "STOP ALL",
        "please stop texting me",
        "unsubscribe",
        "T",
        "td",
        "ＴＤ",
        "退订",
        " 退 订 ",
        "退訂",
        "TD退订",
        "回复TD",
        "回TD",
        "t。",
        "拒收",
        "请不要再联系我",
        "别再发了",
        "不要再给我打电话了",
        "停止联系",
        "Don't call me again",
        "do not contact me",
        "opt out",
        "OPT-OUT",
        "st\u200bop",
        "退订!!!",
        "取消",
        "quit",
        "我会还的，但别再打了",
        "请停止",
        "别烦我",
        "请勿扰",
        "停发",
        "取消短信",
        "我不想再收到你们的短信",
        "leave me alone",
        "Remove me from your list",
        "remove me",
    ],
)
def test_a_stop_is_understood_however_it_is_typed(text: str) -> None:
    assert read(text).intent == "stop"


@pytest.mark.parametrize(
    ("text", "minor", "day"),
    [
        ("我9月20日还500元", 50_000, date(2026, 9, 20)),
        ("明天还", 123_456, date(2026, 9, 17)),
        ("I will pay 500 on 2026-09-20", 50_000, date(2026, 9, 20)),
        ("promise tomorrow", 123_456, date(2026, 9, 17)),
        ("后天还3000块", 300_000, date(2026, 9, 18)),
        ("大后天还", 123_456, date(2026, 9, 19)),
        ("我下周五还两千五", 250_000, date(2026, 9, 25)),
        ("周五还", 123_456, date(2026, 9, 18)),
        ("这周日还钱", 123_456, date(2026, 9, 20)),
        ("10号还款", 123_456, date(2026, 10, 10)),
        ("二十号还五百元", 50_000, date(2026, 9, 20)),
        ("三天内还清", 123_456, date(2026, 9, 19)),
        ("两周内还1万", 1_000_000, date(2026, 9, 30)),
        ("月底还一万二", 1_200_000, date(2026, 9, 30)),
        ("下个月5号还1000", 100_000, date(2026, 10, 5)),
        ("１月５日还￥800", 80_000, date(2027, 1, 5)),
        ("还款2026年9月20日500元", 50_000, date(2026, 9, 20)),
        ("明天下午3点还500", 50_000, date(2026, 9, 17)),
        ("会还的", 123_456, date(2026, 9, 19)),
        ("I can pay 1,000.50 by friday", 100_050, date(2026, 9, 18)),
        ("will pay in full on Sept 20th", 123_456, date(2026, 9, 20)),
        ("I'll pay ¥300 on oct 1, 2026", 30_000, date(2026, 10, 1)),
        ("I will pay 200 next monday", 20_000, date(2026, 9, 21)),
        ("pay 9/20", 123_456, date(2026, 9, 20)),
        ("I promise to pay 50 yuan in 5 days", 5_000, date(2026, 9, 21)),
        ("I will pay at the end of the month", 123_456, date(2026, 9, 30)),
        ("will pay on the 5th", 123_456, date(2026, 10, 5)),
    ],
)
def test_a_promise_has_its_amount_and_its_day(text: str, minor: int, day: date) -> None:
    assert read(text) == Reading(intent="promise", promised_minor=minor, currency="CNY", promised_on=day)


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "好的",
        "我没钱还",
        "能不能明天还?",
        "明天还可以吗",
        "I can't pay tomorrow",
        "I won't pay",
        "how do I pay?",
        "还有多少",
        "我还没吃饭",
        "2月30日还",
        "9月20日还500元，10月1日还1000元",
        "明天还500元或者600元",
        "I'll pay $50 tomorrow",
        "还0元",
        "明天还0元",
        "还款日期是几号",
        "明天还有事",
        "明天还要上班",
        "2025-01-01还500",
        "明天还500.005元",
        "",
        "？？？",
        "1",
    ],
)
def test_what_is_not_one_clear_promise_is_left_to_a_person(text: str) -> None:
    assert read(text).intent == "other"


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("已还", "paid_already"),
        ("昨天还了500", "paid_already"),
        ("I already paid", "paid_already"),
        ("我已经付款了", "paid_already"),
        ("这不是我的贷款", "dispute"),
        ("金额不对", "dispute"),
        ("I dispute this debt", "dispute"),
        ("I don't owe you anything", "dispute"),
        ("打错了", "wrong_person"),
        ("你发错人了，不是本人", "wrong_person"),
        ("wrong number", "wrong_person"),
        ("请给我回电话", "call_back"),
        ("please call me back", "call_back"),
        ("我不想活了", "distress"),
        ("明天还钱，不然我去死", "distress"),
    ],
)
def test_other_intents_are_told_by_their_words(text: str, intent: str) -> None:
    assert read(text).intent == intent


def test_a_promise_without_a_known_debt_has_the_amount_that_it_names() -> None:
    assert read("明天还500元", None) == Reading(
        intent="promise", promised_minor=50_000, currency="CNY", promised_on=date(2026, 9, 17)
    )
    assert read("明天还", None) == Reading(intent="promise", promised_on=date(2026, 9, 17))


def test_an_amount_in_dollars_answers_a_debt_in_dollars() -> None:
    debt = AnsweredContact(attempt_id="A1", due_minor=9_900, currency="USD", loans=("L1",))
    assert read("I'll pay $50 tomorrow", debt).promised_minor == 5_000


@pytest.mark.parametrize(
    ("digit", "intent"),
    [(digit, intent) for digit, intent in KEY_MEANINGS if intent != "promise"],
)
def test_keys_have_one_meaning(digit: str, intent: str) -> None:
    assert read_key(digit, answered=DUE, today=TODAY) == Reading(intent=intent)  # type: ignore[arg-type]


def test_key_one_promises_the_due_amount_within_three_days() -> None:
    assert read_key("1", answered=DUE, today=TODAY) == Reading(
        intent="promise", promised_minor=123_456, currency="CNY", promised_on=date(2026, 9, 19)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("三", 3),
        ("十", 10),
        ("十二", 12),
        ("二十", 20),
        ("两百", 200),
        ("两千五", 2_500),
        ("一千零五", 1_005),
        ("一万二", 12_000),
        ("一万零二", 10_002),
        ("三万五千", 35_000),
        ("二〇二六", 2_026),
        ("百", 100),
        ("", None),
        ("三x", None),
    ],
)
def test_chinese_numerals_have_their_value(text: str, value: int | None) -> None:
    assert chinese_number(text) == value


def test_a_leap_day_is_found_in_its_year() -> None:
    assert named_dates("2月29日", TODAY)[0] == (date(2028, 2, 29),)


def test_plain_and_compact_forms() -> None:
    assert plain(" Ｓｔｏｐ　\u200b") == "stop"
    assert compact("Ｔ.Ｄ 退-订！") == "td退订"
