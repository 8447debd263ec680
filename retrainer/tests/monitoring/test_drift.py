"""The profile of training data, and what counts as drift: what must fire, and what must not."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from retrainer.monitoring._drift import (
    Drift,
    compare_with_profile,
    learn_profile,
    should_fire,
)
from retrainer.settings import MonitorSettings

SETTINGS = MonitorSettings()
PLANS = ["basic", "plus", "pro", "trial"]


def make_inputs(rows: int = 2000, *, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    inputs = pd.DataFrame(
        {
            "usage": rng.normal(loc=shift, size=rows),
            "calls": np.where(rng.random(rows) < 0.9, 0.0, rng.exponential(size=rows)),
            "plan": rng.choice(PLANS, size=rows, p=[0.5, 0.3, 0.15, 0.05]),
            "town": [f"town {number}" for number in rng.zipf(1.5, rows) % 150],
            "paid": rng.random(rows) < 0.3,
            "seen": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 10**6, rows), unit="s"),
        }
    )
    inputs.loc[rng.random(rows) < 0.1, "usage"] = np.nan
    return inputs


def drift(before: pd.DataFrame, after: pd.DataFrame, **settings: float) -> Drift:
    profile = json.loads(json.dumps(learn_profile(before)))
    return compare_with_profile(profile, after, settings=MonitorSettings.model_validate(settings))


def drifted(found: Drift) -> dict[str, str]:
    return {column.name: ", ".join(column.reasons) for column in found.columns if column.drifted}


def test_the_index_is_the_sum_over_the_bins() -> None:
    before = pd.DataFrame({"plan": ["a"] * 600 + ["b"] * 400})
    found = drift(before, pd.DataFrame({"plan": ["a"] * 300 + ["b"] * 700})).columns[0]
    p, q = 600.5 / 1001, 300.5 / 1001
    expected = (q - p) * math.log(q / p) + (p - q) * math.log((1 - q) / (1 - p))
    assert found.psi == pytest.approx(expected)
    assert found.chance == pytest.approx(1 / 1000 + 1 / 1000)
    assert found.p_value is not None
    assert found.p_value < 1e-9


@pytest.mark.parametrize("window", [20, 100, 1000])
@pytest.mark.parametrize("training", [400, 5000])
def test_small_windows_without_drift_stay_quiet(training: int, window: int) -> None:
    alarms, excess = 0, []
    for seed in range(40):
        before, after = make_inputs(training, seed=seed), make_inputs(window, seed=seed + 1000)
        found = drift(before, after, minimum_rows=20)
        alarms += bool(found.drifted)
        excess += [column.psi - (column.chance or 0) for column in found.columns if column.psi is not None]
    assert alarms <= 2
    assert abs(np.mean(excess)) < 0.02  # the index without what chance makes of it


@pytest.mark.parametrize("window", [150, 2000])
def test_a_shift_is_found_and_named(window: int) -> None:
    found = drift(make_inputs(), make_inputs(window, seed=1, shift=1.0))
    assert found.drifted
    assert found.columns[0].name == "usage"
    assert list(drifted(found)) == ["usage"]
    assert found.reason.startswith(f"1 of 6 columns drifted in {window:,} rows: usage (PSI ")


def test_a_small_shift_of_many_rows_is_certain_and_no_drift() -> None:
    found = drift(make_inputs(50_000), make_inputs(50_000, seed=1, shift=0.1))
    usage = next(column for column in found.columns if column.name == "usage")
    assert usage.p_value is not None
    assert usage.p_value < 1e-9
    assert not found.drifted
    assert found.reason == "No column drifted in 50,000 rows."


def test_empty_bins_give_a_large_and_finite_index() -> None:
    found = drift(pd.DataFrame({"x": np.arange(1000.0)}), pd.DataFrame({"x": np.full(1000, 1e9)}))
    psi = found.columns[0].psi
    assert psi is not None
    assert 5 < psi < 20


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_a_constant_column_that_moves_either_way_has_drifted(value: float) -> None:
    found = drift(pd.DataFrame({"x": np.zeros(500)}), pd.DataFrame({"x": np.full(200, value)}))
    assert found.drifted


def test_the_share_of_missing_values() -> None:
    before, after = make_inputs(), make_inputs(seed=1)
    after.loc[:799, "plan"] = None
    found = drift(before, after)
    assert drifted(found) == {"plan": "missing in 40.0%, was 0.0%"}
    assert not drift(before, after, rate_change=0.5).drifted


def test_values_never_seen_before() -> None:
    before, after = make_inputs(), make_inputs(seed=1)
    after.loc[:199, "plan"] = "enterprise"
    plan = drift(before, after).columns[0]
    assert (plan.name, plan.unseen, plan.examples) == ("plan", 0.1, ("enterprise",))
    assert "unseen values in 10.0%, such as 'enterprise'" in plan.reasons


def test_rare_values_are_expected_to_bring_more_of_their_kind() -> None:
    rng = np.random.default_rng(1)
    towns = pd.DataFrame({"town": [f"town {number}" for number in rng.zipf(1.4, 1300) % 400]})
    before, after = towns[:500], towns[500:]
    town = drift(before, after).columns[0]
    assert town.unseen > SETTINGS.rate_change
    assert not town.drifted


def test_fewer_rare_values_than_expected_are_no_drift() -> None:
    before = pd.DataFrame({"town": ["here"] * 900 + [f"town {number}" for number in range(100)]})
    after = pd.DataFrame({"town": ["here"] * 900 + [f"town {number % 99}" for number in range(99)] + ["new"]})
    town = drift(before, after).columns[0]
    assert town.unseen == 0.001
    assert not town.drifted


def test_a_text_with_many_values_is_like_itself() -> None:
    towns = pd.DataFrame({"town": [f"town {number % 300}" for number in range(3000)]})
    towns.loc[:1499, "town"] = None
    psi = drift(towns, towns).columns[0].psi
    assert psi == pytest.approx(0)
    assert drift(towns, towns + " north").drifted


def test_of_many_columns_one_looks_different_by_chance() -> None:
    rng = np.random.default_rng(0)
    before = pd.DataFrame(rng.normal(size=(1000, 60))).add_prefix("x")
    alarms = [
        drift(before, pd.DataFrame(rng.normal(size=(60, 60))).add_prefix("x"), minimum_rows=60).drifted
        for _ in range(30)
    ]
    assert sum(map(bool, alarms)) <= 2


def test_columns_gone_added_and_of_another_kind() -> None:
    before, after = make_inputs(), make_inputs(seed=1)
    after = after.drop(columns="plan").assign(calls="many", region="north")
    found = drift(before, after)
    assert found.drifted
    assert (found.gone, found.added) == (("plan",), ("region",))
    assert drifted(found) == {"calls": "holds category values, number in training"}


def test_time_moves_on_and_that_is_no_drift() -> None:
    after = make_inputs(seed=1)
    after["seen"] += pd.Timedelta(days=365)
    found = drift(make_inputs(), after)
    seen = next(column for column in found.columns if column.name == "seen")
    assert not found.drifted
    assert seen.range is not None
    assert seen.range[0].startswith("2027-01-01")


def test_yes_and_no_may_come_as_one_and_zero() -> None:
    before, after = make_inputs(), make_inputs(seed=1)
    assert not drift(before, after.astype({"paid": "float64"})).drifted
    assert not drift(before.astype({"paid": "int64"}), after).drifted
    assert drifted(drift(before, after.assign(paid=1.0))).keys() == {"paid"}


def test_too_few_rows_tell_nothing() -> None:
    found = drift(make_inputs(), make_inputs(99, shift=5.0))
    assert found.drifted is None
    assert found.reason == "Too few rows to judge: 99 in the window, and 100 are needed."
    assert drift(make_inputs(), make_inputs(99, shift=5.0), minimum_rows=99).drifted


def test_how_many_columns_make_a_drift() -> None:
    before, after = make_inputs(), make_inputs(seed=1, shift=2.0)
    assert drift(before, after).drifted
    assert not drift(before, after, drifted_columns=2).drifted


def test_columns_left_out_are_neither_profiled_nor_new() -> None:
    inputs = make_inputs().assign(customer_id=range(2000))
    profile = learn_profile(inputs, left_out={"customer_id": "counts the rows"})
    assert "customer_id" not in profile["columns"]
    assert compare_with_profile(profile, inputs, settings=SETTINGS).added == ()


def test_the_profile_holds_no_rows() -> None:
    mails = [f"{number}@example.org" for number in range(2000)]
    profile = learn_profile(make_inputs().assign(mail=mails))
    assert profile["columns"]["mail"]["counts"] == {}
    assert "@example" not in json.dumps(profile)
    assert len(json.dumps(profile)) < 10_000


def test_a_column_without_values_is_compared_by_that_alone() -> None:
    empty = make_inputs().assign(plan=pd.Series([None] * 2000, dtype="str"))
    assert not drift(empty, empty).drifted
    assert drifted(drift(empty, make_inputs(seed=1))) == {"plan": "missing in 0.0%, was 100.0%"}
    assert drifted(drift(make_inputs(), empty)) == {"plan": "missing in 100.0%, was 0.0%"}


@pytest.mark.parametrize(
    ("windows", "fires"),
    [
        ([], False),
        ([True], False),  # one odd window
        ([True, True], True),
        ([True, False], False),  # it is over
        ([True, False, False, False, True], True),
        ([True, False, False, False, False, True], False),  # the first is too long ago
        ([True, None, True], True),
        ([True, True, None], False),  # the latest has no result
        ([False, False, False, False, False], False),
    ],
)
def test_two_of_the_last_five_windows_and_the_latest(windows: list[bool | None], fires: bool) -> None:
    assert should_fire(windows, settings=SETTINGS) is fires


def test_a_rule_that_can_never_fire_is_refused() -> None:
    with pytest.raises(ValueError, match="can never be"):
        MonitorSettings(needed=6)


def test_a_profile_says_what_each_column_was() -> None:
    days = pd.to_datetime(["2026-01-01", "2026-03-01", None])
    profile = learn_profile(pd.DataFrame({"day": days, "plan": ["a", "b", "b"]}))
    assert profile["columns"] == {
        "day": {"kind": "datetime", "nulls": 1, "range": ("2026-01-01T00:00:00", "2026-03-01T00:00:00")},
        "plan": {"kind": "category", "nulls": 0, "distinct": 2, "counts": {"b": 2, "a": 1}, "other": 0},
    }


@pytest.mark.parametrize(("distinct", "kept"), [(200, 200), (201, 0)])
def test_two_hundred_values_are_kept_by_name(distinct: int, kept: int) -> None:
    towns = pd.DataFrame({"town": [f"town {number}" for number in range(distinct)]})
    town = learn_profile(towns)["columns"]["town"]
    assert (len(town["counts"]), town["other"], town["distinct"]) == (kept, distinct - kept, distinct)


def test_the_profile_of_many_rows_is_the_same_each_time() -> None:
    numbers = pd.DataFrame({"x": np.random.default_rng(0).normal(size=150_000)})
    assert learn_profile(numbers) == learn_profile(numbers)


def test_values_that_are_written_alike_are_one() -> None:
    mixed = pd.DataFrame({"x": pd.Series([1, "1", "a"] * 100, dtype=object)})
    assert learn_profile(mixed)["columns"]["x"]["counts"] == {"1": 200, "a": 100}


def test_few_training_rows_are_named_as_such() -> None:
    found = drift(make_inputs(50), make_inputs(400))
    assert found.reason == "Too few rows to judge: 50 in the training data, and 100 are needed."


def test_the_commonest_of_the_unseen_values_are_the_examples() -> None:
    before, after = make_inputs(), make_inputs(seed=1)
    for value, rows in (("a", 1), ("b", 300), ("c", 100), ("d", 200)):
        after.loc[after.index[-rows:], "plan"] = value
        after = after.sample(frac=1, random_state=0).reset_index(drop=True)
    plan = next(column for column in drift(before, after).columns if column.name == "plan")
    counts = after["plan"].value_counts()[["a", "b", "c", "d"]].sort_values(ascending=False, kind="stable")
    assert plan.examples == tuple(counts.index[:3])
    seen = next(column for column in drift(before, after).columns if column.name == "seen")
    assert seen.nulls == (0.0, 0.0)


def keyed(keys: int, *, seed: int, shift: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table in which ten rows have one key and are alike, and the key of each row."""
    key = np.repeat(np.arange(keys), 10)
    return make_inputs(keys, seed=seed, shift=shift).iloc[key].reset_index(drop=True), key


