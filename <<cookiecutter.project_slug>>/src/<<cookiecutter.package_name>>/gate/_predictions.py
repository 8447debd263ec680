"""What a fitted pipeline predicts, and classes as numbers so that metrics compare integers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..settings import ProblemType

_CLOSE_CALLS = 256  # rows on which predict() is asked whether it agrees with the largest probability

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Predictions:
    """What a pipeline says about n rows.

    Attributes:
        labels: Shape (n,): the predicted classes, or the predicted values of a regression.
        probabilities: Shape (n, k), in the order of `classes`; None for a regression, or a classifier without
            them.
        classes: Shape (k,); None for a regression.
    """

    labels: Array
    probabilities: Array | None = None
    classes: Array | None = None

    def take(self, rows: Array | slice) -> "Predictions":
        """Return the predictions of some rows, given as a mask, as positions or as a slice."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Predictions(np.asarray(self.labels)[rows], probabilities, self.classes)


@dataclass(frozen=True)
class EncodedLabels:
    """Classes as numbers, so that metrics compare integers.

    Attributes:
        classes: Shape (k,), sorted: every class of the rows and of the model.
        y: Shape (n,), positions in `classes`.
        labels: Shape (n,), positions in `classes`; k for a prediction that is no class at all.
        probabilities: Shape (n, k), 0 for a class the model does not know; None if the model gives none.
    """

    classes: Array
    y: Array
    labels: Array
    probabilities: Array | None


def predict(pipeline: Any, X: pd.DataFrame, *, problem_type: ProblemType) -> Predictions:
    """Run the whole fitted pipeline over the rows once.

    Classes are taken from the probabilities, which spares a second run. A classifier may decide otherwise
    (its own threshold, a decision function): it is asked about the rows where its two best probabilities lie
    closest, and where it disagrees there, predict() has the word on every row.

    Args:
        pipeline: Fitted.
        X: The inputs, n rows.
        problem_type: Whether to look for probabilities.
    """
    if problem_type == "regression":
        return Predictions(np.asarray(pipeline.predict(X), dtype=np.float64))
    if not hasattr(pipeline, "predict_proba"):
        return Predictions(np.asarray(pipeline.predict(X)), None, np.asarray(pipeline.classes_))
    probabilities = np.asarray(pipeline.predict_proba(X), dtype=np.float64)
    classes = np.asarray(pipeline.classes_)
    labels = classes[probabilities.argmax(axis=1)]
    if len(classes) > 1 and len(X):
        two_best = np.partition(probabilities, -2, axis=1)[:, -2:]
        margins = two_best[:, 1] - two_best[:, 0]
        count = min(_CLOSE_CALLS, len(X))
        closest = np.argpartition(margins, count - 1)[:count]
        if not np.array_equal(np.asarray(pipeline.predict(X.iloc[closest])), labels[closest]):
            labels = np.asarray(pipeline.predict(X))
    return Predictions(labels, probabilities, classes)


def encode_labels(y: Any, *predictions: Predictions) -> Any:
    """Turn classes into positions in the sorted union of all classes, for each model's predictions.

    Returns:
        One `EncodedLabels` for one model, otherwise a tuple of them, all with the same `classes` and `y`.
    """
    truth = pd.Index(np.asarray(y))
    known = truth.unique()
    for one in predictions:
        known = known.union(
            pd.Index(one.classes if one.classes is not None else one.labels).unique(), sort=False
        )
    classes = _sorted(known)
    y_codes = classes.get_indexer(truth)
    coded = []
    for one in predictions:
        labels = classes.get_indexer(pd.Index(np.asarray(one.labels)))
        labels[labels < 0] = len(classes)
        coded.append(EncodedLabels(classes.to_numpy(), y_codes, labels, _aligned(one, classes)))
    return coded[0] if len(coded) == 1 else tuple(coded)


def _sorted(classes: Any) -> Any:
    try:
        return classes.sort_values()
    except TypeError:  # classes of several types
        return pd.Index(sorted(classes, key=lambda value: (type(value).__name__, str(value))))


def _aligned(predictions: Predictions, classes: pd.Index) -> Array | None:
    if predictions.probabilities is None or predictions.classes is None:
        return None
    positions = classes.get_indexer(pd.Index(predictions.classes))
    if np.array_equal(positions, np.arange(len(classes))):
        return predictions.probabilities
    aligned = np.zeros((len(predictions.probabilities), len(classes)))
    aligned[:, positions] = predictions.probabilities
    return aligned
