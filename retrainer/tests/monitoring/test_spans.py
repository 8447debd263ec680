"""Which rows are a window, and in whose time zone a date is meant."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrainer.pipeline._monitoring import _newest_rows, _unit_of_row
from retrainer.settings import (
    DataSettings,
    MonitorSettings,
    ScheduleSettings,
    ScoreSettings,
    Settings,
    SplitSettings,
)

DAYS = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=30, tz="UTC"), "key": np.arange(30) // 3})


def having(monitor: dict[str, Any] | None = None, **split: Any) -> Settings:
    return Settings.model_construct(
        split=SplitSettings.model_validate({"time_column": "day"} | split),
        monitor=MonitorSettings.model_validate(monitor or {}),
    )


@pytest.mark.parametrize(("last", "rows"), [("7 days", 7), ("48 hours", 2), ("5 rows", 5), ("90 rows", 30), (None, 30)])
def test_the_window_is_the_newest_rows(last: str | None, rows: int) -> None:
    found = _newest_rows(DAYS.sample(frac=1, random_state=0), having({"last": last}))
    assert sorted(found["day"]) == list(DAYS["day"][-rows:])


def test_rows_are_about_their_keys_or_their_block_of_time() -> None:
    assert _unit_of_row(DAYS, having()) is None
    keys = _unit_of_row(DAYS, having(key_columns=["key"]))
    assert len(np.unique(keys)) == 10
    blocks = _unit_of_row(DAYS[::-1], having(method="time"))
    assert len(np.unique(blocks)) == 20
    assert (np.diff(blocks) <= 0).all()


def test_each_flow_has_the_time_zone_of_its_own_schedule() -> None:
    settings = Settings.model_construct(
        data=DataSettings(source="sample", target="target"),
        schedule=ScheduleSettings(timezone="Europe/Berlin"),
        score=ScoreSettings(schedule=ScheduleSettings(timezone="Asia/Tokyo")),
        monitor=MonitorSettings(),
    )
    zones = {flow: str(settings.timezone(flow)) for flow in ("retrain", "score", "monitor")}
    assert zones == {"retrain": "Europe/Berlin", "score": "Asia/Tokyo", "monitor": "Europe/Berlin"}
