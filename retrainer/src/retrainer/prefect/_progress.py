"""A sign of life of long steps: a spinner on a terminal, a log line each half minute elsewhere."""

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

QUIET_SECONDS = 1.0  # a step that ends sooner shows nothing
LOG_SECONDS = 30.0
SPINNER_SECONDS = 0.5


@dataclass
class _Work:
    """What a step is doing."""

    what: str
    rows: int
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        seconds = int(time.monotonic() - self.started)
        parts = [self.what]
        parts += [f"{self.rows:,} rows"] if self.rows else []
        return ", ".join([*parts, f"{seconds // 60}:{seconds % 60:02} min"])


@contextmanager
def sign_of_life(what: str, *, inputs: Iterable[Any] = ()) -> Iterator[None]:
    """Show what a step does, on how many rows and for how long, until the block ends.

    Args:
        what: The step.
        inputs: What it was given; the largest of those that have `rows` says how many.
    """
    work = _Work(what, rows=max(map(_rows, inputs), default=0))
    try:
        logger: Any = get_run_logger()
    except MissingContextError:
        logger = logging.getLogger(__name__)
    ended = threading.Event()
    thread = threading.Thread(target=_show, args=(work, ended, logger), daemon=True, name="sign of life")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _rows(value: Any) -> int:
    rows = getattr(value, "rows", 0)
    return rows if isinstance(rows, int) else len(rows) if hasattr(rows, "__len__") else 0


def _show(work: _Work, ended: threading.Event, logger: Any) -> None:
    if ended.wait(QUIET_SECONDS):
        return
    if not sys.stderr.isatty():
        while not ended.wait(LOG_SECONDS):
            logger.info("Still working: %s", work)
        return
    with _spinners.line() as say:
        say(str(work))
        while not ended.wait(SPINNER_SECONDS):
            say(str(work))


class _Spinners:
    """The one live display of a terminal, with a line for each step that runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines = 0
        self._display: Progress | None = None

    @contextmanager
    def line(self) -> Iterator[Any]:
        with self._lock:
            if self._display is None:
                console = Console(stderr=True)
                columns = SpinnerColumn(), TextColumn("{task.description}", markup=False)
                self._display = Progress(*columns, console=console, transient=True)
                self._display.start()
            self._lines += 1
            display = self._display
            task = display.add_task("")
        try:
            yield lambda text: display.update(task, description=text)
        finally:
            with self._lock:
                display.remove_task(task)
                self._lines -= 1
                if not self._lines:
                    display.stop()
                    self._display = None


_spinners = _Spinners()
