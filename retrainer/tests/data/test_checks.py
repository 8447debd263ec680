"""The errors a table gets before anything is learned from it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrainer.data import _checks
from retrainer.data._checks import (
    InfiniteValuesError,
    TargetError,
    TooFewRowsError,
    check_finite,
    check_target,
)
from retrainer.data._tables import DuplicateColumnsError

ROWS = 120


@pytest.mark.parametrize(
    ("problem_type", "target", "message"),
    [
        ("classification", [None] * ROWS, "has no value in any of 120 rows"),
        ("classification", ["?", " "] * 60, "has no value in any of 120 rows"),
        ("classification", ["yes"] * ROWS, "has one class only, 'yes'"),
        ("classification", [1, None] * 60, "has one class only, 1, in"),
        ("classification", np.linspace(0, 1, ROWS), "looks like regression: it has 120 different numbers"),
        ("classification", range(ROWS), "looks like regression"),
        ("classification", [f"order {row}" for row in range(ROWS)], "120 different values.*too many for classes"),
        ("regression", ["high", "low"] * 60, "holds text such as 'high'.*classification"),
        ("regression", ["1.5", "n.n."] * 60, r"holds text such as 'n\.n\.'"),
        ("classification", [3.0, 4.5] * 60, "has fractions such as 4.5"),
        (
            "classification",
            list(pd.to_datetime(["2026-01-01", "2026-01-02"])) * 60,
            "holds dates such as 2026-01-01",
        ),
        ("regression", [True, False] * 60, "holds boolean values"),
        ("regression", [1.0, np.inf, -np.inf] * 40, "infinite in 80 of 120 rows"),
    ],
)
def test_a_target_that_cannot_be_learned(problem_type: Any, target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        check_target(pd.DataFrame({"x": 1, "outcome": target}), target="outcome", problem_type=problem_type)


def test_a_missing_target_has_the_nearest_names() -> None:
    table = pd.DataFrame(columns=["Churn", "tenure", "CHURNED"])

    with pytest.raises(TargetError, match=r"'churn' \(data\.target\).*nearest names: Churn\."):
        check_target(table, target="churn", problem_type="classification")
    with pytest.raises(TargetError, match="nearest names: tenure"):
        check_target(table, target="tenur", problem_type="classification")
    with pytest.raises(TargetError, match="It has: Churn, tenure, CHURNED"):
        check_target(table, target="zzz", problem_type="classification")


@pytest.mark.parametrize("target", [[0, 1] * 60, list(range(30)) * 4, ["a", "b"] * 60])
def test_classes_that_are_fine(target: Any) -> None:
    table = pd.DataFrame({"outcome": target})

    assert check_target(table, target="outcome", problem_type="classification").tolist() == target


def test_duplicate_columns_too_few_rows_and_nothing_to_learn_from() -> None:
    with pytest.raises(DuplicateColumnsError, match="'a' more than once"):
        check_target(pd.DataFrame([[1, 2]], columns=["a", "a"]), target="a", problem_type="regression")
    with pytest.raises(TooFewRowsError, match=r"19 rows.*20 at least"):
        _checks.check_table(pd.DataFrame({"x": range(19), "y": 1}), target="y")
    with pytest.raises(_checks.DataError, match="no column besides the target 'y'"):
        _checks.check_table(pd.DataFrame({"y": range(50)}), target="y")


@pytest.mark.parametrize("sentinel", [1e39, -1.7976931348623157e308, float("inf")])
@pytest.mark.parametrize("rows", [40, 2000])
def test_numbers_too_large_for_a_model_are_counted_by_column(sentinel: float, rows: int) -> None:
    table = pd.DataFrame({"x": [sentinel, None, *[1.0] * (rows - 2)], "y": 2.0})

    with pytest.raises(InfiniteValuesError, match=rf"'x' \(1 of {rows} rows\)"):
        check_finite(table)
    check_finite(table[["y"]])
