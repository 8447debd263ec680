"""A sign of life of long steps: rich's status on a terminal, one log line elsewhere."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

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
def best_so_far() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a line: updated in place on a terminal, logged every ten seconds elsewhere."""
    if sys.stderr.isatty():
        with Console(stderr=True).status("") as status:
            yield status.update
        return
    logger, shown = _logger(), time.monotonic()

    def show(text: str) -> None:
        nonlocal shown
        if time.monotonic() - shown >= SECONDS_BETWEEN:
            logger.info(text)
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
