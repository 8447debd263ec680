"""How sure a difference between two models is, from their predictions of the same rows.

Three kinds of metric, each with a method whose cost on many rows stays small beside a fit:

- Counts (F1, accuracy) depend on the rows only through how often each triple (truth, champion's class,
  challenger's class) occurs. Resampling rows is drawing those counts from a multinomial, whatever the number
  of rows.
- Means (RMSE, MAE, R², log loss) are functions of sums over rows. Up to 5,000 rows the rows are resampled;
  more are first dealt at random into 5,000 groups, and the groups are resampled (the random groups of Wolter
  2007, "Introduction to Variance Estimation", chapter 2; with them the standard error itself is known to
  about 1 %).
- Rankings (ROC AUC, average precision) are linearised: each row's influence on the score gives the variance
  (the infinitesimal jackknife, Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans",
  chapter 6). For the AUC this is the estimate of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44),
  computed from ranks in one sort, after Sun and Xu (2014, IEEE Signal Processing Letters 21).

Both models are always resampled together, because they are right and wrong on much the same rows: the
difference is far more certain than either score (Efron and Tibshirani 1993, "An Introduction to the
Bootstrap", chapter 8).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from ._metrics import Metric, log_losses
from ._predictions import Array, EncodedLabels, Predictions, encode_labels

TINY = 1e-12  # below this a difference is rounding
RESAMPLES = 4000
GROUPS = 5000
_MOST_CELLS = 1000  # beyond, drawing the joint counts costs more than resampling groups of rows
_BATCH = 250  # resamples at a time, to bound the memory

_Sums = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Comparison:
    """How much better a challenger is, and how sure that is.

    Attributes:
        improvement: In the units of `Metric.improvement`; negative when worse.
        lower: With the confidence asked for, the true improvement is above this.
        upper: With the confidence asked for, the true improvement is below this.
        probability: Of the challenger being better at all.
        standard_error: Of the improvement.
        method: `bootstrap of joint counts`, `bootstrap of rows`, `bootstrap of row groups`, `DeLong` or
            `infinitesimal jackknife`.
    """

    improvement: float
    lower: float
    upper: float
    probability: float
    standard_error: float
    method: str


def compare(
    metric: Metric,
    y: Any,
    *,
    champion: Predictions,
    challenger: Predictions,
    confidence: float,
    seed: int,
    resamples: int = RESAMPLES,
    groups: int = GROUPS,
) -> Comparison:
    """Compare two models' predictions of the same n rows.

    Args:
        metric: What to compare.
        y: Shape (n,), the truth; on it the metric must be defined.
        champion: Predictions of the n rows.
        challenger: Predictions of the n rows.
        confidence: Of each of the two bounds.
        seed: The same seed gives the same figures.
        resamples: How many times to resample, where the method does.
        groups: The most units that are resampled.
    """
    if metric.problem_type == "regression":
        truth = np.asarray(y, dtype=np.float64)
        errors = [truth - np.asarray(one.labels, dtype=np.float64) for one in (champion, challenger)]
        rows, score = _regression_sums(metric, truth, *errors)
        return _resample_rows(metric, rows, score, confidence, seed, resamples, groups)
    before, after = encode_labels(y, champion, challenger)
    if metric.name == "log_loss":
        rows = np.column_stack([np.ones(len(before.y)), log_losses(before), log_losses(after)])
        return _resample_rows(metric, rows, _mean_sums, confidence, seed, resamples, groups)
    if metric.needs_probabilities:
        return _linearise(metric, before, after, confidence)
    return _resample_counts(metric, before, after, confidence, seed, resamples, groups)


def _summarise(metric: Metric, observed: float, draws: Array, confidence: float, method: str) -> Comparison:
    lower, upper = np.quantile(draws, [1 - confidence, confidence])
    better = float(np.mean(draws > TINY))
    return Comparison(observed, float(lower), float(upper), better, float(np.std(draws)), method)


def _improvements(metric: Metric, champion: Array, challenger: Array) -> Array:
    gain = challenger - champion if metric.greater_is_better else champion - challenger
    if not metric.relative:
        return gain
    without_error = np.where(challenger == 0, 0.0, -1.0)
    return np.where(champion == 0, without_error, gain / np.where(champion == 0, 1.0, champion))


def _resample_rows(
    metric: Metric,
    rows: Array,
    score: _Sums,
    confidence: float,
    seed: int,
    resamples: int,
    groups: int,
) -> Comparison:
    """Resample rows, or random groups of them; `rows` has a column for every sum that `score` needs."""
    rng = np.random.default_rng(seed)
    method = "bootstrap of rows"
    observed = rows.sum(axis=0, keepdims=True)
    if len(rows) > groups:
        method = "bootstrap of row groups"
        group = rng.permutation(len(rows)) % groups
        rows = np.column_stack([np.bincount(group, weights=column) for column in rows.T])
    draws = np.concatenate(
        [
            _improvements(metric, *score(_uniform_counts(rng, len(rows), size) @ rows))
            for size in _batches(resamples)
        ]
    )
    return _summarise(metric, float(_improvements(metric, *score(observed))[0]), draws, confidence, method)


def _uniform_counts(rng: np.random.Generator, units: int, size: int) -> Array:
    """Return how often each unit is drawn in each of `size` resamples, shape (size, units)."""
    drawn = rng.integers(units, size=(size, units)) + units * np.arange(size)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=size * units)
    return counts.reshape(size, units).astype(np.float64)


def _batches(resamples: int) -> list[int]:
    return [min(_BATCH, resamples - start) for start in range(0, resamples, _BATCH)]


def _mean_sums(sums: Array) -> tuple[Array, Array]:
    return sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]


def _regression_sums(metric: Metric, y: Array, champion: Array, challenger: Array) -> tuple[Array, _Sums]:
    ones = np.ones(len(y))
    if metric.name == "mae":
        return np.column_stack([ones, np.abs(champion), np.abs(challenger)]), _mean_sums
    squares = [ones, champion**2, challenger**2]
    if metric.name == "rmse":
        return np.column_stack(squares), lambda sums: (
            np.sqrt(sums[:, 1] / sums[:, 0]),
            np.sqrt(sums[:, 2] / sums[:, 0]),
        )
    centred = y - y.mean()

    def r2(sums: Array) -> tuple[Array, Array]:
        total = sums[:, 4] - sums[:, 3] ** 2 / sums[:, 0]
        return 1 - sums[:, 1] / total, 1 - sums[:, 2] / total

    return np.column_stack([*squares, centred, centred**2]), r2


def _resample_counts(
    metric: Metric,
    before: EncodedLabels,
    after: EncodedLabels,
    confidence: float,
    seed: int,
    resamples: int,
    groups: int,
) -> Comparison:
    """Resample how often each triple (truth, champion's class, challenger's class) occurs."""
    size = len(before.classes)
    triples = np.ravel_multi_index((before.y, before.labels, after.labels), (size, size + 1, size + 1))
    cells, counts = np.unique(triples, return_counts=True)
    score = _f1_of if metric.name == "f1_score" else _accuracy_of
    rng = np.random.default_rng(seed)
    if len(cells) > _MOST_CELLS:
        units = min(groups, len(triples))
        unit = rng.permutation(len(triples)) % units
        sums = _class_sums(before.y, before.labels, after.labels, unit, units, size)
        method = "bootstrap of rows" if units == len(triples) else "bootstrap of row groups"
        draws = [_uniform_counts(rng, units, batch) for batch in _batches(resamples)]
        totals = np.concatenate([drawn @ sums for drawn in draws])
        observed = sums.sum(axis=0, keepdims=True)
    else:
        truth, champion, challenger = np.unravel_index(cells, (size, size + 1, size + 1))
        sums = _class_sums(truth, champion, challenger, np.arange(len(cells)), len(cells), size)
        method = "bootstrap of joint counts"
        drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=resamples)
        totals = drawn.astype(np.float64) @ sums
        observed = counts[None, :].astype(np.float64) @ sums

    def improvements(of: Array) -> Array:
        parts = of.reshape(len(of), 5, size)
        return _improvements(metric, score(parts[:, [0, 1, 4]]), score(parts[:, [2, 3, 4]]))

    return _summarise(metric, float(improvements(observed)[0]), improvements(totals), confidence, method)


def _class_sums(y: Array, before: Array, after: Array, unit: Array, units: int, size: int) -> Array:
    """Return five sums a class for each unit: champion's hits and predictions, challenger's, and the rows."""

    def tally(labels: Array, weights: Array | None = None) -> Array:
        flat = np.bincount(unit * (size + 1) + labels, weights=weights, minlength=units * (size + 1))
        return np.asarray(flat.reshape(units, size + 1)[:, :size], dtype=np.float64)

    return np.hstack([tally(y, before == y), tally(before), tally(y, after == y), tally(after), tally(y)])


def _f1_of(parts: Array) -> Array:
    """Return the F1 of each class weighted by its rows; `parts` is (r, 3, k): hits, predictions, rows."""
    hits, predicted, rows = parts[:, 0], parts[:, 1], parts[:, 2]
    f1 = 2 * hits / np.maximum(predicted + rows, 1)
    return np.asarray((f1 * rows).sum(axis=1) / rows.sum(axis=1))


def _accuracy_of(parts: Array) -> Array:
    return np.asarray(parts[:, 0].sum(axis=1) / parts[:, 2].sum(axis=1))


def _linearise(metric: Metric, before: EncodedLabels, after: EncodedLabels, confidence: float) -> Comparison:
    """Compare scores through the influence of each row, the difference being close to normal."""
    one = _roc_auc_influence if metric.name == "roc_auc" else _average_precision_influence
    champion, champion_influence = _weighted_influence(before, one)
    challenger, challenger_influence = _weighted_influence(after, one)
    improvement = challenger - champion
    challenger_influence -= champion_influence
    error = float(np.sqrt(np.sum(challenger_influence**2)))
    method = "DeLong" if metric.name == "roc_auc" else "infinitesimal jackknife"
    if error < TINY:
        return Comparison(improvement, improvement, improvement, float(improvement > TINY), 0.0, method)
    margin = NormalDist().inv_cdf(confidence) * error
    better = NormalDist().cdf(improvement / error)
    return Comparison(improvement, improvement - margin, improvement + margin, better, error, method)


def _weighted_influence(
    coded: EncodedLabels, one: Callable[[Array, Array], tuple[float, Array]]
) -> tuple[float, Array]:
    """Return the score of evaluation.METRICS and the influence of each row on it, shape (n,)."""
    assert coded.probabilities is not None
    if len(coded.classes) == 2:
        return one(coded.y == 1, coded.probabilities[:, 1])
    rows = len(coded.y)
    total, influence = 0.0, np.zeros(rows)
    for position, count in enumerate(np.bincount(coded.y, minlength=len(coded.classes))):
        if count:
            own = coded.y == position
            score, part = one(own, coded.probabilities[:, position])
            total += score * count / rows
            influence += part * (count / rows) + own * (score / rows)
    return total, influence - total / rows


def _roc_auc_influence(positive: Array, scores: Array) -> tuple[float, Array]:
    """Return the AUC and DeLong's placements, centred and divided by their number; ties count half."""
    _, level = np.unique(scores, return_inverse=True)
    ours = np.bincount(level, weights=positive)
    theirs = np.bincount(level, weights=~positive)
    positives, negatives = int(ours.sum()), int(theirs.sum())
    # The share of the other class that each row stands above (a positive) or below (a negative).
    above = ((np.cumsum(theirs) - theirs / 2) / negatives)[level[positive]]
    below = (1 - (np.cumsum(ours) - ours / 2) / positives)[level[~positive]]
    influence = np.empty(len(scores))
    auc = float(above.mean())
    influence[positive] = (above - auc) / math.sqrt(positives * max(positives - 1, 1))
    influence[~positive] = (below - auc) / math.sqrt(negatives * max(negatives - 1, 1))
    return auc, influence


def _average_precision_influence(positive: Array, scores: Array) -> tuple[float, Array]:
    """Return the average precision and its derivative by the weight of each row.

    With P the positives and N(t) the rows at or above a score t, AP is the mean over positives i of the
    precision p(s_i) = P(s_i) / N(s_i). One more row j changes P(t) and N(t) at every t up to s_j, and so
    p(s_i) for each positive i at or below it, by (y_j - p(s_i)) / N(s_i); and a positive j also brings in its
    own p(s_j).
    """
    _, level = np.unique(-scores, return_inverse=True)
    rows = np.bincount(level).astype(np.float64)
    hits = np.bincount(level, weights=positive)
    above = np.cumsum(rows)
    precision = np.cumsum(hits) / above
    positives = hits.sum()
    score = float((hits * precision).sum() / positives)
    gain = np.cumsum((hits / above)[::-1])[::-1]
    loss = np.cumsum((hits * precision / above)[::-1])[::-1]
    own = positive.astype(np.float64)
    influence = own * (precision[level] - score + gain[level]) - loss[level]
    return score, np.asarray(influence / positives)
