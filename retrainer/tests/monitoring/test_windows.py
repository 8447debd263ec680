import json
from pathlib import Path
from typing import Any

import pytest

from retrainer.errors import DataError
from retrainer.gate import Change
from retrainer.monitoring._drift import ColumnDrift, Drift
from retrainer.monitoring._windows import (
    History,
    Window,
    is_worse,
    needs_retrain,
    summary,
)
from retrainer.registry import LocalStore
from retrainer.settings import GateSettings, MonitorSettings, Settings


def window(digest: str, *, drifted: bool | None = True, version: str = "v1", worse: bool = False) -> Window:
    return Window("2026-01-01T00:00:00+00:00", "source", digest, version, drifted, "reason", worse=worse)


def having(margin: float = 0.005, **monitor: Any) -> Settings:
    return Settings.model_construct(
        gate=GateSettings(min_improvement=margin), monitor=MonitorSettings.model_validate(monitor)
    )


def test_the_same_data_count_once(tmp_path: Path) -> None:
    history = History(LocalStore(tmp_path))
    for digest in ("a", "b", "a"):
        found = history.add(window(digest))

    assert [entry.digest for entry in found] == ["b", "a"]
    assert History(LocalStore(tmp_path)).windows() == found


def test_a_new_champion_starts_anew(tmp_path: Path) -> None:
    history = History(LocalStore(tmp_path))
    history.add(window("a"))

    assert history.add(window("b", version="v2")) == [window("b", version="v2")]


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    history = History(LocalStore(tmp_path))
    history.add(window("a"))
    file = tmp_path / "windows.json"
    file.write_text(file.read_text()[:-9])

    with pytest.raises(DataError, match=r"windows\.json"):
        history.windows()


def test_one_odd_window_asks_for_nothing_two_do(settings: Settings) -> None:
    calm, odd = window("a", drifted=False), window("b")

    assert not needs_retrain([calm, odd], settings=settings)
    assert needs_retrain([odd, calm, odd], settings=settings)
    assert not needs_retrain([odd, odd, calm], settings=settings)
    assert needs_retrain([odd, window("c", drifted=False, worse=True)], settings=settings)


@pytest.mark.parametrize(
    ("live", "worse"),
    [
        (Change(0.06, 0.001), True),
        (Change(0.04, 0.001), False),
        (Change(0.06, 0.02), False),
        (Change(-0.06, 1.0), False),
        (None, False),
    ],
)
def test_a_live_score_is_worse_beyond_what_is_allowed_and_beyond_chance(live: Change | None, worse: bool) -> None:
    assert is_worse(live, settings=having(worsening=0.05)) is worse
    assert not is_worse(live, settings=having(worsening="never"))


@pytest.mark.parametrize(("margin", "worse"), [(0.05, True), (0.07, False)])
def test_by_default_the_margin_of_the_gate_is_allowed(margin: float, worse: bool) -> None:
    assert is_worse(Change(0.06, 0.001), settings=having(margin)) is worse


@pytest.mark.parametrize("drifted", [True, False, None])
def test_a_window_violates_by_drift_or_by_a_worse_score(drifted: bool | None) -> None:
    assert window("a", drifted=drifted).violates is drifted
    assert window("a", drifted=drifted, worse=True).violates is True


@pytest.mark.parametrize(
    ("live", "worse"),
    [(Change(0.05, 0.001), False), (Change(0.06, 0.01), False), (Change(0.06, 0.0099), True)],
)
def test_at_the_limit_a_live_score_is_not_worse(live: Change, worse: bool) -> None:
    assert is_worse(live, settings=having(worsening=0.05, significance=0.01)) is worse


def test_a_thousand_windows_are_kept(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write("windows.json", json.dumps([vars(window(str(number))) for number in range(1000)]).encode())

    found = History(store).add(window("new"))

    assert [entry.digest for entry in found] == [*map(str, range(1, 1000)), "new"]
    assert len(History(store).add(window("500"))) == 1000


def test_a_summary_has_a_row_for_each_column() -> None:
    columns = (
        ColumnDrift("usage", "number", 0.123456, nulls=(0.125, 0.5), unseen=0.25, reasons=("PSI 0.12", "missing")),
        ColumnDrift("seen", "datetime"),
    )

    assert summary(Drift(True, "", (1, 1), columns)) == [
        {
            "column": "usage",
            "index": 0.1235,
            "missing": "12.5% to 50.0%",
            "unseen": "25.0%",
            "drifted": "PSI 0.12, missing",
        },
        {"column": "seen", "index": None, "missing": "0.0% to 0.0%", "unseen": "0.0%", "drifted": "no"},
    ]
