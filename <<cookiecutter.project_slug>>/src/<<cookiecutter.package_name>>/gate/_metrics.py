"""From a fitted pipeline and rows to figures: predictions once, then every metric from them."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigurationError
from ..settings import ProblemType
from ._predictions import Array, EncodedLabels, Predictions, encode_labels


class UnknownMetricError(ConfigurationError):
    """No metric has this name, or it does not fit the problem type."""


@dataclass(frozen=True)
class Metric:
    """How good predictions are, as one number.

    Attributes:
        name: The key in settings and records.
        label: For people.
        greater_is_better: False for errors and losses.
        relative: True where an improvement is a share of the champion's value (errors and losses), False
            where it is a difference (scores, in points).
        problem_type: What it measures.
        needs_probabilities: Whether predicted classes are not enough.
        function: (y, predictions) for a regression, (coded) for a classification; returns the value.
    """

    name: str
    label: str
    greater_is_better: bool
    relative: bool
    problem_type: ProblemType
    needs_probabilities: bool
    function: Callable[..., float]

    def improvement(self, challenger: float, champion: float) -> float:
        """Return how much better the challenger is: in points, or as a share of the champion's error.

        Against a champion without any error no share is defined: an equal challenger is 0 better, any other
        -1.
        """
        gain = challenger - champion if self.greater_is_better else champion - challenger
        if not self.relative:
            return gain
        if champion == 0:
            return 0.0 if challenger == 0 else -1.0
        return gain / champion

    def reaches(self, value: float, floor: float) -> bool:
        """Return whether `value` is at least as good as `floor`."""
        return value >= floor if self.greater_is_better else value <= floor

    @property
    def below(self) -> str:
        """The word for being worse than a floor."""
        return "below" if self.greater_is_better else "above"

    def format(self, value: float) -> str:
        """Return the value for people: four decimals for a score, four digits for an error."""
        return f"{value:.4f}" if not self.relative or self.name == "log_loss" else f"{value:.4g}"

    def format_difference(self, value: float) -> str:
        """Return an improvement for people: points, or per cent of the champion's error."""
        return f"{value * 100:.2f} %" if self.relative else f"{value:.4f}"


def _f1(coded: EncodedLabels) -> float:
    """Return the mean of the classes' F1, weighted by their rows; from counts, for importance asks often."""
    count = len(coded.classes)
    rows = np.bincount(coded.y, minlength=count)
    predicted = np.bincount(coded.labels, minlength=count)[:count]
    right = np.bincount(coded.y[coded.y == coded.labels], minlength=count)
    return float(np.average(2 * right / np.maximum(rows + predicted, 1), weights=rows))


def _accuracy(coded: EncodedLabels) -> float:
    return float(np.mean(coded.y == coded.labels))


def _one_against_rest(coded: EncodedLabels, score: Callable[[Array, Array], float]) -> float:
    """Score the second of two classes, or average over every class against the rest, weighted by its rows."""
    assert coded.probabilities is not None
    counts = np.bincount(coded.y, minlength=len(coded.classes))
    if np.count_nonzero(counts) < 2:
        return math.nan
    if len(coded.classes) == 2:
        return float(score(coded.y == 1, coded.probabilities[:, 1]))
    present = np.flatnonzero(counts)
    scores = [score(coded.y == position, coded.probabilities[:, position]) for position in present]
    return float(np.average(scores, weights=counts[present]))


def _roc_auc(coded: EncodedLabels) -> float:
    from sklearn.metrics import roc_auc_score

    return _one_against_rest(coded, roc_auc_score)


def _average_precision(coded: EncodedLabels) -> float:
    from sklearn.metrics import average_precision_score

    return _one_against_rest(coded, average_precision_score)


def _log_loss(coded: EncodedLabels) -> float:
    return float(np.mean(log_losses(coded)))


def log_losses(coded: EncodedLabels) -> Array:
    """Return minus the logarithm of the probability of each row's own class, shape (n,), never infinite."""
    assert coded.probabilities is not None
    own = coded.probabilities[np.arange(len(coded.y)), coded.y]
    smallest = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(own, smallest, 1 - smallest)))


def _rmse(y: Array, values: Array) -> float:
    return float(np.sqrt(np.mean((y - values) ** 2)))


def _mae(y: Array, values: Array) -> float:
    return float(np.mean(np.abs(y - values)))


def _r2(y: Array, values: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, values)) if len(y) > 1 else math.nan


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("f1_score", "weighted F1", True, False, "classification", False, _f1),
        Metric("accuracy", "accuracy", True, False, "classification", False, _accuracy),
        Metric("roc_auc", "ROC AUC", True, False, "classification", True, _roc_auc),
        Metric(
            "average_precision", "average precision", True, False, "classification", True, _average_precision
        ),
        Metric("log_loss", "log loss", False, True, "classification", True, _log_loss),
        Metric("rmse", "RMSE", False, True, "regression", False, _rmse),
        Metric("mae", "MAE", False, True, "regression", False, _mae),
        Metric("r2", "R²", True, False, "regression", False, _r2),
    )
}


def get_metric(name: str, *, problem_type: ProblemType) -> Metric:
    """Return the metric of this name.

    Raises:
        UnknownMetricError: there is none, or it measures the other problem type.
    """
    possible = [metric.name for metric in METRICS.values() if metric.problem_type == problem_type]
    if name in possible:
        return METRICS[name]
    if name in METRICS:
        what = f"Metric {name!r} measures a {METRICS[name].problem_type}, and problem_type is {problem_type}."
    else:
        near = difflib.get_close_matches(name, possible, n=1)
        what = f"There is no metric {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    raise UnknownMetricError(f"{what} Possible for a {problem_type} (gate.metric): {', '.join(possible)}.")


def evaluate(
    predictions: Predictions,
    y: Any,
    *,
    problem_type: ProblemType,
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """Return every metric that fits, by name.

    Metrics that need probabilities are left out for a classifier without them. A metric that is not defined
    on these rows (one class only), or predictions that are no finite numbers, give nan.

    Args:
        predictions: Of n rows.
        y: Shape (n,), the truth.
        problem_type: Which metrics fit.
        metrics: The metrics wanted, instead of every one that fits.
    """
    wanted = (metrics or METRICS).values()
    if problem_type == "regression":
        truth = np.asarray(y, dtype=np.float64)
        values = np.asarray(predictions.labels, dtype=np.float64)
        finite = bool(len(truth)) and bool(np.isfinite(values).all())
        return {
            metric.name: metric.function(truth, values) if finite else math.nan
            for metric in wanted
            if metric.problem_type == problem_type
        }
    coded = encode_labels(y, predictions)
    no_probabilities = coded.probabilities is None
    usable = len(coded.y) > 0 and (no_probabilities or bool(np.isfinite(coded.probabilities).all()))
    return {
        metric.name: metric.function(coded) if usable else math.nan
        for metric in wanted
        if metric.problem_type == problem_type and not (metric.needs_probabilities and no_probabilities)
    }
