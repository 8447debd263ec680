"""How often the gate is wrong where the truth is known, beside the rule of the tutorials.

In a rendered project's environment: `python benchmarks/gate_simulation.py`. It takes about five minutes and
prints the tables of docs/promotion.md. The same seed prints the same figures.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from package_in_place import TEMPLATE, import_package

MARGIN = 0.005
CONFIDENCE = 0.95


@dataclass(frozen=True)
class World:
    """Draws a holdout and the predictions of two models whose true scores are known.

    Attributes:
        metric: What the gate compares.
        rows: Of the holdout.
        draw: (rng, rows, better) to (y, champion's predictions, challenger's); `better` says whether the
            challenger is truly better by twice the margin, or exactly as good.
    """

    metric: str
    rows: int
    draw: Callable[[np.random.Generator, int, bool], tuple[Any, Any, Any]]


def worlds() -> list[World]:
    """Return one world for each kind of metric: counts, means and rankings."""
    from project.gate import Predictions
    from scipy.optimize import brentq
    from scipy.stats import norm

    classes = np.array([0, 1])

    def draw_classes(rng: np.random.Generator, rows: int, better: bool) -> tuple[Any, Any, Any]:
        """Both right on 90 % of the rows; they disagree on 6 %."""
        gain = 2 * MARGIN * better
        y, side = rng.integers(0, 2, rows), rng.random(rows)
        only_challenger = side < 0.03 + gain / 2
        only_champion = (side < 0.06) & ~only_challenger
        both_wrong = side > 0.93
        labels = [np.where(wrong | both_wrong, 1 - y, y) for wrong in (only_challenger, only_champion)]
        return y, *(Predictions(one, None, classes) for one in labels)

    def draw_values(rng: np.random.Generator, rows: int, better: bool) -> tuple[Any, Any, Any]:
        """Noise of 1 that no model can explain, and an error of 0.3 of each model's own."""
        rmse = np.sqrt(1 + 0.3**2)
        own = np.sqrt((rmse * (1 - 2 * MARGIN * better)) ** 2 - 1)
        signal = rng.normal(size=rows)
        y = signal + rng.normal(size=rows)
        return y, *(Predictions(signal + error * rng.normal(size=rows)) for error in (0.3, own))

    auc = 0.85
    apart = norm.ppf(auc) * np.sqrt(2)
    apart_if_better = brentq(lambda d: norm.cdf(d / np.sqrt(2)) - auc - 2 * MARGIN, 0, 9)

    def draw_rankings(rng: np.random.Generator, rows: int, better: bool) -> tuple[Any, Any, Any]:
        """Scores normal in each class, correlated 0.9 between the models; 20 % positive."""
        y = (rng.random(rows) < 0.2).astype(int)
        common = np.sqrt(0.9) * rng.normal(size=rows)
        models = []
        for distance in (apart, apart_if_better if better else apart):
            chance = norm.cdf(distance * y + common + np.sqrt(0.1) * rng.normal(size=rows))
            models.append(
                Predictions((chance > 0.5).astype(int), np.column_stack([1 - chance, chance]), classes)
            )
        return y, *models

    return [
        World("f1_score", 12_000, draw_classes),
        World("rmse", 25_000, draw_values),
        World("roc_auc", 15_000, draw_rankings),
    ]


def run_world(world: World, *, retrains: int, seed: int) -> dict[str, str]:
    """Decide about challengers that are no better, and as many that are better by twice the margin."""
    from project.gate import METRICS, Champion, decide, evaluate
    from project.settings import GateSettings

    metric = METRICS[world.metric]
    gate = GateSettings(min_improvement=MARGIN, confidence=CONFIDENCE)
    rng = np.random.default_rng(seed)
    counts = {"no better": 0, "confidence alone": 0, "stored score": 0, "better": 0}
    for retrain in range(retrains):
        for better in (False, True):
            y, champion, challenger = world.draw(rng, world.rows, better)
            decision = decide(
                y,
                challenger,
                Champion(champion),
                gate=gate,
                metric=metric,
                seed=retrain,
            )
            counts["better" if better else "no better"] += decision.promoted
            if not better:
                counts["confidence alone"] += decision.interval[0] > 0
                # What a tutorial compares with: the champion's score on the split drawn when it was made.
                old_y, old, _ = world.draw(rng, world.rows, False)
                stored = evaluate(old, old_y, problem_type=metric.problem_type, metrics={metric.name: metric})
                new = decision.challenger[metric.name]
                counts["stored score"] += metric.improvement(new, stored[metric.name]) > 0
    return {
        "metric": metric.label,
        "holdout rows": f"{world.rows:,}",
        "no better: gate promotes": f"{counts['no better']} of {retrains}",
        "no better: confidence alone, margin 0": f"{counts['confidence alone']} of {retrains}",
        "no better: `candidate > stored score`": f"{counts['stored score']} of {retrains}",
        "better by twice the margin: gate promotes": f"{counts['better']} of {retrains}",
    }


