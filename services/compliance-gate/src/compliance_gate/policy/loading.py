"""Reads a policy pack from YAML. An invalid one is refused whole, with file, line and reason of each error."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args
from zoneinfo import available_timezones

import yaml

from compliance_gate.domain import rules as kinds
from compliance_gate.domain.calendars import DayClass
from compliance_gate.domain.facts import Channel, Direction, Party, Place, RestrictionKind, Result
from compliance_gate.policy.pack import Layer, NotEncoded, Obligation, Pack
from compliance_gate.policy.yaml_fields import Errors, Fields, InvalidPack
from shared.files import Unreadable, read_text

_ID = r"[a-z0-9]+([-.][a-z0-9]+)*"
_REGION = r"[A-Z]{2}(-[A-Z0-9]{1,3})?"
_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DAY_CLASSES: tuple[DayClass, ...] = get_args(DayClass)
_CONFIRMATIONS: tuple[str, ...] = get_args(kinds.Confirmation)


def load_pack(path: Path) -> Pack:
    """The pack in `path`; InvalidPack says everything that is wrong with it."""
    errors = Errors(path)
    try:
        text = read_text(path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except Unreadable as error:
        raise InvalidPack([f"{path.name}:{error.line or 1}: {error.why}"]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidPack([f"{path.name}:{line}: not YAML: {error.problem}"]) from None
    except yaml.YAMLError:
        raise InvalidPack([f"{path.name}:1: not YAML: it has a character that is not text"]) from None
    except RecursionError:
        raise InvalidPack([f"{path.name}:1: is nested too deep"]) from None
    if node is None:
        raise InvalidPack([f"{path.name}:1: the file is empty"])
    pack = _pack(Fields(node, errors, "pack"), _content_hash(text))
    errors.stop_if_any()
    return pack


def _content_hash(text: str) -> str:
    content = yaml.load(text, Loader=yaml.BaseLoader)
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _pack(fields: Fields, content_hash: str) -> Pack:
    name = fields.text("pack", pattern=_ID)
    layer = fields.choice("layer", get_args(Layer))
    binds = fields.choices("binds", get_args(kinds.Role), default=get_args(kinds.Role)) or ()
    times = _times(fields)
    title = fields.text("title")
    regions = fields.texts("regions", pattern=_REGION)
    if layer != "tenant" and not regions:
        fields.errors.add(fields.node, "pack: regions is missing or empty")
    pack = Pack(
        name=name,
        title=title,
        layer=cast(Layer, layer),
        regions=regions,
        not_bound_reason=fields.text("not_bound_reason", default="the rule does not bind this role"),
        rules=tuple(fields.parts("rules", lambda part: _rule(part, name, frozenset(binds), times))),
        obligations=tuple(fields.parts("obligations", _obligation)),
        not_encoded=tuple(fields.parts("not_encoded", _not_encoded)),
        roles=_roles(fields),
        terms=_terms(fields.part("terms", required=False)),
        content_hash=content_hash,
    )
    fields.finish()
    seen: set[str] = set()
    for rule in pack.rules:
        if rule.rule_id in seen:
            fields.errors.add(fields.node, f"pack: rule {rule.rule_id} is given twice")
        seen.add(rule.rule_id)
    if not pack.rules:
        fields.errors.add(fields.node, "pack: there is no rule in it")
    return pack


def _roles(fields: Fields) -> tuple[tuple[str, kinds.Role], ...]:
    roles = []
    for pack, node in fields.pairs("roles"):
        if str(node.value) not in get_args(kinds.Role):
            fields.errors.add(node, f"pack: the role for {pack} isn't one of {', '.join(get_args(kinds.Role))}")
        roles.append((pack, cast(kinds.Role, str(node.value))))
    return tuple(roles)


def _terms(fields: Fields | None) -> kinds.Terms | None:
    if fields is None:
        return None
    margins = []
    for channel, node in fields.pairs("margin_minutes"):
        if channel not in get_args(Channel) or not re.fullmatch(r"\d{1,3}", str(node.value)):
            fields.errors.add(node, f"terms: margin_minutes of {channel!r} must be a channel's minutes, 0 to 999")
            continue
        margins.append((cast(Channel, channel), int(node.value)))
    terms = kinds.Terms(
        permit_minutes_max=fields.whole("permit_minutes_max", 1, 24 * 60),
        margin_minutes=tuple(margins),
        facts_lag_seconds_max=fields.whole("facts_lag_seconds_max", 1, 24 * 3600),
        missing_facts_retry_minutes=fields.whole("missing_facts_retry_minutes", 1, 24 * 60),
        horizon_days=fields.whole("horizon_days", 1, 366),
    )
    fields.finish()
    return terms


def _obligation(fields: Fields) -> Obligation:
    obligation = Obligation(
        obligation_id=fields.text("id", pattern=_ID),
        text_en=fields.text("text_en"),
        source=fields.text("source"),
        confirmation=cast(kinds.Confirmation, fields.choice("confirmation", _CONFIRMATIONS)),
    )
    fields.finish()
    return obligation


def _not_encoded(fields: Fields) -> NotEncoded:
    entry = NotEncoded(text_en=fields.text("text_en"), source=fields.text("source"), reason=fields.text("reason"))
    fields.finish()
    return entry


def _times(fields: Fields) -> dict[str, Any]:
    """The pack's national time: zones that read it, and the zone that hours and counts keep to everywhere."""
    aliases = tuple((zone, str(node.value)) for zone, node in fields.pairs("zone_aliases"))
    national = fields.text("national_zone", default="")
    for zone in (*(zone for pair in aliases for zone in pair), *([national] if national else [])):
        if zone not in available_timezones():
            fields.errors.add(fields.node, f"pack: {zone!r} isn't an IANA zone")
    return {"zone_aliases": aliases, "national_zone": national or None}


