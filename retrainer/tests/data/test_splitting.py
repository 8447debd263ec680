"""A row's side of the split: the same in any table, order and type."""

import logging

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from retrainer.data import (
    FeatureCode,
    MissingClassError,
    Split,
    SplitError,
    Table,
    group_codes,
    prepare,
    split,
)
from retrainer.data._checks import SplitColumnError
from retrainer.data._splitting import TimeColumnError, TooFewSplitRowsError
from retrainer.settings import SplitSettings

from ..conftest import PROJECT, load_settings

AS_THEY_STAND = FeatureCode("def label(frame): return frame\ndef features(frame): return frame\n", project=PROJECT)


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


def read(frame: pd.DataFrame, **split: object) -> Table:
    settings = load_settings(problem_type="classification", data={"source": "sample", "target": "target"}, split=split)
    return prepare(frame, settings=settings, code=AS_THEY_STAND)


def cut(frame: pd.DataFrame, *, holdout_frame: pd.DataFrame | None = None, **settings: object) -> Split:
    return split(
        read(frame, **settings),
        settings=SplitSettings.model_validate(settings),
        problem_type="classification",
        holdout=None if holdout_frame is None else read(holdout_frame, **settings),
    )


def ids(frame: pd.DataFrame) -> set[str]:
    return set(frame["id"])


@pytest.mark.parametrize("method", ["hash", "keys"])
def test_more_rows_move_no_old_row(method: str) -> None:
    settings = {"key_columns": ["customer"]} if method == "keys" else {}
    for seed in range(5):
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
    codes = group_codes(table, keys=["customer"])
    assert codes is not None
    assert len(set(zip(codes, table["customer"], strict=True))) == table["customer"].nunique() == len(set(codes))
    assert group_codes(table, keys=[]) is None


def test_rows_without_keys_are_kept_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    table = make_table(1000).drop(columns="id").assign(row=range(1000))
    table["customer"] = table["customer"].astype(float).mask(np.arange(1000) < 500)
    with caplog.at_level(logging.WARNING):
        parts = cut(table, key_columns=["customer"])
    assert "500 rows" in caplog.text
    assert parts.definition["rows_without_keys"] == 500
    assert len(parts.train) + len(parts.holdout) == 1000
    assert parts.holdout["customer"].isna().sum() == pytest.approx(100, abs=40)
    assert not set(parts.train["row"]) & set(parts.holdout["row"])


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
    table = make_table(90).assign(day=pd.to_datetime(["2025-01-01"] * 40 + ["2025-02-01"] * 20 + ["2025-03-01"] * 30))
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


def test_source_removes_from_training_what_stands_in_the_holdout(caplog: pytest.LogCaptureFixture) -> None:
    table, fresh = make_table(), make_table(60, seed=1)
    holdout = pd.concat([fresh, table.iloc[:40]])
    with caplog.at_level(logging.WARNING):
        parts = cut(table, method="source", source="gold.csv", holdout_frame=holdout)
    assert ids(parts.train) == ids(table.iloc[40:])
    assert len(parts.holdout) == 100
    assert parts.definition["rows_removed"] == 40
    assert "40 rows" in caplog.text
    grouped = cut(table, method="source", source="gold.csv", key_columns=["customer"], holdout_frame=table.iloc[:40])
    assert not set(grouped.train["customer"]) & set(table["customer"].iloc[:40])


def test_missing_columns_are_named_with_the_nearest() -> None:
    table = make_table()
    with pytest.raises(SplitColumnError, match=r"'costumer' \(split.key_columns\).*customer"):
        cut(table, key_columns=["costumer"])
    with pytest.raises(SplitColumnError, match=r"'days' \(split.time_column\).*day"):
        cut(table, method="time", time_column="days")
    with pytest.raises(SplitError, match=r"gold\.csv"):
        cut(table, method="source", source="gold.csv")


