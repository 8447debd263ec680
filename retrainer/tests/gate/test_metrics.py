"""Predictions once, and metrics that agree with scikit-learn's."""

import math
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info, threadpool_limits

from retrainer.errors import ConfigurationError
from retrainer.gate import (
    METRICS,
    Pair,
    PositiveClassError,
    Predictions,
    UnknownMetricError,
    check_table,
    compare,
    encode_labels,
    evaluate,
    evaluate_thresholds,
    find_positive,
    gate_metrics,
    get_metric,
    known_metric,
    predict,
    recorded_metrics,
)
from retrainer.gate._samples import make_samples
from retrainer.training._folds import FoldError, FoldInputs, cross_validate_scores, make_folds

from ..conftest import PROJECT

PINBALL = "neg_mean_pinball_loss_0.9"
EVERY = {name: known_metric(name) for name in [*METRICS, *reference.get_scorer_names(), PINBALL]}
CLASSIFICATION, REGRESSION = (
    {name: metric for name, metric in EVERY.items() if metric.problem_type == problem_type}
    for problem_type in ("classification", "regression")
)


def make_rows(classes: int = 2, rows: int = 400, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd"))
    score = X["a"] + 0.7 * rng.normal(size=rows)
    return X, np.array(["low", "mid", "top", "all"])[pd.qcut(score, classes, labels=False)]


class CountedScaler(StandardScaler):
    """Count the rows that go through it."""

    seen = 0

    def transform(self, X, copy=None):  # type: ignore[no-untyped-def]
        CountedScaler.seen += len(X)
        return super().transform(X, copy=copy)


class Given(ClassifierMixin, BaseEstimator):
    """A classifier that predicts what it is given, so that scikit-learn's scorers can score it."""

    def __init__(self, predictions: Predictions | None = None) -> None:
        self.predictions = predictions

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> np.ndarray:
        return self.predictions.classes

    def predict(self, X):  # type: ignore[no-untyped-def]
        return self.predictions.labels

    def predict_proba(self, X):  # type: ignore[no-untyped-def]
        return self.predictions.probabilities


class GivenValues(RegressorMixin, BaseEstimator):
    """The same of values."""

    def __init__(self, predictions: Predictions | None = None) -> None:
        self.predictions = predictions

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X):  # type: ignore[no-untyped-def]
        return self.predictions.labels


SCORERS = {
    "f1_score": "f1_weighted",
    "log_loss": "neg_log_loss",
    "rmse": "neg_root_mean_squared_error",
    "mae": "neg_mean_absolute_error",
    PINBALL: reference.make_scorer(reference.mean_pinball_loss, alpha=0.9, greater_is_better=False),
}
ONE_CLASS = {
    "f1",
    "precision",
    "recall",
    "jaccard",
    "positive_likelihood_ratio",
    "neg_negative_likelihood_ratio",
}
UNLABELLED = {
    "f1_samples",
    "jaccard_samples",
    "precision_samples",
    "recall_samples",
}  # of several labels a row


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", sorted(CLASSIFICATION.keys() - UNLABELLED))
def test_classification_metrics_are_scikit_learns_scorers(name: str, classes: int) -> None:
    metric = EVERY[name]
    scorer = SCORERS.get(name, name)
    if classes == 3:
        if metric.one_class or name == "average_precision":
            pytest.skip("of two classes only")
        scorer = "roc_auc_ovr_weighted" if name == "roc_auc" else scorer
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 300)
    scores = np.exp(2 * np.eye(classes)[y] + 1.5 * rng.normal(size=(300, classes))).round(1)  # ties
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    predictions = Predictions(probabilities.argmax(axis=1), probabilities, np.arange(classes))
    sign = 1 if metric.greater_is_better else -1
    theirs = reference.get_scorer(scorer)(Given(predictions), np.zeros((300, 1)), y)
    assert evaluate(predictions, y, metrics={name: metric})[name] == pytest.approx(sign * theirs)


