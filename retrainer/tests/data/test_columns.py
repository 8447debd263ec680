"""What columns are learned to be, and how cells are read from then on."""

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrainer.data._columns import (
    Column,
    distinct_texts,
    is_identifier,
    is_identifier_name,
    is_row_counter,
    kind_of,
    learn_column,
    read_column,
    within_tolerance,
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
        pytest.param(pd.to_datetime(repeated("2026-02-03 04:00", "2025-12-31 23:59", None), utc=True), id="UTC"),
        pytest.param(
            pd.Series(pd.to_datetime(repeated("2026-02-03 04:00", "2025-12-31 23:59", None))).astype("category"),
            id="categories",
        ),
        pytest.param(pd.PeriodIndex(repeated("2026-02-03 04:00", "2025-12-31 23:59", None), freq="min"), id="periods"),
        pytest.param(
            pd.Series(pd.to_datetime(repeated("2026-02-03 04:00", "2025-12-31 23:59", None))).astype(object),
            id="objects",
        ),
        pytest.param(
            pd.to_datetime(repeated("2026-02-03 13:00", "2026-01-01 08:59", None)).tz_localize("Asia/Tokyo"),
            id="Tokyo",
        ),
        pytest.param(repeated("2026-02-03 04:00", "2025-12-31T23:59:00", ""), id="ISO 8601"),
        pytest.param(repeated("2026-02-03T05:00:00+01:00", "2025-12-31T23:59:00Z", ""), id="ISO 8601 with zones"),
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


@pytest.mark.parametrize("decimal", [".", ","])
def test_the_file_decides_where_a_number_could_be_two(decimal: str) -> None:
    column, read = learn(repeated("1,234", "1,235"), decimal=decimal)

    assert read[0] == (1.234 if decimal == "," else 1234)
    assert read_column(pd.Series(["1,234"]), column, decimal=decimal).values[0] == read[0]
    assert read_column(pd.Series(["1,234"]), column).values[0] == read[0]


def test_a_cell_that_only_the_other_decimal_sign_reads_is_unreadable() -> None:
    column, _ = learn(repeated("1.5", "2"))
    later = pd.Series(["204,09", "-255,57", "68.8 %", "1 234,5", "n.a."])

    assert read_column(later, column).values[2] == 68.8
    assert read_column(later, column).bad == 4
    assert read_column(later, column, decimal=",").values[:4].tolist()[:2] == [204.09, -255.57]
    assert read_column(later, column, decimal=",").bad == 2


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


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([True, False]), [1, 0]),
        (pd.Series([True, None], dtype="boolean"), [1, np.nan]),
        (pd.Series([1, 2], dtype="category"), [1, 2]),
        (pd.Series([0.1, np.nan], dtype="float32"), [0.1, np.nan]),
        (pd.Series([decimal.Decimal("1.5"), None]), [1.5, np.nan]),
        (pd.Series(pd.to_timedelta(["1min", None])), [60, np.nan]),
        (pd.Series([3, None], dtype="Int8"), [3, np.nan]),
        (pd.Series(["1.5", "7"]), [1.5, 7]),
        (pd.Series(pd.to_datetime(["2026-01-01", None])), [np.nan, np.nan]),
    ],
)
def test_cells_of_any_type_are_read_as_numbers_where_they_are_numbers(values: pd.Series, expected: list[float]) -> None:
    cells = read_column(values.rename("x").set_axis([7, 9]), Column("number"))

    np.testing.assert_array_equal(cells.values, expected)
    assert (cells.values.dtype, cells.values.name, list(cells.values.index)) == ("float64", "x", [7, 9])


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


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.Series([1, 2]), "number"),
        (pd.Series([1.5, None]), "number"),
        (pd.Series([1 + 2j]), "other"),
        (pd.Series([True, False]), "boolean"),
        (pd.Series([True, None], dtype=object), "boolean"),
        (pd.Series(pd.to_timedelta(["1h"])), "number"),
        (pd.Series(pd.period_range("2026-01", periods=2, freq="M")), "date"),
        (pd.Series(pd.to_datetime(["2026-01-01"])).dt.tz_localize("Asia/Tokyo"), "date"),
        (pd.Series([datetime.date(2026, 1, 1), None]), "date"),
        (pd.Series([datetime.time(8, 30), None]), "text"),
        (pd.Series([decimal.Decimal("1.5"), None]), "number"),
        (pd.Series(["a", None], dtype="str"), "text"),
        (pd.Series(["a", 1, 2.5, np.int64(3), True, None], dtype=object), "text"),
        (pd.Series(["a", [1]], dtype=object), "other"),
        (pd.Series([b"a"]), "other"),
        (pd.Series([None, None], dtype=object), "empty"),
        (pd.Series([1, 2], dtype="category"), "number"),
        (pd.Series(["a"], dtype="category"), "text"),
        (pd.Series([None], dtype="category"), "empty"),
    ],
)
def test_the_type_of_the_cells_says_what_they_are(values: pd.Series, kind: str) -> None:
    assert kind_of(values) == kind


