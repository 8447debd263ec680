"""The recipe of a model: an estimator of the settings, and the threshold for the positive class.

Both are chosen by the same cross-validation: the scores of each candidate at each possible threshold, averaged over the
folds. For one candidate this is the rule of scikit-learn's TunedThresholdClassifierCV (a test compares), with the
project's own folds and the raw rows that a cost reads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import ConfigurationError
from ..gate import Array, Metric, find_positive

# Round numbers; finer at the ends, where a class of few rows, or a cost many times the other, puts the best one.
THRESHOLD_GRID = np.unique(
    np.round([*np.arange(1, 10) / 1000, *np.arange(1, 100) / 100, *np.arange(991, 1000) / 1000], 3)
)


@dataclass(frozen=True)
class Recipe:
    """The estimator and threshold of a model, to train the same kind of model on other rows.

    Attributes:
        estimator: The name of the estimator in models.py.
        threshold: The probability at or above which the positive class is predicted; None leaves that to the estimator.
    """

    estimator: str
    threshold: float | None = None


def possible_thresholds(threshold: float | Literal["tuned"] | None) -> tuple[float | None, ...]:
    """Return the possible thresholds of a setting."""
    return tuple(THRESHOLD_GRID.tolist()) if threshold == "tuned" else (threshold,)


def best(scores: Mapping[str, Array], *, metric: Metric, thresholds: Sequence[float | None] = (None,)) -> Recipe:
    """Return the recipe with the best score in the direction of `metric`; nan never wins.

    In a tie the first estimator wins, and the threshold nearest to 0.5.

    Args:
        scores: Maps each estimator to its scores, shape (t,), one for each threshold.
        metric: The metric of the scores.
        thresholds: The t thresholds.

    Examples:
        >>> from retrainer.gate import METRICS
        >>> best({"linear": np.array([0.81]), "boosting": np.array([0.84])}, metric=METRICS["accuracy"])
        Recipe(estimator='boosting', threshold=None)
    """
    sign = 1 if metric.greater_is_better else -1

    def rank(name: str, position: int) -> tuple[float, float]:
        score, threshold = scores[name][position], thresholds[position]
        distance = 0.0 if threshold is None else abs(threshold - 0.5)
        return sign * score if math.isfinite(score) else -math.inf, -distance

    each = [(name, position) for name in scores for position in range(len(thresholds))]
    name, position = max(each, key=lambda one: rank(*one))
    return Recipe(name, thresholds[position])


def check_classes(classes: Sequence[Any], *, positive: Any) -> None:
    """Check, before anything is trained, that a threshold can decide between these classes.

    Raises:
        ConfigurationError: there are not exactly two classes.
        PositiveClassError: the positive class is not among them, or has to be set.
    """
    if len(classes) != 2:
        raise ConfigurationError(
            f"train.threshold is for two classes, and the target has {len(classes)}: "
            f"{', '.join(map(str, classes))}. Remove it, or merge classes in label() of features.py."
        )
    find_positive(positive, classes)


def with_threshold(pipeline: Any, threshold: float, *, positive: Any) -> Any:
    """Return a fitted pipeline that predicts the positive class at or above a probability.

    Raises:
        ConfigurationError: its classifier has no probabilities.
    """
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier
    from sklearn.pipeline import Pipeline

    if not hasattr(pipeline, "predict_proba"):
        raise needs_probabilities("train.threshold")
    classes = np.asarray(pipeline.classes_)
    name, model = pipeline.steps[-1]
    decided = FixedThresholdClassifier(
        FrozenEstimator(model),
        threshold=threshold,
        pos_label=classes.tolist()[find_positive(positive, classes)],
        response_method="predict_proba",
    )
    decided.fit(np.zeros((2, 1)), classes)  # the frozen estimator learns nothing; scikit-learn wants the call
    return Pipeline([*pipeline.steps[:-1], (name, decided)])


def needs_probabilities(what: str, estimator: str = "the classifier") -> ConfigurationError:
    """Return the error about an estimator that lacks the probabilities for a setting."""
    return ConfigurationError(
        f"{what} needs probabilities, and {estimator} has no predict_proba. Choose an estimator with probabilities, "
        "or one of f1_score, accuracy and the like as gate.metric, and no train.threshold."
    )
