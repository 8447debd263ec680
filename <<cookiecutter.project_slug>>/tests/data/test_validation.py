"""The errors a table gets before anything is learned from it, and the schema it is held to afterwards."""

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from << cookiecutter.package_name >>.data import _validation
from << cookiecutter.package_name >>.data._tables import DuplicateColumnsError
from << cookiecutter.package_name >>.data._validation import (
    Schema,
    SchemaError,
    TargetError,
    TooFewRowsError,
    check,
    check_target,
    learn_schema,
)

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
        ("classification", [f"order {row}" for row in range(ROWS)], "120 different values.*no class"),
        ("regression", ["high", "low"] * 60, "holds text such as 'high'.*classification"),
        ("regression", ["1.5", "n.n."] * 60, r"holds text such as 'n\.n\.'"),
        ("regression", [True, False] * 60, "holds bool values"),
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


@pytest.mark.parametrize("target", [[0, 1] * 60, list(range(30)) * 4, [0.0, 0.5, 1.0] * 40, ["a", "b"] * 60])
def test_classes_that_are_fine(target: Any) -> None:
    table = pd.DataFrame({"outcome": target})

    assert check_target(table, target="outcome", problem_type="classification").tolist() == target


def test_duplicate_columns_too_few_rows_and_nothing_to_learn_from() -> None:
    with pytest.raises(DuplicateColumnsError, match="'a' more than once"):
        check_target(pd.DataFrame([[1, 2]], columns=["a", "a"]), target="a", problem_type="regression")
    with pytest.raises(TooFewRowsError, match=r"19 rows.*20 at least"):
        _validation.check_table(pd.DataFrame({"x": range(19), "y": 1}), target="y")
    with pytest.raises(_validation.DataError, match="no column beside the target 'y'"):
        _validation.check_table(pd.DataFrame({"y": range(50)}), target="y")


@pytest.fixture
def X() -> pd.DataFrame:
    """Inputs with a column of each kind."""
    rows = np.arange(ROWS)
    return pd.DataFrame(
        {
            "amount": rows * 1.5,
            "count": rows % 5,
            "text number": [str(row) for row in rows],
            "plan": np.where(rows % 2, "basic", "pro"),
            "active": rows % 2 == 0,
            "since": pd.Timestamp("2026-01-01") + pd.to_timedelta(rows, unit="D"),
            "day": [datetime.date(2026, 1, 1 + row % 28) for row in rows],
            "rare": [None if row % 10 else row for row in rows],
            "nothing": None,
        }
    )


@pytest.fixture
def schema(X: pd.DataFrame) -> Schema:
    """What is learned of X, having been through JSON."""
    return Schema.from_dict(json.loads(json.dumps(learn_schema(X).to_dict())))


def test_the_schema_survives_json_and_fits_what_it_was_learned_from(X: pd.DataFrame, schema: Schema) -> None:
    assert schema == learn_schema(X)
    assert schema.columns["plan"].categories == ["basic", "pro"]
    assert (schema.columns["amount"].minimum, schema.columns["amount"].maximum) == (0, 178.5)
    assert schema.columns["rare"].null_share == 0.9
    report = check(X, schema)
    assert (report.new_columns, report.new_categories, report.out_of_range) == ([], {}, {})


def test_no_row_of_the_table_is_kept_where_values_are_many(X: pd.DataFrame, schema: Schema) -> None:
    assert schema.columns["text number"].categories is None


def test_what_is_new_is_allowed_and_counted(
    X: pd.DataFrame, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    X.loc[:2, "plan"] = ["team", "team", " pro "]
    X.loc[:3, "amount"] = [-1, 1000, 5, np.nan]

    report = check(X.assign(extra=1), schema)

    assert report.new_columns == ["extra"]
    assert report.new_categories == {"plan": {"team": 2}}
    assert report.out_of_range == {"amount": 2}
    assert "plan (2 rows, such as 'team')" in caplog.text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("amount", "7.5", id="number as text"),
        pytest.param("amount", 7, id="whole number"),
        pytest.param("amount", None, id="a row without"),
        pytest.param("text number", 7, id="text of numbers as number"),
        pytest.param("active", "yes", id="boolean as text"),
        pytest.param("active", 1, id="boolean as number"),
        pytest.param("since", "2026-02-03", id="date as text"),
        pytest.param("day", pd.Timestamp("2026-02-03"), id="date as time"),
        pytest.param("nothing", 3, id="anything where nothing was"),
    ],
)
def test_what_can_be_read_as_in_training_is_fine(
    X: pd.DataFrame, schema: Schema, name: str, values: Any
) -> None:
    check(X.head(5).assign(**{name: values}), schema)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("amount", "a lot", "column 'amount': expected number such as '0.0', came text such as 'a lot'"),
        (
            "amount",
            pd.Timestamp("2026-01-01"),
            "column 'amount': expected number such as '0.0', came date such as '2026",
        ),
        ("plan", 3, "column 'plan': expected text such as 'pro', came number such as '3'"),
        ("plan", pd.Timestamp("2026-01-01"), "column 'plan': expected text such as 'pro', came date"),
        (
            "active",
            "perhaps",
            "column 'active': expected boolean such as 'True', came text such as 'perhaps'",
        ),
        ("since", "soon", "column 'since': expected date such as '2026-01-01.*', came text such as 'soon'"),
        ("since", 20260101, "column 'since': expected date .*, came number such as '20260101'"),
        ("count", None, "column 'count': expected 0% missing values, 100% of 120 rows came without one"),
        ("plan", "?", "column 'plan': expected 0% missing values, 100% of 120 rows"),
    ],
)
def test_what_cannot_is_named_with_what_was_expected_and_what_came(
    X: pd.DataFrame, schema: Schema, name: str, values: Any, message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        check(X.assign(**{name: values}), schema)


def test_missing_columns_are_all_named_with_what_they_may_be_called_now(
    X: pd.DataFrame, schema: Schema
) -> None:
    with pytest.raises(SchemaError) as caught:
        check(X.rename(columns={"amount": "amounts"}).drop(columns="plan"), schema)

    assert (
        "column 'amount': expected number such as '0.0', but it is missing (is 'amounts' its new name?)"
        in str(caught.value)
    )
    assert "column 'plan': expected text such as 'pro', but it is missing" in str(caught.value)


def test_a_column_that_was_rarely_filled_may_be_empty_today_and_few_rows_tell_nothing(
    X: pd.DataFrame, schema: Schema
) -> None:
    check(X.assign(rare=None), schema)
    check(X.head(3).assign(count=None), schema)
    check(X.head(0), schema)
