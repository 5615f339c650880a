"""What a borrower's words or key press mean. The most protective reading wins; what isn't clear is `other`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from notifier.domain.call_keys import KEY_INTENTS
from notifier.domain.promise_dates import named_dates
from notifier.domain.wording import NUMERAL, chinese_number, compact, plain
from shared.contracts import ReplyIntent
from shared.money import MINOR_DIGITS

PROMISE_DAYS: Final = 3
"""A promise that names no day, and key 1 of a call, mean: within three days."""
PROMISE_DAYS_MAX: Final = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredContact:
    """What the contact that a reply answers asked for."""

    attempt_id: str
    due_minor: int
    currency: str
    loans: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A classified reply. Amount and date are set for a promise only; no amount: none was said and none is known."""

    intent: ReplyIntent
    promised_minor: int | None = None
    currency: str | None = None
    promised_on: date | None = None


OTHER: Final = Reading(intent="other")

STOP_WHOLE: Final = frozenset(
    ("stop", "stopall", "unsubscribe", "unsub", "cancel", "end", "quit", "revoke", "optout", "remove", "removeme")
) | frozenset(
    ("t", "td", "n", "退订", "td退订", "回td", "回复td", "退", "取消", "停止", "请停止", "停", "拒收", "拒绝")
)
STOP_WITHIN: Final = re.compile(
    r"\bstop\b|unsubscribe|\bopt(?:ing)?[\s-]?out\b|退订|拒收|取消(?:订阅|短信|发送|通知)|停发|停止(?:联系|发送|发|打|短信|骚扰|催收)|勿扰|(?:不想|不愿意?)再?(?:收到|接到|接你|接电话)|"
    r"\bleave me alone\b|\b(?:remove|take) me (?:off|from)\b|"
    r"(?:不要|别|勿|不许|禁止|请勿)再?(?:联系|发|打|给我发|给我打|骚扰|来电|催|烦)|"
    r"(?:do not|don't|dont|never|no more)\s+(?:ever\s+)?(?:contact|call|text|message|send|calls|texts|messages)"
)
_DISTRESS: Final = re.compile(r"自杀|不想活|轻生|活不下去|去死|suicid|kill (?:myself|me)|end my life|want to die")
_WRONG_PERSON: Final = re.compile(
    r"打错|发错|不是本人|不认识(?:这|他|她|此)|换号|不是他的号|"
    r"wrong (?:number|person)|not (?:the|that) person|don't know (?:him|her|this person)"
)
_DISPUTE: Final = re.compile(
    r"不是我(?:的|借|欠)|没有?借过?|没欠|不欠|异议|投诉|起诉|诈骗|骗子|盗用|金额(?:不对|有误|错)|"
    r"\bdisput|not my (?:debt|loan|account)|(?:do not|don't|dont) owe|never (?:borrowed|took)|"
    r"\bfraud|\bscam|identity theft|amount is wrong"
)
_PAID: Final = re.compile(
    r"已经?(?:还|付|支付|缴|交|结清|转)|还(?:过|清)了|付(?:过|清)了|刚刚?(?:还|付|转)|昨[天日](?:还|付|转)|(?:还|付|转)(?:款)?(?:完|好)了|"
    r"already (?:paid|settled|sent)|(?:i|i've|i have|just|have) paid|paid (?:already|yesterday|it)|"
    r"payment (?:was |has been )?(?:made|sent)"
)
_CALL_BACK: Final = re.compile(
    r"回电|回我?电话|给我(?:打|来)个?电话|打电话给我|联系我|call me|call back|callback|phone me|ring me"
)
_CANNOT: Final = re.compile(
    r"不还|不会还|不想还|不打算还|没钱|还不[了起上]|没法|无法|没办法|不能|不可能|付不[了起]|怎么还|如何还|哪里还|几号|哪天|何时|什么时候|"
    r"能不能|可不可以|可以吗|行吗|吗$|[?]|"
    r"can't|cannot|can not|won't|will not|unable|not (?:going to )?pay|no money|how (?:do|can|to)|refuse"
)
_PAY: Final = re.compile(
    r"还(?!有|在|是|没|要(?!还))|付|缴|交钱|转账|转给|打款|汇款|结清|\bpay|\bsettle|\btransfer|\bsend\b|\bpromise"
)
_MEANT: Final = re.compile(
    r"[会能]还|一定|保证|承诺|答应|马上|尽快|打算|准备|还款|还钱|就还|全部|全额|全款|结清|"
    r"\bwill\b|'ll\b|\bpromise|\bgoing to\b|\bshall\b|\bcan pay\b|\bin full\b"
)
_AMOUNT: Final = re.compile(
    rf"(?P<before>[¥￥$€£]|rmb|cny|usd|人民币)?\s*"
    rf"(?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?|{NUMERAL})\s*(?P<scale>[万千k])?"
    r"(?![\d.,%])\s*(?P<after>元|块钱?|rmb|cny|usd|人民币|美元|美金|dollars?|bucks?|yuan)?"
)
_ROUND: Final = re.compile(r".[百千万]|[百千万].")
_TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d\d|\d{1,2}\s*[点时]半?|\b\d{1,2}\s*[ap]\.?m\b")
_CURRENCIES: Final[dict[str, str]] = {
    **dict.fromkeys(("¥", "￥", "rmb", "cny", "人民币", "元", "块", "块钱", "yuan"), "CNY"),
    **dict.fromkeys(("$", "usd", "美元", "美金", "dollar", "dollars", "buck", "bucks"), "USD"),
    "€": "EUR",
    "£": "GBP",
}
_SCALES: Final = {"万": 10_000, "千": 1_000, "k": 1_000, None: 1}


