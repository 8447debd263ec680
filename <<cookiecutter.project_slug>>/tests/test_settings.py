import pytest

from << cookiecutter.package_name >>.errors import ConfigurationError
from << cookiecutter.package_name >>.settings import (
    ENV_PREFIX,
    Settings,
    load_settings,
)


def test_an_empty_variable_unsets_what_the_configuration_says(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.schedule.cron
    assert settings.notifications.block
    for name, value in {"SCHEDULE__CRON": "", "SCHEDULE__INTERVAL": "5", "NOTIFICATIONS__BLOCK": ""}.items():
        monkeypatch.setenv(ENV_PREFIX + name, value)

    unset = load_settings()

    assert (unset.schedule.cron, unset.schedule.interval) == (None, 5)
    assert unset.schedule.timezone == settings.schedule.timezone
    assert unset.notifications.block is None


def test_an_empty_variable_for_what_must_be_set_is_refused_by_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}DATA__TARGET", "")

    with pytest.raises(ConfigurationError, match=r"data\.target"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("CRON", "61 * * * *"), ("TIMEZONE", "Mars/Olympus"), ("INTERVAL", "0"), ("RRULE", "FREQ=NOW")],
)
def test_a_schedule_that_is_none_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    if name in ("INTERVAL", "RRULE"):
        monkeypatch.setenv(f"{ENV_PREFIX}SCHEDULE__CRON", "")
    monkeypatch.setenv(f"{ENV_PREFIX}SCHEDULE__{name}", value)

    with pytest.raises(ConfigurationError, match="schedule"):
        load_settings()
