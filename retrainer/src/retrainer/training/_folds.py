"""Cross-validation on the training part, which selects one of several candidates, or a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..gate import Array, Metric, evaluate, evaluate_thresholds, predict
from ..settings import ProblemType
from ._candidates import translate_estimator_errors
from ._recipe import needs_probabilities
from ._threads import thread_budget, with_jobs

FOLDS = 5


class FoldError(DataError):
    """The training rows cannot be divided into folds."""


@dataclass(frozen=True)
class FoldInputs:
    """The inputs of cross-validation, from the training part.

    Attributes:
        X: The inputs, n rows.
        y: The truth, shape (n,).
        problem_type: Whether the target is a class or a number.
        seed: The seed of the folds.
        groups: The group of each row, shape (n,): all rows of a group are in one fold; see `data.group_codes`.
        times: The time of each row, shape (n,): each fold is scored on later rows than it was fitted on, whatever the
            groups; see `data.times`.
        rows: The n rows with the columns that the metric reads; None if it reads none.
    """

    X: pd.DataFrame
    y: Array
    problem_type: ProblemType
    seed: int = 0
    groups: Array | None = None
    times: Array | None = None
    rows: pd.DataFrame | None = None


def cross_validate_scores(
    pipeline: Any,
    inputs: FoldInputs,
    *,
    metric: Metric,
    thresholds: Sequence[float | None] = (None,),
    threads: int | None = None,
) -> Array:
    """Return the mean scores over the folds at t thresholds, shape (t,); the pipeline itself is left unfitted.

    Args:
        pipeline: The unfitted pipeline; it is cloned for each fold.
        inputs: The inputs of the training part.
        metric: The metric to compute.
        thresholds: The thresholds at or above which the positive class is predicted; None takes the pipeline's own
            predictions.
        threads: The number of threads of each fit; set it if several fits run in parallel.

    Raises:
        FoldError: there are fewer than two folds, or none on which the metric is defined.
        ConfigurationError: the metric or a threshold needs probabilities, and the classifier has none.
    """
    scores = [
        fold_scores(pipeline, inputs, fold, metric=metric, thresholds=thresholds, threads=threads)
        for fold in make_folds(inputs)
    ]
    return mean_scores(scores, metric=metric.name, rows=len(inputs.y))


def fold_scores(
    pipeline: Any,
    inputs: FoldInputs,
    fold: tuple[Array, Array],
    *,
    metric: Metric,
    thresholds: Sequence[float | None] = (None,),
    threads: int | None = None,
) -> Array:
    """Return the scores of one fold of `make_folds`, shape (t,); nan where the metric is not defined."""
    from sklearn.base import clone

    (train, test), y = fold, inputs.y
    if inputs.problem_type == "classification" and len(pd.unique(y[train])) < 2:
        return np.full(len(thresholds), np.nan)
    with thread_budget(threads), translate_estimator_errors():
        fitted = with_jobs(clone(pipeline), threads).fit(inputs.X.iloc[train], y[train])
        predictions = predict(fitted, inputs.X.iloc[test], problem_type=inputs.problem_type)
    rows = None if inputs.rows is None else inputs.rows.iloc[test]
    at = [threshold for threshold in thresholds if threshold is not None]
    if predictions.probabilities is None and (at or metric.needs_probabilities):
        raise needs_probabilities("train.threshold" if at else f"Metric {metric.name!r} (gate.metric)")
    if at:
        return evaluate_thresholds(predictions, y[test], metric=metric, thresholds=at, rows=rows)
    return np.array(list(evaluate(predictions, y[test], metrics={metric.name: metric}, rows=rows).values()))


def mean_scores(scores: Sequence[Array], *, metric: str, rows: int) -> Array:
    """Return the mean scores over the folds on which the metric is defined, shape (t,)."""
    defined = [of_fold for of_fold in scores if np.isfinite(of_fold).any()]
    if not defined:
        raise FoldError(
            f"Cross-validation found no fold of the {rows} training rows on which {metric} is defined. "
            "Add rows, or change split.key_columns or gate.metric."
        )
    return np.asarray(np.mean(defined, axis=0))


def make_folds(inputs: FoldInputs, folds: int = FOLDS) -> list[tuple[Array, Array]]:
    """Return pairs of row positions to fit and to score on, at most `folds` pairs; the same inputs give the same folds.

    Raises:
        FoldError: there are too few rows, rows of a class, or groups for two folds.
    """
    from sklearn import model_selection

    y, rows = inputs.y, np.arange(len(inputs.y))
    stratified = inputs.problem_type == "classification"
    available, what = len(y), "rows"
    if inputs.times is not None:
        available -= 1
    elif inputs.groups is not None:
        available, what = len(np.unique(inputs.groups)), "groups (split.key_columns)"
    elif stratified:
        available, what = int(pd.Series(y).value_counts().min()), "rows of the rarest class"
    count = min(folds, available)
    if count < 2:
        needed = 2 if inputs.times is None else 3
        has = available + needed - 2
        raise FoldError(f"Cross-validation needs at least {needed} {what} in the training part, which has {has}.")
    if inputs.times is not None:
        order = np.argsort(inputs.times, kind="stable")
        splitter: Any = model_selection.TimeSeriesSplit(n_splits=count)
        return [(order[train], order[test]) for train, test in splitter.split(rows)]
    name = f"{'Stratified' if stratified else ''}{'' if inputs.groups is None else 'Group'}KFold"
    splitter = getattr(model_selection, name)(n_splits=count, shuffle=True, random_state=inputs.seed)
    return list(splitter.split(rows, y, inputs.groups))