def test_a_time_column_without_times_is_refused() -> None:
    with pytest.raises(TimeColumnError, match=r"'usage' \(split.time_column\) holds float64"):
        cut(make_table(), method="time", time_column="usage")
    with pytest.raises(TimeColumnError, match=r"'plan' \(split.time_column\) does not hold times"):
        cut(make_table(), method="time", time_column="plan")
    with pytest.raises(TooFewSplitRowsError, match="has 1 different times"):
        cut(make_table().assign(day=pd.Timestamp("2025-01-01")), method="time", time_column="day")


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(TooFewSplitRowsError, match=r"holdout part has \d of 20 rows.*split.holdout"):
        cut(make_table(20))
    with pytest.raises(TooFewSplitRowsError, match=r"training part has 0 of 60 rows"):
        cut(make_table(60), method="source", source="gold.csv", holdout_frame=make_table(60))


def test_a_class_with_too_few_rows_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    table = make_table()
    table.loc[3, "target"] = "perhaps"
    parts = cut(table)
    assert "'perhaps' (1 rows)" in caplog.text
    assert parts.definition["classes_left_out"] == {"perhaps": 1}
    assert len(parts.train) + len(parts.holdout) == len(table) - 1
    assert len(parts.train_identities) == len(parts.train)

    table.loc[:60, "target"] = "perhaps"
    assert set(cut(table).holdout["target"]) == {"no", "yes", "perhaps"}


def test_one_class_alone_on_both_sides_is_refused() -> None:
    table = make_table(60).assign(target=["no"] * 59 + ["yes"])
    with pytest.raises(MissingClassError, match="Fewer than two classes of column 'target'"):
        cut(table)


@pytest.mark.parametrize(
    ("gap", "left_out"),
    [
        ("1 day", 0),
        ("2 days", 1),
        ("7days", 6),
        ("48 hours", 1),
        ("2 weeks", 13),
        ("1 row", 1),
        ("30 rows", 6),
    ],
)
def test_a_gap_leaves_the_newest_rows_before_the_holdout_out(gap: str, left_out: int) -> None:
    """The table has five rows of each of 100 days: rows of one day stay together."""
    table = make_table(500)
    table["day"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(500) % 100, unit="D")
    whole = cut(table, method="time", time_column="day")
    parts = cut(table, method="time", time_column="day", gap=gap)

    assert ids(parts.holdout) == ids(whole.holdout)
    assert parts.train["day"].max() == whole.train["day"].max() - pd.Timedelta(days=left_out)
    between = set() if parts.gap is None else ids(parts.gap)
    assert between == ids(whole.train) - ids(parts.train)
    assert len(between) == 5 * left_out == parts.definition["rows_in_gap"]
    assert between == set() or len(parts.gap_identities) == len(between)


def test_rows_without_a_time_are_in_no_gap() -> None:
    table = make_table(500)
    table.loc[:50, "day"] = pd.NaT
    parts = cut(table, method="time", time_column="day", gap="20 days")
    assert ids(table[table["day"].isna()]) <= ids(parts.train)


@pytest.mark.parametrize("gap", ["7", "a week", "-3 days", "0 days", "3.5 days", "1 month", "7 days ", ""])
def test_a_gap_that_cannot_be_read_is_refused(gap: str) -> None:
    with pytest.raises(ValidationError, match="write `7 days`, `36 hours`, `2 weeks` or `500 rows`"):
        SplitSettings(method="time", time_column="day", gap=gap)
    with pytest.raises(ValidationError, match='gap needs method = "time"'):
        SplitSettings(gap="7 days")


@pytest.mark.parametrize("gap", ["500 weeks", "9999999 weeks", "400 rows", "9999999 rows"])
def test_a_gap_that_leaves_nothing_to_learn_from_names_the_setting(gap: str) -> None:
    with pytest.raises(TooFewSplitRowsError, match=f"training part has 0 .* split.gap \\(now {gap}\\)"):
        cut(make_table(500), method="time", time_column="day", gap=gap)
