"""A sign of life of long steps: rich's status on a terminal, one log line elsewhere."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from prefect.artifacts import create_table_artifact
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from rich.console import Console

SECONDS = 30.0  # a step that ends sooner is not logged
SECONDS_BETWEEN = 10.0  # lines of what changes

_shown = threading.Lock()


@contextmanager
def sign_of_life(what: str, *, inputs: Iterable[Any] = ()) -> Iterator[None]:
    """Show the running step and its number of rows until the block ends.

    Args:
        what: The step as a verb: `cross validate`.
        inputs: The inputs of the step; the largest one with `rows` gives the number of rows.
    """
    rows = max(map(_count_rows, inputs), default=0)
    doing, on_rows = _gerund(what), f"{rows:,} rows" if rows else ""
    if sys.stderr.isatty():
        if not _shown.acquire(blocking=False):  # a terminal has one line, which a step beside this one has
            yield
            return
        try:
            with Console(stderr=True).status(", ".join(filter(None, (doing.capitalize(), on_rows)))):
                yield
        finally:
            _shown.release()
        return
    logger = _logger()
    took = ", ".join(filter(None, (f"{SECONDS:g} s", on_rows)))
    timer = threading.Timer(SECONDS, logger.info, ("Still %s (%s)", doing, took))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def best_so_far() -> Iterator[Callable[[str, Sequence[Mapping[str, Any]]], None]]:
    """Yield a function that shows a line and the trials that ended.

    The line is updated in place on a terminal. Every ten seconds it is logged elsewhere, and Prefect's UI gets both.
    """
    terminal, logger, shown = sys.stderr.isatty(), _logger(), time.monotonic()
    with Console(stderr=True).status("") if terminal else nullcontext() as status:

        def show(text: str, trials: Sequence[Mapping[str, Any]]) -> None:
            nonlocal shown
            if status:
                status.update(text)
            if time.monotonic() - shown < SECONDS_BETWEEN:
                return
            if not terminal:
                logger.info(text)
            rows = [{name: str(value) for name, value in trial.items()} for trial in trials]
            try:
                create_table_artifact(rows, key="trials", description=text)
            except Exception as error:  # a search does not end because nobody can see it
                logger.warning("Prefect does not show the trials (%s: %s)", type(error).__name__, error)
            shown = time.monotonic()

        yield show


def _gerund(what: str) -> str:
    verb, *rest = what.replace("cross ", "cross-").split()
    stem = verb.removesuffix("e")
    return " ".join([f"{stem}{'t' * stem.endswith('it')}ing", *rest])


def _logger() -> Any:
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger(__name__)


def _count_rows(value: Any) -> int:
    rows = getattr(value, "rows", 0)
    return rows if isinstance(rows, int) else len(rows) if hasattr(rows, "__len__") else 0
