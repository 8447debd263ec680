"""The baseline: the best prediction without a model. A model that is not better is worth nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import data, gate
from ..settings import SplitSettings

_CLASSES = 10  # of many classes, only the most frequent are always answered


@dataclass(frozen=True)
class Baseline:
    """The predictions of the best rule that uses only the target of the training rows.

    Attributes:
        name: The rule in words: `always predicting 'no'`, or `guessing by class shares`.
        predictions: The predictions of n rows.
        proper: In a regression, the predictions with the least squared error; None if these are `predictions`.
    """

    name: str
    predictions: gate.Predictions
    proper: gate.Predictions | None = None


def baseline(
    training: pd.DataFrame, holdout: pd.DataFrame, *, target: str, metric: gate.Metric, split: SplitSettings
) -> Baseline:
    """Return the best prediction without a model, by the metric on the holdout.

    For classes: always the same class, or a guess by class shares, which an average over classes favours. Both have the
    class shares as probabilities. Always predicting a rare class can be the best by cost or F1. By recall it would be
    perfect, so there only the most frequent class is tried. For numbers: the mean, the median, and with a split by time
    the last value, of all rows or of rows with the same key.

    Args:
        training: The training rows with labels.
        holdout: The n holdout rows with labels.
        target: The name of the target.
        metric: The metric that selects the best rule.
        split: The settings with the time and key columns.
    """
    if metric.problem_type == "classification":
        answers = dict(_class_answers(training[target], holdout[target], only_one=metric.name == "recall"))
    else:
        answers = dict(_number_answers(training, holdout, target=target, split=split))
    best = _best_answer(answers, metric, holdout, target)
    if metric.problem_type == "classification":  # all give the same probabilities
        return Baseline(best, answers[best])
    return Baseline(best, answers[best], answers[_best_answer(answers, gate.METRICS["rmse"], holdout, target)])


def _best_answer(answers: dict[str, gate.Predictions], metric: gate.Metric, holdout: pd.DataFrame, target: str) -> str:
    scores = {
        name: gate.evaluate(answer, holdout[target], metrics={metric.name: metric}, rows=holdout)[metric.name]
        for name, answer in answers.items()
    }
    choose = max if metric.greater_is_better else min
    return choose(scores, key=lambda name: scores[name])


def _class_answers(y: pd.Series, truth: pd.Series, *, only_one: bool) -> Iterator[tuple[str, gate.Predictions]]:
    from sklearn.dummy import DummyClassifier

    nothing, empty = np.zeros((len(y), 1)), pd.DataFrame({"nothing": np.zeros(len(truth))})
    model = DummyClassifier(strategy="prior").fit(nothing, y)
    always = gate.predict(model, empty, problem_type="classification")
    classes = np.asarray(model.classes_)
    frequent = np.argsort(-model.class_prior_, kind="stable")[: 1 if only_one else _CLASSES]
    answers = {
        f"always predicting {classes[position : position + 1].tolist()[0]!r}": np.full(len(truth), position)
        for position in frequent
    }
    answers["guessing by class shares"] = _stratified_guess(truth, model.class_prior_)
    for name, positions in answers.items():
        yield name, gate.Predictions(classes[positions], always.probabilities, always.classes)


def _stratified_guess(truth: pd.Series, shares: np.ndarray) -> np.ndarray:
    """Return a position of `shares` for each row: within every true class each comes up as often as its share.

    A guess that is drawn would set the bar by luck, which among the rows of one holdout is large.
    """
    guess = np.empty(len(truth), dtype=np.intp)
    rng = np.random.default_rng(0)
    for rows in truth.reset_index(drop=True).groupby(truth.to_numpy()).indices.values():
        ends = np.cumsum(shares) / np.sum(shares)
        guess[rng.permutation(rows)] = np.searchsorted(ends, (np.arange(len(rows)) + 0.5) / len(rows))
    return guess


def _number_answers(
    training: pd.DataFrame, holdout: pd.DataFrame, *, target: str, split: SplitSettings
) -> Iterator[tuple[str, gate.Predictions]]:
    y = training[target].to_numpy(dtype=np.float64)
    values = {"the mean": np.mean(y), "the median": np.median(y)}
    if split.method == "time":
        order = np.argsort(data.times(training, column=str(split.time_column)), kind="stable")
        values["the last value"] = y[order[-1]]
    for what, value in values.items():
        yield f"always predicting {value:.4g} ({what})", gate.Predictions(np.full(len(holdout), value))
    if split.method == "time" and split.key_columns:
        keys, holdout_keys = (data.group_codes(side, keys=split.key_columns) for side in (training, holdout))
        assert keys is not None
        last = pd.Series(y[order], index=keys[order]).groupby(level=0).last()
        answers = last.reindex(holdout_keys).fillna(values["the last value"]).to_numpy()
        yield f"the last value of the same {' and '.join(split.key_columns)}", gate.Predictions(answers)
