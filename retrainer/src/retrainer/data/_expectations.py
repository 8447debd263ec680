"""Tests of the data that a team writes into config.toml, as dbt's users know them: run before anything is learned.

A section of its own and not pandera: that takes half a second to import and brings packages, has no test of a class's
share, of freshness or of the number of rows, and cannot be written in a settings file. A team that has pandera schemas
calls them in `label()` of features.py: what they raise ends the run before training, too.
"""

import datetime
from collections.abc import Iterator

import pandas as pd

from ..errors import DataError
from ..settings import DataTest, rows_or_time
from ._checks import require_columns
from ._splitting import require_times, times

SHOWN_ROWS = 5


class DataTestError(DataError):
    """The table does not pass a test of `[[data.tests]]`."""


def run_tests(rows: pd.DataFrame, tests: tuple[DataTest, ...], *, now: datetime.datetime | None = None) -> list[str]:
    """Run the tests; return a sentence for each failed test with severity `warn`.

    Args:
        rows: The labelled rows, read by a contract.
        tests: The tests of `data.tests`.
        now: The time that `newest` is compared with; None means the present.

    Raises:
        DataTestError: a test with severity `error` failed; the message lists all of them, with column and rows.
        SplitColumnError: a column of a test does not exist.
        TimeColumnError: the column of `newest` does not hold times.
    """
    moment = now or datetime.datetime.now(datetime.UTC)
    failed: dict[str, list[str]] = {"error": [], "warn": []}
    for test in tests:
        failed[test.severity] += _find_failures(rows, test, moment)
    if failed["error"]:
        raise DataTestError("The table does not pass data.tests: " + " ".join(failed["error"] + failed["warn"]))
    return failed["warn"]


def failed_tests(rows: pd.DataFrame, tests: tuple[DataTest, ...], *, but: str) -> list[str]:
    """Return a sentence for each test that new rows, which may have no label yet, do not pass.

    Args:
        rows: The rows, as a contract read them.
        tests: The tests of `data.tests`. Tests of absent columns and of the number of labelled rows are skipped.
        but: The target. Its tests are skipped, as labels come late.
    """
    moment = datetime.datetime.now(datetime.UTC)
    failed: list[str] = []
    for test in tests:
        if test.column not in rows.columns or test.column == but:
            continue
        try:
            failed += _find_failures(rows, test.model_copy(update={"rows": None}), moment)
        except DataError as error:  # `newest` of a column that holds no times here
            failed.append(str(error))
    return failed


def _find_failures(rows: pd.DataFrame, test: DataTest, now: datetime.datetime) -> Iterator[str]:
    if test.rows is not None and not test.rows[0] <= len(rows) <= test.rows[1]:
        yield f"The table has {len(rows):,} rows with a label; {test.rows[0]:,} to {test.rows[1]:,} are expected."
    if test.column is None:
        return
    require_columns(rows, [test.column], setting="data.tests", table="the table")
    values, name = rows[test.column], f"Column {test.column!r}"
    there = values.notna()
    if test.not_null and not there.all():
        yield f"{name} has no value in {_failed_rows(~there)}."
    if test.unique and (twice := values.duplicated(keep=False) & there).any():
        yield f"{name} has values more than once in {_failed_rows(twice)}, such as {_format(values[twice].iloc[0])}."
    if test.values is not None:
        accepted = {str(value) for value in test.values}
        if (other := there & ~values.map(_format).isin(accepted)).any():
            yield f"{name} holds {values[other].iloc[0]!r}, none of the accepted values, in {_failed_rows(other)}."
    if test.between is not None:
        numbers = pd.to_numeric(values, errors="coerce")
        low, high = test.between
        if (text := there & numbers.isna()).any():
            yield f"{name} holds text like {values[text].iloc[0]!r} in {_failed_rows(text)}; `between` needs numbers."
        if (outside := there & numbers.notna() & ~numbers.between(low, high)).any():
            yield f"{name} holds {values[outside].iloc[0]}, outside {low:g} to {high:g}, in {_failed_rows(outside)}."
    shares = values.map(_format).value_counts(normalize=True)
    for value, (low, high) in (test.share or {}).items():
        if not low <= (share := float(shares.get(value, 0.0))) <= high:
            yield f"{name} is {value!r} in {share:.1%} of the rows, and {low:.1%} to {high:.1%} are expected."
    if test.newest is not None:
        require_times(values, test.column, setting="`newest` of data.tests")
        newest = pd.Timestamp(int(times(rows, column=test.column).max()), unit="us", tz="UTC")
        if not there.any():
            yield f"{name} has no time in any row."
        elif now - newest > rows_or_time(test.newest)[1]:
            yield f"{name} has nothing newer than {newest.isoformat()}, which is more than {test.newest} ago."


def _format(value: object) -> str:
    """Return a value as the settings write it: 1.0 is 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _failed_rows(failed: pd.Series) -> str:
    """Return how many rows failed, and the first of them, counted from 1."""
    places = [number + 1 for number, one in enumerate(failed) if one]
    shown = ", ".join(map(str, places[:SHOWN_ROWS])) + (", …" if len(places) > SHOWN_ROWS else "")
    return f"{len(places):,} of {len(failed):,} rows (row {shown})"
