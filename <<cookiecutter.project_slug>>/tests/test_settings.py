import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from << cookiecutter.package_name >> import settings as settings_module
from << cookiecutter.package_name >>.checks import check
from << cookiecutter.package_name >>.cli import _doctor as doctor
from << cookiecutter.package_name >>.errors import ConfigurationError
from << cookiecutter.package_name >>.settings import (
    CONFIG_FILE,
    ENV_PREFIX,
    Settings,
    load_settings,
)

PAGE = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "settings.py"))


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
    ("variable", "value", "said"),
    [
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
    ],
)
def test_what_is_wrong_with_a_variable_is_said_in_plain_words(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(ENV_PREFIX + variable, value)

    with pytest.raises(ConfigurationError) as error:
        load_settings()

    assert said in str(error.value)


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

    monkeypatch.setenv(f"{ENV_PREFIX}SCHEDULE__TIME_LIMIT", "60")

    with pytest.raises(ConfigurationError, match="schedule") as refused:
        load_settings()

    assert f"(the variable {ENV_PREFIX}SCHEDULE__{name})" in str(refused.value)
    assert "Value error" not in str(refused.value)


@pytest.mark.parametrize(("is_folder", "said"), [(False, "does not exist"), (True, "is not a file")])
def test_without_its_file_the_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_folder: bool, said: str
) -> None:
    file = tmp_path / "src" / "package" / "config.toml"
    if is_folder:
        file.mkdir(parents=True)
    monkeypatch.setattr(settings_module, "CONFIG_FILE", file)
    monkeypatch.setitem(Settings.model_config, "toml_file", file)
    for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(variable)

    with pytest.raises(ConfigurationError, match=f"config.toml {said}"):
        load_settings()


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
            [sys.executable, "-m", f"{package.name}.cli", "registry", "list", "--json"],
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


def test_every_setting_is_described() -> None:
    undescribed = [".".join(path) for path, field in PAGE["leaves"](Settings) if not field.description]

    assert not undescribed, f"give {undescribed} a description in settings.py"


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE["PAGE"].read_text(encoding="utf-8") == PAGE["page"](), (
        "run `make docs`: settings have changed"
    )


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("GATES__FLOOR", "0.5", "GATE__FLOOR"),
        ("NOTHING__LIKE_IT", "1", "docs/settings.md"),
        ("SEEDS", "1", "SEED?"),
        ("SEED", "-1", "SEED)"),
        ("GATE__FLOOR", "nan", "gate.floor"),
        ("TRAIN__THRESHOLD", "1.2", "train.threshold: give a number between 0 and 1, `tuned`"),
        ("TRAIN__THRESHOLD", "auto", "train.threshold: give a number between 0 and 1, `tuned`"),
        ("TRAIN__REFIT", "maybe", "train.refit"),
        ("GATE__MIN_IMPROVEMENT", "inf", "gate.min_improvement"),
        ("ESTIMATORS", "linear", "variable of the environment"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused_and_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    monkeypatch.setenv(ENV_PREFIX + name, value)

    with pytest.raises(ConfigurationError) as refused:
        load_settings()

    assert part in str(refused.value)
    assert ENV_PREFIX + name.partition("__")[0] in str(refused.value)


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
    monkeypatch.setenv(ENV_PREFIX + name, value)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    with pytest.raises(ConfigurationError) as refused:
        check(load_settings())

    assert part in str(refused.value)
    (found,) = [one for one in doctor.examine() if one.name == "settings"]
    assert (found.severity, found.found) == ("error", str(refused.value))
