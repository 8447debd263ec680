"""The metrics that teams use most: what is summed over rows, and the formula on those sums.

Each agrees with the scikit-learn scorer of its name, which a test compares; sums keep resampling cheap.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._measures import ClassCounts, Losses, Measure, Ranking
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
    """Return the mean over the classes that occur or are predicted."""

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
    """Return the log loss of each row, shape (n,): always finite."""
    assert sample.probabilities is not None
    own = sample.probabilities[np.arange(len(sample.y)), sample.y]
    smallest = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(own, smallest, 1 - smallest)))


def _brier_losses(sample: Sample) -> Array:
    """Return squared distances from the truth, halved for two classes: the square of one probability's error."""
    assert sample.probabilities is not None
    own = sample.probabilities[np.arange(len(sample.y)), sample.y]
    squares = (sample.probabilities**2).sum(axis=1) - 2 * own + 1
    return np.asarray(squares / 2 if len(sample.classes) == 2 else squares)


def _absolute_errors(sample: Sample) -> Array:
    return np.abs(sample.y - sample.labels)


def _squared_errors(sample: Sample) -> Array:
    return np.asarray((sample.y - sample.labels) ** 2)


def _r2_rows(sample: Sample, positive: Any) -> Array:
    centred = sample.y - sample.y.mean()
    return np.column_stack([np.ones(len(centred)), _squared_errors(sample), centred, centred**2])


def _r2(sums: Array) -> Array:
    total = sums[:, 3] - sums[:, 2] ** 2 / sums[:, 0]
    return np.where(sums[:, 0] > 1, 1 - sums[:, 1] / np.where(total > 0, total, np.nan), np.nan)


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
VALUES: dict[str, tuple[str, Measure]] = {"r2": ("R²", Losses(_r2_rows, _r2))}
VALUE_LOSSES: dict[str, tuple[str, Measure]] = {
    "rmse": ("RMSE", mean_of(_squared_errors, root=True)),
    "mae": ("MAE", mean_of(_absolute_errors)),
    "neg_mean_squared_error": ("mean squared error", mean_of(_squared_errors)),
}
ALIASES = {
    "f1_weighted": "f1_score",
    "f1_micro": "accuracy",
    "precision_micro": "accuracy",
    "recall_micro": "accuracy",
    "recall_weighted": "accuracy",
    "neg_log_loss": "log_loss",
    "roc_auc_ovr_weighted": "roc_auc",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
}
