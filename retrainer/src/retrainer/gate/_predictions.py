"""What a fitted pipeline predicts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..settings import ProblemType

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Predictions:
    """The predictions of a pipeline for n rows.

    Attributes:
        labels: The predicted classes, or the predicted values of a regression, shape (n,).
        probabilities: The probabilities of the `classes` in their order, shape (n, k); None for a regression, or a
            classifier without them.
        classes: The classes, shape (k,); None for a regression.
    """

    labels: Array
    probabilities: Array | None = None
    classes: Array | None = None

    def take(self, rows: Array | slice) -> "Predictions":
        """Return the predictions of some rows, given as a mask, as positions or as a slice."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Predictions(np.asarray(self.labels)[rows], probabilities, self.classes)


def predict(pipeline: Any, X: pd.DataFrame, *, problem_type: ProblemType) -> Predictions:
    """Return the predictions of a fitted pipeline; its preprocessing runs once.

    Labels are those of the pipeline's `predict`, with its threshold if it has one. A row's label does
    not depend on the rows beside it.

    Args:
        pipeline: The fitted pipeline.
        X: The inputs, n rows.
        problem_type: Whether probabilities are of interest.
    """
    if problem_type == "regression":
        return Predictions(np.asarray(pipeline.predict(X), dtype=np.float64))
    classes = np.asarray(pipeline.classes_)
    if not hasattr(pipeline, "predict_proba"):
        return Predictions(np.asarray(pipeline.predict(X)), None, classes)
    model, inputs = _split_last_step(pipeline, X)
    probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    return Predictions(_labels(model, inputs, probabilities), probabilities, classes)


def _split_last_step(pipeline: Any, X: pd.DataFrame) -> tuple[Any, Any]:
    """Return the model itself and what it gets, so that its two questions cost one preprocessing."""
    from sklearn.pipeline import Pipeline

    if type(pipeline) is not Pipeline or len(pipeline.steps) < 2:
        return pipeline, X
    for _, step in pipeline.steps[:-1]:
        X = X if step is None or step == "passthrough" else step.transform(X)
    return pipeline.steps[-1][1], X


def _labels(model: Any, inputs: Any, probabilities: Array) -> Array:
    """Return the labels of `predict`; from the probabilities, where the type of the model shows that they decide.

    Of two probabilities that are equal to the last bit, all but a forest may still know the larger score: they are
    used for those rows, and for rows without a largest probability.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import FixedThresholdClassifier

    classes = np.asarray(model.classes_)
    if type(model) is FixedThresholdClassifier and model.response_method == "predict_proba":
        positive = np.flatnonzero(classes == model.pos_label)[0]
        codes = np.where(probabilities[:, positive] >= model.threshold, positive, 1 - positive)
        return np.asarray(classes[codes])
    if type(model) not in (HistGradientBoostingClassifier, LogisticRegression, RandomForestClassifier):
        return np.asarray(model.predict(inputs))
    labels = np.asarray(classes[probabilities.argmax(axis=1)])
    largest = probabilities.max(axis=1, keepdims=True)
    tied = np.flatnonzero((probabilities == largest).sum(axis=1) != 1)
    if len(tied) and type(model) is not RandomForestClassifier:
        labels[tied] = model.predict(inputs.iloc[tied] if hasattr(inputs, "iloc") else inputs[tied])
    return labels
