"""How often the gate is wrong where the truth is known, beside the rule of the tutorials.

In a rendered project's environment: `python benchmarks/gate_simulation.py`, which prints the tables of
docs/promotion.md and takes an hour or two; `--metrics` and `--rows` print a part of it. The same seed prints the
same figures, in parts too.
"""

import argparse
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from package_in_place import LIBRARY, import_package
from threadpoolctl import threadpool_limits

MARGIN = 0.005
CONFIDENCE = 0.95


ROWS = (30, 100, 1_000, 10_000)
KINDS = {
    "classification": ("balanced", "1 % positives"),
    "regression": ("normal errors", "log-normal errors"),
}


@dataclass
class World:
    """Draws a holdout, and two models that make independent errors of the same kind, one larger or smaller.

    Attributes:
        metric: What the gate compares.
        kind: `balanced` or `1 % positives` of a classification, `normal errors` or `log-normal errors` else.
    """

    metric: Any
    kind: str

    def draw(self, rng: np.random.Generator, rows: int, errors: tuple[float, float]) -> tuple[Any, Any, Any]:
        """Return y and both models' predictions; `errors` scales what each model adds of its own."""
        if self.metric.problem_type == "regression":
            return self._draw_values(rng, rows, errors)
        from project.gate import Predictions

        share = 0.01 if self.kind == "1 % positives" else 0.5
        y = (rng.random(rows) < share).astype(int)
        common = rng.normal(size=rows)
        models = []
        for error in errors:
            score = 3 * y + common + error * rng.normal(size=rows) - 1.5 + np.log(share / (1 - share)) / 3
            chance = 1 / (1 + np.exp(-1.5 * score))
            models.append(
                Predictions((chance > 0.5).astype(int), np.column_stack([1 - chance, chance]), np.array([0, 1]))
            )
        return y, *models

    def _draw_values(self, rng: np.random.Generator, rows: int, errors: tuple[float, float]) -> tuple[Any, Any, Any]:
        from project.gate import Predictions

        def noise() -> Any:
            if self.kind == "normal errors":
                return rng.normal(size=rows)
            return rng.lognormal(sigma=1.5, size=rows) * rng.choice([-1, 1], size=rows)

        y = 10 + rng.normal(size=rows)
        if "log" in self.metric.name or "deviance" in self.metric.name:  # of positive numbers only
            return y, *(Predictions(y * np.exp(0.1 * error * noise())) for error in errors)
        signal = y - 0.5 * rng.normal(size=rows)
        return y, *(Predictions(signal + error * noise()) for error in errors)

    @functools.cached_property
    def better_error(self) -> float | None:
        """The error of a model that is truly better than error 1 by twice the margin; None if none is."""
        from scipy.optimize import brentq

        old = self._true_score(1.0)
        try:
            error = brentq(
                lambda error: self.metric.improvement(self._true_score(error), old) - 2 * MARGIN,
                0.1,
                1.0,
                xtol=1e-4,
            )
        except ValueError:
            return None
        return float(error)

    def _true_score(self, error: float) -> float:
        """Return the score of a model on many rows, which are the same whatever its error."""
        from project.gate import evaluate

        y, model, _ = self.draw(np.random.default_rng(0), 400_000, (error, 1.0))
        return evaluate(model, y, metrics={self.metric.name: self.metric})[self.metric.name]


def run_world(world: World, rows: int, *, retrains: int, seed: int) -> dict[str, str]:
    """Decide about challengers that are equally good, and as many that are better by twice the margin."""
    from project.gate import Champion, Question, decide
    from project.settings import GateSettings

    # The margin plays no part in the test, so that one decision tells what both margins would do.
    gate = GateSettings(min_improvement=0.0, confidence=CONFIDENCE)
    rng = np.random.default_rng(seed)
    found: dict[str, tuple[int, int]] = {}
    for name, error in (("equal", 1.0), ("better", world.better_error)):
        if error is None:
            continue
        decisions = []
        for retrain in range(retrains):
            y, champion, challenger = world.draw(rng, rows, (1.0, error))
            decisions.append(
                decide(Question(y, gate=gate, metric=world.metric, seed=retrain), challenger, Champion(champion))
            )
        gains = [decision.improvement or 0.0 for decision in decisions if decision.promoted]
        found[name] = sum(gain > MARGIN for gain in gains), len(gains)
    better = "not reached" if "better" not in found else str(found["better"][0])
    return {
        "metric": f"`{world.metric.name}`",
        "holdout": world.kind,
        "rows": f"{rows:,}",
        f"equal: promoted, of {retrains}": str(found["equal"][0]),
        f"equal, margin 0: promoted, of {retrains}": str(found["equal"][1]),
        f"better by twice the margin: promoted, of {retrains}": better,
    }


def run_worlds(options: argparse.Namespace) -> None:
    """Print a line for each metric, kind of holdout and number of rows as it is known."""
    from project.gate import METRICS, compare, known_metric

    defaults = dict(compare.__kwdefaults__)
    # The test is exact with 199 exchanges, as it is with the gate's 1,999, and ten times as fast.
    compare.__kwdefaults__["resamples"] = 199
    head = True
    # Another name of the same metric would print the same figures.
    names = {id(metric.measure): name for name, metric in reversed(METRICS.items())}
    for name in options.metrics or [*reversed(names.values()), "neg_mean_pinball_loss_0.9"]:
        metric = known_metric(name)
        for kind in KINDS[metric.problem_type]:
            world = World(metric, kind)
            for rows in options.rows:
                row = run_world(world, rows, retrains=options.retrains, seed=options.seed)
                lines = to_markdown([row]).splitlines()
                print("\n".join(lines if head else lines[2:]), flush=True)
                head = False
    compare.__kwdefaults__.update(defaults)


