import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retrainer.cli import _doctor as doctor
from retrainer.errors import ConfigurationError
from retrainer.pipeline import check
from retrainer.settings import ScheduleSettings, Settings

from .conftest import CONFIG_FILE, ENV_PREFIX, PROJECT, load_settings, now, use

PAGE = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "settings_page.py"))


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """Return why the settings cannot be used with this variable."""
    use(monkeypatch, **{name: value})
    with pytest.raises(ConfigurationError) as refused:
        check(now())
    return str(refused.value)


def test_an_empty_variable_unsets_what_the_configuration_says(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.schedule.cron
    assert settings.notifications.block
    use(monkeypatch, SCHEDULE__CRON="", SCHEDULE__INTERVAL="5", NOTIFICATIONS__BLOCK="")

    unset = load_settings()

    assert (unset.schedule.cron, unset.schedule.interval) == (None, 5)
    assert unset.schedule.timezone == settings.schedule.timezone
    assert unset.notifications.block is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("CRON", "61 * * * *"), ("TIMEZONE", "Mars/Olympus"), ("INTERVAL", "0"), ("RRULE", "FREQ=NOW")],
)
def test_a_schedule_that_is_none_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    if name in ("INTERVAL", "RRULE"):
        use(monkeypatch, SCHEDULE__CRON="")
    use(monkeypatch, SCHEDULE__TIME_LIMIT="60")

    said = refusal(monkeypatch, f"SCHEDULE__{name}", value)

    assert "schedule" in said
    assert f"(the variable {ENV_PREFIX}SCHEDULE__{name})" in said
    assert "Value error" not in said


@pytest.mark.parametrize(("is_folder", "said"), [(False, "does not exist"), (True, "is not a file")])
def test_without_its_file_the_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_folder: bool, said: str
) -> None:
    file = tmp_path / "src" / "package" / "config.toml"
    if is_folder:
        file.mkdir(parents=True)
    for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(variable)

    with pytest.raises(ConfigurationError, match=f"config.toml {said}"):
        replace(PROJECT, folder=file.parent).with_settings()


@pytest.mark.parametrize("settings", ["classification"], indirect=True)
@pytest.mark.parametrize("root", [None, "", "here"], ids=["not set", "empty", "relative"])
def test_an_installed_package_does_not_guess_where_models_are(
    settings: Settings, tmp_path: Path, root: str | None
) -> None:
    package = CONFIG_FILE.parent
    shutil.copytree(package, tmp_path / "site-packages" / package.name)
    work, kept = tmp_path / "work", tmp_path / "kept"
    work.mkdir()

    def command(**variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != f"{ENV_PREFIX}ROOT"}
        environment |= {"PYTHONPATH": str(tmp_path / "site-packages"), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, "-m", package.name, "registry", "list", "--json"],
            cwd=work,
            env=environment | variables,
            capture_output=True,
            text=True,
        )

    refused = command(**({} if root is None else {f"{ENV_PREFIX}ROOT": root}))
    stated = command(**{f"{ENV_PREFIX}ROOT": str(kept)})

    assert refused.returncode == 2
    assert f"set {ENV_PREFIX}ROOT to the absolute path" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (stated.returncode, stated.stdout.strip()) == (0, "[]"), stated.stderr
    assert not list(work.iterdir())


@pytest.mark.parametrize(
    ("schedule", "described"),
    [
        ({}, "started by hand"),
        ({"cron": "0 6 * * 1", "active": False}, "started by hand"),
        ({"interval": 3600}, "interval 3600"),
        ({"cron": "0 6 * * *", "timezone": "Asia/Tokyo"}, r"next run 20\d\d-\d\d-\d\d 06:00 JST"),
    ],
)
def test_a_schedule_says_when_it_runs_next(schedule: dict[str, Any], described: str) -> None:
    assert re.fullmatch(described, ScheduleSettings(**schedule).describe())