@pytest.mark.parametrize("name", REGRESSION)
def test_regression_metrics_are_scikit_learns_scorers(name: str) -> None:
    metric = EVERY[name]
    rng = np.random.default_rng(0)
    y = np.exp(rng.normal(size=300))
    predictions = Predictions(y * np.exp(0.3 * rng.normal(size=300)))
    sign = 1 if metric.greater_is_better else -1
    theirs = reference.get_scorer(SCORERS.get(name, name))(GivenValues(predictions), np.zeros((300, 1)), y)
    assert evaluate(predictions, y, metrics={name: metric})[name] == pytest.approx(sign * theirs)


@pytest.mark.parametrize(
    "name",
    sorted(CLASSIFICATION.keys() - ONE_CLASS - UNLABELLED - {"average_precision", "roc_auc_ovo"}),
)
def test_a_class_that_nobody_predicts_counts_as_in_scikit_learn(name: str) -> None:
    metric = EVERY[name]
    y = np.array([0] * 6 + [1] * 3 + [2])
    probabilities = np.array([[0.7, 0.2, 0.1]] * 5 + [[0.3, 0.5, 0.2]] * 4 + [[0.6, 0.1, 0.3]])
    predictions = Predictions(probabilities.argmax(axis=1), probabilities, np.arange(3))
    scorer = "roc_auc_ovr_weighted" if name == "roc_auc" else SCORERS.get(name, name)
    sign = 1 if metric.greater_is_better else -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = reference.get_scorer(scorer)(Given(predictions), np.zeros((10, 1)), y)
    assert evaluate(predictions, y, metrics={name: metric})[name] == pytest.approx(sign * theirs)


@pytest.mark.parametrize("name", ["f1", "precision", "recall", "jaccard", "f1_macro", "matthews_corrcoef"])
def test_a_class_without_any_row_or_prediction_scores_nothing(name: str) -> None:
    """Nothing found of nothing there is 0, as scikit-learn has it, and no error."""
    one = Predictions(np.zeros(5, dtype=int), None, np.array([0, 1]))
    found = evaluate(one, np.zeros(5, dtype=int), metrics={name: EVERY[name]})[name]
    assert found == (1 if name == "f1_macro" else 0)


@pytest.mark.parametrize("name", [name for name in REGRESSION if "gamma" not in name])
def test_values_of_zero_count_as_in_scikit_learn(name: str) -> None:
    metric = EVERY[name]
    y = np.array([0.0, 0.0, 1.0, 3.0, 0.5])
    predictions = Predictions(np.array([0.5, 1.5, 1.0, 2.0, 2.5]))
    sign = 1 if metric.greater_is_better else -1
    theirs = reference.get_scorer(SCORERS.get(name, name))(GivenValues(predictions), np.zeros((5, 1)), y)
    assert evaluate(predictions, y, metrics={name: metric})[name] == pytest.approx(sign * theirs)


def test_deviances_are_undefined_where_the_logarithm_is() -> None:
    names = ("neg_mean_poisson_deviance", "neg_mean_gamma_deviance")
    metrics = {name: EVERY[name] for name in names}
    for y, value in (([1.0, 2.0], 0.0), ([1.0, 2.0], -1.0)):
        found = evaluate(Predictions(np.array([1.0, value])), y, metrics=metrics)
        assert all(map(math.isnan, found.values()))
    found = evaluate(Predictions(np.array([1.0, 2.0])), [1.0, 0.0], metrics=metrics)
    assert math.isnan(found["neg_mean_gamma_deviance"])
    assert found["neg_mean_poisson_deviance"] == pytest.approx(2)


@pytest.mark.parametrize("name", ["r2"])
def test_of_a_constant_nothing_can_be_explained(name: str) -> None:
    metrics = {name: EVERY[name]}
    assert math.isnan(evaluate(Predictions(np.array([1.0, 2.0])), [3.0, 3.0], metrics=metrics)[name])
    assert math.isnan(evaluate(Predictions(np.array([1.0])), [3.0], metrics=metrics)[name])


