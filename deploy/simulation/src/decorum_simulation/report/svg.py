"""The few shapes that the report's charts are made of; colours are CSS classes, shared by light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def tag(name: str, content: str = "", **attributes: str | float | None) -> str:
    """One element; an attribute `class_` becomes `class`, `_` becomes `-`, None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def _value(value: str | float) -> str:
    return escape(value, quote=True) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


Box = tuple[float, float, float, float]
"""Left, top, width, height."""


def rect(box: Box, *, class_: str, title: str = "", rounding: float = 2, opacity: float | None = None) -> str:
    """A rectangle with a tooltip."""
    x, y, width, height = box
    return tag(
        "rect",
        tag("title", escape(title)) if title else "",
        x=x,
        y=y,
        width=max(width, 0),
        height=max(height, 0),
        rx=rounding,
        class_=class_,
        fill_opacity=opacity,
    )


def text(x: float, y: float, content: str, *, class_: str = "label", anchor: str | None = None) -> str:
    """A line of text."""
    return tag("text", escape(content), x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str = "grid") -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Iterable[tuple[float, float]], *, class_: str, closed_at: float | None = None) -> str:
    """A line through `points`; with `closed_at`, the area between it and that height."""
    listed = list(points)
    if not listed:
        return ""
    drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in listed)
    if closed_at is not None:
        drawn += f"L{listed[-1][0]:.1f} {closed_at:.1f}L{listed[0][0]:.1f} {closed_at:.1f}Z"
    return tag("path", d=drawn, class_=class_)


def drawing(width: float, height: float, parts: Iterable[str], *, label: str) -> str:
    """The whole picture; it scales with the page."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label, quote=True)}">'
        + "".join(parts)
        + "</svg>"
    )
