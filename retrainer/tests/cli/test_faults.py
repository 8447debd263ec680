"""Faults of doctor's that need no deployment: each is made, seen, and gone once the printed fix was run."""

import errno
import os
import shlex
from types import SimpleNamespace
from typing import Any

import pytest
from churn.flows import retrain

from retrainer.cli import _doctor
from retrainer.errors import ConfigurationError
from retrainer.prefect import prepare_deployment
from retrainer.registry import StorageError, open_registry
from retrainer.settings import Settings

from ..conftest import now, run_command_line, use
from ..training.test_trial import stage

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


def errors() -> list[_doctor.Check]:
    """Return the registry's findings that are errors."""
    return [check for check in _doctor._check_registry(now()) if check.severity == "error"]


@pytest.mark.parametrize("file", ["version.json", "contract.json", "model.joblib"])
@pytest.mark.usefixtures("prefect_api")
def test_a_champion_that_lost_a_file_is_replaced_by_the_printed_fix(settings: Settings, file: str) -> None:
    first = retrain()["version"]
    (settings.root / "models" / "versions" / first / file).unlink()

    assert errors()[-1].command.endswith("retrain --accept-not-comparable")
    replaced = retrain(accept_not_comparable=True)

    assert replaced["verdict"] == "promoted"
    assert replaced["champion_before"] == first
    assert errors() == []


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize(
    ("how", "why"),
    [({"examples": False}, "was saved with scikit-learn 0.1"), ({"contract": False}, "before models carried")],
    ids=["other packages", "no contract"],
)
def test_a_champion_that_cannot_be_used_here_is_replaced_by_the_printed_fix(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, how: dict[str, bool], why: str
) -> None:
    registry = open_registry(settings)
    _, version = stage(registry, **how)
    registry.record(version, {"verdict": "promoted", "reason": "By hand."}, expected_champion=None)

    (unusable,) = errors()
    assert why in unusable.found
    monkeypatch.setattr("sys.argv", shlex.split(unusable.command))
    with pytest.raises(SystemExit, match="0"):
        run_command_line()

    assert errors() == []


@pytest.mark.usefixtures("prefect_api")
def test_a_damaged_earlier_decision_is_no_error(settings: Settings) -> None:
    retrain()
    retrain()
    (settings.root / "models" / "decisions" / "000001.json").write_text("garbage")

    assert errors() == []


@pytest.mark.usefixtures("prefect_api")
def test_a_damaged_last_decision_is_replaced_by_the_printed_fix(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = retrain()["version"]
    (settings.root / "models" / "decisions" / "000001.json").write_text("garbage")

    (damaged,) = errors()
    monkeypatch.setattr("sys.argv", shlex.split(damaged.command))
    with pytest.raises(SystemExit, match="0"):
        run_command_line()

    assert errors() == []
    champion = open_registry(settings).champion()
    assert champion
    assert champion.id == first


def test_a_registry_that_cannot_be_written_is_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = open_registry(settings)
    registry.check_writable()
    assert registry.store.list("versions") == []

    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied", str(args[1]))

    monkeypatch.setattr(os, "link", refuse)

    with pytest.raises(StorageError):
        registry.check_writable()
    assert "models" in errors()[0].found


@pytest.mark.parametrize(
    ("runner", "marks", "lock"),
    [
        ("threads", [], "requirements.lock"),
        ("dask", [], "requirements-extras.lock"),
        ("threads", ["requirements.lock"], "requirements.lock"),
        ("threads", ["requirements.lock", "requirements-extras.lock"], "requirements-extras.lock"),
    ],
)
def test_the_lock_is_the_one_that_the_environment_was_made_from(
    settings: Settings, runner: str, marks: list[str], lock: str
) -> None:
    (settings.root / ".venv").mkdir()
    for number, mark in enumerate(marks):
        (settings.root / ".venv" / f".{mark}").touch()
        os.utime(settings.root / ".venv" / f".{mark}", (number, number))
    (settings.root / lock).write_text("no-such-package==1.0 \\\n")
    wanted: Any = SimpleNamespace(
        root=settings.root, scale_out=SimpleNamespace(runner=runner), registry=settings.registry
    )

    check = _doctor._check_lock(wanted)

    assert "not installed: no-such-package" in check.found
    assert check.command == f"touch {lock} && make setup LOCK={lock}"


def test_an_environment_that_was_not_made_here_has_no_lock_to_match(settings: Settings) -> None:
    assert _doctor._check_lock(settings).severity == "ok"

    (settings.root / "pyproject.toml").touch()
    lost = _doctor._check_lock(settings)
    assert (lost.severity, lost.fix) == ("warning", "restore it from git")

    (settings.root / "requirements.lock").touch()
    assert _doctor._check_lock(settings).severity == "ok"


def test_a_full_disk_is_named_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setenv("PREFECT_HOME", str(settings.root / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("sys.argv", ["churn", "retrain"])

    with pytest.raises(SystemExit, match="1"):
        run_command_line()

    assert f"{settings.root / 'home'}: No space left on device" in capsys.readouterr().err


def test_a_project_that_was_renamed_in_one_place_is_not_deployed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, PROJECT="renamed")

    with pytest.raises(ConfigurationError, match=r"deploys 'churn'.*'renamed'"):
        prepare_deployment("churn", "retrain", "churn")
