import base64

import pytest

from compliance_gate.domain import Terms
from compliance_gate.settings import PREFIX, GateSettings
from shared.settings import SettingsError, load

KEY = base64.b64encode(bytes(32)).decode()


def of(**environment: str) -> GateSettings:
    given = {f"{PREFIX}{name.upper()}": value for name, value in environment.items()}
    return load(GateSettings, PREFIX, {f"{PREFIX}NUMBER_HASH_KEY": KEY, **given})


def test_the_key_of_the_numbers_has_no_default() -> None:
    with pytest.raises(SettingsError, match="COMPLIANCE_GATE_NUMBER_HASH_KEY"):
        load(GateSettings, PREFIX, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number_hash_key", "c2hvcnQ="),
        ("number_hash_key", "not base64!"),
        ("permit_minutes_max", "0"),
        ("permit_minutes_max", "1441"),
        ("permit_minutes_max", "soon"),
        ("history_days", "30"),
        ("sms_margin_minutes", "-1"),
        ("facts_lag_seconds_max", "-1"),
        ("permit_overdue_minutes", "0"),
        ("late_payment_hours", "-1"),
        ("late_payment_hours", "721"),
    ],
)
def test_a_wrong_setting_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{PREFIX}"):
        of(**{name: value})


def test_what_is_not_set_is_as_the_overlay_says() -> None:
    overlay = Terms(permit_minutes_max=30, margin_minutes=(("sms", 5), ("voice", 10)), facts_lag_seconds_max=300)
    assert of().terms(overlay) == overlay


def test_what_is_set_replaces_what_the_overlay_says() -> None:
    overlay = Terms(permit_minutes_max=30, margin_minutes=(("sms", 5), ("voice", 10)), facts_lag_seconds_max=300)
    terms = of(permit_minutes_max="10", voice_margin_minutes="20", facts_lag_seconds_max="60").terms(overlay)
    assert (terms.permit_minutes_max, terms.facts_lag_seconds_max) == (10, 60)
    assert dict(terms.margin_minutes) == {"sms": 5, "voice": 20}


def test_providers_are_named_as_the_notifier_names_them() -> None:
    assert of(sms_provider="aliyun").providers == {"sms": "aliyun", "voice": "voice-http"}
