"""The identity of a row: the same whatever file it comes from, pinned for as long as versions live."""

import numpy as np
import pandas as pd
import pytest

from retrainer.data._columns import learn_column
from retrainer.data._identity import are_known, row_identities, shuffled

DAYS = pd.Series(pd.to_datetime(["2024-01-05", None]))
TABLE = pd.DataFrame(
    {
        "name": pd.Series(["ada", "bo", None], dtype="str"),
        "age": [36, None, -0.0],
        "vip": pd.array([True, False, None], dtype="boolean"),
        "since": pd.to_datetime(["2024-02-29", None, "1969-12-31"]).astype("datetime64[us]"),
    }
)
PINNED = [1458793184736211270, 1176046738975821949, 16250543347721386263]


def identities(values: pd.Series) -> list[int]:
    """Return the identities of rows with one column, as it is learned."""
    _, cells = learn_column(values, tolerance=0)
    return row_identities(pd.DataFrame({"value": cells.values}), columns=["value"]).tolist()


def test_identities_are_pinned() -> None:
    """Another value, on any Python or platform, means versions that no longer know their training rows."""
    assert row_identities(TABLE, columns=TABLE.columns).tolist() == PINNED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.Series([1, 2]), pd.Series([1.0, 2.0])),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype="Int8")),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype="category")),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype=object)),
        (pd.Series([1, 2]), pd.Series(["1", "2.0"])),
        (pd.Series([1.5, 2]), pd.Series([1.5, 2], dtype="float32")),
        (pd.Series([0.1, 2]), pd.Series([0.1, 2], dtype="float32")),
        (pd.Series([7, 12]), pd.Series(["007", "12"])),
        (pd.Series([7, 12, 3]), pd.Series(["7", "12", "3"], dtype="category")),
        (pd.Series([1.0, np.nan]), pd.Series([1, None], dtype="Int64")),
        (pd.Series([1.0, np.nan]), pd.Series([1, None], dtype=object)),
        (pd.Series([1.0, np.nan]), pd.Series(["1", "?"])),
        (pd.Series([0.0, 1.0]), pd.Series([-0.0, 1.0])),
        (pd.Series([True, False]), pd.Series([True, False], dtype="boolean")),
        (pd.Series([True, False]), pd.Series(["TRUE", "false"])),
        (pd.Series([True, False]), pd.Series([1, 0])),
        (pd.Series([True, None], dtype=object), pd.Series([1, None])),
        (pd.Series(["a", None], dtype="str"), pd.Series(["a ", np.nan], dtype=object)),
        (pd.Series(["a", None], dtype="str"), pd.Series(["a", None], dtype="category")),
        (
            pd.Series(["a", "b"], dtype="str"),
            pd.Series(["a", "b"], dtype=pd.CategoricalDtype(["c", "b", "a"])),
        ),
        (pd.Series(["a", 1], dtype=object), pd.Series(["a", 1.0], dtype=object)),
        (DAYS.astype("datetime64[s]"), DAYS.astype("datetime64[ns]")),
        (DAYS, DAYS.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")),
        (DAYS, DAYS.dt.date),
        (DAYS, pd.Series(["2024-01-05T00:00:00", ""])),
        (DAYS, pd.Series(["05/01/2024", None])),
    ],
)
def test_equal_values_are_equal_whatever_their_type(one: pd.Series, other: pd.Series) -> None:
    assert identities(one) == identities(other)


def test_a_code_among_numbers_changes_no_other_row() -> None:
    keys = [str(number) for number in range(100)]
    mixed = pd.Series(["A12", "B7", "C3", *keys[3:]])
    assert identities(mixed)[3:] == identities(pd.Series(range(100)))[3:]


def test_lists_are_told_apart_by_what_is_in_them() -> None:
    lists = pd.Series([[1], [2], None, [1]], dtype=object)
    found = row_identities(pd.DataFrame({"x": lists}), columns=["x"]).tolist()
    assert found[0] == found[3]
    assert len(set(found)) == 3
    texts = pd.Series(["[1]", "[2]", None, "[1]"], dtype="str")
    assert found == row_identities(pd.DataFrame({"x": texts}), columns=["x"]).tolist()


def test_different_rows_differ() -> None:
    rows = {"a": [1, 2, 1, np.nan, np.nan], "b": [2.0, 1, 1, 1, np.nan]}
    found = row_identities(pd.DataFrame(rows), columns=["a", "b"])
    assert len(set(found)) == 5
    names = pd.DataFrame({"id": pd.Series([f"row-{n}" for n in range(20_000)], dtype="str")})
    assert len(set(row_identities(names, columns=["id"]))) == 20_000


def test_rows_without_keys_go_by_their_content() -> None:
    frame = pd.DataFrame({"key": [1.0, np.nan, np.nan], "x": [1.0, 2.0, 3.0]})
    found = row_identities(frame, columns=["key"], otherwise=["key", "x"])
    assert len(set(found)) == 3
    assert found[0] == row_identities(frame, columns=["key"])[0]


def test_a_look_up_finds_what_is_known_and_nothing_else() -> None:
    known = np.unique(np.array([5, 9, 2**63 + 1], dtype=np.uint64))
    asked = np.array([0, 5, 6, 2**63 + 1, 2**64 - 1], dtype=np.uint64)
    assert are_known(asked, known).tolist() == [False, True, False, True, False]
    assert not are_known(asked, known[:0]).any()


def test_a_seed_shuffles_evenly() -> None:
    numbers = shuffled(np.arange(10_000, dtype=np.uint64), seed=3)
    assert (numbers < np.uint64(2**62)).mean() == pytest.approx(0.25, abs=0.02)
    assert (shuffled(np.arange(10, dtype=np.uint64), seed=4) != numbers[:10]).all()
