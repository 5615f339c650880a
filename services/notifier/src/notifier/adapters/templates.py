"""Texts from templates that are data: validated as a whole before the service starts, rendered in a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, get_args

import jinja2
import yaml
from babel.core import get_global
from babel.dates import format_date
from babel.numbers import format_currency
from jinja2.sandbox import SandboxedEnvironment

from notifier.adapters.template_checks import SAMPLES, TemplateError, check_confirmation, check_opening, check_text
from notifier.ports import Script, Speech, TemplateFailed
from shared.contracts import TEMPLATE_NAMES, AttemptSubmittedV1, Channel, Language
from shared.files import Unreadable, read_text
from shared.money import MINOR_DIGITS

CONFIRMATION: Final = "sms-opt-out-confirmation"
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
_LOCALES: Final[dict[Language, str]] = {"zh": "zh_Hans_CN", "en": "en_US"}
_NAMELESS: Final[dict[Language, str]] = {"zh": "客户", "en": "customer"}
_DISCLOSURES: Final = "disclosures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender:
    """Who speaks, in each language. In `agency_regions` the debts are collected as an agency, with the disclosures of
    Regulation F.
    """

    names: Mapping[Language, str]
    agency_regions: frozenset[str]

    def is_agency_for(self, region: str, zones: tuple[str, ...]) -> bool:
        """Whether the borrower's residence or any of its zones lies in a region of `agency_regions`."""
        return not self.agency_regions.isdisjoint(_territories(region, zones))


@dataclass(frozen=True, slots=True)
class _Text:
    channel: Channel
    template: jinja2.Template
    opening: jinja2.Template | None


class TemplateBook:
    """`Texts` from a folder of YAML files, one for each template, with a text for each language.

    A call has an opening beside its text. An opening is given the lender's name and the person's and nothing else, so
    that no template can put an amount, a date or a disclosure into it.
    """

    def __init__(self, folder: Path, *, lender: Lender) -> None:
        self._lender = lender
        environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)
        self._texts: dict[tuple[str, Language], _Text] = {}
        self._disclosures: dict[tuple[bool, Language], jinja2.Template] = {}
        for first, key in ((True, "first"), (False, "later")):
            _, texts = _read(folder / f"{_DISCLOSURES}.yaml", key)
            for language, (line, source) in texts.items():
                path = folder / f"{_DISCLOSURES}.yaml"
                self._disclosures[first, language] = _compile(environment, path, line, source)
        for name in TEMPLATE_NAMES:
            self._load(environment, folder / f"{name}.yaml", name)

    def render(self, attempt: AttemptSubmittedV1, speech: Speech) -> Script:
        text = self._texts.get((attempt.template, attempt.language))
        if text is None or text.channel != attempt.channel or attempt.party != "borrower":
            raise TemplateFailed(attempt.template)
        if (attempt.template == CONFIRMATION) != (attempt.purpose == "opt_out_confirmation"):
            raise TemplateFailed(attempt.template)  # what passes a suppression says nothing but the confirmation
        try:
            if attempt.template == CONFIRMATION:
                return Script(text=self._confirm(text.template, attempt.language))
            opening = None if text.opening is None else self._open(text.opening, attempt.language, speech)
            return Script(opening=opening, text=self._fill(text.template, attempt, speech))
        except (jinja2.TemplateError, *_FAULTS) as error:
            raise TemplateFailed(attempt.template) from error

    def _fill(self, template: jinja2.Template, attempt: AttemptSubmittedV1, speech: Speech) -> str:
        language = attempt.language
        filled = template.render(
            lender=self._lender.names[language],
            name=_name(language, speech),
            amount=_amount(attempt.due_minor, attempt.currency, language),
            due_on=_day(min(loan.due_on for loan in attempt.loans), language),
            days_past_due=max(loan.days_past_due for loan in attempt.loans),
            loans=len(attempt.loans),
            disclosure=self._disclosure(language, speech),
        )
        return _on_one_line(filled, language)

    def _open(self, template: jinja2.Template, language: Language, speech: Speech) -> str:
        filled = template.render(lender=self._lender.names[language], name=_name(language, speech))
        return _on_one_line(filled, language)

    def _confirm(self, template: jinja2.Template, language: Language) -> str:
        return _on_one_line(template.render(lender=self._lender.names[language]), language)

    def _disclosure(self, language: Language, speech: Speech) -> str:
        if not self._lender.is_agency_for(speech.region, speech.zones):
            return ""
        disclosure = self._disclosures[not speech.contacted_before, language]
        return disclosure.render(lender=self._lender.names[language]).strip()

    def _load(self, environment: SandboxedEnvironment, path: Path, name: str) -> None:
        channel: Channel = "sms" if name.startswith("sms-") else "voice"
        said, texts = _read(path, "texts")
        if said != channel:
            raise TemplateError(path, 1, "channel: must be sms for sms-*, voice for call-*")
        openings = _read(path, "openings")[1] if channel == "voice" else {}
        for language, (line, source) in texts.items():
            template = _compile(environment, path, line, source)
            opening = None
            if channel == "voice":
                opening = self._opening(environment, path, language, openings[language])
            self._texts[name, language] = _Text(channel, template, opening)
            if name == CONFIRMATION:
                text = _tried(path, line, lambda t=template, n=language: self._confirm(t, n))  # type: ignore[misc]
                _refuse(path, line, check_confirmation(text, language, lender=self._lender.names[language]))
                continue
            for speech, attempt in SAMPLES[channel, language]:
                must_say = [self._lender.names[language], _amount(attempt.due_minor, attempt.currency, language)]
                must_say += [self._disclosure(language, speech)]
                text = _tried(path, line, lambda a=attempt, s=speech, t=template: self._fill(t, a, s))  # type: ignore[misc]
                _refuse(path, line, check_text(text, channel, language, must_say=must_say))

    def _opening(
        self, environment: SandboxedEnvironment, path: Path, language: Language, found: tuple[int, str]
    ) -> jinja2.Template:
        """The opening of a call, tried with every sample."""
        line, source = found
        opening = _compile(environment, path, line, source)
        lender = self._lender.names[language]
        for speech, _ in SAMPLES["voice", language]:
            text = _tried(path, line, lambda s=speech: self._open(opening, language, s))  # type: ignore[misc]
            _refuse(path, line, check_opening(text, language, lender=lender, name=_name(language, speech)))
        return opening