def _rule(fields: Fields, pack: str, binds: frozenset[str], times: dict[str, Any]) -> kinds.Rule:
    builders: dict[str, Callable[[Fields, dict[str, Any]], kinds.Rule]] = {
        "window": _window,
        "cap": _cap,
        "restriction": _restriction,
        "opt_out": lambda part, common: kinds.OptOutRule(**common),
        "inconvenience": lambda part, common: kinds.InconvenienceRule(**common),
        "party": _party,
        "wrong_number": lambda part, common: kinds.WrongNumberRule(**common),
        "place": _place,
    }
    kind = fields.choice("kind", tuple(builders))
    rule_id = fields.text("id", pattern=_ID)
    if not rule_id.startswith(f"{pack}."):
        fields.errors.add(fields.node, f"rule {rule_id}: an id starts with the pack's name, {pack}.")
    fields.what = f"rule {rule_id}"
    own_binds = fields.choices("binds", get_args(kinds.Role), default=None)
    channels = fields.choices("channels", get_args(Channel), default=None)
    common: dict[str, Any] = {
        "rule_id": rule_id,
        "name_en": fields.text("name_en"),
        "name_zh": fields.text("name_zh"),
        "source": fields.text("source"),
        "grade": fields.choice("grade", get_args(kinds.Grade)),
        "confirmation": fields.choice("confirmation", _CONFIRMATIONS),
        "force": fields.choice("force", get_args(kinds.Force)),
        "channels": None if channels is None else frozenset(channels),
        "parties": frozenset(fields.choices("parties", get_args(Party), default=("borrower",)) or ()),
        "binds": binds if own_binds is None else frozenset(own_binds),
        "exceptions": frozenset(fields.choices("exceptions", get_args(kinds.RuleException)) or ()),
        "effective_from": fields.day("effective_from"),
        "effective_to": fields.day("effective_to"),
        "zone_aliases": times["zone_aliases"],
        "national_zone": times["national_zone"] if kind in ("window", "cap") else None,
        "instead_of": fields.texts("instead_of", pattern=_ID),
    }
    begins, ends = common["effective_from"], common["effective_to"]
    if begins is not None and ends is not None and ends < begins:
        fields.errors.add(fields.node, f"rule {rule_id}: effective_to is before effective_from: it is never in force")
    rule = builders[kind](fields, common)
    fields.finish()
    return rule


