"""What can be predicted without a model: a model that is no better is worth nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import gate


@dataclass(frozen=True)
class Baseline:
    """The same answer for every row.

    Attributes:
        name: For people: `always answering 'no'`.
        predictions: Of n rows.
    """

    name: str
    predictions: gate.Predictions


def baseline(y: Any, holdout: Any, *, metric: gate.Metric, times: gate.Array | None = None) -> Baseline:
    """Return the best answer that needs no model, by the metric on the holdout.

    For classes the most frequent one, with the share of each as its probability. For numbers the mean, the
    median, or the last value where the rows have times, whichever is the best.

    Args:
        y: The target of the training rows.
        holdout: The target of the holdout's n rows.
        metric: What the best is chosen by.
        times: Of the training rows, where the holdout is the latest ones.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    nothing, rows = np.zeros((len(y), 1)), pd.DataFrame({"nothing": np.zeros(len(holdout))})
    if metric.problem_type == "classification":
        shares = DummyClassifier(strategy="prior").fit(nothing, y)
        predictions = gate.predict(shares, rows, problem_type="classification")
        return Baseline(f"always answering {predictions.labels.tolist()[0]!r}", predictions)
    answers = {"the mean": np.mean(y), "the median": np.median(y)}
    if times is not None:
        answers["the last value"] = np.asarray(y)[np.argmax(times)]
    found = {}
    for what, value in answers.items():
        constant = DummyRegressor(strategy="constant", constant=value).fit(nothing, y)
        predictions = gate.predict(constant, rows, problem_type="regression")
        score = gate.evaluate(predictions, holdout, problem_type="regression", metrics={metric.name: metric})[
            metric.name
        ]
        found[score] = Baseline(f"always answering {value:.4g} ({what})", predictions)
    return found[max(found) if metric.greater_is_better else min(found)]
