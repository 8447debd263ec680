"""scikit-learn's scorers by name: every metric without a formula of its own on sums.

A resample costs 1 to 5 ms, because scikit-learn checks its input, and a comparison takes seconds instead of tenths:
so the metrics that teams use keep their sums. Imported only for such a metric, since it imports scikit-learn.
"""

import functools
import re
import warnings
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names, make_scorer, mean_pinball_loss

from ._predictions import Array
from ._samples import Sample, find_positive

PINBALL = re.compile(r"neg_mean_pinball_loss_(0?\.\d+)")


class _Given(BaseEstimator):
    """A model that predicts what it is given, for a scorer to score."""

    def __init__(self, labels: Array | None = None) -> None:
        self.labels = labels

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:
        return self.labels


class _GivenValues(RegressorMixin, _Given):
    pass


class _GivenClasses(ClassifierMixin, _Given):
    def __init__(
        self, labels: Array | None = None, probabilities: Array | None = None, classes_: Array | None = None
    ) -> None:
        self.labels, self.probabilities, self.classes_ = labels, probabilities, classes_

    def predict_proba(self, X: Any) -> Any:
        return self.probabilities


@functools.cache
def find_scorer(name: str) -> Any:
    """Return the scorer of this name, or None."""
    if pinball := PINBALL.fullmatch(name):
        return make_scorer(mean_pinball_loss, greater_is_better=False, alpha=float(pinball[1]))
    return get_scorer(name) if name in get_scorer_names() else None


def score(name: str, sample: Sample, positive: Any, *, one_class: bool) -> float:
    """Return the score of a sample; an error without scikit-learn's minus.

    Two classes, or one and all others, are given as 0 and 1, the positive one being 1.

    Raises:
        ValueError: the metric is not defined on these rows.
    """
    y: Array = sample.y
    model: _Given = _GivenValues(sample.labels)
    if sample.classes is not None:
        labels, probabilities, classes = sample.labels, sample.probabilities, np.arange(len(sample.classes))
        if one_class or len(classes) == 2:
            second = positive is None and not one_class
            position = 1 if second else find_positive(positive, sample.classes)
            y, labels, classes = (y == position).astype(int), (labels == position).astype(int), np.arange(2)
            if probabilities is not None:
                chance = probabilities[:, position]
                probabilities = np.column_stack([1 - chance, chance])
        model = _GivenClasses(labels, probabilities, classes)
    with warnings.catch_warnings(), config_context(assume_finite=True, skip_parameter_validation=True):
        warnings.simplefilter("ignore")  # of a class without rows, which the figure shows
        value = float(find_scorer(name)(model, np.empty((len(y), 0)), y))
    return -value if name.startswith("neg_") else value
