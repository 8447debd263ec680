"""What a fitted pipeline goes by: how much worse it gets when a column is shuffled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .evaluation import Array, Metric, Predictions, evaluate, predict
from .settings import ProblemType

ROWS, REPEATS = 1000, 3


def permutation_importance(
    pipeline: Any,
    X: pd.DataFrame,
    y: Array,
    *,
    metric: Metric,
    problem_type: ProblemType,
    columns: Sequence[Any],
    seed: int = 0,
) -> list[tuple[str, float, float]]:
    """Return column, mean and standard deviation of the worsening when its values are permuted (Breiman 2001).

    On a sample of 1,000 rows, three times each. All repeats of a column are predicted at once: the fixed cost
    of a pipeline's call is what makes scikit-learn's function slow here. The worsening is in points of a
    score, or a share of the error.

    Args:
        pipeline: Fitted.
        X: Shape (n, features).
        y: Shape (n,).
        metric: What gets worse.
        problem_type: How to predict.
        columns: Those to permute.
        seed: Of the sample and the permutations.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(X))[:ROWS])
    sample, truth = X.iloc[chosen], y[chosen]
    count = len(chosen)

    def score(predictions: Predictions) -> float:
        return evaluate(predictions, truth, problem_type=problem_type, metrics={metric.name: metric})[
            metric.name
        ]

    before = score(predict(pipeline, sample, problem_type=problem_type))
    repeated = sample.iloc[np.tile(np.arange(count), REPEATS)].reset_index(drop=True)
    found = []
    for name in columns:
        order = np.concatenate([random.permutation(count) for _ in range(REPEATS)])
        permuted = repeated.assign(**{name: repeated[name].take(order).array})
        predictions = predict(pipeline, permuted, problem_type=problem_type)
        costs = [
            -metric.improvement(score(take(predictions, slice(start, start + count))), before)  # type: ignore[arg-type]
            for start in range(0, len(order), count)
        ]
        found.append((str(name), float(np.mean(costs)), float(np.std(costs))))
    return sorted(found, key=lambda one: -one[1])


def take(predictions: Predictions, rows: Array) -> Predictions:
    """Return the predictions of some rows, given as a mask or as positions."""
    probabilities = predictions.probabilities
    return Predictions(
        np.asarray(predictions.labels)[rows],
        None if probabilities is None else probabilities[rows],
        predictions.classes,
    )
