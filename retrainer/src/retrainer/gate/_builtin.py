"""The measures of the built-in metrics: what is summed over rows, and the formula on those sums.

Each agrees with the scikit-learn scorer of its name, which a test compares; sums are what makes resampling cheap.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._measures import ClassCounts, Losses, Measure, Ranking, Whole
from ._predictions import Array
from ._samples import Sample

# ClassCounts: hits, predicted and there are rows of each class, (r, k).


def _ratio(numerator: Array, denominator: Array) -> Array:
    return np.asarray(numerator / np.maximum(denominator, 1))


def _f1(hits: Array, predicted: Array, there: Array) -> Array:
    return _ratio(2 * hits, predicted + there)


def _precision(hits: Array, predicted: Array, there: Array) -> Array:
    return _ratio(hits, predicted)


def _recall(hits: Array, predicted: Array, there: Array) -> Array:
    return _ratio(hits, there)


def _jaccard(hits: Array, predicted: Array, there: Array) -> Array:
    return _ratio(hits, predicted + there - hits)


def _accuracy(hits: Array, predicted: Array, there: Array) -> Array:
    return np.asarray(hits.sum(axis=1) / there.sum(axis=1))


def _balanced_accuracy(hits: Array, predicted: Array, there: Array) -> Array:
    return np.asarray(_recall(hits, predicted, there).sum(axis=1) / (there > 0).sum(axis=1))


def _matthews(hits: Array, predicted: Array, there: Array) -> Array:
    rows = there.sum(axis=1)
    together = hits.sum(axis=1) * rows - (predicted * there).sum(axis=1)
    spread = (rows**2 - (predicted**2).sum(axis=1)) * (rows**2 - (there**2).sum(axis=1))
    return np.asarray(np.where(spread > 0, together / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0))


_OfClass = Callable[[Array, Array, Array], Array]


def of_positive(score: _OfClass) -> Measure:
    """Return the measure of the positive class."""
    return ClassCounts(lambda *parts: score(*parts)[:, 0], one_class=True, by_class=True)


def weighted(score: _OfClass) -> Measure:
    """Return the mean over classes, weighted by their rows."""
    return ClassCounts(lambda hits, predicted, there: _mean(score(hits, predicted, there), there))


def macro(score: _OfClass) -> Measure:
    """Return the mean over the classes that are there or predicted."""

    def mean(hits: Array, predicted: Array, there: Array) -> Array:
        return _mean(score(hits, predicted, there), (there + predicted > 0).astype(np.float64))

    return ClassCounts(mean, by_class=True)


def _mean(values: Array, weights: Array) -> Array:
    return np.asarray((values * weights).sum(axis=1) / weights.sum(axis=1))


# Rankings: rows of a class and of the others at each rank, (r, c, levels), from the lowest rank to the highest.


def _roc_auc(mine: Array, others: Array) -> Array:
    below = np.cumsum(others, axis=2) - others / 2
    return np.asarray((mine * below).sum(axis=2) / (mine.sum(axis=2) * others.sum(axis=2)))


def _average_precision(mine: Array, others: Array) -> Array:
    hits, rows = (np.cumsum(part[:, :, ::-1], axis=2)[:, :, ::-1] for part in (mine, mine + others))
    return np.asarray((mine * hits / np.maximum(rows, 1)).sum(axis=2) / mine.sum(axis=2))


# Losses: numbers of each row, (n, m); the formula gets their sums, (r, m).


def mean_of(loss: Callable[[Sample], Array], root: bool = False) -> Measure:
    """Return the measure of a mean loss, or of its root."""

    def rows(sample: Sample, positive: Any) -> Array:
        return np.column_stack([np.ones(len(sample.y)), loss(sample)])

    def mean(sums: Array) -> Array:
        value = sums[:, 1] / sums[:, 0]
        return np.asarray(np.sqrt(value) if root else value)

    return Losses(rows, mean)


def log_losses(sample: Sample) -> Array:
    """Return minus the logarithm of the probability of each row's own class, shape (n,), never infinite."""
    assert sample.probabilities is not None
    own = sample.probabilities[np.arange(len(sample.y)), sample.y]
    smallest = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(own, smallest, 1 - smallest)))


def _brier_losses(sample: Sample) -> Array:
    """Return squared distances from the truth, halved for two classes: the square of one probability's error."""
    assert sample.probabilities is not None
    assert sample.classes is not None
    own = sample.probabilities[np.arange(len(sample.y)), sample.y]
    squares = (sample.probabilities**2).sum(axis=1) - 2 * own + 1
    return np.asarray(squares / 2 if len(sample.classes) == 2 else squares)


def _absolute(sample: Sample) -> Array:
    return np.abs(sample.y - sample.labels)


def _squared(sample: Sample) -> Array:
    return np.asarray((sample.y - sample.labels) ** 2)


def _squared_logarithm(sample: Sample) -> Array:
    return np.asarray((np.log1p(sample.y) - np.log1p(sample.labels)) ** 2)


def _percentage(sample: Sample) -> Array:
    return np.asarray(_absolute(sample) / np.maximum(np.abs(sample.y), np.finfo(np.float64).eps))