def run_models(*, tables: int, retrains: int, seed: int) -> list[dict[str, str]]:
    """Retrain real logistic regressions, a run of retrains on each of some tables, under each rule.

    Every retrain fits the same recipe on a random half of its training rows, so that none is better but by
    the luck of the rows. After them comes a recipe that is truly better, because it sees a column the others
    do not: ten fits of it on each table, which meet the same holdout. The truth is the accuracy on further rows.
    """
    rules = {"`candidate > stored score`, reshuffled split": by_stored_score, "the gate": by_gate}
    rows = []
    for name, rule in rules.items():
        found = pd.DataFrame([_run_table(rule, retrains=retrains, seed=seed + at) for at in range(tables)])
        total, mean = found.sum(), found.mean()
        rows.append(
            {
                "rule": name,
                "promotions of noise": f"{total.promotions:.0f} of {tables * retrains}",
                "of them truly no better": f"{total.worse:.0f}",
                "true accuracy, first and last": f"{mean['first']:.4f}, {mean['last']:.4f}",
                "last recorded score less the truth": f"{mean.recorded - mean['last']:+.4f}",
                f"then a recipe truly better by {mean.gain:.4f}": f"{total.after:.0f} of {10 * tables} promoted",
            }
        )
    return rows


@dataclass
class Table:
    """Rows of which the truth is known, and one way to split them that stays."""

    rows: pd.DataFrame
    training: pd.DataFrame
    holdout: pd.DataFrame
    rng: np.random.Generator

    def fit(self, rows: pd.DataFrame, names: list[str]) -> Any:
        """Return a model of a random half of the rows."""
        from sklearn.linear_model import LogisticRegression

        half = rows.sample(frac=0.5, random_state=int(self.rng.integers(1 << 31)))
        return LogisticRegression().fit(half[names], half["y"])


Known = tuple[Any, float]  # a model and its recorded score


def by_stored_score(table: Table, champion: Known | None, names: list[str]) -> Known | None:
    """Return the new champion by the tutorials' rule, or None."""
    shuffled = table.rows.sample(frac=1, random_state=int(table.rng.integers(1 << 31)))
    model = table.fit(shuffled.iloc[4000:], names)
    score = _accuracy(model, shuffled.iloc[:4000])
    return (model, score) if champion is None or score > champion[1] else None


def by_gate(table: Table, champion: Known | None, names: list[str]) -> Known | None:
    """Return the new champion by the gate's rule, or None."""
    from project.gate import METRICS, Champion, Question, decide, predict
    from project.settings import GateSettings

    model = table.fit(table.training, names)
    ours, theirs = (
        one and predict(one, table.holdout[list(one.feature_names_in_)], problem_type="classification")
        for one in (model, champion and champion[0])
    )
    decision = decide(
        Question(
            table.holdout["y"],
            gate=GateSettings(min_improvement=MARGIN, confidence=CONFIDENCE),
            metric=METRICS["accuracy"],
        ),
        ours,
        theirs and Champion(theirs),
    )
    return (model, _accuracy(model, table.holdout)) if decision.promoted else None


def _accuracy(model: Any, rows: pd.DataFrame) -> float:
    return float(np.mean(model.predict(rows[list(model.feature_names_in_)]) == rows["y"]))


def _run_table(rule: Any, *, retrains: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    weights = np.append(rng.normal(size=15) / 2, 0.58)

    def make_rows(count: int) -> pd.DataFrame:
        X = rng.normal(size=(count, len(weights)))
        frame = pd.DataFrame(X, columns=[f"x{number}" for number in range(len(weights))])
        return frame.assign(y=(X @ weights + rng.logistic(size=count) > 0).astype(int))

    rows, truth = make_rows(20_000), make_rows(100_000)
    held_out = rng.random(len(rows)) < 0.2
    table = Table(rows, rows[~held_out], rows[held_out], rng)
    columns = list(rows.columns[:-1])
    fewer = columns[:-1]
    champion = rule(table, None, fewer)
    first = _accuracy(champion[0], truth)
    promotions = worse = 0
    for _ in range(retrains):
        if taken := rule(table, champion, fewer):
            promotions += 1
            worse += _accuracy(taken[0], truth) <= _accuracy(champion[0], truth)
            champion = taken
    last = _accuracy(champion[0], truth)
    gain = _accuracy(table.fit(table.training, columns), truth) - last
    after = sum(rule(table, champion, columns) is not None for _ in range(10))
    return {
        "promotions": promotions,
        "worse": worse,
        "first": first,
        "last": last,
        "recorded": champion[1],
        "gain": gain,
        "after": after,
    }


def to_markdown(rows: list[dict[str, str]]) -> str:
    """Return a table with a row for each of `rows`, whose first keys are its head."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="How often the gate is wrong where the truth is known.")
    parser.add_argument("--package", type=Path, default=LIBRARY, help="folder of the package (default: the template's)")
    parser.add_argument("--retrains", type=int, default=800)
    parser.add_argument("--metrics", nargs="*", help="default: every one")
    parser.add_argument("--rows", nargs="*", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import_package(options.package)
    with threadpool_limits(limits=1):  # products of small matrices: more threads would wait for each other
        run_worlds(options)
        if options.metrics or tuple(options.rows) != ROWS:
            return
        print()
        print(to_markdown(run_models(tables=20, retrains=50, seed=options.seed)))


if __name__ == "__main__":
    main()
