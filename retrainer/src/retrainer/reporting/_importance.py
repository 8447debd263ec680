"""Feature importance: how much worse a fitted pipeline gets when a column is shuffled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..gate import Array, Metric, Predictions, evaluate, predict

ROWS, REPEATS = 500, 3
BATCH_ROWS = 100_000  # predicted at a time


def permutation_importance(
    pipeline: Any,
    X: pd.DataFrame,
    y: Array,
    *,
    metric: Metric,
    columns: Sequence[Any],
    rows: pd.DataFrame | None = None,
    seed: int = 0,
) -> list[tuple[str, float, float]]:
    """Return column, mean and standard deviation of the worsening when its values are permuted (Breiman 2001).

    On a sample of 500 rows, three times each. Many columns are predicted at once: scikit-learn's function
    calls the pipeline for each, and the fixed cost of a call is most of what that takes. The worsening is in
    points of a score, or a share of the error.

    Args:
        pipeline: Fitted.
        X: Shape (n, features).
        y: Shape (n,).
        metric: What gets worse.
        columns: Those to permute.
        rows: The n rows as the source has them, for a metric that reads columns.
        seed: Of the sample and the permutations.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(X))[:ROWS])
    sample, truth = X.iloc[chosen], y[chosen]
    given = None if rows is None else rows.iloc[chosen]
    count = len(chosen)

    def score(predictions: Predictions) -> float:
        return evaluate(predictions, truth, metrics={metric.name: metric}, rows=given)[metric.name]

    before = score(predict(pipeline, sample, problem_type=metric.problem_type))
    found = []
    repeated = sample.iloc[np.tile(np.arange(count), REPEATS)].reset_index(drop=True)
    for start in range(0, len(columns), max(1, BATCH_ROWS // len(repeated))):
        batch = columns[start : start + max(1, BATCH_ROWS // len(repeated))]
        permuted = pd.concat(
            [repeated.assign(**{name: _permuted(repeated[name], count, random)}) for name in batch],
            ignore_index=True,
        )
        predictions = predict(pipeline, permuted, problem_type=metric.problem_type)
        ends = np.arange(0, len(permuted), count)
        costs = [
            -metric.improvement(score(predictions.take(slice(end, end + count))), before) for end in ends
        ]
        for name, of_column in zip(batch, np.reshape(costs, (-1, REPEATS)), strict=True):
            found.append((str(name), float(of_column.mean()), float(of_column.std())))
    return sorted(found, key=lambda one: -one[1])


def _permuted(values: pd.Series, count: int, random: np.random.Generator) -> Any:
    """Permute the values within each repeat of `count` rows."""
    order = [start + random.permutation(count) for start in range(0, len(values), count)]
    return values.take(np.concatenate(order)).array