def _window(fields: Fields, common: dict[str, Any]) -> kinds.Rule:
    hours: dict[DayClass, tuple[kinds.Span, ...]] = {}
    if fields.has("every_day"):
        spans = _spans(fields, fields.texts("every_day"))
        return kinds.WindowRule(**common, hours=tuple((each, spans) for each in _DAY_CLASSES), uses_calendar=False)
    days = fields.part("days")
    if days is None:
        return kinds.WindowRule(**common, hours=(), uses_calendar=False)
    weekday_classes: tuple[DayClass, ...] = ("workday", "saturday", "sunday")
    for day_class in weekday_classes:
        hours[day_class] = _spans(days, days.texts(day_class))
    uses_calendar = days.has("holiday") or days.has("makeup_workday")
    like_weekdays: tuple[tuple[DayClass, DayClass], ...] = (("holiday", "sunday"), ("makeup_workday", "workday"))
    for day_class, like in like_weekdays:
        hours[day_class] = _spans(days, days.texts(day_class)) if days.has(day_class) else hours[like]
    days.finish()
    return kinds.WindowRule(**common, hours=tuple(hours.items()), uses_calendar=uses_calendar)


def _spans(fields: Fields, texts: tuple[str, ...]) -> tuple[kinds.Span, ...]:
    spans = []
    for text in texts:
        match = _CLOCK.fullmatch(text)
        numbers = [int(group) for group in match.groups()] if match else [0, 0, 0, 0]
        opens = timedelta(hours=numbers[0], minutes=numbers[1])
        closes = timedelta(hours=numbers[2], minutes=numbers[3])
        if not opens < closes <= timedelta(hours=24):
            fields.errors.add(fields.node, f"{fields.what}: {text!r} isn't a span of one day like 09:00-20:00")
        spans.append((opens, closes))
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        fields.errors.add(fields.node, f"{fields.what}: the spans of a day must be in order and apart")
    return tuple(spans)


def _cap(fields: Fields, common: dict[str, Any]) -> kinds.Rule:
    window = fields.part("window")
    unit, length = "calendar_day", 1
    if window is not None:
        unit = window.choice("unit", get_args(kinds.WindowUnit))
        if unit in ("minutes", "rolling_dates"):
            length = window.whole("length", 1, 3660)
        window.finish()
    results = fields.choices("counted_results", get_args(Result), default=None)
    parties = fields.choices("counted_parties", get_args(Party), default=None)
    days_max = fields.whole("consent_days_max", 0, 366, default=0)
    return kinds.CapRule(
        **common,
        measure=cast(kinds.Measure, fields.choice("measure", get_args(kinds.Measure))),
        key=cast(kinds.CapKey, fields.choice("key", get_args(kinds.CapKey))),
        window=kinds.CapWindow(unit=cast(kinds.WindowUnit, unit), length=length),
        limit=fields.whole("limit", 0, 1000),
        directions=frozenset(
            cast(tuple[Direction, ...], fields.choices("directions", get_args(Direction), default=("outbound",)))
        ),
        counted_results=None if results is None else frozenset(cast(tuple[Result, ...], results)),
        counted_parties=None if parties is None else frozenset(cast(tuple[Party, ...], parties)),
        not_counted=frozenset(cast(tuple[Any, ...], fields.choices("not_counted", ("reply", "opt_out_confirmation")))),
        retracts_wrong_numbers=fields.truth("retracts_wrong_numbers"),
        consent_days_max=days_max or None,
    )


def _restriction(fields: Fields, common: dict[str, Any]) -> kinds.Rule:
    places = fields.choices("places", get_args(Place), default=None)
    return kinds.RestrictionRule(
        **common,
        kinds=frozenset(cast(tuple[RestrictionKind, ...], fields.choices("restrictions", get_args(RestrictionKind)))),
        places=None if places is None else frozenset(cast(tuple[Place, ...], places)),
    )


def _party(fields: Fields, common: dict[str, Any]) -> kinds.Rule:
    condition = fields.choice("condition", get_args(kinds.PartyCondition), default="always")
    return kinds.PartyRule(**common, condition=cast(kinds.PartyCondition, condition))


def _place(fields: Fields, common: dict[str, Any]) -> kinds.Rule:
    return kinds.PlaceRule(
        **common, places=frozenset(cast(tuple[Place, ...], fields.choices("places", get_args(Place))))
    )
