"""Alarms: what a person should check. They stand beside a decision and are never a reason for it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ._comparability import Champion
from ._decision import Decision
from ._measures import ClassCounts, Losses
from ._metrics import Metric, evaluate
from ._predictions import Array, Predictions
from ._question import Question
from ._resampling import standard_error
from ._samples import Sample

_RARE = 0.05  # a class with a smaller share of the rows
_HARDLY = 0.05  # a metric that changes by less, whether all rows of a class are found or none
_FAR, _FAR_SHARE = 0.02, 0.1  # points of a score, share of an error
_SIGNIFICANCE = 0.001
_FEWEST = 5  # rows of a class that is never predicted
_FEW_SHARE, _MOST_ERROR, _NAMED, _ENOUGH = 0.005, 0.5, 0.95, 100  # so few of the rows make more than half of the error


@dataclass(frozen=True)
class Change:
    """The difference between a model's score on some rows and its recorded score on others.

    Attributes:
        worse: The loss, in the units of `Metric.improvement`; negative when the score is better.
        p_value: The probability of at least such a loss by chance.
    """

    worse: float
    p_value: float


def change(metric: Metric, *, now: float, recorded: float, error: float, rows: int, recorded_rows: int) -> Change:
    """Compare a score with a recorded one whose rows no longer exist.

    Both are scores of the same model, so both get the same uncertainty, adjusted by the number of rows.

    Args:
        metric: The metric of both scores.
        now: The score on the present rows.
        recorded: The recorded score.
        error: The standard error of the present score; see `standard_error`. With nan nothing is certain.
        rows: The number of present rows.
        recorded_rows: The number of rows of the recorded score.
    """
    from scipy.stats import t

    worse = -metric.improvement(now, recorded)
    spread = error * math.sqrt(1 + rows / recorded_rows)
    spread /= abs(recorded) if metric.relative and recorded else 1.0
    if math.isnan(spread):
        return Change(worse, 1.0)
    if spread == 0:
        return Change(worse, 0.0 if worse > 0 else 1.0)
    return Change(worse, float(t.sf(worse / spread, df=max(1, min(rows, recorded_rows) - 1))))


def alarms(
    decision: Decision, question: Question, challenger: Predictions, champion: Champion | None
) -> tuple[str, ...]:
    """Return alarms about classes that hardly count in the metric, and about a changed champion score.

    Args:
        decision: The decision, as `decide` returned it.
        question: The question that `decide` answered.
        challenger: Predictions of the n holdout rows.
        champion: The model in production; None without one.
    """
    truth, metric = np.asarray(question.y), question.metric
    found = [*_hardly_seen(truth, challenger, metric)]
    if champion is not None:
        found += _far_from_recorded(decision, question, champion)
    return tuple(found)


def _hardly_seen(y: Any, challenger: Predictions, metric: Metric) -> Iterator[str]:
    if metric.problem_type != "classification":
        return
    counts = pd.Series(y).value_counts()
    for name, count in counts.items():
        share = count / len(y)
        recall = float(np.mean(challenger.labels[y == name] == name))
        effect = _effect_of(name, y, challenger, metric, common=counts.index[0]) if share < _RARE else 1.0
        if recall < 0.5 and effect < _HARDLY:
            yield (
                f"Class {name!r} is {share:.1%} of the holdout rows, and the challenger predicts {recall:.0%} of these "
                f"correctly. {metric.label[:1].upper()}{metric.label[1:]} changes by {effect:.3f} at most "
                "with all of them. balanced_accuracy or f1_macro notices them (gate.metric or gate.guard_metrics)."
            )
        elif count >= _FEWEST and not np.any(challenger.labels == name):
            todo = (
                'a `train.threshold` finds it ("tuned" looks for the best)'
                if len(counts) == 2
                else "bring more rows of it, or merge it with another in label() of features.py"
            )
            yield f"Class {name!r} is {share:.1%} of the rows, and the challenger never predicts it: {todo}."


def _effect_of(name: Any, y: Any, challenger: Predictions, metric: Metric, *, common: Any) -> float:
    """Return by how much the metric differs when all rows of a class are found and when none is."""
    if not isinstance(metric.measure, ClassCounts) or metric.one_class:
        return 1.0
    mine, other = y == name, np.where(challenger.labels == name, common, challenger.labels)
    found, missed = (
        evaluate(replace(challenger, labels=labels), y, metrics={metric.name: metric})[metric.name]
        for labels in (np.where(mine, y, other), np.where(mine, common, other))
    )
    return abs(found - missed)


def few_rows(y: Any, predictions: Predictions, metric: Metric, *, where: str) -> Iterator[str]:
    """Yield an alarm where a few rows cause most of the squared error, so that the metric depends little on the others.

    Args:
        y: The truth, shape (n,).
        predictions: Predictions of the n rows.
        metric: The metric.
        where: The word for the rows: `training` or `holdout`.
    """
    y = np.asarray(y)
    worst, share = worst_rows(y, predictions, metric)
    if not len(worst):
        return
    values = ", ".join(f"{value:.4g}" for value in y[worst[:4]])
    yield (
        f"{len(worst):,} of the {len(y):,} {where} rows cause {share:.0%} of the squared error; their values are "
        f"{values}{', …' if len(worst) > 4 else ''}. {metric.label} depends little on the other rows. If the values are"
        ' impossible, drop or clip such rows in label() of features.py; otherwise gate.metric = "mae" weighs all rows.'
    )


def worst_rows(y: Any, predictions: Predictions, metric: Metric) -> tuple[Array, float]:
    """Return the positions of the few rows that cause most of the squared error, and their share of it.

    There are none if no few rows cause most of it, or the metric does not measure squared errors.

    Args:
        y: The truth, shape (n,).
        predictions: Predictions of the n rows.
        metric: The metric.
    """
    y = np.asarray(y)
    nothing: tuple[Array, float] = np.empty(0, dtype=np.intp), 0.0
    if metric.problem_type != "regression" or not isinstance(metric.measure, Losses) or len(y) < _ENOUGH:
        return nothing
    errors = (np.asarray(predictions.labels, dtype=np.float64) - y) ** 2
    of_metric = metric.measure.rows(Sample(np.asarray(y, np.float64), predictions.labels), None)
    if of_metric.shape[1] != 2 or not np.allclose(of_metric[:, 1], errors):
        return nothing
    few = max(1, round(len(y) * _FEW_SHARE))
    worst = np.argsort(-errors)[:few]
    share = np.cumsum(errors[worst]) / errors.sum() if errors.any() else np.zeros(1)
    if share[-1] <= _MOST_ERROR:
        return nothing
    named = int(np.searchsorted(share, _NAMED * share[-1])) + 1  # the others make next to nothing
    return worst[:named], float(share[named - 1])


def _far_from_recorded(decision: Decision, question: Question, champion: Champion) -> Iterator[str]:
    recorded, recorded_rows = champion.stored_score, champion.stored_rows
    if recorded is None or not recorded_rows or champion.predictions is None or decision.champion is None:
        return
    y, metric, rows = np.asarray(question.y), question.metric, question.rows
    mask = champion.comparable_rows(len(y))
    error = standard_error(
        metric,
        y[mask],
        champion.predictions.take(mask),
        seed=question.seed,
        rows=None if rows is None else rows[mask],
        entities=None if question.entities is None else question.entities[mask],
    )
    now, count = decision.champion[metric.name], int(mask.sum())
    found = change(metric, now=now, recorded=recorded, error=error, rows=count, recorded_rows=recorded_rows)
    chance = 1.0 if math.isnan(error) else min(found.p_value, 1 - found.p_value)
    if chance < _SIGNIFICANCE and abs(found.worse) > (_FAR_SHARE if metric.relative else _FAR):
        yield (
            f"The champion's {metric.label} was {metric.format(recorded)} when it was trained ({recorded_rows:,} "
            f"holdout rows) and is {metric.format(now)} on this table ({count:,} holdout rows). Chance does not "
            "explain the change. Possible causes: the data changed, a column has a new meaning, or the split settings "
            "changed. Check the source: if live data have the same fault, production predictions are wrong too."
        )
