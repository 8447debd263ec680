"""Save what later releases must load: `python -m tests.registry.releases.save 2026-11`, once a release.

Each folder holds a registry with a version for each kind of preprocessing, rows, and what they predict for them.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from retrainer.data import FeatureCode, prepare
from retrainer.registry import LocalStore, Registry
from retrainer.training import Model

from ...conftest import PROJECT, load_settings, make_pipeline

AS_THEY_STAND = "def label(frame):\n    return frame\n\n\ndef features(frame):\n    return frame\n"


def make_rows(count: int = 60) -> pd.DataFrame:
    """Return rows with a column of every kind."""
    rng = np.random.default_rng(0)
    amount = rng.normal(size=count).round(3)
    return pd.DataFrame(
        {
            "amount": amount,
            "plan": rng.choice(["basic", "pro"], size=count),
            "active": rng.random(count) < 0.5,
            "since": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, size=count), unit="D"),
            "note": [f"called {row % 7} times about {'money' if row % 3 else 'a parcel'}" for row in range(count)],
            "target": np.where(amount > 0, "yes", "no"),
        }
    )


def save(folder: Path) -> None:
    """Write the registry, the rows and the predictions into a new folder."""
    rows = make_rows()
    folder.mkdir()
    rows.to_csv(folder / "rows.csv", index=False)
    settings = load_settings(problem_type="classification", data={"source": "sample", "target": "target"})
    registry = Registry(LocalStore(folder / "models"), metric="f1_score")
    expected = {}
    for estimator in ("linear", "random_forest", "hist_gradient_boosting"):
        table = prepare(rows, settings=settings, code=FeatureCode(AS_THEY_STAND, project=PROJECT))
        pipeline = make_pipeline(estimator, problem_type="classification", seed=0)
        if estimator != "linear":
            pipeline.set_params(**{"model__n_estimators" if "forest" in estimator else "model__max_iter": 3})
        model = Model(pipeline, table.contract, table.code)
        pipeline.fit(model.inputs(table.rows), table.rows["target"])
        version = registry.stage(pipeline, metrics={}, lineage={}, files=model.files(table.identities))
        probabilities = model.predict(rows).probabilities
        assert probabilities is not None
        expected[version.id] = probabilities.tolist()
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


if __name__ == "__main__":
    save(Path(__file__).parent / sys.argv[1])
