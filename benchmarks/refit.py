"""What it is worth to fit a promoted recipe once more on all labelled rows, by method of the split.

In a rendered project's environment: `python benchmarks/refit.py`. Each line is many tables of 10 periods of time, in
which the truth stays or drifts. A table is split by the project's own code, the recipe is fitted on the training part
(the model that the gate compares) and once more on all rows (the refit), and both predict the period after the last
one. Printed is how much lower the refit's RMSE is, on average with its standard error, and how often the refit is the
worse one.
"""

import argparse
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from package_in_place import import_package

PERIODS, COLUMNS, NOISE = 10, 8, 1.0
DRIFT = {"none": 0.0, "slow": 0.05, "fast": 0.2}  # by how much each coefficient moves in a period
METHODS = {
    "hash": {"method": "hash"},
    "time": {"method": "time", "time_column": "when"},
    "source": {"method": "source", "source": "newest.csv"},  # the newest period
}


def make_periods(rows: int, drift: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table of 11 periods: numbers, the time, and a target whose coefficients walk at random."""
    period = np.sort(rng.integers(0, PERIODS, rows))
    period = np.append(period, np.full(1_000, PERIODS))
    X = rng.normal(size=(len(period), COLUMNS))
    steps = drift * rng.normal(size=(PERIODS + 1, COLUMNS))
    beta = rng.normal(size=COLUMNS) + np.cumsum(steps, axis=0)
    frame = pd.DataFrame(X, columns=[f"x{number}" for number in range(COLUMNS)])
    frame["target"] = (X * beta[period]).sum(axis=1) + NOISE * rng.normal(size=len(period))
    frame["when"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(period, unit="D")
    return frame


def errors(frame: pd.DataFrame, method: str, estimator: str, seed: int) -> tuple[float, float]:
    """Return the RMSE of the compared model and of the refit in the period after the last one."""
    from project import data, models
    from project.settings import DataSettings, SplitSettings

    settings: Any = SimpleNamespace(  # config.toml of the template is not rendered
        problem_type="regression",
        data=DataSettings(source="sample", target="target", drop=("when",)),
        split=SplitSettings.model_validate(METHODS[method]),
    )
    code = data.FeatureCode("def label(frame): return frame\ndef features(frame): return frame\n")
    last = frame["when"].max()
    past, future = frame[frame["when"] < last], frame[frame["when"] == last]
    holdout = None
    if method == "source":
        newest = past["when"] == past["when"].max()
        past, holdout = past[~newest], past[newest]
    table = data.prepare(past.reset_index(drop=True), settings=settings, code=code)
    if holdout is not None:
        holdout = data.prepare_like(holdout.reset_index(drop=True), table, settings=settings)
    sides = data.split(table, settings=settings.split, problem_type="regression", holdout=holdout)
    rmse = []
    for rows in (sides.train, pd.concat([sides.train, sides.holdout])):
        model = models.make_pipeline(estimator, problem_type="regression", seed=seed)
        X, ahead = (data.inputs(part, contract=table.contract, code=code) for part in (rows, future))
        predicted = model.fit(X, rows["target"]).predict(ahead)
        rmse.append(float(np.sqrt(np.mean((future["target"] - predicted) ** 2))))
    return rmse[0], rmse[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--estimator", default="linear")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    import_package()
    print("| split.method | drift | rows | RMSE, compared | RMSE, refit | lower by | refit worse |")
    print("|---|---|---|---|---|---|---|")
    for method in METHODS:
        for drift, step in DRIFT.items():
            for rows in arguments.rows:
                found = np.array(
                    [
                        errors(
                            make_periods(rows, step, np.random.default_rng([seed, rows])),
                            method,
                            arguments.estimator,
                            seed,
                        )
                        for seed in range(arguments.runs)
                    ]
                )
                gain = 1 - found[:, 1] / found[:, 0]
                spread = gain.std() / np.sqrt(len(gain))
                compared, refit = found.mean(axis=0)
                print(
                    f"| `{method}` | {drift} | {rows:,} | {compared:.3f} | {refit:.3f} |"
                    f" {gain.mean():.1%} ± {spread:.1%} | {np.mean(gain < 0):.0%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
