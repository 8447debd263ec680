"""How often the gate promotes noise as a first model, and equal models whose errors last a while, by a time split.

`PYTHONPATH=retrainer/src python benchmarks/gate_first_and_time.py` prints both tables of docs/promotion.md; `--runs`
says how many retrains a line has. The same seed prints the same figures.
"""

import argparse
from typing import Any

import numpy as np
import pandas as pd
from retrainer.gate import METRICS, Champion, Predictions, Question, Rival, apply_baseline_and_holds, decide, get_metric
from retrainer.settings import GateSettings, SplitSettings
from retrainer.training import baseline
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

WEIGHTED, THRESHOLD = ", classes weighted", ", with a threshold"
OWN_NOISE = 0.3  # of each row, beside the errors that last


def first_promoted(
    metric_name: str, how: str, rows: int, share: float, signal: float, rng: np.random.Generator
) -> bool:
    """Train a linear model on columns that say little or nothing, and ask the gate about it as the first one."""
    X = rng.normal(size=(2 * rows, 5))
    if metric_name in ("rmse", "mae"):
        y = signal * X[:, 0] + rng.standard_t(3, size=2 * rows)
        model = Ridge().fit(X[:rows], y[:rows])
        challenger, problem_type = Predictions(model.predict(X[rows:])), "regression"
    else:
        y = (rng.random(2 * rows) < 1 / (1 + np.exp(-np.log(share / (1 - share)) - signal * X[:, 0]))).astype(int)
        if min(y[:rows].sum(), y[rows:].sum()) < 5:
            return False
        model = LogisticRegression(class_weight="balanced" if how == WEIGHTED else None).fit(X[:rows], y[:rows])
        chance = model.predict_proba(X[rows:])
        labels = (chance[:, 1] >= share).astype(int) if how == THRESHOLD else chance.argmax(axis=1)
        challenger, problem_type = Predictions(labels, chance, model.classes_), "classification"
    metric: Any = get_metric(metric_name, problem_type=problem_type)
    table = pd.DataFrame(X).assign(y=y)
    simple = baseline(table[:rows], table[rows:], target="y", metric=metric, split=SplitSettings())
    proper = Champion(simple.proper) if simple.proper else None
    question = Question(y[rows:], metric, GateSettings(), seed=int(rng.integers(1 << 31)))
    rival = Rival(simple.name, Champion(simple.predictions), proper=proper)
    return apply_baseline_and_holds(decide(question, challenger, None), question, challenger, baseline=rival).promoted


def lasting_promoted(rows: int, lasting: int, block: str | None, rng: np.random.Generator) -> tuple[bool, bool]:
    """Let two equally good models meet whose errors last so many rows; return what blocks and rows alone decide."""

    def lasting_errors() -> Any:
        start = int(rng.integers(lasting))
        return rng.normal(size=rows // lasting + 2).repeat(lasting)[start : start + rows]

    y = rng.normal(size=rows)
    champion, challenger = (Predictions(y + lasting_errors() + OWN_NOISE * rng.normal(size=rows)) for _ in range(2))
    asked = {"seed": int(rng.integers(1 << 31)), "times": np.arange(rows) * 60_000_000}
    found = [
        decide(
            Question(y, METRICS["rmse"], GateSettings(min_improvement=0.0, block=each), **asked),
            challenger,
            Champion(champion),
        ).promoted
        for each in (block, "1 row")
    ]
    return found[0], found[1]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", choices=("first", "time"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, nargs="+", help="default: 100 and 1,000; by time 500, 1,000 and 2,000")
    options = parser.parse_args()
    with threadpool_limits(limits=1):
        if options.only != "time":
            print_first_models(options)
            print()
        if options.only != "first":
            print_lasting_errors(options)


def print_first_models(options: argparse.Namespace) -> None:
    """Print how often a first model is promoted that knows nothing, and one that knows a little."""
    runs = options.runs
    print(f"| metric | holdout rows | positives | noise: promoted, of {runs} | some signal: promoted, of {runs} |")
    print("|---|---|---|---|---|")
    for metric, how, share in (
        ("f1_score", "", 0.25),
        ("f1_score", "", 0.5),
        ("f1", WEIGHTED, 0.25),
        ("f1", THRESHOLD, 0.25),
        ("roc_auc", "", 0.1),
        ("rmse", "", 0.5),
        ("mae", "", 0.5),
    ):
        for rows in options.rows or (100, 1_000):
            rng = np.random.default_rng(options.seed)
            noise, some = (
                sum(first_promoted(metric, how, rows, share, signal, rng) for _ in range(runs)) for signal in (0.0, 0.4)
            )
            shown = f"{share:.0%}" if METRICS[metric].problem_type == "classification" else ""
            print(f"| `{metric}`{how} | {rows:,} | {shown} | {noise} | {some} |", flush=True)


def print_lasting_errors(options: argparse.Namespace) -> None:
    """Print how often one of two equally good models is promoted whose errors last."""
    runs = options.runs
    print(f"| rows | errors last, rows | blocks found: promoted, of {runs} | each row by itself: promoted, of {runs} |")
    print("|---|---|---|---|")
    for rows in options.rows or (500, 1_000, 2_000):
        for lasting in (1, 5, 20, 100):
            rng = np.random.default_rng(options.seed)
            found = np.array([lasting_promoted(rows, lasting, None, rng) for _ in range(runs)]).sum(axis=0)
            print(f"| {rows:,} | {lasting} | {found[0]} | {found[1]} |", flush=True)


if __name__ == "__main__":
    main()