def test_a_probability_of_nothing_costs_much_and_not_everything() -> None:
    certain = Predictions(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([0, 1]))
    found = evaluate(certain, [0, 1], metrics={"log_loss": METRICS["log_loss"]})["log_loss"]
    assert found == pytest.approx(-np.log(np.finfo(float).eps) / 2)


@pytest.mark.parametrize(
    ("name", "value", "shown", "difference"),
    [
        ("accuracy", 0.98765, "0.9877", "0.9877"),
        ("r2", 0.98765, "0.9877", "0.9877"),
        ("log_loss", 0.01234, "0.0123", "1.23 %"),
        ("rmse", 12345.6, "1.235e+04", "1234560.00 %"),
        ("neg_brier_score", 0.0123456, "0.01235", "1.23 %"),
    ],
)
def test_scores_are_shown_with_four_decimals_errors_with_four_digits(
    name: str, value: float, shown: str, difference: str
) -> None:
    metric = EVERY[name]
    assert metric.format(value) == shown
    assert metric.format_difference(value) == difference
    assert metric.below == ("below" if metric.greater_is_better else "above")


def test_what_a_metric_needs_and_is_about() -> None:
    assert {name for name, metric in EVERY.items() if metric.one_class} == ONE_CLASS
    assert {name for name, metric in CLASSIFICATION.items() if not metric.looks_at_classes} == {
        *(
            "roc_auc",
            "roc_auc_ovr",
            "roc_auc_ovr_weighted",
            "roc_auc_ovo",
            "roc_auc_ovo_weighted",
            "top_k_accuracy",
        ),
        *(
            "average_precision",
            "log_loss",
            "neg_log_loss",
            "neg_brier_score",
            "d2_brier_score",
            "d2_log_loss_score",
        ),
    }
    assert not any(metric.looks_at_classes for metric in REGRESSION.values())
    assert all(metric.name == name for name, metric in EVERY.items())
    assert get_metric("f1", problem_type="classification", positive="yes").label == "F1 of yes"
    assert get_metric("f1", problem_type="classification").label == "F1"
    assert get_metric("accuracy", problem_type="classification", positive="yes").label == "accuracy"
    assert get_metric("neg_mean_pinball_loss_.25", problem_type="regression").label == "mean pinball loss .25"


def test_which_metrics_take_rows_of_every_class() -> None:
    assert {name for name, metric in METRICS.items() if metric.measure.by_class} == {
        *("f1", "precision", "recall", "jaccard"),
        *("f1_macro", "precision_macro", "recall_macro", "jaccard_macro"),
        *("balanced_accuracy", "matthews_corrcoef"),
        *("roc_auc", "roc_auc_ovr", "roc_auc_ovr_weighted", "average_precision"),
    }
    assert known_metric("positive_likelihood_ratio").measure.by_class
    assert not known_metric("neg_max_error").measure.by_class


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("neg_mean_gamma_deviance", [0.0, 1.0, 2.0], "strictly positive"),
        ("f1_samples", ["a", "b", "a"], "multilabel"),
        ("positive_likelihood_ratio", ["a", "b", "a"], None),
        ("roc_auc_ovo", ["a", "b", "c"], None),
        ("neg_median_absolute_error", [0.0, 1.0, 2.0], None),
    ],
)
def test_a_scorer_for_another_kind_of_target_is_refused_before_training(
    name: str, target: list[Any], said: str | None
) -> None:
    problem_type = EVERY[name].problem_type
    metric = get_metric(name, problem_type=problem_type, positive="b" if EVERY[name].one_class else None)
    table = pd.DataFrame({"target": target})
    if said is None:
        check_table(table, target="target", metrics={name: metric})
        return
    with pytest.raises(UnknownMetricError, match=f"{name}.*does not fit the target.*{said}"):
        check_table(table, target="target", metrics={name: metric})


