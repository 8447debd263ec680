"""What monitoring promises, through whole windows of which the truth is known."""

import datetime
import json
import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from retrainer import data, pipeline
from retrainer.errors import ConfigurationError
from retrainer.monitoring import History
from retrainer.prefect import begin, resolve_source
from retrainer.registry import open_store
from retrainer.settings import Settings
from retrainer.training import Recipe

from ..conftest import now, use
from ..gate.test_whole_retrains import line, retrained, two_classes

CLASSES = pytest.mark.parametrize("settings", ["classification"], indirect=True)
NUMBERS = pytest.mark.parametrize("settings", ["regression"], indirect=True)


def watched(table: pd.DataFrame) -> dict[str, Any]:
    """Monitor a table as the flow does, without Prefect."""
    project = now()
    table.to_csv(project.settings.root / "table.csv", index=False)
    return pipeline.check_drift(data.fetch(project.settings.data.source, settings=project.settings), project=project)


@NUMBERS
def test_a_model_that_collapsed_is_worse_without_any_setting(settings: Settings) -> None:
    assert retrained(line(), now()).promoted
    same, collapsed = watched(line(seed=1)), watched(line(seed=2).assign(target=lambda rows: -rows["target"]))

    assert (same["worse"], same["drifted"], same["retrain"]) == (False, False, False)
    assert (collapsed["worse"], collapsed["drifted"]) == (True, False)
    assert "at training: worse by" in collapsed["reason"]
    again = watched(line(seed=3).assign(target=lambda rows: -rows["target"]))
    assert again["retrain"] is True, "two windows of five"
    assert [
        window.violates for window in History(open_store(now().settings.monitor.folder, settings=settings)).windows()
    ] == [False, True, True]


@NUMBERS
@pytest.mark.parametrize(("impossible", "share"), [(2, "2 rows cause 100% of the squared error"), (0, None)])
def test_a_score_many_times_worse_that_chance_could_make_is_mentioned(
    impossible: int, share: str | None, settings: Settings
) -> None:
    assert retrained(line(), now()).promoted
    new = line(400, seed=1)
    new.loc[: impossible - 1, "target"] = 120_000.0

    window = watched(new)

    assert not window["worse"]
    assert (share in window["reason"]) if share else "may be chance" not in window["reason"]
    assert ("which may be chance" in window["reason"]) is bool(impossible)


@NUMBERS
def test_what_drifted_is_named_most_first_and_drawn_as_it_was_and_is(settings: Settings) -> None:
    table = line().assign(w=lambda rows: rows["z"] ** 2)
    assert retrained(table, now()).promoted
    new = line(seed=1).assign(w=lambda rows: rows["z"] ** 2)
    new["x"], new["z"] = new["x"] + 1, new["z"] + 3

    window = watched(new)

    assert window["drifted_columns"] == ["z", "x"]
    page = (settings.root / "monitoring" / "drift.html").read_text()
    assert page.count("<svg") == 2


@NUMBERS
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows.rename(columns={"z": "zz"}), "column 'z' is missing (a number such as"),
        (lambda rows: rows.assign(z=None), "column 'z': 100% of 1,200 rows have no value"),
    ],
    ids=["renamed", "emptied"],
)
def test_a_column_that_does_not_fit_is_named_with_what_cures_it(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], said: str, settings: Settings
) -> None:
    assert retrained(line(), now()).promoted

    window = watched(spoil(line(seed=1)))

    assert (window["drifted"], window["drifted_columns"], window["misfit"]) == (True, ["z"], True)
    assert window["counts"].startswith("This window counts. Of the last 5 windows, 1 drifted")
    assert said in window["reason"]
    assert "Correct the table or its query" in window["reason"]
    page = (settings.root / "monitoring" / "drift.html").read_text()
    assert '<th scope="row">z</th>' in page


