"""The report's charts: funnel, heat map of hours, contacts by day, refusals by rule, recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, time
from typing import Final

from decorum_simulation.audit.calendar import Country, NoCalendar, day_kind
from decorum_simulation.audit.hours import PACK_HOURS, WEEKEND, WORKDAY
from decorum_simulation.report.figures import Figures, money_text
from decorum_simulation.report.svg import drawing, line, path, rect, text

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
REVOKED_BY: Final = {
    "payment": "a payment arrived",
    "balance": "the balance changed",
    "opt_out": "an opt-out became known",
    "restriction": "a restriction became known",
    "consent": "a wish became known",
    "closure": "the loan was closed",
    "stop": "somebody ordered a stop",
    "contact_point": "number, zone or region changed",
    "contact": "somebody else made a contact",
}
UNUSED_BY: Final = {
    "permit_expired": "its time ran out",
    "rejected": "the carrier refused it",
    "stopped": "a stop reached the notifier first",
    "no_contact_point": "no such number any more",
}
HALF: Final = 500.0
WIDE: Final = 1_060.0
Bar = tuple[str, str, int]
"""Name, kind and count."""
RESULTS: Final = frozenset(("delivered", "failed", "answered", "no_answer", "voicemail", "busy", "not_in_service"))
Frame = tuple[float, float, float, float]
"""Left, right, bottom and height of a chart's inside."""


def funnel(figures: Figures) -> str:
    """From planned to paid, each step with its share of the first."""
    steps = [
        ("planned", len(figures.attempts)),
        ("allowed", len(figures.allowed_attempts & figures.attempts.keys())),
        ("sent", len(figures.sent_attempts)),
        ("reached", len(figures.reached_attempts)),
        ("answered within 3 days", len(figures.answered_attempts)),
        ("paid within 3 days", len(figures.paid_attempts)),
    ]
    whole = max(steps[0][1], 1)
    parts, row, left, long = [], 40, 160, 246
    for index, (name, count) in enumerate(steps):
        y, width = index * row, long * count / whole
        parts.append(text(left - 12, y + 21, name, anchor="end"))
        parts.append(rect((left, y + 4, long, 26), class_="track"))
        parts.append(rect((left, y + 4, max(width, 2), 26), class_=f"step step{index}", title=f"{name}: {count:,}"))
        parts.append(text(HALF, y + 21, f"{count:,}  ·  {count / whole:.0%}", class_="value", anchor="end"))
    return drawing(HALF, row * len(steps), parts, label="funnel from planned attempts to payments")


def heat_map(figures: Figures, country: Country) -> str:
    """Contacts by local weekday and hour; the frame is what the overlay allows, dark cells are what the law forbids."""
    cell, left, top = 19.0, 40.0, 22.0
    counts = {(day, hour): n for (where, day, hour), n in figures.hours.items() if where == country}
    most = max(counts.values(), default=1)
    parts = [text(left + hour * cell, 14, f"{hour}", class_="tick", anchor="middle") for hour in range(0, 25, 2)]
    first, end = PACK_HOURS[country]
    for day in range(7):
        y = top + day * cell
        parts.append(text(left - 8, y + 13.5, WEEKDAYS[day], class_="tick", anchor="end"))
        for hour in range(24):
            x, n = left + hour * cell, counts.get((day, hour), 0)
            legal = first <= time(hour) < end
            parts.append(rect((x + 1, y + 1, cell - 2, cell - 2), class_="cell" if legal else "forbidden"))
            if n:
                title = f"{WEEKDAYS[day]} {hour}:00-{hour + 1}:00: {n:,} contacts"
                shade = 0.18 + 0.82 * n / most
                parts.append(rect((x + 1, y + 1, cell - 2, cell - 2), class_="heat", title=title, opacity=shade))
    for days, (opens, closes) in ((range(5), WORKDAY), (range(5, 7), WEEKEND)):
        x, y = left + opens.hour * cell, top + days[0] * cell
        width, height = (closes.hour - opens.hour) * cell, len(days) * cell
        parts.append(rect((x, y, width, height), class_="frame", rounding=4))
    return drawing(HALF, top + 7 * cell + 4, parts, label=f"contacts by weekday and hour, {country}")


def contacts_by_day(figures: Figures) -> str:
    """Texts and calls of each date, over the official breaks and make-up workdays."""
    dates, height, left, bottom = figures.dates(), 192.0, 46.0, 160.0
    step = (WIDE - left) / max(len(dates), 1)
    most = _round_scale(max((sum(figures.days[(d, c)] for c in ("sms", "voice")) for d in dates), default=0) or 1)
    parts = _grid((left, WIDE, bottom, 140), most)
    for index, day in enumerate(dates):
        x, kind = left + index * step, _chinese_kind(day)
        if kind == "holiday":
            parts.append(rect((x, 12, step, bottom - 12), class_="holiday", title=f"{day}: public holiday", rounding=0))
        elif kind == "make-up":
            parts.append(rect((x, 12, step, bottom - 12), class_="makeup", title=f"{day}: make-up workday", rounding=0))
        y = bottom
        for channel in ("sms", "voice"):
            n = figures.days[(day, channel)]
            tall = 140 * n / most
            y -= tall
            if n:
                title = f"{day} ({WEEKDAYS[day.weekday()]}): {n:,} {'texts' if channel == 'sms' else 'calls'}"
                parts.append(rect((x + step * 0.15, y, step * 0.7, tall), class_=channel, title=title))
        if len(dates) <= 40 or index % 3 == 0:
            weekend = "tick weekend" if day.weekday() >= 5 else "tick"
            parts.append(text(x + step / 2, bottom + 16, f"{day.day}", class_=weekend, anchor="middle"))
        if day.day == 1 or index == 0:
            parts.append(text(x + step / 2, bottom + 30, f"{day:%b}", class_="tick", anchor="middle"))
    return drawing(WIDE, height, parts, label="contacts by day")


