"""What can be predicted without a model: a model that is no better is worth nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import gate


@dataclass(frozen=True)
class Baseline:
    """An answer for every row that looks at none of its columns.

    Attributes:
        name: For people: `always answering 'no'`, or `guessing by the shares of the classes`.
        predictions: Of n rows.
    """

    name: str
    predictions: gate.Predictions


def baseline(
    y: Any,
    holdout: Any,
    *,
    metric: gate.Metric,
    times: gate.Array | None = None,
    rows: pd.DataFrame | None = None,
) -> Baseline:
    """Return the best answer that needs no model, by the metric on the holdout.

    For classes the most frequent one, with the share of each as its probability, or a guess by these shares: an average
    over classes favours whatever names them all. For numbers the mean, the median, or the last value where the rows
    have times. Whichever is the best.

    Args:
        y: The target of the training rows.
        holdout: The target of the holdout's n rows.
        metric: What the best is chosen by.
        times: Of the training rows, where the holdout is the latest ones.
        rows: The holdout's rows as the source has them, for a metric that reads columns.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    nothing, empty = np.zeros((len(y), 1)), pd.DataFrame({"nothing": np.zeros(len(holdout))})
    answers: dict[str, Any] = {}
    if metric.problem_type == "classification":
        always = DummyClassifier(strategy="prior").fit(nothing, y)
        answers[f"always answering {always.predict(empty).tolist()[0]!r}"] = always
        guess = DummyClassifier(strategy="stratified", random_state=0).fit(nothing, y)
        answers["guessing by the shares of the classes"] = guess
    else:
        values = {"the mean": np.mean(y), "the median": np.median(y)}
        if times is not None:
            values["the last value"] = np.asarray(y)[np.argmax(times)]
        for what, value in values.items():
            constant = DummyRegressor(strategy="constant", constant=value).fit(nothing, y)
            answers[f"always answering {value:.4g} ({what})"] = constant
    best: tuple[float, Baseline] | None = None
    for name, model in answers.items():
        predictions = gate.predict(model, empty, problem_type=metric.problem_type)
        score = gate.evaluate(predictions, holdout, metrics={metric.name: metric}, rows=rows)[metric.name]
        if best is None or (score > best[0] if metric.greater_is_better else score < best[0]):
            best = score, Baseline(name, predictions)
    assert best is not None
    return best[1]
