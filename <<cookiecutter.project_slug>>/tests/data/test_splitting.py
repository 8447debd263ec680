"""A row's side of the split: the same in any table, order, type and process."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from << cookiecutter.package_name >>.data import _splitting
from << cookiecutter.package_name >>.data._splitting import (
    MissingClassError,
    SplitColumnError,
    SplitError,
    TimeColumnError,
    TooFewRowsError,
    row_hashes,
    split,
    unseen,
)
from << cookiecutter.package_name >>.settings import SplitSettings


def make_table(rows: int = 500, *, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"row-{seed}-{number}" for number in range(rows)],
            "customer": rng.integers(0, max(1, rows // 5), rows),
            "usage": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "plan": rng.choice(["basic", "plus", "pro"], rows),
            "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 100, rows), unit="D"),
            "target": rng.choice(["no", "yes"], rows),
        }
    )


def cut(
    frame: pd.DataFrame, *, holdout_frame: pd.DataFrame | None = None, **settings: object
) -> _splitting.Split:
    return split(
        frame,
        settings=SplitSettings.model_validate(settings),
        problem_type="classification",
        target="target",
        holdout_frame=holdout_frame,
    )


def ids(frame: pd.DataFrame) -> set[str]:
    return set(frame["id"])


TABLE = pd.DataFrame(
    {
        "name": ["ada", "bo", None],
        "age": [36, None, -0.0],
        "vip": [True, False, None],
        "since": pd.to_datetime(["2024-02-29", None, "1969-12-31"]),
    }
)
DAYS = pd.Series(pd.to_datetime(["2024-01-05", None]))
PINNED = [10373890720248287313, 18100535138391391915, 3191696079258654064]


def test_hashes_are_pinned() -> None:
    """Another value, on any Python or platform, means rows crossing the split of a project that is in use."""
    assert row_hashes(TABLE, columns=TABLE.columns, seed=7).tolist() == PINNED


@pytest.mark.parametrize("method", ["hash", "keys"])
def test_more_rows_move_no_old_row(method: str) -> None:
    settings = {"key_columns": ["customer"]} if method == "keys" else {}
    for seed in range(20):
        old = make_table(seed=seed)
        before = cut(old, seed=seed, **settings)
        more = pd.concat([old, make_table(50, seed=1000 + seed)]).sample(frac=1, random_state=seed)
        after = cut(more, seed=seed, **settings)
        assert ids(before.holdout) == ids(after.holdout) & ids(old)
        assert ids(before.train) == ids(after.train) & ids(old)
        fewer = cut(old.iloc[50:], seed=seed, **settings)
        assert ids(fewer.holdout) == ids(before.holdout) & ids(old.iloc[50:])


def test_share_is_kept_and_no_row_is_lost() -> None:
    table = make_table(20_000)
    parts = cut(table, holdout=0.3)
    assert len(parts.holdout) / len(table) == pytest.approx(0.3, abs=0.015)
    assert ids(parts.train) | ids(parts.holdout) == ids(table)
    assert not ids(parts.train) & ids(parts.holdout)
    larger = cut(table, holdout=0.4)
    assert ids(parts.holdout) < ids(larger.holdout)
    other = cut(table, holdout=0.3, seed=5)
    assert len(ids(parts.holdout) & ids(other.holdout)) / len(table) == pytest.approx(0.09, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.Series([1, 2]), pd.Series([1.0, 2.0])),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype="Int8")),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype="category")),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype=object)),
        (pd.Series([1.0, np.nan]), pd.Series([1, None], dtype="Int64")),
        (pd.Series([1.0, np.nan]), pd.Series([1, None], dtype=object)),
        (pd.Series([0.0, 1.0]), pd.Series([-0.0, 1.0])),
        (pd.Series([True, False]), pd.Series([True, False], dtype="boolean")),
        (pd.Series([True, None], dtype=object), pd.Series([1, None])),
        (pd.Series(["a", None], dtype="str"), pd.Series(["a", np.nan], dtype=object)),
        (pd.Series(["a", None], dtype="str"), pd.Series(["a", None], dtype="category")),
        (
            pd.Series(["a", "b"], dtype="str"),
            pd.Series(["a", "b"], dtype=pd.CategoricalDtype(["c", "b", "a"])),
        ),
        (pd.Series(["a", 1], dtype=object), pd.Series(["a", 1.0], dtype=object)),
        (DAYS.astype("datetime64[s]"), DAYS.astype("datetime64[ns]")),
        (DAYS, DAYS.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")),
        (DAYS, DAYS.dt.date),
    ],
)
def test_equal_values_hash_alike_whatever_their_type(one: pd.Series, other: pd.Series) -> None:
    hashes = [row_hashes(pd.DataFrame({"value": column}), columns=["value"]) for column in (one, other)]
    np.testing.assert_array_equal(*hashes)


def test_different_rows_hash_differently() -> None:
    rows = {"a": [1, 2, 1, np.nan, np.nan], "b": [2, 1, 1, 1, np.nan], "c": ["x", "x", "x", "x", ""]}
    hashes = row_hashes(pd.DataFrame(rows), columns=["a", "b", "c"])
    assert len(set(hashes)) == 5
    assert len(set(row_hashes(make_table(20_000), columns=["id"]))) == 20_000
    objects = pd.DataFrame({"a": pd.Series([[1], [2], {"k": 1}, None, "1", 1], dtype=object)})
    assert len(set(row_hashes(objects, columns=["a"]))) == 6


def test_order_and_new_empty_columns_do_not_matter() -> None:
    table = make_table()
    parts = cut(table)
    assert ids(cut(table[table.columns[::-1]]).holdout) == ids(parts.holdout)
    assert ids(cut(table.assign(new=np.nan)).holdout) == ids(parts.holdout)
    assert ids(cut(table.assign(target=table["target"].iloc[::-1].to_numpy())).holdout) == ids(parts.holdout)


def test_keys_keep_a_group_together() -> None:
    table = make_table()
    parts = cut(table, key_columns=["customer"])
    assert not set(parts.train["customer"]) & set(parts.holdout["customer"])
    codes = _splitting.group_codes(table, keys=["customer"])
    assert codes is not None
    assert (
        len(set(zip(codes, table["customer"], strict=True))) == table["customer"].nunique() == len(set(codes))
    )
    assert _splitting.group_codes(table, keys=[]) is None


def test_rows_without_keys_are_kept_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    table = make_table(1000)
    table["customer"] = table["customer"].astype(float).mask(np.arange(1000) < 500)
    with caplog.at_level(logging.WARNING):
        parts = cut(table, key_columns=["customer"])
    assert "500 rows" in caplog.text
    assert parts.definition["rows_without_keys"] == 500
    assert len(parts.train) + len(parts.holdout) == 1000
    assert parts.holdout["customer"].isna().sum() == pytest.approx(100, abs=40)
    assert unseen(table, parts.definition).tolist() == table["id"].isin(ids(parts.holdout)).tolist()


def test_time_holds_out_the_newest_rows_and_keeps_ties_together(caplog: pytest.LogCaptureFixture) -> None:
    table = make_table()
    table.loc[:9, "day"] = pd.NaT
    with caplog.at_level(logging.WARNING):
        parts = cut(table, method="time", time_column="day")
    assert parts.train["day"].max() < parts.holdout["day"].min()
    assert len(parts.holdout) == pytest.approx(100, abs=10)
    assert parts.definition["rows_without_time"] == 10 == parts.train["day"].isna().sum()
    assert "10 rows" in caplog.text
    assert pd.Timestamp(parts.definition["cutoff"]).tz_localize(None) == parts.train["day"].max()


def test_time_takes_the_boundary_nearest_to_the_share() -> None:
    table = make_table(90).assign(
        day=pd.to_datetime(["2025-01-01"] * 40 + ["2025-02-01"] * 20 + ["2025-03-01"] * 30)
    )
    assert len(cut(table, method="time", time_column="day").holdout) == 30
    assert len(cut(table, method="time", time_column="day", holdout=0.6).holdout) == 50


@pytest.mark.parametrize("form", ["datetime64[s]", "datetime64[ns]", "text", "utc", "date"])
def test_time_is_the_same_at_any_resolution(form: str) -> None:
    table = make_table()
    expected = cut(table, method="time", time_column="day")
    day = table["day"]
    forms = {
        "text": lambda: day.dt.strftime("%Y-%m-%d"),
        "utc": lambda: day.dt.tz_localize("UTC"),
        "date": lambda: day.dt.date,
    }
    changed = table.assign(day=forms[form]() if form in forms else day.astype(form))
    parts = cut(changed, method="time", time_column="day")
    assert ids(parts.holdout) == ids(expected.holdout)
    assert parts.definition["cutoff"] == expected.definition["cutoff"]
    assert unseen(changed, expected.definition).sum() == len(expected.holdout)


def test_source_removes_from_training_what_stands_in_the_holdout(caplog: pytest.LogCaptureFixture) -> None:
    table, fresh = make_table(), make_table(60, seed=1)
    holdout = pd.concat([fresh, table.iloc[:40]])
    with caplog.at_level(logging.WARNING):
        parts = cut(table, method="source", source="gold.csv", holdout_frame=holdout)
    assert ids(parts.train) == ids(table.iloc[40:])
    assert len(parts.holdout) == 100
    assert parts.definition["rows_removed"] == 40
    assert "40 rows" in caplog.text
    grouped = cut(
        table, method="source", source="gold.csv", key_columns=["customer"], holdout_frame=table.iloc[:40]
    )
    assert not set(grouped.train["customer"]) & set(table["customer"].iloc[:40])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"key_columns": ["customer"]},
        {"method": "time", "time_column": "day"},
        {"method": "source", "source": "g"},
    ],
)
def test_a_definition_tells_what_its_model_has_not_seen(settings: dict[str, object]) -> None:
    table = make_table()
    parts = cut(table, holdout_frame=make_table(60, seed=1), **settings)
    definition = json.loads(json.dumps(parts.definition))
    assert unseen(parts.holdout, definition).all()
    assert not unseen(parts.train, definition).any()


def test_unseen_under_another_definition() -> None:
    table = make_table(2000)
    old = cut(table, seed=1)
    new = cut(table, seed=2)
    mask = unseen(new.holdout, old.definition)
    assert ids(new.holdout[mask]) == ids(new.holdout) & ids(old.holdout)
    by_time = cut(table, method="time", time_column="day")
    mask = unseen(new.holdout, by_time.definition)
    assert ids(new.holdout[mask]) == ids(new.holdout) & ids(by_time.holdout)
    assert not unseen(table.drop(columns="plan"), old.definition).any()
    assert not unseen(table.drop(columns="day"), by_time.definition).any()
    assert not unseen(table, None).any()
    assert not unseen(table, {**old.definition, "format": 99}).any()


def test_unseen_recognises_rows_of_a_holdout_source_that_has_grown() -> None:
    holdout = make_table(60, seed=1)
    old = cut(make_table(), method="source", source="gold.csv", holdout_frame=holdout)
    grown = pd.concat([make_table(30, seed=2), holdout])
    assert unseen(grown, old.definition).tolist() == [False] * 30 + [True] * 60


def test_difference_names_what_changed() -> None:
    table = make_table()
    old = cut(table).definition
    assert _splitting.difference(old, cut(table, seed=3).definition) == "seed 1 became 3"
    assert _splitting.difference(old, cut(table.assign(new=1)).definition) == "columns new: new"
    assert _splitting.difference(old, old) == "the split is the same"
    assert "method 'hash' became 'time'" in _splitting.difference(
        old, cut(table, method="time", time_column="day").definition
    )
    assert "not recorded" in _splitting.difference(None, old)


def test_missing_columns_are_named_with_the_nearest() -> None:
    table = make_table()
    with pytest.raises(SplitColumnError, match=r"'costumer' \(split.key_columns\).*customer"):
        cut(table, key_columns=["costumer"])
    with pytest.raises(SplitColumnError, match=r"'days' \(split.time_column\).*day"):
        cut(table, method="time", time_column="days")
    with pytest.raises(SplitColumnError, match=r"'plan' \(split.source\).*gold.csv"):
        cut(table, method="source", source="gold.csv", holdout_frame=table.drop(columns="plan"))
    with pytest.raises(SplitError, match=r"gold\.csv"):
        cut(table, method="source", source="gold.csv")


def test_a_time_column_without_times_is_refused() -> None:
    with pytest.raises(TimeColumnError, match=r"'usage' \(split.time_column\) holds float64"):
        cut(make_table(), method="time", time_column="usage")
    with pytest.raises(TimeColumnError, match=r"'plan' \(split.time_column\) does not hold times"):
        cut(make_table(), method="time", time_column="plan")
    with pytest.raises(TooFewRowsError, match="has 1 different times"):
        cut(make_table().assign(day=pd.Timestamp("2025-01-01")), method="time", time_column="day")


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(TooFewRowsError, match=r"holdout part has \d of 20 rows.*split.holdout"):
        cut(make_table(20))
    with pytest.raises(TooFewRowsError, match=r"training part has 0 of 60 rows"):
        cut(make_table(60), method="source", source="gold.csv", holdout_frame=make_table(60))


def test_a_class_on_one_side_only_is_refused() -> None:
    table = make_table()
    table.loc[3, "target"] = "perhaps"
    with pytest.raises(
        MissingClassError, match=r"Class perhaps of column 'target' has no row in the (holdout|train)"
    ):
        cut(table)
    regression = split(table, settings=SplitSettings(), problem_type="regression", target="target")
    assert len(regression.train) + len(regression.holdout) == len(table)
