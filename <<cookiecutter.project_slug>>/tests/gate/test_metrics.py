"""Predictions once, and metrics that agree with scikit-learn's."""

import math

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info

from << cookiecutter.package_name >>.errors import ConfigurationError
from << cookiecutter.package_name >>.gate._metrics import (
    METRICS,
    UnknownMetricError,
    evaluate,
    get_metric,
)
from << cookiecutter.package_name >>.gate._predictions import Predictions, predict
from << cookiecutter.package_name >>.training import _folds
from << cookiecutter.package_name >>.training._folds import FoldError, cross_validate_score


def make_rows(classes: int = 2, rows: int = 400, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd"))
    score = X["a"] + 0.7 * rng.normal(size=rows)
    return X, np.array(["low", "mid", "top", "all"])[pd.qcut(score, classes, labels=False)]


class Counted(LogisticRegression):
    """Count the rows that go through the model."""

    seen = 0

    def predict_proba(self, X):  # type: ignore[no-untyped-def]
        Counted.seen += len(X)
        return super().predict_proba(X)

    def predict(self, X):  # type: ignore[no-untyped-def]
        Counted.seen += len(X)
        return super().predict(X)


@pytest.mark.parametrize("classes", [2, 3])
def test_classification_metrics_are_those_of_scikit_learn(classes: int) -> None:
    X, y = make_rows(classes)
    model = LogisticRegression().fit(X, y)
    predictions = predict(model, X, problem_type="classification")
    labels, probabilities = model.predict(X), model.predict_proba(X)
    second = probabilities[:, 1] if classes == 2 else probabilities
    truth = y if classes == 2 else pd.get_dummies(y)[list(model.classes_)].to_numpy()
    positive = {"pos_label": model.classes_[1]} if classes == 2 else {"average": "weighted"}
    assert evaluate(predictions, y, problem_type="classification") == pytest.approx(
        {
            "f1_score": reference.f1_score(y, labels, average="weighted"),
            "accuracy": reference.accuracy_score(y, labels),
            "roc_auc": reference.roc_auc_score(y, second, multi_class="ovr", average="weighted"),
            "average_precision": reference.average_precision_score(truth, second, **positive),
            "log_loss": reference.log_loss(y, probabilities),
        }
    )


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    X, _ = make_rows()
    y = X["a"].to_numpy() * 3 + 1
    predictions = predict(Ridge(alpha=50).fit(X, y), X, problem_type="regression")
    assert evaluate(predictions, y, problem_type="regression") == pytest.approx(
        {
            "rmse": reference.root_mean_squared_error(y, predictions.labels),
            "mae": reference.mean_absolute_error(y, predictions.labels),
            "r2": reference.r2_score(y, predictions.labels),
        }
    )


def test_predict_runs_the_pipeline_once() -> None:
    X, y = make_rows(rows=5000)
    model = make_pipeline(StandardScaler(), Counted()).fit(X, y)
    Counted.seen = 0
    predictions = predict(model, X, problem_type="classification")
    assert Counted.seen < 1.1 * len(X)
    np.testing.assert_array_equal(predictions.labels, model.predict(X))


@pytest.mark.parametrize("threshold", [0.3, 0.49, 0.9])
def test_labels_are_those_of_predict_whatever_the_threshold(threshold: float) -> None:
    X, y = make_rows(rows=3000)
    inner = LogisticRegression().fit(X, y == "mid")
    model = FixedThresholdClassifier(LogisticRegression(), threshold=threshold).fit(X, y == "mid")
    predictions = predict(model, X, problem_type="classification")
    np.testing.assert_array_equal(predictions.labels, model.predict(X))
    assert (predictions.labels != inner.predict(X)).any()


def test_a_classifier_without_probabilities_has_its_labels_measured() -> None:
    X, y = make_rows()
    predictions = predict(LinearSVC().fit(X, y), X, problem_type="classification")
    assert predictions.probabilities is None
    assert set(evaluate(predictions, y, problem_type="classification")) == {"f1_score", "accuracy"}
    with pytest.raises(UnknownMetricError, match=r"'roc_auc'.*probabilities"):
        cross_validate_score(LinearSVC(), X, y, metric="roc_auc", problem_type="classification")


def test_classes_that_the_model_does_not_know_count_against_it() -> None:
    X, y = make_rows()
    predictions = predict(LogisticRegression().fit(X, y), X, problem_type="classification")
    strange = y.copy()
    strange[:40] = "unheard"
    metrics = evaluate(predictions, strange, problem_type="classification")
    right = predictions.labels == strange
    assert metrics["accuracy"] == pytest.approx(right.mean())
    assert metrics["log_loss"] > 3
    assert not right[:40].any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_predictions_that_are_no_numbers_give_nan(bad: float) -> None:
    values = Predictions(np.array([1.0, bad, 2.0]))
    assert all(map(math.isnan, evaluate(values, [1, 2, 3], problem_type="regression").values()))
    classes = np.array(["a", "b"])
    probabilities = Predictions(classes, np.array([[0.5, 0.5], [bad, 0.5]]), classes)
    assert all(map(math.isnan, evaluate(probabilities, ["a", "b"], problem_type="classification").values()))


def test_ranking_metrics_of_one_class_are_undefined() -> None:
    classes = np.array(["a", "b"])
    metrics = evaluate(
        Predictions(classes[[0, 1]], np.array([[0.9, 0.1], [0.2, 0.8]]), classes),
        ["a", "a"],
        problem_type="classification",
    )
    assert math.isnan(metrics["roc_auc"])
    assert metrics["accuracy"] == 0.5


def test_improvement_is_points_for_scores_and_a_share_for_errors() -> None:
    assert METRICS["f1_score"].improvement(0.91, 0.90) == pytest.approx(0.01)
    assert METRICS["r2"].improvement(0.4, 0.5) == pytest.approx(-0.1)
    assert METRICS["rmse"].improvement(99, 100) == pytest.approx(0.01)
    assert METRICS["log_loss"].improvement(0.6, 0.5) == pytest.approx(-0.2)
    assert METRICS["mae"].improvement(0, 0) == 0
    assert METRICS["mae"].improvement(1, 0) == -1
    assert METRICS["f1_score"].reaches(0.8, 0.8)
    assert METRICS["rmse"].reaches(0.7, 0.8)
    assert not METRICS["rmse"].reaches(0.9, 0.8)


def test_unknown_and_unfitting_metrics_are_refused_with_the_possible_ones() -> None:
    with pytest.raises(UnknownMetricError, match=r"Did you mean 'f1_score'.*roc_auc"):
        get_metric("f1-score", problem_type="classification")
    with pytest.raises(UnknownMetricError, match=r"'rmse' measures a regression.*accuracy"):
        get_metric("rmse", problem_type="classification")
    assert issubclass(UnknownMetricError, ConfigurationError)


def test_cross_validation_is_seeded_and_agrees_with_scikit_learn() -> None:
    X, y = make_rows()
    score = cross_validate_score(
        LogisticRegression(), X, y, metric="accuracy", problem_type="classification", seed=3
    )
    again = cross_validate_score(
        LogisticRegression(), X, y, metric="accuracy", problem_type="classification", seed=3
    )
    other = cross_validate_score(
        LogisticRegression(), X, y, metric="accuracy", problem_type="classification", seed=4
    )
    folds = _folds.make_folds(y, problem_type="classification", folds=5, seed=3)
    assert score == again != other
    assert score == pytest.approx(
        cross_val_score(LogisticRegression(), X, y, cv=folds, scoring="accuracy").mean()
    )


def test_folds_keep_groups_together_and_respect_time() -> None:
    _, y = make_rows()
    groups = np.arange(len(y)) % 37
    values = np.random.default_rng(0).normal(size=len(y))
    for truth, kind in ((y, "classification"), (values, "regression")):
        for train, test in _folds.make_folds(truth, problem_type=kind, seed=0, groups=groups):
            assert not set(groups[train]) & set(groups[test])
    times = np.random.default_rng(1).permutation(len(y))
    folds = _folds.make_folds(y, problem_type="classification", folds=5, seed=0, groups=groups, times=times)
    assert len(folds) == 5
    for train, test in folds:
        assert times[train].max() < times[test].min()


def test_folds_adapt_to_few_rows_of_a_class() -> None:
    X, y = make_rows(rows=60)
    y[y == "mid"] = "low"
    y[:3] = "top"
    assert len(_folds.make_folds(y, problem_type="classification", folds=5, seed=0)) == 3
    y[1:3] = "low"
    with pytest.raises(FoldError, match=r"at least 2 rows of the rarest class.*has 1"):
        cross_validate_score(LogisticRegression(), X, y, metric="f1_score", problem_type="classification")
    with pytest.raises(FoldError, match="at least 2 groups"):
        cross_validate_score(
            Ridge(), X, X["a"], metric="rmse", problem_type="regression", groups=np.zeros(60), seed=0
        )


class ThreadsSeen(ClassifierMixin, BaseEstimator):
    """Note how many threads a fit may use."""

    seen: list[int] = []  # noqa: RUF012

    def fit(self, X, y):  # type: ignore[no-untyped-def]
        ThreadsSeen.seen += [pool["num_threads"] for pool in threadpool_info()]
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):  # type: ignore[no-untyped-def]
        return np.repeat(self.classes_[0], len(X))


def test_a_thread_budget_holds_in_every_fit() -> None:
    X, y = make_rows(rows=50)
    before = [pool["num_threads"] for pool in threadpool_info()]
    ThreadsSeen.seen = []
    cross_validate_score(ThreadsSeen(), X, y, metric="accuracy", problem_type="classification", threads=1)
    assert set(ThreadsSeen.seen) == {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_best_takes_the_direction_of_the_metric() -> None:
    assert _folds.best({"a": 0.8, "b": 0.9, "c": math.nan}, metric="f1_score") == "b"
    assert _folds.best({"c": math.nan, "a": 0.8, "b": 0.9}, metric="rmse") == "a"
    assert _folds.best({"a": 0.9, "b": 0.9}, metric="f1_score") == "a"


def test_no_defined_fold_is_an_error() -> None:
    X, y = make_rows(rows=40)
    ordered = np.sort(y)
    with pytest.raises(FoldError, match="no fold of the 40 training rows"):
        cross_validate_score(
            DummyClassifier(),
            X,
            ordered,
            metric="roc_auc",
            problem_type="classification",
            times=np.arange(40),
        )
