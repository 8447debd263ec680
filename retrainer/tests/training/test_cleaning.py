"""What the cleaner makes of columns, in training and afterwards."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrainer.errors import DataError
from retrainer.training._cleaning import MissingColumnsError, TableCleaner

ROWS = 60
NUMBERS = np.arange(ROWS) % 7 * 1.5


def clean(values: Any, name: str = "column") -> tuple[TableCleaner, pd.DataFrame]:
    """Fit on one column beside a plain one; return the cleaner and what it makes of the one."""
    frame = pd.DataFrame({name: values, "other": NUMBERS})
    cleaner = TableCleaner().fit(frame)
    return cleaner, cleaner.transform(frame).drop(columns="other")


def repeated(*values: Any) -> list[Any]:
    return [values[row % len(values)] for row in range(ROWS)]


def test_numbers_are_handed_on_without_a_copy() -> None:
    frame = pd.DataFrame({"a": NUMBERS, "b": np.arange(ROWS, dtype="float32") % 5, "c": np.arange(ROWS) % 3})

    assert TableCleaner().fit_transform(frame) is frame


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(pd.array(repeated(1, 2, None), dtype="Int64"), [1, 2, np.nan], id="nullable"),
        pytest.param(pd.to_timedelta(repeated("90s", "1h", None)), [90, 3600, np.nan], id="durations"),
        pytest.param(repeated(True, False), [1, 0, 1], id="booleans"),
        pytest.param(pd.array(repeated(True, None), dtype="boolean"), [1, np.nan, 1], id="booleans with gaps"),
        pytest.param(pd.Series(repeated(1, 2.5), dtype=object), [1, 2.5, 1], id="objects"),
    ],
)
def test_numbers_however_kept(values: Any, expected: list[float]) -> None:
    _, cleaned = clean(values)

    np.testing.assert_array_equal(cleaned["column"][:3], expected)


@pytest.mark.parametrize("utc", [False, True])
def test_dates_become_their_parts(utc: bool) -> None:
    _, cleaned = clean(pd.to_datetime(repeated("2026-02-03 04:00", "2025-12-31 23:59", None), utc=utc))

    first = {"year": 2026, "month": 2, "day": 3, "weekday": 1, "hour": 4, "seconds": 1770091200}
    assert cleaned.iloc[0].to_dict() == {f"column.{part}": value for part, value in first.items()}
    assert cleaned.iloc[1]["column.year"] == 2025
    assert cleaned.iloc[2].isna().all()


def test_a_new_category_is_missing() -> None:
    cleaner, cleaned = clean(repeated("red", "blue", None, "blue", None))
    later = cleaner.transform(pd.DataFrame({"column": ["red", "green", None, "blue"], "other": 1.0}))

    assert list(cleaned["column"].cat.categories) == ["blue", "red"]
    assert cleaned["column"][:5].tolist() == ["red", "blue", np.nan, "blue", np.nan]
    assert later["column"].dtype == cleaned["column"].dtype
    assert later["column"].tolist() == ["red", np.nan, np.nan, "blue"]


def test_categories_of_any_cardinality_stay_text_is_told_by_its_words() -> None:
    rows = 4000
    frame = pd.DataFrame(
        {
            "route": [f"{row % 1700}_{row % 17}" for row in range(rows)],
            "note": [f"the customer number {row} called again" for row in range(rows)],
        }
    )
    cleaned = TableCleaner().fit_transform(frame)

    assert len(cleaned["route"].cat.categories) == frame["route"].nunique()
    assert cleaned["note"].tolist() == frame["note"].tolist()


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("column", [None] * ROWS, "empty"),
        ("column", [3.5] * ROWS, "constant"),
        ("column", ["same"] * ROWS, "constant"),
        ("column", [True] * ROWS, "constant"),
        ("column", [pd.Timestamp("2026-01-01")] * ROWS, "constant"),
        ("customerID", [f"{row:04}-ABC" for row in range(ROWS)], "it is an identifier, a different value in every row"),
        (
            "e-mail",
            [f"u{row}@example.org" for row in range(ROWS)],
            "it is an identifier, a different value in every row",
        ),
        (
            "customer_id",
            list(np.random.default_rng(0).permutation(ROWS)),
            "it is an identifier, a different whole number in every row",
        ),
        ("PassengerId", range(1, ROWS + 1), "it is an identifier, a different whole number in every row"),
        ("Unnamed: 0", range(ROWS), "it is an identifier, a different whole number in every row"),
        ("id", [float(row) for row in range(ROWS)], "it is an identifier, a different whole number in every row"),
        ("column", [{"a": 1}] * ROWS, "neither number, text nor date"),
    ],
)
def test_columns_that_say_nothing_are_left_out_with_the_reason(name: str, values: Any, reason: str) -> None:
    cleaner, cleaned = clean(list(values), name)

    assert cleaner.left_out_ == {name: reason}
    assert list(cleaned.columns) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("paid", [row * 1.5 + 0.25 for row in range(ROWS)]),
        ("year", range(1950, 1950 + ROWS)),
        ("store_id", repeated(1, 2, 3)),
        ("grid", range(ROWS)),
        ("paid", range(ROWS)),
        ("valid", repeated("a", "b")),
        ("one value or none", repeated("x", None)),
    ],
)
def test_columns_that_only_resemble_them_stay(name: str, values: Any) -> None:
    cleaner, cleaned = clean(list(values), name)

    assert not cleaner.left_out_
    assert list(cleaned.columns) == [name]


def test_an_identifier_may_be_kept() -> None:
    frame = pd.DataFrame({"customer_id": np.arange(ROWS)[::-1], "x": NUMBERS})

    assert not TableCleaner(keep=("customer_id",)).fit(frame).left_out_


def test_nothing_left_is_an_error_that_says_why() -> None:
    with pytest.raises(DataError, match=r"id \(it is an identifier.*blank \(empty\)"):
        TableCleaner().fit(pd.DataFrame({"id": range(ROWS), "blank": [None] * ROWS}))


def test_missing_columns_are_named_new_ones_ignored_and_order_does_not_matter() -> None:
    frame = pd.DataFrame({"a": NUMBERS, "b": NUMBERS})
    cleaner = TableCleaner().fit(frame)

    pd.testing.assert_frame_equal(cleaner.transform(frame.assign(c=1)[["c", "b", "a"]]), frame)
    with pytest.raises(MissingColumnsError, match="'b'"):
        cleaner.transform(frame[["a"]])


def test_rows_to_score_are_read_as_learned_one_or_none_of_them() -> None:
    frame = pd.DataFrame(
        {
            "amount": repeated(1.5, 2, None),
            "colour": repeated("red", "blue"),
            "when": pd.to_datetime(repeated("2025-12-31", "2026-02-01")),
            "note": [f"word {row} and another {row}" for row in range(ROWS)],
        }
    )
    cleaner = pickle.loads(pickle.dumps(TableCleaner().fit(frame)))
    one = cleaner.transform(
        pd.DataFrame({"amount": [7], "colour": ["red"], "when": [pd.NaT], "note": [None]}, index=[9])
    )

    assert list(one.columns) == list(cleaner.get_feature_names_out())
    assert one.loc[9, "amount"] == 7
    assert cleaner.transform(frame.iloc[:0]).shape == (0, one.shape[1])
    assert cleaner.transform(frame.set_axis(range(100, 160))).index[0] == 100