@pytest.mark.parametrize(
    ("bad", "known", "expected"),
    [
        (0, 0, True),
        (0, 5, True),
        (1, 19, False),
        (1, 20, True),
        (2, 20, False),
        (2, 199, False),
        (2, 200, True),
        (3, 200, False),
    ],
)
def test_one_slip_among_twenty_cells_or_one_cell_of_a_hundred(bad: int, known: int, expected: bool) -> None:
    assert within_tolerance(bad, known, tolerance=0.01) is expected


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([7, 7.0, 2.5], ["7", "7", "2.5"]),
        ([" a ", "", "NA", None], ["a", None, None, None]),
        ([datetime.date(2026, 1, 2), True], ["2026-01-02", "True"]),
        ([np.float64(3), np.float32(0.5)], ["3", "0.5"]),
    ],
)
def test_the_text_of_a_cell(values: list[Any], texts: list[str | None]) -> None:
    codes, distinct = distinct_texts(pd.Series(values, dtype=object))

    assert [None if code < 0 else distinct[code] for code in codes] == texts


def test_a_column_is_described_for_later_comparisons() -> None:
    numbers, _ = learn([*repeated("2.5", "7", None), "n.a."])
    dates, _ = learn(repeated("31/12/2025", "01/02/2026"))
    truth, _ = learn(repeated("true", "false"))
    empty, _ = learn([None] * ROWS)

    assert (numbers.missing, numbers.minimum, numbers.maximum) == (round(21 / 61, 6), 2.5, 7.0)
    assert (numbers.example, numbers.categories) == ("2.5", None)
    assert (dates.minimum, dates.maximum) == ("2025-12-31T00:00:00", "2026-02-01T00:00:00")
    assert dates.example == "2025-12-31 00:00:00"
    assert (truth.example, truth.minimum, truth.categories) == ("True", None, None)
    assert (empty.kind, empty.missing, empty.example) == ("empty", 1.0, None)
    assert learn([])[0].missing == 0


@pytest.mark.parametrize(("distinct", "kept"), [(100, True), (101, False)])
def test_a_hundred_categories_are_kept(distinct: int, kept: bool) -> None:
    names = [f"name {number}" for number in range(distinct)]
    column, _ = learn(names)

    assert column.categories == (tuple(sorted(names)) if kept else None)
    assert column.example == "name 0"
    assert read_column(pd.Series(["other"]), column).new_categories == ({"other": 1} if kept else {})


@pytest.mark.parametrize("word", ["true", "1", "Yes", "y", "T", "false", "0", "NO", "n", "f"])
def test_a_truth_value_may_come_as_another_word(word: str) -> None:
    column, _ = learn(repeated("true", "false"))

    assert read_column(pd.Series([word]), column).values[0] == (word.lower() in {"true", "1", "yes", "y", "t"})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([2**53, *range(ROWS)], "number"),
        ([2**53 + 1, *range(ROWS)], "text"),
        ([-(2**53) - 1, *range(ROWS)], "text"),
        ([str(2**53), *map(str, range(ROWS))], "number"),
        ([f"-{2**53 + 2}", *map(str, range(ROWS))], "text"),
        (["inf", *map(str, range(1, ROWS))], "text"),
        ([float("inf"), *range(ROWS)], "number"),
    ],
)
def test_numbers_that_a_float_does_not_tell_apart_are_codes(values: list[Any], kind: str) -> None:
    assert learn(values)[0].kind == kind


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("id", True),
        ("Customer_ID", True),
        ("customerID", True),
        ("orderNo", True),
        ("row", True),
        ("Unnamed: 0", True),
        ("uuid", True),
        ("account.number", True),
        ("customerid", True),
        ("tripid", True),
        ("paid", False),
        ("void", False),
        ("grid", False),
        ("id_type", False),
        ("amount", False),
        ("piano", False),
        ("Unnamed: x", False),
    ],
)
def test_a_name_of_an_identifier(name: str, expected: bool) -> None:
    assert is_identifier_name(name) is expected


@pytest.mark.parametrize(("rows", "expected"), [(19, False), (20, True)])
def test_few_rows_name_nothing(rows: int, expected: bool) -> None:
    column, read = learn([f"{row:04}-ABC" for row in range(rows)])

    assert is_identifier("customer", read, column) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([row + 0.5 for row in range(ROWS)], False),
        ([2, *range(3, ROWS + 2)], True),
        ([0, *range(2, ROWS + 1)], True),
        ([-1, *range(1, ROWS)], True),
    ],
)
def test_whole_numbers_that_count_nothing_name_a_row(values: list[float], expected: bool) -> None:
    column, read = learn(values)

    assert is_identifier("customer_id", read, column) is expected


