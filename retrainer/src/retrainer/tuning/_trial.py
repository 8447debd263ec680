"""One trial: parameters, scored fold by fold, and given up where it is clear that they are worse than most."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import pipeline, training
from ..errors import DataError
from ..gate import Array, Metric
from ..project import Project


@dataclass(frozen=True)
class Outcome:
    """The result of a trial.

    Attributes:
        state: `complete`; `pruned` if it was worse than most; `stopped` by the time limit.
        means: The mean score of the folds so far, after each fold.
        seconds: The duration in seconds.
        folds: The number of folds.
        scores: The score of each fold of a complete trial, at the threshold that is best over all folds.
    """

    state: Literal["complete", "pruned", "stopped"]
    means: tuple[float, ...]
    seconds: float
    folds: int
    scores: tuple[float, ...] = ()


class UndefinedScoreError(DataError):
    """The score of a trial is not a number."""


def score_trial(
    inputs: training.FoldInputs,
    *,
    estimator: str,
    parameters: Mapping[str, Any],
    medians: Sequence[float],
    deadline: float,
    threads: int | None,
    project: Project,
) -> Outcome:
    """Score an estimator with some parameters by the cross-validation of a retrain.

    Args:
        inputs: The inputs of the training part.
        estimator: The name of the estimator.
        parameters: Parameters that differ from the current ones.
        medians: The median of the complete trials' mean scores after each fold; empty if there are too few trials.
        deadline: The time after which no fold begins, in seconds since 1970.
        threads: The number of threads that each fit may use.
        project: The project.

    Raises:
        UndefinedScoreError: the score is not a number.
    """
    started, metric = time.monotonic(), pipeline.selection_metric(project)
    divided = training.make_folds(inputs)
    found: list[Array] = []
    means: list[float] = []
    best: Array = np.empty(0)

    def outcome(state: Literal["complete", "pruned", "stopped"]) -> Outcome:
        scores = tuple(map(float, best)) if state == "complete" else ()
        return Outcome(state, tuple(means), time.monotonic() - started, len(divided), scores)

    for number, fold in enumerate(divided):
        if time.time() >= deadline:
            return outcome("stopped")
        if number and medians and metric.improvement(means[-1], medians[number - 1]) < 0:
            return outcome("pruned")
        found.append(
            training.fold_scores(
                training.make_pipeline(estimator, project=project).set_params(**parameters),
                inputs,
                fold,
                metric=metric,
                thresholds=training.possible_thresholds(project.settings.train.threshold),
                threads=threads,
            )
        )
        best = _at_best_threshold(found, metric)
        means.append(float(np.nanmean(best)) if np.isfinite(best).any() else math.nan)
    if not math.isfinite(means[-1]):
        raise UndefinedScoreError(f"{metric.label} of the predictions is {means[-1]}.")
    return outcome("complete")


def _at_best_threshold(scores: Sequence[Array], metric: Metric) -> Array:
    """Return the score of each fold at the threshold that is best over all; nan where the metric is not defined."""
    try:
        means = training.mean_scores(scores, metric=metric.name, rows=0)
    except training.FoldError:
        return np.full(len(scores), math.nan)
    best = np.nanargmax(means) if metric.greater_is_better else np.nanargmin(means)
    return np.array([of_fold[best] for of_fold in scores])