@NUMBERS
def test_new_rows_are_told_which_tests_of_the_data_they_do_not_pass(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = [
        {"column": "x", "between": [-9, 9]},
        {"column": "z", "not_null": True, "rows": [1, 1200]},
        {"column": "target", "not_null": True},
        {"column": "made by label()", "unique": True},
    ]
    assert retrained(line(), now()).promoted
    use(monkeypatch, DATA__TESTS=json.dumps(tests))
    new = line(2000, seed=1)
    new.loc[3, "x"], new.loc[5:, "target"] = 20.0, None

    window = watched(new)

    assert window["failed_tests"] == ["Column 'x' holds 20.0, outside -9 to 9, in 1 of 2,000 rows (row 4)."]
    assert window["failed_tests"][0] in window["reason"]
    assert watched(line(seed=2))["failed_tests"] == []


@NUMBERS
def test_rows_of_a_key_that_go_alike_do_not_count_as_many(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def customers(seed: int, count: int = 40) -> pd.DataFrame:
        """Return ten rows to a customer, alike in what they are and in what the model misses."""
        rng, rows = np.random.default_rng(seed), 10 * count
        customer = np.arange(rows) // 10
        x, missed = rng.normal(size=(2, count))[:, customer]
        x = x + 0.1 * rng.normal(size=rows)
        return pd.DataFrame({"customer": 1000 * seed + customer, "x": x, "target": 3 * x + missed})

    use(monkeypatch, SPLIT__KEY_COLUMNS='["customer"]', DATA__DROP='["customer"]')
    assert retrained(customers(1, 400), now()).promoted
    tables = [customers(seed) for seed in range(2, 8)]
    by_keys = [watched(table) for table in tables]
    use(monkeypatch, SPLIT__KEY_COLUMNS="[]")
    by_rows = [watched(table) for table in tables]

    found = [sum(bool(each["drifted"] or each["worse"]) for each in every) for every in (by_keys, by_rows)]
    assert found[0] <= 1 < found[1], "counted by rows, chance is taken for drift"


@CLASSES
def test_labels_that_come_late_are_counted_and_from_when(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def dated(seed: int) -> pd.DataFrame:
        return two_classes(400, seed=seed).assign(day=pd.date_range("2026-03-01", periods=400, freq="h"))

    use(monkeypatch, SPLIT__TIME_COLUMN="day", DATA__DROP='["day"]')
    assert retrained(pd.concat([dated(0), dated(1)]), now()).promoted
    late = dated(2)
    late.loc[300:, "target"] = None

    window = watched(late)

    assert (window["rows"], window["labelled"], window["live_rows"]) == (400, 300, 300)
    assert (window["labelled_from"], window["labelled_to"]) == (
        "2026-03-01T00:00:00+00:00",
        "2026-03-13T11:00:00+00:00",
    )
    page = (settings.root / "monitoring" / "drift.html").read_text()
    assert "300 of 400 rows (75%) have a label, from 2026-03-01 00:00 UTC to 2026-03-13 11:00 UTC" in page


@NUMBERS
def test_only_the_newest_rows_are_looked_at_where_that_is_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dated(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(day=pd.date_range("2026-01-01", periods=len(rows), freq="h"))

    use(monkeypatch, SPLIT__TIME_COLUMN="day", DATA__DROP='["day"]')
    assert retrained(dated(line(3000)), now()).promoted
    new = dated(line(3000, seed=1))
    new.loc[3000 - 168 :, "x"] += 2.0

    everything = watched(new)
    use(monkeypatch, MONITOR__LAST="7 days")
    newest = watched(new)

    assert (everything["rows"], everything["drifted"]) == (3000, False), "798 drifted rows in 17,747, say"
    assert (newest["rows"], newest["drifted_columns"]) == (168, ["x"])


@pytest.mark.parametrize("flow", ["monitor", "score", "retrain"])
@NUMBERS
def test_each_flow_has_its_own_query_with_dates_of_its_own_schedule(
    flow: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame({"day": ["2026-02-27", "2026-02-28", "2026-03-01"], "x": [1.0, 2, 3], "target": [1.0, 2, 3]})
    with sqlite3.connect(settings.root / "shop.db") as shop:
        rows.to_sql("orders", shop, index=False)
    use(
        monkeypatch,
        DATA__SOURCE="sqlite:///shop.db",
        DATA__QUERY="select * from orders",
        MONITOR__QUERY="select * from orders where day >= '{as_of:%Y-%m-%d}'",
        SCORE__QUERY="select * from orders where day < '{as_of:%Y-%m-%d}'",
        SCHEDULE__TIMEZONE="Asia/Tokyo",  # where it is March already
        SCORE__SCHEDULE__TIMEZONE="America/New_York",
    )
    due = datetime.datetime(2026, 2, 28, 20, tzinfo=datetime.UTC)
    run = SimpleNamespace(flow_name=flow, scheduled_start_time=due, parameters={}, id=None)
    monkeypatch.setattr("retrainer.prefect._runs.flow_run", run)

    project = begin(now())
    snapshot = data.fetch(project.settings.data.source, settings=project.settings)

    expected = {"monitor": ["2026-03-01"], "score": ["2026-02-27"], "retrain": list(rows["day"])}[flow]
    assert [str(day)[:10] for day in data.load(snapshot)["day"]] == expected


@NUMBERS
def test_a_moment_with_a_zone_is_a_day_of_the_schedules_zone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, SCORE__SCHEDULE__TIMEZONE="Asia/Tokyo")
    run = SimpleNamespace(flow_name="score", scheduled_start_time=None, parameters={}, id=None)
    monkeypatch.setattr("retrainer.prefect._runs.flow_run", run)
    midnight = datetime.datetime(2026, 3, 1, tzinfo=ZoneInfo("Asia/Tokyo"))

    for moment in (midnight, midnight.astimezone(datetime.UTC), datetime.datetime(2026, 3, 1)):
        assert str(resolve_source("w{as_of:%m-%d}.csv", as_of=moment, project=now())) == "w03-01.csv"


@pytest.mark.parametrize("flow", ["monitor", "score"])
@NUMBERS
def test_the_date_of_a_runs_own_source_is_one_to_fill_in(
    flow: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(source: str | None) -> SimpleNamespace:
        return SimpleNamespace(flow_name=flow, scheduled_start_time=None, parameters={"source": source}, id=None)

    moment = datetime.datetime(2026, 3, 18)
    monkeypatch.setattr("retrainer.prefect._runs.flow_run", run("w{as_of:%d}.csv"))
    project = begin(now(), as_of=moment)
    assert str(resolve_source("w{as_of:%d}.csv", as_of=moment, project=project)) == "w18.csv"
    for source in ("w.csv", None):
        monkeypatch.setattr("retrainer.prefect._runs.flow_run", run(source))
        with pytest.raises(ConfigurationError, match="no date is to be filled in"):
            begin(now(), as_of=moment)


@NUMBERS
def test_classes_that_have_become_numbers_are_no_alarm_about_their_shares(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = two_classes().assign(target=lambda rows: (rows["target"] == "yes").astype(int))
    use(monkeypatch, PROBLEM_TYPE="classification")
    assert retrained(table, now()).promoted
    use(monkeypatch, PROBLEM_TYPE="regression")

    alarms = retrained(table.assign(target=table["target"] + 0.5), now()).alarms

    assert not any("Class" in alarm for alarm in alarms)


@CLASSES
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: table.assign(target=table["target"].where(table["z"] < 0.5, "no")), "Class 'no' is"),
        (lambda table: table.assign(x=table["x"].where(table["z"] < 1)), "'x' is missing in"),
        (lambda table: table[:400], "The table has 400 rows with a label; the champion was trained on 1,200."),
        (lambda table: table, None),
    ],
    ids=["classes", "missing", "rows", "as it was"],
)
def test_what_is_unlike_the_champions_own_table_is_an_alarm_without_any_setting(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], words: str | None, settings: Settings
) -> None:
    assert retrained(two_classes(), now()).promoted

    alarms = retrained(spoil(two_classes(seed=1)), now()).alarms

    found = [alarm for alarm in alarms if words and words in alarm]
    assert len(found) == (words is not None), alarms
    assert words or not alarms


@NUMBERS
@pytest.mark.parametrize("spoilt", [True, False])
def test_what_serves_is_scored_beside_the_model_that_was_compared(
    spoilt: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dated(start: str, seed: int) -> pd.DataFrame:
        return line(600, seed=seed).assign(day=pd.date_range(start, periods=600, freq="h"))

    def fit(part: Any, recipe: Recipe, project: Any) -> Any:
        from dataclasses import replace

        bad = spoilt and len(part.rows) == 600
        return real(
            replace(part, y=part.y.sample(frac=1, random_state=0).set_axis(part.y.index)) if bad else part,
            recipe,
            project,
        )

    use(monkeypatch, SPLIT__METHOD="time", SPLIT__TIME_COLUMN="day", DATA__DROP='["day"]')
    real = pipeline._training._fit_recipe  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr("retrainer.pipeline._training._fit_recipe", fit)
        patched.setattr("retrainer.pipeline._training._judge_refit", lambda *given, **more: None)
        assert retrained(dated("2026-01-01", 0), now()).promoted

    window = watched(dated("2026-02-01", 1))

    assert window["twin"] == pytest.approx(1.0, abs=0.15)
    assert (window["metric"] > 2 * window["twin"]) is spoilt
    assert ("is worse than the evaluated model" in window["reason"]) is spoilt
    assert window["worse"] is spoilt
