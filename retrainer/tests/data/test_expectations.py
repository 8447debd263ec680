"""Tests of the data: what each finds, and what it says."""

import datetime
from typing import Any

import pandas as pd
import pytest

from retrainer.data import DataTestError, run_tests
from retrainer.errors import DataError
from retrainer.settings import DataTest

NOW = datetime.datetime(2026, 11, 10, tzinfo=datetime.UTC)
TABLE = pd.DataFrame(
    {
        "age": [1.0, 2, None, 2],
        "plan": ["a", "b", "z", "a"],
        "seen": pd.to_datetime(["2026-11-01", "2026-11-02", None, "2026-11-01"]),
        "never": pd.to_datetime([None] * 4),
        "target": [1.0, 0, 0, 0],
    }
)


def said(**test: Any) -> list[str]:
    return run_tests(TABLE, (DataTest(severity="warn", **test),), now=NOW)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"column": "age", "not_null": True}, "Column 'age' has no value in 1 of 4 rows (row 3)."),
        (
            {"column": "age", "unique": True},
            "Column 'age' has values more than once in 2 of 4 rows (row 2, 4), such as 2.",
        ),
        (
            {"column": "plan", "values": ["a", "b"]},
            "Column 'plan' holds 'z', none of the accepted values, in 1 of 4 rows (row 3).",
        ),
        (
            {"column": "age", "between": [0, 1.5]},
            "Column 'age' holds 2.0, outside 0 to 1.5, in 2 of 4 rows (row 2, 4).",
        ),
        (
            {"column": "target", "share": {"1": [0.3, 0.6]}},
            "Column 'target' is '1' in 25.0% of the rows, and 30.0% to 60.0% are expected.",
        ),
        (
            {"column": "seen", "newest": "7 days"},
            "Column 'seen' has nothing newer than 2026-11-02T00:00:00+00:00, which is more than 7 days ago.",
        ),
        (
            {"column": "plan", "between": [1, 3]},
            "Column 'plan' holds text like 'a' in 4 of 4 rows (row 1, 2, 3, 4); `between` needs numbers.",
        ),
        ({"column": "never", "newest": "7 days"}, "Column 'never' has no time in any row."),
        ({"rows": [10, 20]}, "The table has 4 rows with a label; 10 to 20 are expected."),
    ],
)
def test_each_test_names_rows_and_column(test: dict[str, Any], message: str) -> None:
    assert said(**test) == [message]


@pytest.mark.parametrize(
    "test",
    [
        {"column": "plan", "not_null": True, "values": ["a", "b", "z"]},
        {"column": "age", "between": [1, 2], "values": [1, 2]},
        {"column": "target", "share": {"1": [0.25, 0.25], "0": [0.75, 1]}},
        {"column": "seen", "newest": "8 days"},
        {"rows": [4, 4]},
    ],
)
def test_at_its_limits_a_table_passes(test: dict[str, Any]) -> None:
    assert said(**test) == []


@pytest.mark.parametrize("column", ["age", "plan"])
def test_the_newest_of_what_is_no_time_names_column_and_setting(column: str) -> None:
    with pytest.raises(DataError, match=rf"'{column}' \(`newest` of data\.tests\).*not.* times"):
        said(column=column, newest="7 days")


def test_an_error_ends_the_run_and_names_every_failure() -> None:
    tests = (
        DataTest(column="age", not_null=True),
        DataTest(column="plan", not_null=True),
        DataTest(column="plan", values=("a",), severity="warn"),
    )
    with pytest.raises(DataTestError, match=r"Column 'age' has no value.*Column 'plan' holds 'b'"):
        run_tests(TABLE, tests, now=NOW)


@pytest.mark.parametrize("test", [{}, {"column": "age"}, {"not_null": True}, {"column": "seen", "newest": "5 rows"}])
def test_a_test_that_tests_nothing_is_refused(test: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="DataTest"):
        DataTest.model_validate(test)