def test_a_threshold_is_judged_as_if_it_decided() -> None:
    rng = np.random.default_rng(0)
    y, chance = rng.integers(0, 2, 50), rng.random(50).round(1)
    model = Predictions((chance > 0.5).astype(int), np.column_stack([1 - chance, chance]), np.array([0, 1]))
    for positive, score in ((1, chance), (0, 1 - chance)):
        metric = get_metric("f1", problem_type="classification", positive=positive)
        found = evaluate_thresholds(model, y, metric=metric, thresholds=[0.0, 0.3, 1.0])
        theirs = [
            reference.f1_score(y == positive, score >= threshold, zero_division=0) for threshold in (0.0, 0.3, 1.0)
        ]
        assert found == pytest.approx(theirs)
    assert model.probabilities is not None
    bad = Predictions(model.labels, np.where(model.probabilities == 1, math.nan, model.probabilities), model.classes)
    metric = get_metric("f1", problem_type="classification")
    assert np.isnan(evaluate_thresholds(bad, y, metric=metric, thresholds=[0.1, 0.2])).tolist() == [
        True,
        True,
    ]


def test_recorded_are_the_gates_metrics_and_the_usual_ones() -> None:
    project = PROJECT.with_settings(
        root=PROJECT.folder,
        problem_type="classification",
        data={"source": "sample", "target": "target", "positive": "yes"},
        gate={"metric": "recall", "guard_metrics": {"roc_auc": 0.1, "f1_macro": 0.1}},
    )
    found = recorded_metrics(project)
    assert list(gate_metrics(project)) == ["recall", "roc_auc", "f1_macro"]
    assert set(found) == {
        *("f1_score", "accuracy", "roc_auc", "average_precision", "log_loss"),
        *("recall", "f1_macro"),
    }
    assert all(metric.positive == "yes" for metric in found.values())
    assert found["recall"].label == "recall of yes"


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_the_pinball_loss_takes_any_quantile(quantile: float) -> None:
    rng = np.random.default_rng(0)
    y, values = rng.normal(size=(2, 100))
    metric = get_metric(f"neg_mean_pinball_loss_{quantile}", problem_type="regression")
    theirs = reference.mean_pinball_loss(y, values, alpha=quantile)
    assert evaluate(Predictions(values), y, metrics={"it": metric})["it"] == pytest.approx(theirs)


@pytest.mark.parametrize("name", ["f1", "precision", "recall", "jaccard", "average_precision", "roc_auc"])
@pytest.mark.parametrize("positive", ["mid", "low"])
def test_metrics_of_one_class_are_about_the_positive_class(name: str, positive: str) -> None:
    X, y = make_rows(2)
    model = LogisticRegression().fit(X, y)
    predictions = predict(model, X, problem_type="classification")
    metric = get_metric(name, problem_type="classification", positive=positive)
    theirs = reference.get_scorer(name)(
        Given(
            Predictions(
                (predictions.labels == positive).astype(int),
                predictions.probabilities[:, [1, 0] if positive == "low" else [0, 1]],
                np.array([0, 1]),
            )
        ),
        X,
        (y == positive).astype(int),
    )
    assert list(model.classes_) == ["low", "mid"]
    assert evaluate(predictions, y, metrics={name: metric})[name] == pytest.approx(theirs)
    assert (f"of {positive}" in metric.label) is metric.one_class


def test_the_positive_class_has_to_be_there_and_to_be_set_where_no_class_is_called_1() -> None:
    table = pd.DataFrame({"churned": ["no", "yes", "no"], "plan": ["a", "b", "a"]})
    f1 = {"f1": get_metric("f1", problem_type="classification")}
    yea = {"f1": get_metric("f1", problem_type="classification", positive="yea")}
    yes = {"f1": get_metric("f1", problem_type="classification", positive="yes")}
    check_table(table, target="churned", metrics=yes)
    with pytest.raises(PositiveClassError, match=r"Set data.positive to one of: no, yes"):
        check_table(table, target="churned", metrics=f1)
    with pytest.raises(PositiveClassError, match=r"data.positive is 'yea'.*no such class.*no, yes"):
        check_table(table, target="churned", metrics=yea)
    for values in ([0, 1, 1], [0.0, 1.0, 1.0], [False, True, True], [-1, 1, 1]):
        check_table(pd.DataFrame({"churned": values}), target="churned", metrics=f1)
    one = {"f1": get_metric("f1", problem_type="classification", positive="1")}
    check_table(pd.DataFrame({"churned": [0.0, 1.0]}), target="churned", metrics=one)


