"""What is promoted is fitted once more on all labelled rows and serves; the gate goes on comparing its twin."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from churn.flows import monitor, retrain, score
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from retrainer.data import are_known
from retrainer.registry import Version, open_registry
from retrainer.settings import Settings
from retrainer.training import (
    Production,
    load_evaluated_model,
    load_evaluated_rows,
    load_model,
    load_trained_rows,
)

from ..conftest import PACKAGE, PROJECT, Receiver, attached, now, use

pytestmark = [
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.parametrize("settings", ["regression"], indirect=True),
]
ROWS, HELD_OUT = 1000, 200


def drifting(noise: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Return a row an hour, in which the weight of a column grows from 1 to 3."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, 3)).round(6)
    y = X[:, 0] * np.linspace(1, 3, ROWS) + X[:, 1] + noise * rng.normal(size=ROWS)
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(target=y)
    return table.assign(when=pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(ROWS), unit="h"))


@pytest.fixture
def table(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A table that drifts, split by time."""
    use(monkeypatch, SPLIT__METHOD="time", SPLIT__TIME_COLUMN="when", DATA__DROP='["when"]')
    made = drifting()
    made.to_csv(settings.root / "table.csv", index=False)
    return made


def weight(model: Any) -> float:
    """Return what the model has learned of the column whose weight grows."""
    rows = pd.DataFrame({"a": [0.0, 1.0], "b": 0.0, "c": 0.0, "when": "2026-02-11T16:00:00"})
    return float(np.diff(model.predict(rows).labels)[0])


def report(version: Version, settings: Settings) -> str:
    registry = open_registry(settings)
    return "".join(attached(registry, version, name) for name in ("report.html", "card.md"))


def test_a_refit_lives_a_whole_life(settings: Settings, table: pd.DataFrame, receiver: Receiver) -> None:
    first, again = retrain(), retrain()
    registry = open_registry(settings)
    champion = registry.champion()
    serving, twin = (
        load_model(registry, champion, project=now()),
        load_evaluated_model(registry, champion, project=now()),
    )
    trained, compared = load_trained_rows(registry, champion), load_evaluated_rows(registry, champion)

    assert [run["verdict"] for run in (first, again)] == ["promoted", "kept"]
    assert champion.lineage["rows"] == {"training": ROWS - HELD_OUT, "holdout": HELD_OUT}
    assert first["refit"] == champion.lineage["refit"] == {"rows": ROWS}
    assert again["refit"] is None
    assert "twin.joblib" not in registry.version(again["version"]).files
    assert weight(serving) > weight(twin) + 0.1, "the newest rows are in what serves"
    assert (len(trained), len(compared), are_known(compared, trained).all()) == (ROWS, ROWS - HELD_OUT, True)
    compared_rows = registry.decisions()[-1].decision["compared_rows"]
    assert compared_rows == HELD_OUT, "the twin never saw the holdout"
    assert "no difference" in again["reason"], "the twin is what the same recipe gives again"
    assert f"refit on all {ROWS:,} labelled rows" in report(champion, settings)
    scored = pd.read_parquet(score()["path"])["prediction"]
    np.testing.assert_allclose(scored, serving.predict(table).labels)
    assert weight(Production(registry, project=now()).current().model) == weight(serving)
    window = monitor()
    assert window["live_rows"] == 0, "it was trained on every row of the table"
    assert not registry.verify()

    drifting(noise=0.01, seed=1).to_csv(settings.root / "table.csv", index=False)
    better = retrain()
    assert better["verdict"] == "promoted"
    registry.rollback(reason="to look again")
    assert weight(Production(registry, project=now()).current().model) == weight(serving)
    assert score()["version"] == first["version"]


class Twice(Ridge):
    """Fails, or learns nothing that is a number, from all rows."""

    def __init__(self, trouble: str = "raises", alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)
        self.trouble = trouble

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Twice":
        super().fit(X, y)
        if len(X) == ROWS and self.trouble == "raises":
            raise ZeroDivisionError("too many rows")
        if len(X) == ROWS:
            self.coef_ = self.coef_ * np.inf
        return self


