"""A long step shows that it is at work: on a terminal, and once in a log."""

import io
import logging
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from retrainer.prefect import _progress

TABLE = SimpleNamespace(rows=pd.DataFrame({"x": range(12_345)}))


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep the timers that are started, each with its `fire`, in place of waiting for them."""
    started: list[Any] = []

    class Timer:
        def __init__(self, seconds: float, function: Callable[..., None], args: tuple[Any, ...]) -> None:
            self.seconds, self.fire, self.cancelled = seconds, lambda: function(*args), False

        def start(self) -> None:
            started.append(self)

        def cancel(self) -> None:
            self.cancelled = True

    monkeypatch.setattr(_progress.threading, "Timer", Timer)
    return started


def test_a_log_line_says_what_is_at_work_once_it_takes_long(
    timers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), _progress.sign_of_life("train", inputs=[None, TABLE]):
        (timer,) = timers
        timer.fire()

    assert timer.seconds == 30
    assert timer.cancelled
    assert set(caplog.messages) == {"Still training (30 s, 12,345 rows)"}


def test_a_step_that_fails_is_not_said_to_be_at_work(timers: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), _progress.sign_of_life("split"):
        raise ZeroDivisionError

    assert timers[0].cancelled


def test_a_terminal_shows_one_step_and_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in {"COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)

    for _ in range(2):
        with _progress.sign_of_life("cross validate", inputs=[SimpleNamespace(rows=10_000_000)]):
            beside = threading.Thread(target=_beside)
            beside.start()
            beside.join()

    assert terminal.getvalue().count("Cross-validating, 10,000,000 rows") >= 2
    assert "etching" not in terminal.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_best_so_far_is_a_line_in_place_on_a_terminal_and_in_the_log_elsewhere(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stream, tables = Terminal() if terminal else io.StringIO(), []
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(_progress, "SECONDS_BETWEEN", 0)
    monkeypatch.setattr(_progress, "create_table_artifact", lambda *given, **more: tables.append(given) or 1 / 0)

    with caplog.at_level(logging.INFO), _progress.best_so_far() as show:
        show("linear: 3 of 8 trials", [{"trial": 1, "score": None}])

    assert ("linear: 3 of 8 trials" in stream.getvalue()) is terminal
    assert ("linear: 3 of 8 trials" in caplog.messages) is not terminal
    assert tables == [([{"trial": "1", "score": "None"}],)]
    assert "Prefect does not show the trials (ZeroDivisionError" in caplog.text


def _beside() -> None:
    with _progress.sign_of_life("fetch"):
        pass


@pytest.mark.parametrize(
    ("value", "rows"),
    [(SimpleNamespace(rows=7), 7), (TABLE, 12_345), (None, 0), (SimpleNamespace(rows=None), 0)],
)
def test_rows_are_a_number_or_a_table(value: object, rows: int) -> None:
    assert _progress._count_rows(value) == rows
