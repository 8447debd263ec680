"""Disks that are full, folders that are none, paths that cannot be: each an error in words, and no traceback."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from churn.flows import monitor, retrain, score

from retrainer import data
from retrainer.data import SourceError
from retrainer.errors import ConfigurationError, FileError, ProjectError
from retrainer.settings import Settings

from .conftest import PACKAGE, plain_source, run_command_line

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


@pytest.mark.parametrize(
    ("source", "error", "part"),
    [
        ("~nosuchuser/table.csv", ConfigurationError, "~nosuchuser"),
        ("x" * 5000, SourceError, "The path is too long"),
        ("table.csv/below.csv", SourceError, "does not exist"),
        ("{as_of+999999999year:%Y}.csv", ConfigurationError, "cannot be filled in"),
        ("{as_of-9999year:%Y}.csv", ConfigurationError, "cannot be filled in"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_source_that_cannot_be_is_one_short_message(
    settings: Settings, source: str, error: type[ProjectError], part: str
) -> None:
    with pytest.raises(error) as raised:
        data.fetch(data.resolve(source, as_of=None), settings=settings)

    assert part in str(raised.value)
    assert len(str(raised.value)) < 700


def test_a_subfolder_that_cannot_be_read_is_an_error_not_fewer_rows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.root / "tables"
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        (folder / name / "table.csv").write_bytes((settings.root / "table.csv").read_bytes())
    assert data.fetch("tables", settings=settings).rows == 1200
    real = os.scandir

    def scandir(path: Any) -> Iterator[Any]:
        if str(path).endswith("two"):  # whoever runs the tests may be allowed to read everything
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)

    with pytest.raises(SourceError, match=r"two: Permission denied\. Give user"):
        data.fetch("tables", settings=settings)


@pytest.mark.usefixtures("prefect_api")
def test_what_score_and_monitor_cannot_write_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    retrain()
    for folder in ("predictions", "monitoring"):
        (settings.root / folder).write_text("in the way")

    with pytest.raises(FileError, match=r"predictions.*There is a file where a folder is expected"):
        score()
    with pytest.raises(ProjectError, match=r"monitoring.*There is a file where a folder is expected"):
        monitor()

    (settings.root / "predictions").unlink()

    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FileError, match="The disk or quota is full"):
        score()


def test_a_report_into_a_folder_that_is_not_there_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["command", "registry", "report", "--output", "nowhere/history.html"])

    with pytest.raises(SystemExit) as ended:
        run_command_line()

    assert ended.value.code == 1
    assert "nowhere/history.html: No such file or directory. Create the folder" in capsys.readouterr().err


def test_a_terminal_and_a_locale_of_ascii_only(settings: Settings) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    listed = run_command("registry", "report", environment=plain, cwd=settings.root)

    assert listed.returncode == 0, listed.stderr
    assert (settings.root / "history.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_a_home_that_cannot_be_written_is_named(settings: Settings) -> None:
    home = settings.root / "table.csv" / "home"

    done = run_command("retrain", environment={"PREFECT_HOME": str(home)}, cwd=settings.root)

    assert done.returncode == 1
    assert str(home) in done.stderr
    assert "Traceback" not in done.stderr


def run_command(*words: str, environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the console command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", PACKAGE, *words],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONPATH": str(plain_source(cwd / "plain"))} | environment,
        cwd=cwd,
        timeout=120,
    )