def test_classes_of_several_types_have_a_positive_one_too() -> None:
    table = pd.DataFrame({"plan": pd.Series([1, "pro", 1, None], dtype=object)})
    f1 = {"f1": get_metric("f1", problem_type="classification", positive="pro")}
    check_table(table, target="plan", metrics=f1)
    truth = table["plan"][:3].to_numpy()
    assert evaluate(Predictions(truth, None, np.array([1, "pro"], dtype=object)), truth, metrics=f1) == {"f1": 1}


def test_predict_prepares_the_rows_once_and_labels_are_those_of_predict() -> None:
    X, y = make_rows(rows=500)
    model = make_pipeline(CountedScaler(), LogisticRegression()).fit(X, y)
    CountedScaler.seen = 0
    predictions = predict(model, X, problem_type="classification")
    assert CountedScaler.seen == len(X)
    np.testing.assert_array_equal(predictions.labels, model.predict(X))


@pytest.mark.parametrize("classes", [2, 3])
def test_labels_of_tied_probabilities_are_those_of_predict_row_by_row(classes: int) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.integers(0, 3, 300), "b": rng.integers(0, 2, 300)})
    y = rng.permutation(np.arange(300) % classes)  # as many of each, so that boosting starts at a tie
    for model in (
        HistGradientBoostingClassifier(max_iter=1, learning_rate=1e-17),
        LogisticRegression(),
        RandomForestClassifier(n_estimators=2, random_state=0),
        FixedThresholdClassifier(
            DummyClassifier(strategy="prior"), threshold=0.5, pos_label=0, response_method="predict_proba"
        ),
    ):
        if classes == 3 and isinstance(model, FixedThresholdClassifier):
            continue
        model.fit(X, y)
        if isinstance(model, LogisticRegression):
            model.coef_ = np.resize([1e-18, -1e-18, -1e-18, 1e-18], model.coef_.shape)
            model.intercept_ = np.zeros_like(model.intercept_)
        if isinstance(model, HistGradientBoostingClassifier | LogisticRegression):
            probabilities = model.predict_proba(X)
            assert ((probabilities == probabilities.max(axis=1, keepdims=True)).sum(axis=1) > 1).any()
            assert (probabilities.argmax(axis=1) != model.predict(X)).any()
        whole = predict(model, X, problem_type="classification").labels
        np.testing.assert_array_equal(whole, model.predict(X))
        alone = [predict(model, X.iloc[[row]], problem_type="classification").labels[0] for row in range(0, 300, 30)]
        np.testing.assert_array_equal(whole[::30], alone)


def test_values_are_those_of_predict() -> None:
    X, _ = make_rows()
    model = Ridge().fit(X, X["a"].astype("float32"))
    found = predict(model, X, problem_type="regression")
    np.testing.assert_array_equal(found.labels, model.predict(X))
    assert found.labels.dtype == np.float64
    assert found.probabilities is found.classes is None


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
    some = {name: METRICS[name] for name in ("f1_score", "accuracy", "roc_auc", "log_loss")}
    assert set(evaluate(predictions, y, metrics=some)) == {"f1_score", "accuracy"}
    with pytest.raises(ConfigurationError, match=r"'roc_auc'.*probabilities"):
        cross_validate_scores(LinearSVC(), FoldInputs(X, y, "classification"), metric=METRICS["roc_auc"])


