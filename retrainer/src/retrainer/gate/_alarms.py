"""What a decision does not depend on, and a person should look at: said beside it, never a reason for it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ._comparability import Champion
from ._decision import Decision
from ._measures import ClassCounts
from ._metrics import Metric, evaluate
from ._predictions import Predictions
from ._resampling import standard_error

_RARE = 0.05  # a class with a smaller share of the rows
_HARDLY = 0.05  # a metric that changes by less, whether all rows of a class are found or none
_FAR, _FAR_SHARE = 0.02, 0.1  # points of a score, share of an error
_SIGNIFICANCE = 0.001


@dataclass(frozen=True)
class Change:
    """How a model's score on some rows differs from the one that was recorded on others.

    Attributes:
        worse: In the units of `Metric.improvement`; negative when better.
        p_value: How often rows drawn anew would make it at least as much worse by chance.
    """

    worse: float
    p_value: float


def change(
    metric: Metric, *, now: float, recorded: float, error: float, rows: int, recorded_rows: int
) -> Change:
    """Compare a score with a recorded one, of which the rows are no longer there.

    Both are scores of the same model, so that the recorded one is taken to be as uncertain as today's, more or less by
    the number of its rows.

    Args:
        metric: The score.
        now: On today's rows.
        recorded: On the rows of its time.
        error: The standard error of today's, see `standard_error`; with nan nothing is certain.
        rows: Today's.
        recorded_rows: Those of its time.
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
    decision: Decision,
    y: Any,
    challenger: Predictions,
    champion: Champion | None,
    *,
    metric: Metric,
    rows: pd.DataFrame | None = None,
    seed: int = 0,
) -> tuple[str, ...]:
    """Return what a person should look at, a sentence each: classes that the metric hardly sees, a changed champion.

    Args:
        decision: Of `decide`.
        y: Shape (n,), the truth on the holdout.
        challenger: Predictions of the n rows.
        champion: The model in production, None without one.
        metric: What was compared.
        rows: The n rows, for a metric that reads columns.
        seed: Of the resampling.
    """
    truth = np.asarray(y)
    found = list(_hardly_seen(truth, challenger, metric))
    if champion is not None:
        found += _far_from_recorded(decision, truth, champion, metric, rows, seed)
    return tuple(found)


def _hardly_seen(y: Any, challenger: Predictions, metric: Metric) -> Iterator[str]:
    if not isinstance(metric.measure, ClassCounts) or metric.one_class:
        return
    shares = pd.Series(y).value_counts(normalize=True)
    for name, share in shares[shares < _RARE].items():
        mine = y == name
        recall = float(np.mean(challenger.labels[mine] == name))
        other = np.where(challenger.labels == name, shares.index[0], challenger.labels)
        found, missed = (
            evaluate(replace(challenger, labels=labels), y, metrics={metric.name: metric})[metric.name]
            for labels in (np.where(mine, y, other), np.where(mine, shares.index[0], other))
        )
        if recall < 0.5 and abs(found - missed) < _HARDLY:
            yield (
                f"Class {name!r} is {share:.1%} of the rows, and the challenger finds {recall:.0%} of them. "
                f"{metric.label[:1].upper()}{metric.label[1:]} hardly sees that: found or missed, all of them change "
                f"it by {abs(found - missed):.3f}. balanced_accuracy or f1_macro would see it (gate.metric or "
                "gate.guard_metrics)."
            )


def _far_from_recorded(
    decision: Decision, y: Any, champion: Champion, metric: Metric, rows: pd.DataFrame | None, seed: int
) -> Iterator[str]:
    recorded, recorded_rows = champion.stored_score, champion.stored_rows
    if recorded is None or not recorded_rows or champion.predictions is None or decision.champion is None:
        return
    mask = champion.comparable_rows(len(y))
    error = standard_error(
        metric,
        y[mask],
        champion.predictions.take(mask),
        seed=seed,
        rows=None if rows is None else rows[mask],
    )
    now, count = decision.champion[metric.name], int(mask.sum())
    found = change(metric, now=now, recorded=recorded, error=error, rows=count, recorded_rows=recorded_rows)
    chance = 1.0 if math.isnan(error) else min(found.p_value, 1 - found.p_value)
    if chance < _SIGNIFICANCE and abs(found.worse) > (_FAR_SHARE if metric.relative else _FAR):
        yield (
            f"The champion's {metric.label} is {metric.format(now)} on these {count:,} rows and was "
            f"{metric.format(recorded)} on the {recorded_rows:,} of its own day, which is no chance: the data or what "
            "they mean have changed. Look at what is new in the table."
        )
