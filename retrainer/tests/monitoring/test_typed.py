"""What monitoring and the tests of the data promise, typed as commands on files of which the truth is known."""

import contextlib
import json
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ..gate.test_whole_retrains import line
from ..test_readings import write_table
from ..test_readings_typed import Terminal, terminal

__all__ = ["terminal"]
pytestmark = pytest.mark.usefixtures("prefect_api")


def watched(terminal: Terminal, table: pd.DataFrame, name: str = "new.csv") -> dict[str, object]:
    return terminal.json("monitor", "--source", write_table(terminal.root, table, name))


def test_drift_a_collapsed_model_and_late_labels(terminal: Terminal) -> None:
    terminal.set(PROJECT="not-deployed")
    terminal.retrain(line())
    late = line(seed=1).assign(target=lambda rows: -rows["target"])
    late.loc[400:, "target"] = None
    moved = line(seed=2).assign(x=lambda rows: rows["x"] + 1, z=lambda rows: rows["z"] + 3)

    same, collapsed, drifted = (watched(terminal, table) for table in (line(seed=3), late, moved))

    assert (same["drifted"], same["worse"], same["counts"]) == (False, False, "")
    assert (collapsed["drifted"], collapsed["worse"], collapsed["labelled"]) == (False, True, 400)
    assert drifted["drifted_columns"] == ["z", "x"]
    assert Path(str(drifted["report"])).read_text().count("<svg") == 2
    assert str(drifted["counts"]).startswith("This window counts. Of the last 5 windows, 2 drifted")
    assert (drifted["retrain"], drifted["triggered"]) == (True, False)
    assert "there is no deployment retrain/" in str(drifted["to_do"])


def test_tests_of_the_data_end_a_run_or_warn(terminal: Terminal) -> None:
    rule = {"column": "x", "between": [-9, 9]}
    spoilt = line()
    spoilt.loc[3, "x"] = 20.0
    found = "Column 'x' holds 20.0, outside -9 to 9, in 1 of 1,200 rows (row 4)"
    terminal.set(DATA__TESTS=json.dumps([rule]))
    assert found in terminal.refused("retrain", spoilt)
    assert not (terminal.root / "models" / "decisions").exists()

    terminal.set(DATA__TESTS=json.dumps([rule | {"severity": "warn"}]))
    assert any(found in alarm for alarm in terminal.retrain(spoilt)["alarms"])

    assert any(found in said for said in watched(terminal, spoilt)["failed_tests"])  # type: ignore[attr-defined]
    shuffled = line(seed=1).assign(target=lambda rows: rows["target"].sample(frac=1, random_state=0).to_numpy())
    assert terminal.retrain(shuffled)["verdict"] != "promoted"


def test_a_query_its_dates_and_the_newest_rows(terminal: Terminal) -> None:
    rows = line(2400).assign(day=pd.date_range("2026-01-01", periods=2400, freq="h").astype(str))
    rows.loc[2400 - 168 :, "x"] += 2.0
    with contextlib.closing(sqlite3.connect(terminal.root / "shop.db")) as shop:
        rows.to_sql("orders", shop, index=False)
    terminal.set(DATA__SOURCE="sqlite:///shop.db", DATA__DROP='["day"]', SPLIT__TIME_COLUMN="day")
    terminal.set(DATA__QUERY="select * from orders where day < '2026-04-01'")
    terminal.json("retrain")

    terminal.set(MONITOR__QUERY="select * from orders where day < '{as_of:%Y-%m-%d}'")
    terminal.set(MONITOR__SCHEDULE__TIMEZONE="Asia/Tokyo", SCHEDULE__TIMEZONE="America/New_York")
    before = terminal.json("monitor", "--as-of", "2026-03-31T16:00Z")  # in Tokyo it is April
    terminal.set(MONITOR__QUERY="select * from orders", MONITOR__LAST="7 days")
    newest = terminal.json("monitor")

    assert (before["rows"], before["drifted"]) == ((rows["day"] < "2026-04-01").sum(), False)
    assert (newest["rows"], newest["drifted_columns"]) == (168, ["x"])


def test_rows_of_a_key_do_not_count_as_many(terminal: Terminal) -> None:
    def customers(seed: int, count: int = 40) -> pd.DataFrame:
        """Return ten rows to a customer that are alike."""
        rng, customer = np.random.default_rng(seed), np.arange(10 * count) // 10
        x, missed = rng.normal(size=(2, count))[:, customer]
        return pd.DataFrame({"customer": 1000 * seed + customer, "x": x, "target": 3 * x + missed})

    terminal.set(SPLIT__KEY_COLUMNS='["customer"]', DATA__DROP='["customer"]')
    terminal.retrain(customers(1, 400))

    windows = [watched(terminal, customers(seed), f"{seed}.csv") for seed in range(2, 6)]

    assert sum(bool(window["drifted"] or window["worse"]) for window in windows) <= 1