def test_classes_that_the_model_does_not_know_count_against_it() -> None:
    X, y = make_rows()
    predictions = predict(LogisticRegression().fit(X, y), X, problem_type="classification")
    strange = y.copy()
    strange[:40] = "unheard"
    metrics = evaluate(predictions, strange, metrics={name: METRICS[name] for name in ("accuracy", "log_loss")})
    right = predictions.labels == strange
    assert metrics["accuracy"] == pytest.approx(right.mean())
    assert metrics["log_loss"] > 3
    assert not right[:40].any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_predictions_that_are_no_numbers_give_nan(bad: float) -> None:
    values = Predictions(np.array([1.0, bad, 2.0]))
    assert all(map(math.isnan, evaluate(values, [1, 2, 3], metrics=REGRESSION).values()))
    classes = np.array(["a", "b"])
    probabilities = Predictions(classes, np.array([[0.5, 0.5], [bad, 0.5]]), classes)
    assert all(
        map(
            math.isnan,
            evaluate(probabilities, ["a", "b"], metrics={"accuracy": METRICS["accuracy"]}).values(),
        )
    )


def test_ranking_metrics_of_one_class_are_undefined() -> None:
    classes = np.array(["a", "b"])
    metrics = evaluate(
        Predictions(classes[[0, 1]], np.array([[0.9, 0.1], [0.2, 0.8]]), classes),
        ["a", "a"],
        metrics={name: METRICS[name] for name in ("roc_auc", "roc_auc_ovr", "average_precision", "accuracy")},
    )
    assert math.isnan(metrics["roc_auc_ovr"])
    assert math.isnan(metrics["average_precision"])
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


def test_a_share_of_a_profit_below_zero_is_of_its_size() -> None:
    profit = replace(METRICS["r2"], relative=True)
    assert profit.improvement(-0.53, -0.18) == pytest.approx(-0.35 / 0.18)
    assert profit.improvement(-0.17, -0.50) == pytest.approx(0.33 / 0.50)
    assert (profit.improvement(1.0, 0.0), profit.improvement(-1.0, 0.0)) == (1.0, -1.0)
    y = np.arange(60.0)
    found = [
        compare(profit, Pair(y, Predictions(y * a), Predictions(y * b)), confidence=0.95, seed=0)
        for a, b in ((-2.0, -1.0), (-1.0, -2.0))
    ]
    assert found[0].improvement > 0 > found[1].improvement
    assert found[0].lower > 0 > found[1].upper


def test_what_scores_clusters_is_not_among_the_possible_metrics() -> None:
    with pytest.raises(UnknownMetricError, match="balanced_accuracy") as refused:
        get_metric("no such", problem_type="classification")
    assert not re.search("rand_score|mutual_info|homogeneity|completeness|v_measure|fowlkes", str(refused.value))


def test_unknown_and_unfitting_metrics_are_refused_with_the_possible_ones() -> None:
    with pytest.raises(UnknownMetricError, match=r"Did you mean 'f1_score'\?.*accuracy"):
        get_metric("f1-score", problem_type="classification")
    with pytest.raises(UnknownMetricError, match=r"'rmse' measures a regression.*accuracy"):
        get_metric("rmse", problem_type="classification")
    assert issubclass(UnknownMetricError, ConfigurationError)
    with pytest.raises(UnknownMetricError, match=r"Did you mean 'recall'"):
        get_metric("recal", problem_type="classification")
    with pytest.raises(UnknownMetricError, match="there is no metric"):
        get_metric("neg_mean_pinball_loss_1.5", problem_type="regression")


def test_cross_validation_is_seeded_and_agrees_with_scikit_learn() -> None:
    X, y = make_rows()
    (score,), (again,), (other,) = (
        cross_validate_scores(
            LogisticRegression(), FoldInputs(X, y, "classification", seed), metric=METRICS["accuracy"]
        )
        for seed in (3, 3, 4)
    )
    folds = make_folds(FoldInputs(X, y, "classification", 3))
    assert score == again != other
    assert score == pytest.approx(cross_val_score(LogisticRegression(), X, y, cv=folds, scoring="accuracy").mean())