def run_models(*, retrains: int, seed: int) -> list[dict[str, str]]:
    """Retrain real logistic regressions on one table, a run of retrains after another, under each rule.

    Every retrain fits the same recipe on a random half of its training rows, so that none is better but by
    the luck of the rows. After them comes a recipe that is truly better, because it sees columns the others
    do not. The truth is the accuracy on 200,000 further rows.
    """
    from project.data import split
    from project.gate import METRICS, Champion, decide, evaluate, predict
    from project.settings import GateSettings, SplitSettings
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    weights = np.append(rng.normal(size=15) / 2, 0.58)

    def make_rows(count: int) -> pd.DataFrame:
        X = rng.normal(size=(count, len(weights)))
        frame = pd.DataFrame(X, columns=[f"x{number}" for number in range(len(weights))])
        return frame.assign(y=(X @ weights + rng.logistic(size=count) > 0).astype(int))

    table, truth = make_rows(20_000), make_rows(200_000)
    columns = list(table.columns[:-1])
    fewer = columns[:-1]

    def fit(rows: pd.DataFrame, names: list[str]) -> Any:
        half = rows.sample(frac=0.5, random_state=int(rng.integers(1 << 31)))
        return LogisticRegression().fit(half[names], half["y"])

    def accuracy(model: Any, rows: pd.DataFrame) -> float:
        return float(np.mean(model.predict(rows[list(model.feature_names_in_)]) == rows["y"]))

    def by_stored_score(champion: tuple[Any, float] | None, names: list[str]) -> tuple[Any, float] | None:
        shuffled = table.sample(frac=1, random_state=int(rng.integers(1 << 31)))
        model = fit(shuffled.iloc[4000:], names)
        score = accuracy(model, shuffled.iloc[:4000])
        return (model, score) if champion is None or score > champion[1] else None

    parts = split(table, settings=SplitSettings(), problem_type="classification", target="y")
    gate = GateSettings(min_improvement=MARGIN, confidence=CONFIDENCE)

    def by_gate(champion: tuple[Any, float] | None, names: list[str]) -> tuple[Any, float] | None:
        model = fit(parts.train, names)
        predictions = [
            None
            if one is None
            else predict(one, parts.holdout[list(one.feature_names_in_)], problem_type="classification")
            for one in (model, champion and champion[0])
        ]
        decision = decide(
            parts.holdout["y"],
            predictions[0],
            predictions[1] and Champion(predictions[1]),
            gate=gate,
            metric=METRICS["accuracy"],
        )
        score = evaluate(predictions[0], parts.holdout["y"], problem_type="classification")["accuracy"]
        return (model, score) if decision.promoted else None

    tables = []
    for name, rule in (
        ("`candidate > stored score`, reshuffled split", by_stored_score),
        ("the gate", by_gate),
    ):
        champion = rule(None, fewer)
        first = accuracy(champion[0], truth)
        promotions = worse = 0
        for _ in range(retrains):
            if taken := rule(champion, fewer):
                promotions += 1
                worse += accuracy(taken[0], truth) <= accuracy(champion[0], truth)
                champion = taken
        better = [fit(parts.train, columns) for _ in range(10)]
        gain = np.mean([accuracy(model, truth) for model in better]) - accuracy(champion[0], truth)
        after = sum(rule(champion, columns) is not None for _ in range(100))
        tables.append(
            {
                "rule": name,
                "promotions of noise": f"{promotions} of {retrains}",
                "of them truly no better": str(worse),
                "true accuracy, first and last": f"{first:.4f}, {accuracy(champion[0], truth):.4f}",
                "last recorded score less the truth": f"{champion[1] - accuracy(champion[0], truth):+.4f}",
                f"then a recipe truly better by {gain:.4f}": f"{after} of 100 promoted",
            }
        )
    return tables


def to_markdown(rows: list[dict[str, str]]) -> str:
    """Return a table with a row for each of `rows`, whose first keys are its head."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="How often the gate is wrong where the truth is known.")
    parser.add_argument(
        "--package", type=Path, default=TEMPLATE, help="folder of the package (default: the template's)"
    )
    parser.add_argument("--retrains", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import_package(options.package)
    print(to_markdown([run_world(world, retrains=options.retrains, seed=options.seed) for world in worlds()]))
    print()
    print(to_markdown(run_models(retrains=options.retrains, seed=options.seed)))


if __name__ == "__main__":
    main()
