"""How sure a difference between two models is, from their predictions of the same rows.

One test serves every metric: if two models are equally good, it does not matter which of them made which of a row's
two predictions. So the predictions of a random half of the rows are exchanged, many times, and the improvement is
computed each time. The p-value is the share of exchanges in which it is at least as large as the real one
(a paired permutation test: Fisher 1935, "The Design of Experiments", chapter 3; Good 2005, "Permutation,
Parametric and Bootstrap Tests of Hypotheses"). The test needs no normal errors and no least number of rows: with one
row of a class, half of the exchanges are as good as the real pair, and nothing is promoted.

The confidence interval is from resampling rows (a paired bootstrap, Efron and Tibshirani 1993, "An Introduction
to the Bootstrap", chapter 8). Many rows are first dealt at random into 500 groups, which change sides and are
drawn as a whole: the test stays exact, and the interval's width is known to 3 % (Wolter 2007, "Introduction to
Variance Estimation", chapter 2). Rows of one entity, which are alike, change sides and are drawn together (a cluster
bootstrap, Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ._measures import Measure, NonAdditive
from ._metrics import Metric
from ._predictions import Array, Predictions
from ._samples import make_samples

TINY = 1e-12  # below this a difference is rounding
RESAMPLES = 1999
GROUPS = 500
_CLASS_ROWS = 30  # with fewer of a class a bootstrap knows too little of a score that every class counts in
_BATCH = 250  # resamples at a time, to bound the memory
_FEWEST, _MOST, _ROWS_IN_ALL = 199, 499, 20_000_000  # where each resample computes the metric from all rows


@dataclass(frozen=True)
class Comparison:
    """The improvement of a challenger, and its uncertainty.

    Attributes:
        improvement: The improvement, in the units of `Metric.improvement`; negative when worse.
        lower: The lower bound of the true improvement, with the confidence required.
        upper: The upper bound of the true improvement, with the confidence required.
        probability: The share of bootstrap draws in which the challenger is better.
        standard_error: The standard error of the improvement.
        p_value: The probability of such an improvement, or a larger one, between equally good models.
        method: The method in words.
    """

    improvement: float
    lower: float
    upper: float
    probability: float
    standard_error: float
    p_value: float
    method: str


@dataclass(frozen=True)
class Pair:
    """Two models' predictions of the same m rows.

    Attributes:
        y: The truth, shape (m,).
        champion: The champion's predictions of the m rows.
        challenger: The challenger's predictions of the m rows.
        rows: The m rows with the columns that a metric reads; None if no metric reads any.
        entities: The entity of each row, shape (m,); None if each row is an entity of its own.
        times: The time of each row, shape (m,); None if times do not matter.
    """

    y: Array
    champion: Predictions
    challenger: Predictions
    rows: pd.DataFrame | None = None
    entities: Array | None = None
    times: Array | None = None

    def take(self, rows: Array) -> "Pair":
        """Return the pair on some of the rows, given as a mask or as positions."""
        columns = None if self.rows is None else self.rows.iloc[rows]
        entities, times = (None if each is None else each[rows] for each in (self.entities, self.times))
        return Pair(self.y[rows], self.champion.take(rows), self.challenger.take(rows), columns, entities, times)


def compare(
    metric: Metric,
    pair: Pair,
    *,
    confidence: float,
    seed: int,
    named: str = "entities",
    resamples: int = RESAMPLES,
    groups: int = GROUPS,
) -> Comparison:
    """Compare two models' predictions of the same rows.

    Args:
        metric: The metric; it must be defined on these rows.
        pair: The predictions and the truth.
        confidence: The confidence of each of the two bounds.
        seed: The seed of the resampling; the same seed gives the same result.
        named: The word for the entities in messages.
        resamples: The number of exchanges, and of bootstrap draws.
        groups: The maximum number of groups that rows are divided into.
    """
    old, new = make_samples(pair.y, pair.champion, pair.challenger, problem_type=metric.problem_type, rows=pair.rows)
    count = len(old.y)
    rng = np.random.default_rng(seed)
    group_of_row, n_groups, n_entities = _groups_of_rows(pair.entities, count, groups, rng)
    resampler = metric.measure.resampler(old, new, metric.positive, group_of_row, n_groups)
    times = _resample_count(metric.measure, count, resamples)

    def resampled(scores: Callable[[Array], tuple[Array, Array]], draw: Callable[[int], Array]) -> Array:
        sizes = [min(_BATCH, times - start) for start in range(0, times, _BATCH)]
        return np.concatenate([_improvements(metric, *scores(draw(size))) for size in sizes])

    real = _improvements(metric, *resampler.exchanged(np.zeros((1, n_groups))))[0]
    exchanged = resampled(resampler.exchanged, lambda size: rng.integers(2, size=(size, n_groups)))
    drawn = resampled(resampler.redrawn, lambda size: _uniform_counts(rng, n_groups, size))
    # An exchange whose score is not defined counts as one that is as good: it proves nothing.
    as_good = np.count_nonzero(~(exchanged < real - TINY))
    drawn = drawn[np.isfinite(drawn)]
    lower, upper = np.quantile(drawn, [1 - confidence, confidence]) if len(drawn) else (-np.inf, np.inf)
    before, after = (metric.measure.value(sample, metric.positive) for sample in (old, new))
    return Comparison(
        improvement=metric.improvement(after, before),
        lower=float(lower),
        upper=float(upper),
        probability=float(np.mean(drawn > TINY)) if len(drawn) else 0.5,
        standard_error=float(np.std(drawn)) if len(drawn) else np.inf,
        p_value=float((as_good + 1) / (times + 1)),
        method=f"permutation test, {times:,} resamples of {_describe_resampling(count, n_entities, n_groups, named)}",
    )


def standard_error(
    metric: Metric,
    y: Any,
    predictions: Predictions,
    *,
    seed: int,
    rows: pd.DataFrame | None = None,
    entities: Array | None = None,
) -> float:
    """Return the standard error of a model's score on n rows, from a bootstrap of rows, or of entities.

    It is nan where the score is not defined, or a class that it needs has fewer than 30 rows.

    Args:
        metric: The metric.
        y: The truth, shape (n,).
        predictions: Predictions of the n rows.
        seed: The seed of the bootstrap; the same seed gives the same result.
        rows: The n rows with the columns of the source, for a metric that reads columns.
        entities: The entity of each row, shape (n,): its rows are drawn together; None if each row is an entity of its
            own.
    """
    (sample,) = make_samples(y, predictions, problem_type=metric.problem_type, rows=rows)
    count = len(sample.y)
    of_classes = np.bincount(sample.y, minlength=len(sample.classes)) if sample.classes is not None else None
    if metric.measure.by_class and of_classes is not None and of_classes.min() < _CLASS_ROWS:
        return math.nan
    rng = np.random.default_rng(seed)
    group_of_row, n_groups, _ = _groups_of_rows(entities, count, GROUPS, rng)
    resampler = metric.measure.resampler(sample, sample, metric.positive, group_of_row, n_groups)
    scores, _ = resampler.redrawn(_uniform_counts(rng, n_groups, _resample_count(metric.measure, count, _MOST)))
    scores = scores[np.isfinite(scores)]
    return float(np.std(scores)) if len(scores) else math.nan


def _groups_of_rows(
    entities: Array | None, count: int, groups: int, rng: np.random.Generator
) -> tuple[Array, int, int]:
    """Return the group of each row, how many groups there are, and how many entities are in them."""
    entity = np.arange(count) if entities is None else pd.factorize(entities)[0]
    n_entities = int(entity.max()) + 1
    n_groups = min(n_entities, groups)
    group_of_row = (rng.permutation(n_entities) % n_groups)[entity] if n_groups < n_entities else entity
    return group_of_row, n_groups, n_entities


def _describe_resampling(rows: int, n_entities: int, n_groups: int, named: str) -> str:
    """Return what was resampled: rows, groups of rows, or entities."""
    if n_entities < rows:
        return f"{n_entities:,} {named}" + (f" in {n_groups} groups" if n_groups < n_entities else "")
    return "rows" if n_groups == rows else "row groups"


def _resample_count(measure: Measure, rows: int, resamples: int) -> int:
    if not isinstance(measure, NonAdditive):
        return resamples
    return min(resamples, _MOST, max(_FEWEST, _ROWS_IN_ALL // rows))


def _improvements(metric: Metric, champion: Array, challenger: Array) -> Array:
    gain = challenger - champion if metric.greater_is_better else champion - challenger
    if not metric.relative:
        return gain
    return np.where(champion == 0, np.sign(gain), gain / np.where(champion == 0, 1.0, np.abs(champion)))


def _uniform_counts(rng: np.random.Generator, n_groups: int, size: int) -> Array:
    """Return how often each group is drawn in each of `size` resamples, shape (size, n_groups)."""
    drawn = rng.integers(n_groups, size=(size, n_groups)) + n_groups * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n_groups).reshape(size, n_groups)