def test_folds_keep_groups_together_and_respect_time() -> None:
    X, y = make_rows()
    groups = np.arange(len(y)) % 37
    values = np.random.default_rng(0).normal(size=len(y))
    for truth, kind in ((y, "classification"), (values, "regression")):
        for train, test in make_folds(FoldInputs(X, truth, kind, groups=groups)):
            assert not set(groups[train]) & set(groups[test])
    times = np.random.default_rng(1).permutation(len(y))
    folds = make_folds(FoldInputs(X, y, "classification", groups=groups, times=times))
    assert len(folds) == 5
    for train, test in folds:
        assert times[train].max() < times[test].min()


def test_folds_adapt_to_few_rows_of_a_class() -> None:
    X, y = make_rows(rows=60)
    y[y == "mid"] = "low"
    y[:3] = "top"
    assert len(make_folds(FoldInputs(X, y, "classification"))) == 3
    y[1:3] = "low"
    with pytest.raises(FoldError, match=r"at least 2 rows of the rarest class.*has 1"):
        cross_validate_scores(LogisticRegression(), FoldInputs(X, y, "classification"), metric=METRICS["f1_score"])
    with pytest.raises(FoldError, match="at least 2 groups"):
        make_folds(FoldInputs(X, X["a"].to_numpy(), "regression", groups=np.zeros(60)))
    with pytest.raises(FoldError, match="at least 3 rows in the training part, which has 2"):
        make_folds(FoldInputs(X, y[:2], "classification", times=np.arange(2)))


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
    with threadpool_limits(2):  # whatever this machine has, and the tests may use
        ThreadsSeen.seen = []
        inputs = FoldInputs(X, y, "classification")
        cross_validate_scores(ThreadsSeen(), inputs, metric=METRICS["accuracy"], threads=1)
        assert set(ThreadsSeen.seen) == {1}
        assert {pool["num_threads"] for pool in threadpool_info()} == {2}


def test_no_defined_fold_is_an_error() -> None:
    X, y = make_rows(rows=40)
    ordered = np.sort(y)
    inputs = FoldInputs(X, ordered, "classification", times=np.arange(40))
    with pytest.raises(FoldError, match="no fold of the 40 training rows"):
        cross_validate_scores(DummyClassifier(), inputs, metric=METRICS["roc_auc"])


class Steps(BaseEstimator):
    """A step that adds to every cell, or gives an array."""

    def __init__(self, as_array: bool = False) -> None:
        self.as_array = as_array

    def fit(self, X, y=None):  # type: ignore[no-untyped-def]
        return self

    def transform(self, X):  # type: ignore[no-untyped-def]
        return np.asarray(X) + 1 if self.as_array else X + 1


@pytest.mark.parametrize(
    "steps", [[], [("nothing", "passthrough"), ("none", None)], [("add", Steps())], [("add", Steps(True))]]
)
@pytest.mark.parametrize(
    "model", [HistGradientBoostingClassifier(max_iter=2), RandomForestClassifier(3), LogisticRegression()]
)
def test_the_steps_before_the_model_prepare_its_rows(steps: list[Any], model: Any) -> None:
    X, y = make_rows(3, rows=120)
    pipeline = Pipeline([*steps, ("model", clone(model))]).fit(X.round(), y)
    found = predict(pipeline, X.round(), problem_type="classification")
    np.testing.assert_array_equal(found.labels, pipeline.predict(X.round()))
    np.testing.assert_allclose(found.probabilities, pipeline.predict_proba(X.round()))
    assert list(found.classes) == list(pipeline.classes_)


@pytest.mark.parametrize("response", ["predict_proba", "decision_function"])
@pytest.mark.parametrize("positive", ["low", "mid"])
def test_a_fixed_threshold_decides_by_what_it_was_set_for(response: str, positive: str) -> None:
    X, y = make_rows(rows=300)
    model = FixedThresholdClassifier(
        LogisticRegression(), threshold=0.8, pos_label=positive, response_method=response
    ).fit(X, y)
    np.testing.assert_array_equal(predict(model, X, problem_type="classification").labels, model.predict(X))


