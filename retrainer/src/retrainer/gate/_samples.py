"""One model's predictions and the truth, in the form that metrics read and resampling can mix."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..settings import ProblemType
from ._predictions import Array, Predictions


class PositiveClassError(DataError):
    """The positive class is not a class of the data, or a metric needs one and none is set."""


@dataclass(frozen=True)
class Sample:
    """One model's predictions of n rows, and the truth.

    Attributes:
        y: The truth, shape (n,): values, or positions in `classes`.
        labels: The predictions, shape (n,): values, or positions in `classes`; k for a prediction that is not a class.
        probabilities: The probabilities of the `classes` in their order, shape (n, k); None if there are none.
        classes: Every class of the rows and of the models, sorted, shape (k,); None for a regression.
        rows: The n rows with the columns of the source, for metrics that read columns; None if not given.
    """

    y: Array
    labels: Array
    probabilities: Array | None = None
    classes: Any = None
    rows: pd.DataFrame | None = None

    @property
    def usable(self) -> bool:
        """Whether there are rows, and every prediction is a finite number."""
        values = self.labels if self.classes is None else self.probabilities
        return len(self.y) > 0 and (values is None or bool(np.isfinite(values).all()))

    def take(self, rows: Array) -> "Sample":
        """Return some of the rows, given as a mask or as positions."""
        return Sample(
            self.y[rows],
            self.labels[rows],
            None if self.probabilities is None else self.probabilities[rows],
            self.classes,
            None if self.rows is None else self.rows.iloc[rows],
        )

    def mixed(self, other: "Sample", rows: Array) -> "Sample":
        """Return this sample with the other model's predictions in the rows of a mask."""
        probabilities = self.probabilities
        if probabilities is not None and other.probabilities is not None:
            probabilities = np.where(rows[:, None], other.probabilities, probabilities)
        return replace(self, labels=np.where(rows, other.labels, self.labels), probabilities=probabilities)


def make_samples(
    y: Any, *predictions: Predictions, problem_type: ProblemType, rows: pd.DataFrame | None = None
) -> tuple[Sample, ...]:
    """Return each model's sample; all have the same classes in the same order."""
    if problem_type == "regression":
        truth = np.asarray(y, dtype=np.float64)
        return tuple(Sample(truth, np.asarray(one.labels, np.float64), rows=rows) for one in predictions)
    return encode_labels(y, *predictions, rows=rows)


def encode_labels(y: Any, *predictions: Predictions, rows: pd.DataFrame | None = None) -> tuple[Sample, ...]:
    """Return each classifier's sample: classes become positions in the sorted union, so that metrics compare integers.

    A class that a model does not know has a probability of 0.
    """
    truth = pd.Index(np.asarray(y))
    known = truth.unique()
    for model in predictions:
        names = model.classes if model.classes is not None else model.labels
        known = known.union(pd.Index(names).unique(), sort=False)
    classes = _sort_classes(known)
    y_codes = classes.get_indexer(truth)
    encoded = []
    for model in predictions:
        labels = classes.get_indexer(pd.Index(np.asarray(model.labels)))
        labels[labels < 0] = len(classes)
        encoded.append(Sample(y_codes, labels, _align_probabilities(model, classes), classes.to_numpy(), rows))
    return tuple(encoded)


def _sort_classes(classes: Any) -> Any:
    try:
        return classes.sort_values()
    except TypeError:  # classes of several types
        return pd.Index(sorted(classes, key=lambda value: (type(value).__name__, str(value))))


def _align_probabilities(predictions: Predictions, classes: pd.Index) -> Array | None:
    if predictions.probabilities is None or predictions.classes is None:
        return None
    positions = classes.get_indexer(pd.Index(predictions.classes))
    if np.array_equal(positions, np.arange(len(classes))):
        return predictions.probabilities
    aligned = np.zeros((len(predictions.probabilities), len(classes)))
    aligned[:, positions] = predictions.probabilities
    return aligned


def find_positive(positive: Any, classes: Any) -> int:
    """Return the position of the positive class among the classes, compared as text: 1, 1.0 and "1" are one.

    Raises:
        PositiveClassError: it is not among the classes, or it is None and the classes do not imply one.
    """
    names = [_class_text(name) for name in classes]
    shown = ", ".join(names)
    if positive is not None:
        if _class_text(positive) in names:
            return names.index(_class_text(positive))
        raise PositiveClassError(
            f"data.positive is {positive!r}, and the target has no such class. Its classes are: {shown}."
        )
    if names in (["0", "1"], ["-1", "1"], ["False", "True"]):
        return 1
    raise PositiveClassError(
        f"A metric or a threshold is about one class, and no positive class is set. "
        f"Set data.positive to one of: {shown}."
    )


def _class_text(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