def test_rows_of_one_key_are_no_evidence_of_their_own() -> None:
    profile = learn_profile(keyed(1000, seed=0)[0])
    found = {True: 0, False: 0}
    for seed in range(1, 31):
        X, key = keyed(40, seed=seed)
        for counted, units in ((True, key), (False, None)):
            drift = compare_with_profile(profile, X, settings=MonitorSettings(), units=units)
            found[counted] += drift.drifted is True
    assert found[True] <= 2
    assert found[False] >= 10  # what the keys are for


def test_a_shift_of_forty_keys_is_found() -> None:
    X, key = keyed(40, seed=1, shift=1.5)
    found = compare_with_profile(learn_profile(keyed(1000, seed=0)[0]), X, settings=MonitorSettings(), units=key)
    assert list(drifted(found)) == ["usage"]


def test_too_few_keys_have_no_result() -> None:
    X, key = keyed(19, seed=1, shift=5)
    found = compare_with_profile(learn_profile(keyed(1000, seed=0)[0]), X, settings=MonitorSettings(), units=key)
    assert found.drifted is None
    assert found.reason == "Too few keys: 190 rows are about 19, and 20 are needed."


def test_what_drifted_most_comes_first_with_both_histograms() -> None:
    before, after = make_inputs(), make_inputs(seed=1, shift=0.7)
    after.loc[:1499, "plan"] = None  # 75 % missing: fifteen times what is allowed
    found = drift(before, after)
    assert [column.name for column in found.columns[:2]] == ["plan", "usage"]
    shares = np.array([bin_[1:] for bin_ in found.columns[1].histogram])
    assert shares.sum(axis=0) == pytest.approx([1, 1])
    assert shares[:, 0] == pytest.approx(np.full(10, 0.1), abs=0.01)
    assert shares[-1, 1] > 0.25
