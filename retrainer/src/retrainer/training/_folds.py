"""Cross-validation on the training part, by which one of several candidates, or a threshold, is chosen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..gate import Array, Metric, evaluate, evaluate_thresholds, predict
from ..settings import ProblemType
from ._recipe import needs_probabilities
from ._threads import thread_budget, with_jobs

FOLDS = 5


class FoldError(DataError):
    """The training part cannot be divided into folds."""


def cross_validate_scores(
    pipeline: Any,
    X: pd.DataFrame,
    y: Any,
    *,
    metric: Metric,
    thresholds: Sequence[float | None] = (None,),
    seed: int = 0,
    folds: int = FOLDS,
    groups: Array | None = None,
    times: Array | None = None,
    rows: pd.DataFrame | None = None,
    threads: int | None = None,
) -> Array:
    """Return the mean scores over folds of the training part, by which candidate and threshold are chosen.

    Rows of one group stay in one fold; with times, each fold is judged on rows later than those it learned
    from; otherwise folds are drawn by `seed`, with every class in each. The pipeline itself is left unfitted.

    Args:
        pipeline: Unfitted; cloned for each fold.
        X: The inputs, n rows.
        y: Shape (n,), the truth.
        metric: What to score.
        thresholds: From which probability on the positive class is predicted; None: as the pipeline predicts.
        seed: Draws the folds.
        folds: At most; fewer where a class or the groups do not suffice.
        groups: Shape (n,), see `data.group_codes`.
        times: Shape (n,), see `data.times`; takes precedence over groups.
        rows: The n rows as the source has them, for a metric that reads columns.
        threads: How many threads each fit may use; set it when several run side by side.

    Returns:
        Shape (t,), one for each threshold.

    Raises:
        FoldError: too few rows of a class or too few groups for two folds, or no fold on which the metric is
            defined.
        ConfigurationError: the metric or a threshold needs probabilities, and the classifier has none.
    """
    truth = np.asarray(y)
    divided = make_folds(
        truth, problem_type=metric.problem_type, folds=folds, seed=seed, groups=groups, times=times
    )
    scores = [
        fold_scores(
            pipeline, X, truth, fold, metric=metric, thresholds=thresholds, rows=rows, threads=threads
        )
        for fold in divided
    ]
    return mean_scores(scores, metric=metric.name, rows=len(truth))


def fold_scores(
    pipeline: Any,
    X: pd.DataFrame,
    y: Array,
    fold: tuple[Array, Array],
    *,
    metric: Metric,
    thresholds: Sequence[float | None] = (None,),
    rows: pd.DataFrame | None = None,
    threads: int | None = None,
) -> Array:
    """Return the scores of one fold at t thresholds, shape (t,), nan where the metric is not defined on it.

    Args:
        pipeline: Unfitted; cloned.
        X: The inputs, n rows.
        y: Shape (n,), the truth.
        fold: Positions of the rows to fit and of those to score, one of `make_folds`.
        metric: What to score.
        thresholds: From which probability on the positive class is predicted; None: as the pipeline predicts.
        rows: The n rows as the source has them, for a metric that reads columns.
        threads: How many threads the fit may use.

    Raises:
        ConfigurationError: the metric or a threshold needs probabilities, and the classifier has none.
    """
    from sklearn.base import clone

    train, test = fold
    if metric.problem_type == "classification" and len(pd.unique(y[train])) < 2:
        return np.full(len(thresholds), np.nan)
    with thread_budget(threads):
        fitted = with_jobs(clone(pipeline), threads).fit(X.iloc[train], y[train])
        predictions = predict(fitted, X.iloc[test], problem_type=metric.problem_type)
    of_fold = None if rows is None else rows.iloc[test]
    at = [threshold for threshold in thresholds if threshold is not None]
    if predictions.probabilities is None and (at or metric.needs_probabilities):
        raise needs_probabilities("train.threshold" if at else f"Metric {metric.name!r} (gate.metric)")
    if at:
        return evaluate_thresholds(predictions, y[test], metric=metric, thresholds=at, rows=of_fold)
    return np.array(
        [evaluate(predictions, y[test], metrics={metric.name: metric}, rows=of_fold)[metric.name]]
    )


def mean_scores(scores: Sequence[Array], *, metric: str, rows: int) -> Array:
    """Return the means over those folds of so many rows on which the metric is defined at all, shape (t,).

    Raises:
        FoldError: there is none.
    """
    defined = [of_fold for of_fold in scores if np.isfinite(of_fold).any()]
    if not defined:
        raise FoldError(
            f"Cross-validation found no fold of the {rows} training rows on which {metric} is defined. "
            "Bring more rows, or set split.key_columns or gate.metric otherwise."
        )
    return np.asarray(np.mean(defined, axis=0))


def make_folds(
    y: Array,
    *,
    problem_type: ProblemType,
    folds: int = FOLDS,
    seed: int = 0,
    groups: Array | None = None,
    times: Array | None = None,
) -> list[tuple[Array, Array]]:
    """Return the folds of `cross_validate_scores`: positions to fit and to score; the same input, the same folds.

    Raises:
        FoldError: too few rows of a class or too few groups for two folds.
    """
    from sklearn import model_selection

    rows = np.arange(len(y))
    if times is not None:
        order = np.argsort(times, kind="stable")
        count = min(folds, len(y) - 1)
        if count < 2:
            raise FoldError(
                f"Cross-validation over time needs at least 3 rows, and the training part has {len(y)}."
            )
        splitter: Any = model_selection.TimeSeriesSplit(n_splits=count)
        return [(order[train], order[test]) for train, test in splitter.split(rows)]
    available = len(y)
    what = "rows"
    if groups is not None:
        available, what = len(np.unique(groups)), "groups (split.key_columns)"
    elif problem_type == "classification":
        available, what = int(pd.Series(y).value_counts().min()), "rows of the rarest class"
    count = min(folds, available)
    if count < 2:
        raise FoldError(
            f"Cross-validation needs at least 2 {what} in the training part, which has {available}."
        )
    stratified = problem_type == "classification"
    if groups is not None:
        kind = model_selection.StratifiedGroupKFold if stratified else model_selection.GroupKFold
        return list(kind(n_splits=count, shuffle=True, random_state=seed).split(rows, y, groups))
    kind = model_selection.StratifiedKFold if stratified else model_selection.KFold
    return list(kind(n_splits=count, shuffle=True, random_state=seed).split(rows, y))