def test_what_was_empty_or_no_table_cell_is_handed_on() -> None:
    index = pd.Index([5, 6])
    empty = read_column(pd.Series(["a", None], index=index, name="x"), Column("empty"))
    lists = read_column(pd.Series([[1], None], index=index, name="x"), Column("other"))

    assert empty.values.isna().all()
    assert empty.values.dtype == "float64"
    assert lists.values.tolist() == [[1], None]
    for cells in (empty, lists):
        assert (cells.missing, cells.bad) == (1, 0)
        assert (cells.values.name, list(cells.values.index)) == ("x", [5, 6])


@pytest.mark.parametrize("kind", ["number", "boolean", "date", "text"])
def test_cells_keep_their_place_and_their_name(kind: Any) -> None:
    index = pd.Index([3, 1, 2])
    for values in (["a", None, "1"], [None, None, None], [["x"], None, ["x"]]):
        cells = read_column(pd.Series(values, index=index, name="x", dtype=object), Column(kind))
        assert cells.values.name == "x"
        assert list(cells.values.index) == [3, 1, 2]
        assert len(cells.values) == 3
        assert cells.missing == values.count(None)


def test_a_single_cell_in_another_form_does_not_decide() -> None:
    """The form that most cells have; the others are read where they can only be one number."""
    column, read = learn(["1.234", *repeated("12,5", "7,25")])

    assert column.number_format.decimal == ","
    assert read[:3].tolist() == [1234, 12.5, 7.25]


@pytest.mark.parametrize(("dates", "kind"), [(30, "date"), (29, "text")])
def test_half_of_the_texts_look_like_dates_before_any_format_is_tried(dates: int, kind: str) -> None:
    days = [f"{day % 28 + 1:02}/12/20{day:02}" for day in range(dates)]
    others = [f"some day {'abcdefghijklmnopqrstuvwxyzABCDEFGHIJK'[row]}" for row in range(ROWS - dates)]

    assert learn([*days, *others], tolerance=0.6)[0].kind == kind


def test_a_float_does_not_say_which_long_code_it_was() -> None:
    column, _ = learn([2**60 + row for row in range(ROWS)])
    assert column.kind == "text"

    cells = read_column(pd.Series([2.0**60, 7.0, None]), column)

    assert (cells.bad, cells.missing, cells.bad_example) == (1, 1, (str(2.0**60), 0))
    assert cells.values.tolist()[1] == "7"
    assert cells.values.isna().tolist() == [True, False, True]


@pytest.mark.parametrize("form", ["int64", "float64", "Int64"])
def test_a_number_does_not_say_how_many_zeros_its_code_began_with(form: str) -> None:
    column, _ = learn(repeated("007", "042", "142", None))

    cells = read_column(pd.Series([7, 142, 42], dtype=form), column)
    again = read_column(pd.Series(["007", "142", "42"]), column)

    assert (cells.bad, cells.bad_example) == (2, (str(pd.Series([7], dtype=form)[0]), 0))
    assert cells.values.isna().tolist() == [True, False, True]
    assert (again.bad, again.bad_example) == (1, ("42", 2)), "as a spreadsheet saves it"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (range(ROWS), True),
        (range(ROWS, 0, -1), True),
        (range(2, ROWS + 2), False),
        ([*range(ROWS - 1), 1], False),
        ([0, *range(2, ROWS + 1)], False),
        ([0.5, *range(1, ROWS - 1), ROWS - 1], False),
        (range(10), False),
        ([None, *range(1, ROWS)], False),
    ],
)
def test_a_column_counts_the_rows(values: Any, expected: bool) -> None:
    column, read = learn(list(values))

    assert is_row_counter(read, column) is expected


@pytest.mark.parametrize("word", ["now", "today", "Today"])
def test_the_time_of_reading_is_no_date(word: str) -> None:
    column, _ = learn([f"2026-01-{day:02}" for day in range(1, 29)])

    cells = read_column(pd.Series(["2026-02-01", word]), column)

    assert (cells.bad, cells.bad_example) == (1, (word, 1))


def test_truth_values_are_not_yes_and_no() -> None:
    column, _ = learn(repeated("yes", "no", "perhaps"))

    cells = read_column(pd.Series([True, None, False], dtype="boolean"), column)

    assert (cells.bad, cells.missing, cells.bad_example) == (2, 1, ("True", 0))
    assert cells.values.isna().all()