@pytest.mark.parametrize(
    ("trouble", "said"), [("raises", "too many rows"), ("learns nan", "rmse of its predictions is nan")]
)
def test_a_refit_that_fails_costs_the_newest_rows_alone(
    trouble: str,
    said: str,
    settings: Settings,
    table: pd.DataFrame,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from churn import models

    monkeypatch.setitem(models.ESTIMATORS, "twice", lambda *_: Pipeline([("model", Twice(trouble))]))
    use(monkeypatch, ESTIMATORS='["twice"]')
    recorded = retrain()

    registry = open_registry(settings)
    champion = registry.champion()
    assert (recorded["verdict"], champion.id) == ("promoted", recorded["version"])
    assert said in recorded["refit"]["failed"]
    assert "twin.joblib" not in champion.files
    assert len(load_trained_rows(registry, champion)) == ROWS - HELD_OUT
    assert np.isfinite(weight(load_model(registry, champion, project=now())))
    assert f"Refit: failed ({recorded['refit']['failed']})" in (receiver.payloads[-1]["message"])
    assert "so the evaluated model serves" in report(champion, settings)
    assert retrain()["verdict"] == "kept"


KILLED = """
import os, signal
from sklearn.pipeline import Pipeline
from {package} import flows
fit = Pipeline.fit

def fit_or_die(self, X, y=None, **params):
    if len(X) == {rows}:
        os.kill(os.getpid(), signal.SIGKILL)
    return fit(self, X, y, **params)

Pipeline.fit = fit_or_die
flows.retrain()
"""


def test_a_run_that_is_killed_while_it_fits_once_more_leaves_production_as_it_was(
    settings: Settings, table: pd.DataFrame, server: str
) -> None:
    died = subprocess.run(
        [sys.executable, "-c", KILLED.format(package=PACKAGE, rows=ROWS)],
        env=os.environ | {"PREFECT_API_URL": server, "PYTHONPATH": str(PROJECT.folder.parent)},
        capture_output=True,
        text=True,
    )

    assert died.returncode == -9, died.stderr
    registry = open_registry(settings)
    assert (registry.champion(), registry.decisions(), registry.versions()) == (None, [], [])
    assert not registry.verify()
    assert retrain()["verdict"] == "promoted"


def test_rows_in_the_gap_are_in_neither_part_and_in_what_serves(
    settings: Settings, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, SPLIT__GAP="48 hours")
    retrain()
    assert f"{HELD_OUT} holdout rows, 47 rows in the gap between them" in caplog.text
    registry = open_registry(settings)
    champion = registry.champion()
    assert champion.lineage["split"]["rows_in_gap"] == 47
    assert champion.lineage["rows"] == {"training": ROWS - HELD_OUT - 47, "holdout": HELD_OUT}
    assert len(load_evaluated_rows(registry, champion)) == ROWS - HELD_OUT - 47
    assert len(load_trained_rows(registry, champion)) == ROWS
    assert retrain()["verdict"] == "kept"


def test_what_waits_for_a_person_was_fitted_once_more_too(
    settings: Settings, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, GATE__APPROVAL="true")
    waiting = retrain()
    registry = open_registry(settings)
    registry.promote("staging", reason="looked at")
    assert (waiting["verdict"], waiting["refit"]) == ("staging", {"rows": ROWS})
    assert len(load_trained_rows(registry, registry.champion())) == ROWS


@pytest.mark.parametrize(
    ("refit", "method", "fitted"),
    [("false", "time", None), ("", "hash", None), ("true", "hash", {"rows": ROWS})],
)
def test_the_setting_decides_and_by_default_the_method(
    refit: str,
    method: str,
    fitted: dict[str, int] | None,
    settings: Settings,
    table: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, TRAIN__REFIT=refit, SPLIT__METHOD=method)
    assert retrain()["refit"] == fitted
