"""How commands write an instant: where there is a borrower in that borrower's zone, with its name; in UTC elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import Rejection


def utc(instant: datetime) -> str:
    """To the second, in UTC, with its Z: `2026-09-16T02:00:00Z`."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def local(instant: datetime, zone: tzinfo) -> str:
    """As a clock in `zone` shows it; whoever calls this writes the zone's name beside it."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def zone_named(name: str) -> ZoneInfo:
    """The zone of an option `--zone`. Raises `Rejection`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Rejection(f"--zone: {name} is not an IANA zone") from error