def read_key(digit: str, *, answered: AnsweredContact | None, today: date) -> Reading:
    """What a key press on a call means; a key that was not offered is `other`."""
    intent = KEY_INTENTS.get(digit.strip(), "other")
    if intent != "promise":
        return Reading(intent=intent)
    return _promise(None, None, answered=answered, promised_on=today + timedelta(days=PROMISE_DAYS))


def read_text(text: str, *, answered: AnsweredContact | None, today: date) -> Reading:
    """What `text` means; `today` is the borrower's own date. A stop wins over everything else that is said."""
    words = plain(text)
    if compact(text) in STOP_WHOLE or STOP_WITHIN.search(words) or compact(text).startswith(("stop", "td退订")):
        return Reading(intent="stop")
    for intent, pattern in _BY_WORDS:
        if pattern.search(words):
            return Reading(intent=intent)
    return _read_promise(words, answered=answered, today=today)


_BY_WORDS: Final[tuple[tuple[ReplyIntent, re.Pattern[str]], ...]] = (
    ("distress", _DISTRESS),
    ("wrong_person", _WRONG_PERSON),
    ("dispute", _DISPUTE),
    ("paid_already", _PAID),
    ("call_back", _CALL_BACK),
)


def _read_promise(words: str, *, answered: AnsweredContact | None, today: date) -> Reading:
    if _CANNOT.search(words) or not _PAY.search(words):
        return OTHER
    dates, rest = named_dates(_TIME_OF_DAY.sub(" ", words), today)
    amounts = _amounts(rest)
    if len(dates) > 1 or len(amounts) > 1 or not (dates or amounts or _MEANT.search(words)):
        return OTHER  # two dates or two amounts are a plan, not one promise: a person reads it
    promised_on = dates[0] if dates else today + timedelta(days=PROMISE_DAYS)
    if promised_on is None or not 0 <= (promised_on - today).days <= PROMISE_DAYS_MAX:
        return OTHER
    amount, currency = amounts[0] if amounts else (None, None)
    return _promise(amount, currency, answered=answered, promised_on=promised_on)


def _amounts(text: str) -> list[tuple[Decimal, str | None]]:
    found: dict[tuple[Decimal, str | None], None] = {}
    for match in _AMOUNT.finditer(text):
        digits = match["number"].replace(",", "")
        marked = match["before"] or match["after"] or match["scale"] or _ROUND.search(digits)
        if not (digits[0].isdigit() or marked):
            continue  # a Chinese numeral alone ("一定") is a word
        value = Decimal(digits) if digits[0].isdigit() else chinese_number(digits)
        if value is not None:
            currency = _CURRENCIES.get(match["before"] or match["after"] or "")
            found[(Decimal(value) * _SCALES[match["scale"]], currency)] = None
    return list(found)


def _promise(
    amount: Decimal | None, currency: str | None, *, answered: AnsweredContact | None, promised_on: date
) -> Reading:
    """An amount that isn't named is the amount due; one in another currency than the debt's is for a person to read."""
    owed_in = answered.currency if answered else currency
    if currency is not None and currency != owed_in:
        return OTHER
    minor = answered.due_minor if answered else None
    if amount is not None and owed_in is not None:
        scaled = amount.scaleb(MINOR_DIGITS[owed_in])
        if scaled != scaled.to_integral_value() or not 0 < scaled <= 10**14:
            return OTHER
        minor = int(scaled)
    elif amount is not None:
        minor = None
    return Reading(
        intent="promise", promised_minor=minor, currency=owed_in if minor is not None else None, promised_on=promised_on
    )