def _chinese_kind(day: date) -> str:
    try:
        kind = day_kind("CN", day)
    except NoCalendar:
        return "unknown"
    return "make-up" if kind == "workday" and day.weekday() >= 5 else kind


def refusals(figures: Figures, shown_max: int = 12) -> str:
    """How often each rule deferred, denied or held, most often first, then by name."""
    totals: Counter[str] = sum(figures.by_rule.values(), Counter())
    rules = sorted(totals.items(), key=lambda counted: (-counted[1], counted[0]))[:shown_max]
    if not rules:
        return "<p class='quiet'>No rule deferred, denied or held anything.</p>"
    most, row, parts, left, long = rules[0][1], 24, [], 276.0, 172
    for index, (rule, total) in enumerate(rules):
        y, x = index * row, left
        parts.append(text(left - 10, y + 16, rule, class_="label rule", anchor="end"))
        for name, counted in figures.by_rule.items():
            width = long * counted[rule] / most
            if width:
                parts.append(
                    rect((x, y + 4, max(width, 1.5), 16), class_=name, title=f"{name} {counted[rule]:,} times")
                )
                x += max(width, 1.5) + 1
        parts.append(text(x + 7, y + 16, f"{total:,}", class_="value"))
    return drawing(HALF, row * len(rules), parts, label="refusals by rule")


def unused_permits(figures: Figures) -> str:
    """Permits that ended without a contact, by why, most often first."""
    bars = [(REVOKED_BY.get(reason, reason), "denied", count) for reason, count in figures.revoked_by.items()]
    for reason, count in figures.unused_by.items():
        if reason != "revoked":
            bars.append((UNUSED_BY.get(reason, reason), "deferred", count))
    bars.sort(key=_longest)
    return _bars(bars, label="permits that were not used, by reason", nothing="Every permit was used.")


def outcomes(figures: Figures) -> str:
    """What the carrier said of each contact, and of how many it said nothing."""
    bars = []
    for channel, name in (("sms", "text"), ("voice", "call")):
        told = {kind: n for (by, kind), n in figures.results.items() if by == channel and kind in RESULTS}
        bars += sorted(((f"{name}: {kind.replace('_', ' ')}", channel, n) for kind, n in told.items()), key=_longest)
        silent = figures.sent[channel] - sum(told.values())
        if silent:
            bars.append((f"{name}: nothing was heard", channel, silent))
    return _bars(bars, label="what became of the contacts", nothing="Nobody was contacted.")


def _longest(bar: Bar) -> tuple[int, str]:
    return (-bar[2], bar[0])


def _bars(bars: Sequence[Bar], *, label: str, nothing: str) -> str:
    if not bars:
        return f"<p class='quiet'>{nothing}</p>"
    most, row, parts, left, long = max(count for _, _, count in bars), 24, [], 246.0, 202
    for index, (name, kind, count) in enumerate(bars):
        y, width = index * row, max(long * count / most, 1.5)
        parts.append(text(left - 10, y + 16, name, anchor="end"))
        parts.append(rect((left, y + 4, width, 16), class_=kind, title=f"{name}: {count:,}"))
        parts.append(text(left + width + 7, y + 16, f"{count:,}", class_="value"))
    return drawing(HALF, row * len(bars), parts, label=label)


def recovery(figures: Figures, currency: str) -> str:
    """Money received, cumulated, over what is overdue at the end of each day."""
    dates, left, bottom, tall = figures.dates(), 82.0, 190.0, 170.0
    received, overdue = figures.recovered.get(currency, {}), figures.overdue.get(currency, {})
    running, cumulated = 0, []
    for day in dates:
        running += received.get(day, 0)
        cumulated.append(running)
    most = _round_scale(max([*cumulated, *overdue.values(), 1]))
    step = (HALF - left - 14) / max(len(dates) - 1, 1)

    def point(index: int, amount: int) -> tuple[float, float]:
        return left + index * step, bottom - tall * amount / most

    parts = _grid((left, HALF, bottom, tall), most, currency)
    parts.append(path([point(i, a) for i, a in enumerate(cumulated)], class_="area", closed_at=bottom))
    parts.append(path([point(i, a) for i, a in enumerate(cumulated)], class_="curve"))
    parts.append(path([point(i, overdue.get(day, 0)) for i, day in enumerate(dates)], class_="overdue"))
    for index, day in enumerate(dates):
        x, _ = point(index, 0)
        title = (
            f"{day}: {money_text(cumulated[index], currency)} received so far, "
            f"{money_text(overdue.get(day, 0), currency)} overdue"
        )
        parts.append(rect((x - step / 2, 10, step, bottom - 10), class_="hover", title=title))
        if index % max(len(dates) // 6, 1) == 0:
            parts.append(text(x, bottom + 18, f"{day:%d %b}", class_="tick", anchor="middle"))
    return drawing(HALF, bottom + 28, parts, label=f"recovery in {currency}")


def _grid(frame: Frame, most: float, currency: str | None = None) -> list[str]:
    left, right, bottom, tall = frame
    parts = []
    for part in range(5):
        y, amount = bottom - tall * part / 4, most * part / 4
        label = f"{round(amount):,}" if currency is None else money_text(int(amount), currency)
        parts.append(line(left, y, right, y))
        parts.append(text(left - 8, y + 4, label, class_="tick", anchor="end"))
    return parts


def _round_scale(most: float) -> float:
    """The next number whose quarters are round, so that the grid's labels are."""
    magnitude = 10.0 ** (len(str(int(most))) - 1)
    return next(
        (step * magnitude for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8) if step * magnitude >= most), 10 * magnitude
    )
