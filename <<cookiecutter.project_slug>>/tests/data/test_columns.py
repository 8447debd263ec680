"""What columns are learned to be, and how cells are read from then on."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from << cookiecutter.package_name >>.data._columns import (
    Column,
    is_identifier,
    learn_column,
    read_column,
)

ROWS = 60


def learn(values: Any, **options: Any) -> tuple[Column, pd.Series]:
    column, cells = learn_column(pd.Series(values), **{"tolerance": 0.01} | options)
    return column, cells.values


def repeated(*values: Any) -> list[Any]:
    return [values[row % len(values)] for row in range(ROWS)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(repeated("1.5", " 2 ", "?"), [1.5, 2, np.nan], id="text"),
        pytest.param(repeated("1", "", None), [1, np.nan, np.nan], id="one number, with gaps"),
        pytest.param(repeated(1, "2", None), [1, 2, np.nan], id="mixed"),
        pytest.param(pd.array(repeated(1, 2, None), dtype="Int64"), [1, 2, np.nan], id="nullable"),
        pytest.param(pd.to_timedelta(repeated("90s", "1h", None)), [90, 3600, np.nan], id="durations"),
        pytest.param(repeated("1,234.50", "7", "1,000,000"), [1234.5, 7, 1e6], id="English thousands"),
        pytest.param(repeated("1.234,5", "7", "12,25"), [1234.5, 7, 12.25], id="continental"),
        pytest.param(repeated("1\u00a0234,5", "7", "1 000"), [1234.5, 7, 1000], id="spaces"),
        pytest.param(repeated("$5", "-$1,200.5", "€ 3"), [5, -1200.5, 3], id="currency"),
        pytest.param(repeated("5 %", "12.5%", "-1 %"), [5, 12.5, -1], id="per cent"),
        pytest.param(repeated("\u22125", "1e3", "+2"), [-5, 1000, 2], id="signs and exponents"),
    ],
)
def test_numbers_however_written(values: Any, expected: list[float]) -> None:
    column, read = learn(values)

    assert column.kind == "number"
    np.testing.assert_array_equal(read[:3], expected)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(repeated("007", "12", "3"), id="leading zeros"),
        pytest.param(repeated("F", "N"), id="letters that could mean no"),
        pytest.param(repeated("250.0", "V58", "E11"), id="some are numbers"),
        pytest.param([10**17 + row for row in range(ROWS)], id="more digits than a float holds"),
        pytest.param([str(10**17 + row) for row in range(ROWS)], id="the same as text"),
        pytest.param(repeated("yes", "no"), id="yes and no"),
    ],
)
def test_codes_and_words_stay_as_they_are_written(values: Any) -> None:
    column, read = learn(values)

    assert column.kind == "text"
    assert read.tolist() == [str(value) for value in values]


@pytest.mark.parametrize(
    "values",
    [
        repeated(True, False, None),
        repeated("TRUE", "FALSE", ""),
        repeated("true", "False ", None),
        pd.array(repeated(True, False, None), dtype="boolean"),
    ],
)
def test_truth_however_written(values: Any) -> None:
    column, read = learn(values)

    assert column.kind == "boolean"
    assert read[:3].tolist() == [True, False, pd.NA]
    later = read_column(pd.Series(["true", "no", None, "perhaps"]), column)
    assert later.values.tolist() == [True, False, pd.NA, pd.NA]
    assert (later.missing, later.bad, later.bad_example) == (1, 1, ("perhaps", 3))
    assert read_column(pd.Series([1, 0]), column).values.tolist() == [True, False]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(pd.to_datetime(repeated("2026-02-03 04:00", "2025-12-31 23:59", None)), id="datetime"),
        pytest.param(
            pd.to_datetime(repeated("2026-02-03 04:00", "2025-12-31 23:59", None), utc=True), id="UTC"
        ),
        pytest.param(repeated("2026-02-03 04:00", "2025-12-31T23:59:00", ""), id="ISO 8601"),
        pytest.param(
            repeated("2026-02-03T05:00:00+01:00", "2025-12-31T23:59:00Z", ""), id="ISO 8601 with zones"
        ),
        pytest.param(repeated("03/02/2026 04:00", "31/12/2025 23:59", None), id="day first"),
        pytest.param(repeated("2/3/2026 4:00", "12/31/2025 23:59", "?"), id="month first"),
        pytest.param(repeated("03.02.2026 04:00", "31.12.2025 23:59", None), id="dots"),
    ],
)
def test_dates_however_written(values: Any) -> None:
    column, read = learn(values)

    assert column.kind == "date"
    assert read.dtype == "datetime64[us]"
    assert read[:2].tolist() == [pd.Timestamp("2026-02-03 04:00"), pd.Timestamp("2025-12-31 23:59")]
    assert read[2] is pd.NaT


def test_dates_are_read_as_learned_or_as_iso_and_not_guessed() -> None:
    column, _ = learn(repeated("31/12/2025", "01/02/2026"))

    later = read_column(pd.Series(["02/03/2026", "2026-03-02", "03-02-2026", "12/31/2025"]), column)

    assert later.values[:2].tolist() == [pd.Timestamp("2026-03-02")] * 2
    assert (later.bad, later.bad_example) == (2, ("03-02-2026", 2))
    assert read_column(pd.Series([20260302]), column).bad == 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([*repeated("1.5", "2")[1:], "n.a. (see note)"], "number"),
        ([*repeated("2026-01-01", "2026-01-02")[1:], "soon"], "date"),
        ([*repeated("1.5", "2")[2:], "n.a.", "unknown"], "text"),
        (["1", "2", "n.n."], "text"),
    ],
)
def test_a_slip_of_the_pen_is_tolerated(values: list[str], kind: str) -> None:
    column, cells = learn_column(pd.Series(values), tolerance=0.01)

    assert column.kind == kind
    if kind != "text":
        assert (cells.bad, cells.bad_example) == (1, (values[-1], ROWS - 1))


def test_what_a_column_was_is_kept_while_the_cells_fit() -> None:
    codes, _ = learn(repeated("250.0", "V58"))
    numbers, _ = learn(repeated("1.5", "2"))
    month_first, _ = learn(repeated("1/13/2026", "2/3/2026"))

    assert learn(repeated("250.0", "41.1"), prior=codes)[0].kind == "text"
    assert learn(repeated(250.5, 41), prior=codes)[1][:2].tolist() == ["250.5", "41"]
    assert learn(repeated("a", "b"), prior=numbers)[0].kind == "text"
    assert learn(repeated("2/3/2026", "4/5/2026"), prior=month_first)[1][0] == pd.Timestamp("2026-02-03")
    assert learn(repeated("2/3/2026", "4/5/2026"))[1][0] == pd.Timestamp("2026-03-02")


@pytest.mark.parametrize("comma", [False, True])
def test_the_file_decides_where_a_number_could_be_two(comma: bool) -> None:
    column, read = learn(repeated("1,234", "1,235"), comma=comma)

    assert read[0] == (1.234 if comma else 1234)
    assert column.as_written
    assert read_column(pd.Series(["1,234"]), column, comma=comma).values[0] == read[0]
    assert read_column(pd.Series(["1,234"]), column).values[0] == read[0]


def test_a_number_that_can_only_be_one_is_read_whatever_the_format() -> None:
    column, _ = learn(repeated("1.5", "2"))
    later = read_column(pd.Series(["204,09", "-255,57", "68.8 %", "1 234,5", "n.a."]), column)

    assert later.values[:4].tolist() == [204.09, -255.57, 68.8, 1234.5]
    assert later.bad == 1
    assert learn(repeated("68.8 %", "7"), comma=True)[1][:2].tolist() == [68.8, 7]


def test_text_loses_spaces_and_new_categories_are_counted() -> None:
    column, read = learn(repeated("red", " blue", None, "blue ", "?"))
    later = read_column(pd.Series(["red", "green", None, "green "]), column)

    assert column.categories == ("blue", "red")
    assert read[:5].tolist() == ["red", "blue", np.nan, "blue", np.nan]
    assert later.new_categories == {"green": 2}
    assert later.missing == 1


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("customer", [f"{row:04}-ABC" for row in range(ROWS)], True),
        ("customer_id", list(np.random.default_rng(0).permutation(1000)[:ROWS]), True),
        ("customer_id", repeated(1, 2, 3), False),
        ("row_id", range(1, ROWS + 1), False),
        ("id", range(ROWS), False),
        ("amount", [row * 7 for row in range(ROWS)], False),
        ("note", [f"called {row} times" for row in range(ROWS)], False),
        ("customer", [None, *(f"{row:04}-ABC" for row in range(1, ROWS))], False),
    ],
)
def test_an_identifier_names_each_row_and_does_not_count_them(name: str, values: Any, expected: bool) -> None:
    column, read = learn(list(values))

    assert is_identifier(name, read, column) is expected


@pytest.mark.parametrize("kind", ["number", "boolean", "date", "text"])
def test_one_row_or_none_is_read_as_many_are(kind: str) -> None:
    values = {
        "number": repeated("1.5", "2"),
        "boolean": repeated("true", "false"),
        "date": repeated("31/12/2025", "01/02/2026"),
        "text": repeated("a", "b"),
    }[kind]
    column, read = learn(values)

    for start, stop in ((0, 1), (7, 8), (3, 3), (0, ROWS)):
        part = read_column(pd.Series(values[start:stop], dtype="str"), column).values
        pd.testing.assert_series_equal(part, read[start:stop], check_index=False)
    assert read_column(pd.Series([None], dtype=object), column).values.dtype == read.dtype


@pytest.mark.parametrize("kind", ["number", "boolean", "date", "text"])
def test_lists_are_cells_that_cannot_be_read(kind: Any) -> None:
    cells = read_column(pd.Series([None, ["a"], {"k": 1}], dtype=object), Column(kind))

    assert (cells.missing, cells.bad, cells.bad_example) == (1, 2, ("['a']", 1))
    assert cells.values.isna().all()
