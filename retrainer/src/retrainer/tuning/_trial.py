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
    """What a trial found.

    Attributes:
        state: `complete`; `pruned` where it was worse than most; `stopped` by the time limit.
        means: The mean score of the folds so far, after each of them.
        seconds: That it took.
        folds: How many there are.
    """

    state: Literal["complete", "pruned", "stopped"]
    means: tuple[float, ...]
    seconds: float
    folds: int


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
        inputs: Of the training part.
        estimator: Its name.
        parameters: That differ from those of today.
        medians: Of the complete trials' means after each fold; empty where these are too few.
        deadline: In seconds since the epoch; no fold begins after it.
        threads: How many threads each fit may use.
        project: Whose it is.

    Raises:
        UndefinedScoreError: the score is not a number.
    """
    started, metric = time.monotonic(), pipeline.selection_metric(project)
    divided = training.make_folds(inputs)
    scores: list[Array] = []
    means: list[float] = []

    def outcome(state: Literal["complete", "pruned", "stopped"]) -> Outcome:
        return Outcome(state, tuple(means), time.monotonic() - started, len(divided))

    for number, fold in enumerate(divided):
        if time.time() >= deadline:
            return outcome("stopped")
        if number and medians and metric.improvement(means[-1], medians[number - 1]) < 0:
            return outcome("pruned")
        scores.append(
            training.fold_scores(
                training.make_pipeline(estimator, project=project).set_params(**parameters),
                inputs,
                fold,
                metric=metric,
                thresholds=training.possible_thresholds(project.settings.train.threshold),
                threads=threads,
            )
        )
        means.append(_mean(scores, metric))
    if not math.isfinite(means[-1]):
        raise UndefinedScoreError(f"{metric.label} of the predictions is {means[-1]}.")
    return outcome("complete")


def _mean(scores: Sequence[Array], metric: Metric) -> float:
    """Return the mean over folds at the best threshold; nan where the metric is defined on none of them."""
    try:
        means = training.mean_scores(scores, metric=metric.name, rows=0)
    except training.FoldError:
        return math.nan
    return float(np.nanmax(means) if metric.greater_is_better else np.nanmin(means))
