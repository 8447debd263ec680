"""The comparison of two models: its inputs, and the scores of both on rows that neither was trained on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..project import OwnMetric
from ..settings import GateSettings
from ._blocks import blocks_of_time
from ._comparability import Champion, find_obstacle, too_few_of_a_class
from ._metrics import Metric, evaluate
from ._predictions import Array, Predictions
from ._resampling import Comparison, Pair, compare


@dataclass(frozen=True)
class Question:
    """The question for the gate: the truth, the metric and the settings of a comparison.

    Attributes:
        y: The truth on the holdout, shape (n,).
        metric: The metric that decides.
        gate: The settings of the gate.
        rows: The holdout rows, with the columns that metrics and `guard_slices` read.
        entities: The entity of each row, shape (n,): all rows of an entity count as one piece of evidence.
        times: The time of each row, shape (n,): rows of one time, or of neighbouring times with similar errors, count
            as one.
        seed: The seed of the resampling; the same seed gives the same decision.
        accept_not_comparable: Whether to promote also where no comparison is possible.
        own_metrics: The team's own metrics by name.
    """

    y: Any
    metric: Metric
    gate: GateSettings
    rows: pd.DataFrame | None = None
    entities: Array | None = None
    times: Array | None = None
    seed: int = 0
    accept_not_comparable: bool = False
    own_metrics: Mapping[str, OwnMetric] | None = None

    def columns(self, metrics: Mapping[str, Metric]) -> pd.DataFrame | None:
        """Return the existing columns that the metrics read; None if they read none."""
        names = {column for metric in metrics.values() for column in metric.columns}
        if self.rows is None or not names:
            return None
        return self.rows[[column for column in self.rows.columns if column in names]]


@dataclass(frozen=True)
class PairedScores:
    """Two models on the rows on which both can be compared.

    Attributes:
        pair: The predictions on these rows; None where an obstacle is found before.
        challenger: The challenger's scores on these rows, by metric.
        rival: The other model's scores, by metric.
        obstacle: The reason why no comparison is possible, as a clause; None if it is possible.
    """

    pair: Pair | None
    challenger: dict[str, float]
    rival: dict[str, float]
    obstacle: str | None


def score_on_common_rows(
    question: Question, challenger: Predictions, rival: Champion, metrics: Mapping[str, Metric], *, name: str
) -> PairedScores:
    """Score two models on the rows that neither was trained on.

    Args:
        question: The question for the gate.
        challenger: Predictions of the holdout rows.
        rival: The model to compare the challenger with.
        metrics: The metrics to compute by name, including the deciding one.
        name: The word for the rival in messages.
    """
    truth = np.asarray(question.y)
    obstacle = find_obstacle(rival, challenger, truth)
    if obstacle is not None or rival.predictions is None:
        return PairedScores(None, {}, {}, obstacle)
    read = question.columns(metrics)
    pair = Pair(truth, rival.predictions, challenger, read, question.entities, question.times)
    mask = rival.comparable_rows(len(truth))
    pair = pair if mask.all() else pair.take(mask)
    ours, theirs = (
        evaluate(predictions, pair.y, metrics=metrics, rows=pair.rows)
        for predictions in (pair.challenger, pair.champion)
    )
    for whose, scores in ((name, theirs), ("challenger", ours)):
        for metric in metrics:
            if obstacle is None and not math.isfinite(scores.get(metric, math.nan)):
                obstacle = f"the {whose} has no finite {metric} on the rows new to both"
    obstacle = obstacle or too_few_of_a_class(pair.y, question.metric, question.gate.confidence)
    return PairedScores(pair, ours, theirs, obstacle)


def compare_by_evidence(question: Question, pair: Pair) -> tuple[Comparison, Pair]:
    """Compare two models, and return the pair with its units of evidence.

    All rows of an entity are one piece of evidence, and so are all rows of a block of time. If both are known, the less
    certain result counts.
    """
    evidence: list[tuple[Array | None, str]] = []
    if pair.entities is not None:
        evidence.append((pair.entities, "entities"))
    if pair.times is not None:
        evidence.append(
            blocks_of_time(
                pair.y,
                pair.champion,
                pair.challenger,
                pair.times,
                problem_type=question.metric.problem_type,
                block=question.gate.block,
            )
        )
    if not evidence:
        evidence.append((None, ""))
    found = [
        (
            compare(
                question.metric,
                replace(pair, entities=units),
                confidence=question.gate.confidence,
                seed=question.seed,
                named=named,
            ),
            replace(pair, entities=units),
        )
        for units, named in evidence
    ]
    return max(found, key=lambda each: each[0].p_value)