def test_some_rows_of_predictions() -> None:
    model = Predictions(np.array(["a", "b", "a"]), np.eye(3), np.array(["a", "b", "c"]))
    for rows in (np.array([2, 0]), np.array([True, False, True]), slice(0, 3, 2)):
        part = model.take(rows)
        assert part.labels.tolist() == ["a", "a"]
        assert part.probabilities is not None
        assert sorted(part.probabilities.argmax(axis=1)) == [0, 2]
        assert part.classes is model.classes
    assert Predictions(np.arange(3)).take(slice(2)).probabilities is None


def test_labels_become_positions_among_the_classes_of_both_models_and_the_truth() -> None:
    one = Predictions(np.array(["b", "x"]), np.array([[0.3, 0.7], [0.6, 0.4]]), np.array(["c", "b"]))
    other = Predictions(np.array(["a", "b"]), None, np.array(["a", "b"]))
    first, second = encode_labels(["b", "d"], one, other)
    for coded in (first, second):
        assert coded.classes.tolist() == ["a", "b", "c", "d"]
        assert coded.y.tolist() == [1, 3]
    assert first.labels.tolist() == [1, 4]  # what is no class at all is a mistake in every row
    assert first.probabilities is not None
    assert first.probabilities.tolist() == [[0, 0.7, 0.3, 0], [0, 0.4, 0.6, 0]]
    assert second.labels.tolist() == [0, 1]
    assert second.probabilities is None
    (without,) = encode_labels([1, 2], Predictions(np.array([2, 3])))
    assert without.classes.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("classes", "positive", "position"),
    [
        ([0, 1], None, 1),
        ([-1, 1], None, 1),
        ([False, True], None, 1),
        ([0.0, 1.0], None, 1),
        (["0", "1"], None, 1),
        (["no", "yes"], "no", 0),
        ([0, 1], "0", 0),
        ([0.0, 2.5], 2.5, 1),
        ([1, 2, 3], 3.0, 2),
        (["1", "2"], 2, 1),
        ([True, False], True, 0),
        ([1, 0], None, None),
        ([0, 2], None, None),
        ([0, 1, 2], None, None),
        (["no", "yes"], None, None),
        ([0, 1], 2, None),
    ],
)
def test_the_positive_class_is_found_as_text(classes: list[Any], positive: Any, position: int | None) -> None:
    if position is None:
        with pytest.raises(PositiveClassError):
            find_positive(positive, np.array(classes))
    else:
        assert find_positive(positive, np.array(classes)) == position


def test_own_rows_are_taken_and_mixed_with_their_predictions() -> None:
    rows = pd.DataFrame({"cost": [1, 2, 3]})
    model = Predictions(np.array(["a", "b", "a"]), np.eye(3)[:, :2], np.array(["a", "b"]))
    other = Predictions(np.array(["b", "b", "b"]), np.zeros((3, 2)), np.array(["a", "b"]))
    one, two = make_samples(["a", "a", "b"], model, other, problem_type="classification", rows=rows)
    part = one.take(np.array([2, 1]))
    assert part.rows is not None
    assert part.rows["cost"].tolist() == [3, 2]
    assert (part.y.tolist(), part.labels.tolist()) == ([1, 0], [0, 1])
    assert part.classes.tolist() == ["a", "b"]
    mixed = one.mixed(two, np.array([True, False, False]))
    assert mixed.labels.tolist() == [1, 1, 0]
    assert mixed.probabilities.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert mixed.rows is rows
    (value,) = make_samples([1, 2], Predictions(np.array([1, 2])), problem_type="regression", rows=rows[:2])
    assert value.y.dtype == value.labels.dtype == np.float64
    assert value.rows is not None
    assert one.usable
    assert value.usable
    assert not one.take(np.array([], dtype=int)).usable
