"""A long step shows that it is at work: on a terminal, in a log, and with the iterations of scikit-learn."""

import io
import logging
import pickle
import sys
import time
import warnings
from types import SimpleNamespace

import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from << cookiecutter.package_name >>.orchestration import _progress

TABLE = SimpleNamespace(rows=pd.DataFrame({"x": range(12_345)}))


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show at once, and often."""
    for name in ("QUIET_SECONDS", "LOG_SECONDS", "SPINNER_SECONDS"):
        monkeypatch.setattr(_progress, name, 0.01)


def wait_for(shown: str, output: "io.StringIO | pytest.LogCaptureFixture") -> None:
    deadline = time.monotonic() + 20
    while shown not in (output.getvalue() if isinstance(output, io.StringIO) else output.text):
        assert time.monotonic() < deadline, f"{shown!r} was never shown"
        time.sleep(0.01)


def test_a_log_line_says_what_is_at_work(hurried: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), _progress.sign_of_life("train", inputs=[None, TABLE]):
        wait_for("At work: train, 12,345 rows, 0:0", caplog)


@pytest.mark.parametrize("columns", [60, 200])
def test_a_terminal_shows_one_line_for_each_step(
    hurried: None, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in {"COLUMNS": str(columns), "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)

    with (
        _progress.sign_of_life("cross validate", inputs=[SimpleNamespace(rows=10_000_000)]),
        _progress.sign_of_life("fetch"),
    ):
        wait_for("cross validate, 10,000,000 rows, 0:0", terminal)
        wait_for("fetch, 0:0", terminal)

    assert _progress._spinners._display is None
    assert "…" not in terminal.getvalue()


def test_a_short_step_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), _progress.sign_of_life("split"):
        pass

    assert caplog.text == ""


def test_iterations_are_counted_and_leave_nothing_in_the_model() -> None:
    X = pd.DataFrame({"x": range(200), "z": [row % 7 for row in range(200)]})
    y = (X["x"] > 100).astype(int)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    bare = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)

    with _progress.sign_of_life("train"):
        _progress.fit(pipeline, X, y)
        work = _progress._current.get()
        assert work is not None
        assert work.iterations >= pipeline[-1].n_iter_[0] > 1  # and a last look
        assert f"{work.iterations} iterations" in str(work)

    assert pickle.dumps(pipeline) == pickle.dumps(bare)


def test_an_estimator_without_callbacks_is_fitted_without_a_warning() -> None:
    pipeline = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=2))
    X = pd.DataFrame({"x": range(60)})

    with warnings.catch_warnings(), _progress.sign_of_life("train"):
        warnings.simplefilter("error")
        _progress.fit(pipeline, X, (X["x"] > 30).astype(int))

    assert pipeline.predict(X).sum() > 0
