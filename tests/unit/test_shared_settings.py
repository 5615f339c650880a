"""Settings: a wrong one ends the start and says which variable, why, and never a secret's value."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from shared.clock import ShiftedClock, SystemClock, VirtualClock, write_offset
from shared.service import PlatformSettings, Service, app_of
from shared.settings import SettingsError, load

GOOD = {
    "DECORUM_DATABASE_URL": "postgresql+asyncpg://decorum:hunter2@127.0.0.1:5432/postgres",
    "DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Every kind of field."""

    url: str
    rate: float = 1.0
    count: int = 3
    on: bool = False
    names: tuple[str, ...] = ()
    mode: Literal["live", "shadow"] = "live"
    start: datetime | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.count > 100:
            raise ValueError("X_COUNT must stay below X_LIMIT")


def platform(**changed: str) -> PlatformSettings:
    return load(PlatformSettings, "DECORUM_", {**GOOD, **changed})


def test_every_field_is_read_from_its_variable() -> None:
    environment = {
        "X_URL": "http://127.0.0.1",
        "X_RATE": "2.5",
        "X_COUNT": "7",
        "X_ON": "yes",
        "X_NAMES": "a, b,,c ",
        "X_MODE": "shadow",
        "X_START": "2026-09-16T10:00:00+08:00",
        "X_FOLDER": "/tmp",
        "Y_COUNT": "9",
    }
    assert load(Example, "X_", environment) == Example(
        url="http://127.0.0.1",
        rate=2.5,
        count=7,
        on=True,
        names=("a", "b", "c"),
        mode="shadow",
        start=datetime(2026, 9, 16, 2, tzinfo=UTC),
        folder=Path("/tmp"),
    )


def test_what_is_not_given_has_its_default_and_an_empty_optional_is_none() -> None:
    assert load(Example, "X_", {"X_URL": "u", "X_START": ""}) == Example(url="u")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("X_RATE", "fast", "X_RATE: is not a valid float"),
        ("X_RATE", "nan", "X_RATE: must be a finite number"),
        ("X_RATE", "inf", "X_RATE: must be a finite number"),
        ("X_COUNT", "7.5", "X_COUNT: is not a valid int"),
        ("X_COUNT", "101", r"X_\*: X_COUNT must stay below X_LIMIT"),
        ("X_ON", "perhaps", "X_ON: must be true or false"),
        ("X_MODE", "dry", "X_MODE: must be one of live, shadow"),
        ("X_START", "soon", "X_START: is not an ISO 8601 instant"),
        ("X_START", "2026-09-16T10:00:00", "X_START: needs a UTC offset"),
    ],
)
def test_a_wrong_value_is_refused_with_its_variable(variable: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"^{reason}$"):
        load(Example, "X_", {"X_URL": "u", variable: value})


def test_a_misspelt_setting_stops_the_start_and_what_kubernetes_sets_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(settings: PlatformSettings, own: Example) -> Service:
        raise AssertionError("a service with an unknown setting is not built")

    links = {"X_SERVICE_HOST": "10.0.0.1", "X_SERVICE_PORT_HTTP": "80", "X_PORT": "tcp://x", "X_PORT_80_TCP_ADDR": "x"}
    for variable, value in {**GOOD, **links, "X_URL": "u"}.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(AssertionError):
        app_of(build, Example, "X_")
    monkeypatch.setenv("X_CUONT", "5")
    with pytest.raises(SystemExit, match=r"doesn't start: X_CUONT: there is no such setting; is X_COUNT meant\?$"):
        app_of(build, Example, "X_")


def test_a_missing_value_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^X_URL: is not set and has no default$"):
        load(Example, "X_", {})


@pytest.mark.parametrize(
    "changed",
    [
        {"DECORUM_DATABASE_URL": "hunter2"},
        {"DECORUM_DATABASE_URL": "postgresql://decorum:hunter2@127.0.0.1/postgres"},
        {"DECORUM_DATABASE_URL": "postgresql+asyncpg://decorum:hunter2@127.0.0.1:port/postgres"},
        {"DECORUM_KAFKA_BOOTSTRAP_SERVERS": ""},
        {"DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1"},
        {"DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,"},
        {"DECORUM_KAFKA_BOOTSTRAP_SERVERS": "kafka://127.0.0.1:9092"},
        {"DECORUM_MODE": "dry"},
        {"DECORUM_LOG_LEVEL": "loud"},
        {"DECORUM_DATABASE_CONNECTIONS_MAX": "0"},
        {"DECORUM_CLOCK": "shifted"},
        {"DECORUM_CLOCK": "virtual"},
    ],
)
def test_a_platform_with_a_wrong_setting_does_not_start(changed: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        platform(**changed)
    assert next(iter(changed)) in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,kafka.lender.example:9092"},
        {"DECORUM_DATABASE_URL": "postgresql+asyncpg://u@db.lender.example/postgres"},
        {"DECORUM_DATABASE_URL": "postgresql+asyncpg://u@/postgres?host=db.lender.example"},
    ],
)
@pytest.mark.parametrize(
    "clock",
    [
        {"DECORUM_CLOCK": "virtual", "DECORUM_CLOCK_START": "2026-09-15T00:00:00Z"},
        {"DECORUM_CLOCK": "shifted", "DECORUM_CLOCK_FILE": "/nowhere/clock.json"},
    ],
)
def test_a_clock_that_is_not_the_systems_is_refused_with_servers_elsewhere(
    changed: dict[str, str], clock: dict[str, str]
) -> None:
    assert platform(**changed).clock == "system"
    with pytest.raises(SettingsError, match="a shifted clock is refused"):
        platform(**changed, **clock)


def test_a_shifted_clock_is_refused_with_a_provider_elsewhere() -> None:
    virtual = platform(DECORUM_CLOCK="virtual", DECORUM_CLOCK_START="2026-09-15T00:00:00Z")
    virtual.require_loopback("http://127.0.0.1:8000", "http://localhost")
    with pytest.raises(SettingsError, match="refused"):
        virtual.require_loopback("https://sms.provider.example/v1")


def test_the_clock_is_made_as_the_settings_say(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    write_offset(file, datetime(2026, 9, 16, tzinfo=UTC) - datetime.now(UTC))
    assert isinstance(platform().make_clock(), SystemClock)
    assert isinstance(platform(DECORUM_CLOCK="shifted", DECORUM_CLOCK_FILE=str(file)).make_clock(), ShiftedClock)
    virtual = platform(DECORUM_CLOCK="virtual", DECORUM_CLOCK_START="2026-09-15T00:00:00Z").make_clock()
    assert isinstance(virtual, VirtualClock)
    assert virtual.now() == datetime(2026, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"offset_seconds": "soon"}'])
def test_a_clock_file_that_cannot_be_read_ends_the_start_with_its_name(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "clock.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=r"^DECORUM_CLOCK_FILE: .*clock\.json: \w+$"):
        platform(DECORUM_CLOCK="shifted", DECORUM_CLOCK_FILE=str(file)).make_clock()