def _poisson_deviance(sample: Sample) -> Array:
    y, values = sample.y, np.where(sample.labels > 0, sample.labels, np.nan)
    return np.asarray(2 * (np.where(y > 0, y * np.log(np.maximum(y, 1e-300) / values), 0.0) - y + values))


def _gamma_deviance(sample: Sample) -> Array:
    y, values = (np.where(part > 0, part, np.nan) for part in (sample.y, sample.labels))
    return np.asarray(2 * (np.log(values / y) + y / values - 1))


def pinball(quantile: float) -> Measure:
    """Return the mean pinball loss of predictions of this quantile."""

    def loss(sample: Sample) -> Array:
        short = sample.y - sample.labels
        return np.asarray(np.where(short >= 0, quantile * short, (quantile - 1) * short))

    return mean_of(loss)


def _explained_rows(sample: Sample, positive: Any) -> Array:
    centred = sample.y - sample.y.mean()
    error = sample.y - sample.labels
    return np.column_stack([np.ones(len(centred)), error, error**2, centred, centred**2])


def _r2(sums: Array) -> Array:
    total = sums[:, 4] - sums[:, 3] ** 2 / sums[:, 0]
    return np.where(sums[:, 0] > 1, 1 - sums[:, 2] / np.where(total > 0, total, np.nan), np.nan)


def _explained_variance(sums: Array) -> Array:
    total = sums[:, 4] - sums[:, 3] ** 2 / sums[:, 0]
    left = sums[:, 2] - sums[:, 1] ** 2 / sums[:, 0]
    return np.asarray(1 - left / np.where(total > 0, total, np.nan))


def whole(score: Callable[[Sample], float]) -> Measure:
    """Return the measure of a function that is not one of sums over rows."""
    return Whole(lambda sample, positive: float(score(sample)))


def _d2_absolute(sample: Sample) -> float:
    spread = np.mean(np.abs(sample.y - np.median(sample.y)))
    return float(1 - np.mean(_absolute(sample)) / spread) if spread > 0 else float("nan")


def _median_absolute(sample: Sample) -> float:
    return float(np.median(_absolute(sample)))


def _largest(sample: Sample) -> float:
    return float(np.max(_absolute(sample)))


CLASSES: dict[str, tuple[str, Measure]] = {
    "f1_score": ("weighted F1", weighted(_f1)),
    "accuracy": ("accuracy", ClassCounts(_accuracy)),
    "balanced_accuracy": ("balanced accuracy", ClassCounts(_balanced_accuracy, by_class=True)),
    "matthews_corrcoef": ("Matthews correlation", ClassCounts(_matthews, by_class=True)),
    **{
        f"{name}{suffix}": (f"{kind}{label}", average(score))
        for name, label, score in (
            ("f1", "F1", _f1),
            ("precision", "precision", _precision),
            ("recall", "recall", _recall),
            ("jaccard", "Jaccard index", _jaccard),
        )
        for suffix, kind, average in (
            ("", "", of_positive),
            ("_macro", "macro ", macro),
            ("_weighted", "weighted ", weighted),
        )
    },
}
PROBABILITIES: dict[str, tuple[str, Measure]] = {
    "roc_auc": ("ROC AUC", Ranking(_roc_auc)),
    "roc_auc_ovr": ("macro ROC AUC", Ranking(_roc_auc, weighted=False)),
    "average_precision": ("average precision", Ranking(_average_precision)),
}
PROBABILITY_LOSSES: dict[str, tuple[str, Measure]] = {
    "log_loss": ("log loss", mean_of(log_losses)),
    "neg_brier_score": ("Brier score", mean_of(_brier_losses)),
}
VALUES: dict[str, tuple[str, Measure]] = {
    "r2": ("R²", Losses(_explained_rows, _r2)),
    "explained_variance": ("explained variance", Losses(_explained_rows, _explained_variance)),
    "d2_absolute_error_score": ("D² of absolute errors", whole(_d2_absolute)),
}
VALUE_LOSSES: dict[str, tuple[str, Measure]] = {
    "rmse": ("RMSE", mean_of(_squared, root=True)),
    "mae": ("MAE", mean_of(_absolute)),
    "neg_mean_squared_error": ("mean squared error", mean_of(_squared)),
    "neg_mean_absolute_percentage_error": ("mean absolute percentage error", mean_of(_percentage)),
    "neg_mean_squared_log_error": ("mean squared log error", mean_of(_squared_logarithm)),
    "neg_root_mean_squared_log_error": ("RMSLE", mean_of(_squared_logarithm, root=True)),
    "neg_mean_poisson_deviance": ("Poisson deviance", mean_of(_poisson_deviance)),
    "neg_mean_gamma_deviance": ("gamma deviance", mean_of(_gamma_deviance)),
    "neg_median_absolute_error": ("median absolute error", whole(_median_absolute)),
    "neg_max_error": ("largest error", whole(_largest)),
}
ALIASES = {
    "f1_weighted": "f1_score",
    "f1_micro": "accuracy",
    "recall_weighted": "accuracy",
    "neg_log_loss": "log_loss",
    "roc_auc_ovr_weighted": "roc_auc",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
}