_FAULTS: Final = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
"""What an expression of a template can end with besides Jinja's own errors."""


def _tried(path: Path, line: int, render: Callable[[], str]) -> str:
    """What a sample renders to; one that doesn't is an error of the template at that place."""
    try:
        return render()
    except (jinja2.TemplateError, *_FAULTS) as error:
        raise TemplateError(path, line, str(error) or type(error).__name__) from error


def _refuse(path: Path, line: int, reason: str | None) -> None:
    if reason is not None:
        raise TemplateError(path, line, reason)


def _name(language: Language, speech: Speech) -> str:
    return " ".join(speech.name.split()) or _NAMELESS[language]


def _on_one_line(filled: str, language: Language) -> str:
    return " ".join(filled.split()) if language == "en" else "".join(filled.splitlines()).strip()


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sms": ("channel", "texts"),
    "call": ("channel", "texts", "openings"),
    f"{_DISCLOSURES}.yaml": ("first", "later"),
}
"""What a file may hold, by how its name begins."""


def _read(path: Path, key: str) -> tuple[str, Mapping[Language, tuple[int, str]]]:
    """The channel of a file and, under `key`, its texts by language, each with the line that it begins on."""
    try:
        document = yaml.compose(read_text(path), Loader=yaml.SafeLoader)
    except Unreadable as error:
        raise TemplateError(path, error.line, error.why) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise TemplateError(path, line, f"not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise TemplateError(path, 0, "not YAML: it has a character that is not text") from error
    except RecursionError as error:
        raise TemplateError(path, 1, "is nested too deep") from error
    fields = _fields(document, path, known=_FIELDS[path.name.partition("-")[0]])
    channel = fields.get("channel")
    texts = _fields(fields.get(key), path)
    if set(texts) != set(LANGUAGES):
        raise TemplateError(path, 1, f"{key}: needs a text for each of {', '.join(LANGUAGES)} and nothing else")
    chosen: dict[Language, tuple[int, str]] = {}
    for language in LANGUAGES:
        node = texts[language]
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise TemplateError(path, node.start_mark.line + 1, f"{key}.{language}: must be a text")
        in_block = 1 if node.style in ("|", ">") else 0
        chosen[language] = (node.start_mark.line + 1 + in_block, node.value)
    return (channel.value if isinstance(channel, yaml.ScalarNode) else ""), chosen


def _fields(node: Any, path: Path, known: tuple[str, ...] | None = None) -> dict[str, yaml.Node]:
    """The values of a mapping by name; refuses one that is there twice, or that isn't `known`."""
    if not isinstance(node, yaml.MappingNode):
        raise TemplateError(path, node.start_mark.line + 1 if node is not None else 1, "must be a mapping")
    fields: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.value in fields:
            raise TemplateError(path, key.start_mark.line + 1, f"{key.value}: is there twice")
        if known is not None and key.value not in known:
            raise TemplateError(path, key.start_mark.line + 1, f"{key.value}: is no field of such a file")
        fields[key.value] = value
    return fields


def _compile(environment: SandboxedEnvironment, path: Path, line: int, source: str) -> jinja2.Template:
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(path, line + error.lineno - 1, str(error)) from error


@lru_cache(maxsize=4_096)
def _territories(region: str, zones: tuple[str, ...]) -> frozenset[str]:
    territory_of = get_global("zone_territories")
    return frozenset({region.split("-")[0], *(territory_of.get(zone, "") for zone in zones)})


def _amount(minor: int, currency: str, language: Language) -> str:
    """An amount as the language writes it, never rounded."""
    digits = MINOR_DIGITS[currency]
    value = Decimal(minor).scaleb(-digits)
    form = _money_form(currency, language)
    if form is None:
        return format_currency(value, currency, locale=_LOCALES[language], decimal_quantization=False)
    return form.replace("\0", f"{value:,.{digits}f}")


@lru_cache(maxsize=512)
def _money_form(currency: str, language: Language) -> str | None:
    """What Babel writes around a number of this currency, with a NUL for the number; None where it groups otherwise.

    Babel takes 40 µs for an amount, and every text has one of its own.
    """
    digits = MINOR_DIGITS[currency]
    sample = Decimal(123_456_789).scaleb(-digits)
    said = format_currency(sample, currency, locale=_LOCALES[language])
    number = f"{sample:,.{digits}f}"
    return said.replace(number, "\0") if number in said else None


@lru_cache(maxsize=4_096)
def _day(day: date, language: Language) -> str:
    return format_date(day, format="long", locale=_LOCALES[language])
