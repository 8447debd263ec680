"""Faults of doctor's that need no deployment: each is made, seen, and gone once the printed fix was run."""

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


def test_a_project_that_was_renamed_in_one_place_is_not_deployed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, PROJECT="renamed")

    with pytest.raises(ConfigurationError, match=r"deploys 'churn'.*'renamed'"):
        prepare_deployment("churn", "retrain", "churn")