def test_every_setting_is_described() -> None:
    undescribed = [".".join(path) for path, field in PAGE["leaves"](Settings) if not field.description]

    assert not undescribed, f"give {undescribed} a description in settings.py"


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE["PAGE"].read_text(encoding="utf-8") == PAGE["page"](), "settings have changed: run `make docs`"


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("GATES__FLOOR", "0.5", "GATE__FLOOR"),
        ("NOTHING__LIKE_IT", "1", "docs/settings.md"),
        ("SEEDS", "1", "SEED?"),
        ("SEED", "-1", "SEED)"),
        ("DATA__TARGET", "", "data.target"),
        ("GATE__FLOOR", "nan", "gate.floor"),
        (
            "GATE__CONFIDENCE",
            "",
            "gate.confidence: it cannot be empty; leave it out for its default (the variable",
        ),
        ("GATE__METRIK", "rmse", "gate.metrik: there is no such setting; did you mean metric? (the variable"),
        (
            "SCORE__SCHEDULE__CORN",
            "@daily",
            "score.schedule.corn: there is no such setting; did you mean cron?",
        ),
        (
            "TRAIN__THRESHOLD",
            "1.2",
            "between 0 and 1, `tuned`, or nothing; it is '1.2' (the variable",
        ),
        ("TRAIN__THRESHOLD", "auto", "train.threshold: give a number between 0 and 1, `tuned`"),
        ("TRAIN__REFIT", "maybe", "train.refit"),
        ("GATE__MIN_IMPROVEMENT", "inf", "gate.min_improvement"),
        ("GATE__MIN_IMPROVEMENT", "0,5 %", "unable to parse string as a number; it is '0,5 %' (the variable"),
        ("SPLIT__METHOD", "hsah", "'hash', 'time' or 'source'; it is 'hsah' (the variable"),
        ("ESTIMATORS", "linear", "variable of the environment"),
        (
            "DATA__TESTS",
            '[{"column": "a", "not_nul": true}]',
            "data.tests.0.not_nul: there is no such setting; did you mean not_null? (the variable",
        ),
        ("DATA__TESTS", '[{"column": "a"}]', "data.tests.0: it tests nothing"),
        ("DATA__TESTS", '[{"unique": true}]', "data.tests.0: unique needs column (the variable"),
        ("DATA__TESTS", '[{"column": "a", "newest": "5 rows"}]', "data.tests.0: newest is '5 rows'"),
        (
            "DATA__TESTS",
            '[{"column": "a", "between": [3, 1]}]',
            "data.tests.0: between is [3, 1]: the smaller number comes first",
        ),
        ("DATA__TESTS", '[{"rows": [30, 20]}]', "rows is [30, 20]: the smaller number comes first"),
        ("DATA__TESTS", '[{"column": "a", "share": {"x": [0.3, 0.1]}}]', "share of x is [0.3, 0.1]"),
        ("MONITOR__LAST", "7 days", "rows are the newest (the variable CHURN_MONITOR__LAST)"),
        ("MONITOR__NEEDED", "9", "monitor: needed = 9 of windows = 5 can never be (the variable"),
        ("SPLIT__METHOD", "time", 'split: method = "time" needs time_column (the variable'),
        ("SPLIT__METHOD", "source", 'split: method = "source" needs source (the variable'),
        ("SPLIT__GAP", "7 days", 'split: gap needs method = "time" (the variable'),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused_and_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    said = refusal(monkeypatch, name, value)

    assert part in said
    assert ENV_PREFIX + name.partition("__")[0] in said


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("ESTIMATORS", '["liner"]', "Did you mean 'linear'"),
        ("GATE__METRIC", "f1_scor", "f1_scor"),
        ("GATE__GUARD_METRICS", '{"accurasy": 0.1}', "accurasy"),
        ("DATA__SOURCE", "postgresql://me:${NOT_SET_ANYWHERE}@host/db", "NOT_SET_ANYWHERE"),
    ],
)
def test_what_cannot_work_is_known_before_any_work_and_by_doctor_alike(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    said = refusal(monkeypatch, name, value)

    assert part in said
    (found,) = [one for one in doctor.examine(PROJECT) if one.name == "settings"]
    assert (found.severity, found.found) == ("error", said)
