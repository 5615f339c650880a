"""One sentence for each decision that a person can read, in English and Chinese.

It names the rule that decided and, where the attempt is put off, the next legal instant in the borrower's local time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from compliance_gate.domain.completeness import PLATFORM_RULES
from compliance_gate.domain.facts import Attempt
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.verdicts import Allowed, Decision, Deferred, Denied, HeldForReview, Ruling

Language = Literal["en", "zh"]

_CHANNELS = {
    "sms": ("text message", "短信"),
    "voice": ("call", "电话"),
    "email": ("e-mail", "邮件"),
    "letter": ("letter", "信函"),
    "visit": ("visit", "上门"),
}
_MADE = frozenset({"voice", "visit"})  # what is made, where a message is sent
_CHINESE = {
    "attorney": "律师代理",
    "cease": "要求停止联系",
    "dispute": "债务争议",
    "bankruptcy": "破产",
    "deceased": "已故",
    "identity_theft": "身份被盗用",
    "vulnerable": "弱势借款人",
    "workplace_prohibited": "工作场所禁止联系",
    "borrower": "借款人",
    "region": "居住地",
    "zone": "时区",
    "number": "号码",
    "balance": "余额",
    "facts are behind": "事实滞后",
}
_WEEKDAYS = (
    ("Monday", "周一"),
    ("Tuesday", "周二"),
    ("Wednesday", "周三"),
    ("Thursday", "周四"),
    ("Friday", "周五"),
    ("Saturday", "周六"),
    ("Sunday", "周日"),
)


def sentence(decision: Decision, attempt: Attempt, policy: Policy, language: Language) -> str:
    """The decision in one sentence; times are local to the borrower's first zone, UTC where none is known."""
    index = 0 if language == "en" else 1
    channel = _CHANNELS[attempt.channel][index]
    done = "made" if attempt.channel in _MADE else "sent"
    zone = policy.stack.zones[0] if policy.stack.zones else "UTC"
    match decision:
        case Allowed():
            until = local_time(decision.permit_expires_at, zone, language)
            warned = _warned(decision, policy, language)
            if language == "en":
                return f"This {channel} may be {done} before {until}: every rule in force allows it{warned}."
            return f"本次{channel}可于{until}前进行：所有适用规则均允许{warned}。"
        case Deferred():
            at = local_time(decision.next_legal_instant, zone, language)
            why = _reason(decision.deciding_rule, decision.rules, policy, language)
            if language == "en":
                return f"This {channel} must wait until {at}: {why}."
            return f"本次{channel}须推迟至{at}：{why}。"
        case Denied():
            why = _reason(decision.deciding_rule, decision.rules, policy, language)
            if language == "en":
                return f"This {channel} must not be {done}: {why}."
            return f"本次{channel}不得进行：{why}。"
        case HeldForReview():
            why = _reason(decision.deciding_rule, decision.rules, policy, language)
            if language == "en":
                return f"A person must look at this {channel} first: {why}."
            return f"本次{channel}须先经人工审核：{why}。"
        case _:
            assert_never(decision)


def rule_name(rule_id: str, policy: Policy, language: Language) -> str:
    """The name of a rule of the packs or of the platform."""
    index = 0 if language == "en" else 1
    if rule_id in PLATFORM_RULES:
        return PLATFORM_RULES[rule_id][index]
    rule = policy.rule(rule_id)
    if rule is None:
        return rule_id
    return rule.name_en if language == "en" else rule.name_zh


def local_time(instant: datetime, zone: str, language: Language) -> str:
    """An instant as the borrower's clock shows it, with the weekday and the zone."""
    local = instant.astimezone(ZoneInfo(zone))
    weekday = _WEEKDAYS[local.weekday()][0 if language == "en" else 1]
    clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    if language == "en":
        return f"{weekday} {local:%Y-%m-%d} {clock} ({zone})"
    return f"{local.year}年{local.month}月{local.day}日（{weekday}）{clock}（{zone}）"


def _warned(decision: Allowed, policy: Policy, language: Language) -> str:
    names = [rule_name(rule_id, policy, language) for rule_id in decision.warnings]
    if not names:
        return ""
    return f"; but mind: {'; '.join(names)}" if language == "en" else f"；请注意：{'；'.join(names)}"


def _reason(rule_id: str, rulings: tuple[Ruling, ...], policy: Policy, language: Language) -> str:
    ruling = next(
        (each for each in rulings if each.rule_id == rule_id and each.result not in ("passed", "not_applicable")), None
    )
    name = rule_name(rule_id, policy, language)
    facts = dict(ruling.facts) if ruling is not None else {}
    detail = ""
    if "counted" in facts:
        counted, limit = facts["counted"], facts["limit"]
        detail = f" ({counted} counted of {limit})" if language == "en" else f"（已计{counted}次，上限{limit}次）"
    elif "missing" in facts or "restriction" in facts:
        word = facts.get("missing") or facts.get("restriction") or ""
        detail = f" ({word})" if language == "en" else f"（{_in_chinese(word)}）"
    elif "calendar_unknown" in facts:
        where = facts["calendar_unknown"]
        if rule_id == "platform.calendar":
            detail = f" ({where})" if language == "en" else f"（{where}）"
        else:
            detail = f" (no official calendar for {where})" if language == "en" else f"（{where}尚无官方日历）"
    return f"{name}{detail} [{rule_id}]" if language == "en" else f"{name}{detail}［{rule_id}］"


def _in_chinese(words: str) -> str:
    return "、".join(_CHINESE.get(word, word) for word in words.split(","))
