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

from retrainer.prefect import _progress

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


@pytest.mark.parametrize(
    ("rows", "iterations", "seconds", "shown"),
    [
        (0, 0, 0, "train, 0:00 min"),
        (1_234, 0, 59, "train, 1,234 rows, 0:59 min"),
        (0, 1_000, 60, "train, 1,000 iterations, 1:00 min"),
        (7, 8, 3_725, "train, 7 rows, 8 iterations, 62:05 min"),
    ],
)
def test_work_is_described_by_what_is_known_of_it(
    rows: int, iterations: int, seconds: int, shown: str
) -> None:
    work = _progress._Work("train", rows, iterations, started=time.monotonic() - seconds - 0.2)

    assert str(work) == shown


@pytest.mark.parametrize(
    ("value", "rows"),
    [(SimpleNamespace(rows=7), 7), (TABLE, 12_345), (None, 0), (SimpleNamespace(rows=None), 0)],
)
def test_rows_are_a_number_or_a_table(value: object, rows: int) -> None:
    assert _progress._rows(value) == rows


def test_only_iterations_count() -> None:
    work = _progress._Work("train", 0)
    counter = _progress._Iterations(work)

    going_on = [
        counter.on_fit_task_end(None, SimpleNamespace(task_name=name))
        for name in ("iter 1", "fold", "iteration", None)
    ]

    assert going_on == [False] * 4
    assert work.iterations == 2


def test_the_largest_input_says_how_many_rows_and_the_block_before_goes_on() -> None:
    with _progress.sign_of_life("outer", inputs=[SimpleNamespace(rows=3), TABLE, SimpleNamespace(rows=9)]):
        outer = _progress._current.get()
        with _progress.sign_of_life("inner"):
            inner = _progress._current.get()
        assert _progress._current.get() is outer
    assert _progress._current.get() is None
    assert outer is not None
    assert inner is not None
    assert (outer.what, outer.rows, inner.what, inner.rows) == ("outer", 12_345, "inner", 0)
