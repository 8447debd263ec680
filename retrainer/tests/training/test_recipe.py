"""The threshold: chosen in cross-validation, a part of the model, and the same for a row in any batch."""

import io
import math
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from churn.metrics import METRICS as OWN
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from retrainer import OwnMetric
from retrainer.errors import ConfigurationError
from retrainer.gate import METRICS, PositiveClassError, get_metric, predict
from retrainer.training import (
    FoldInputs,
    Recipe,
    best,
    check_classes,
    cross_validate_scores,
    make_folds,
    possible_thresholds,
    with_threshold,
)

THRESHOLDS = possible_thresholds("tuned")


def make_rows(rows: int = 1500, share: float = 0.15) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(rows, 3)), columns=list("abc"))
    signal = X["a"] + 0.5 * X["b"] + rng.normal(size=rows)
    return X, np.where(signal > np.quantile(signal, 1 - share), "yes", "no")


def pipeline() -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])


def tuned(metric: Any, X: Any, y: Any, **options: Any) -> float:
    inputs = FoldInputs(X, y, "classification", **options)
    scores = cross_validate_scores(pipeline(), inputs, metric=metric, thresholds=THRESHOLDS)
    threshold = best({"linear": scores}, metric=metric, thresholds=THRESHOLDS).threshold
    assert threshold is not None
    return threshold


def test_it_is_tuned_as_scikit_learn_does_on_the_same_folds() -> None:
    X, y = make_rows()
    metric = get_metric("f1", problem_type="classification", positive="yes")
    reference = TunedThresholdClassifierCV(
        pipeline(),
        scoring=make_scorer(f1_score, pos_label="yes", zero_division=0),
        thresholds=np.array(THRESHOLDS),
        cv=make_folds(FoldInputs(X, y, "classification", 3)),
        store_cv_results=True,
    ).fit(X, y)

    inputs = FoldInputs(X, y, "classification", 3)
    scores = cross_validate_scores(pipeline(), inputs, metric=metric, thresholds=THRESHOLDS)

    np.testing.assert_allclose(scores, reference.cv_results_["scores"], atol=1e-12)
    assert tuned(metric, X, y, seed=3) == pytest.approx(reference.best_threshold_)
    assert tuned(metric, X, y, seed=3) < 0.45


def test_a_cost_finds_the_threshold_that_its_amounts_imply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is worth its price from a probability of price over amount on."""
    X, y = make_rows(rows=6000)
    rows = pd.DataFrame({"amount": np.full(len(y), 50.0)})

    def cost(truth: Any, predictions: Any, rows: Any) -> Any:
        missed = (truth == "yes") & (predictions.labels == "no")
        return np.where(missed, rows["amount"], 0) + np.where(predictions.labels == "yes", 5, 0)

    monkeypatch.setitem(OWN, "cost", OwnMetric(cost, greater_is_better=False, columns=("amount",)))
    metric = get_metric("cost", problem_type="classification", positive="yes", own_metrics=OWN)

    assert tuned(metric, X, y, rows=rows) == pytest.approx(5 / 50, abs=0.05)


def test_it_is_tuned_on_later_rows_where_they_have_times() -> None:
    X, y = make_rows()
    late = np.arange(len(y)) >= len(y) // 3
    X["a"] = np.where(late, X["a"], -X["a"])  # what is learned from the first third does not hold
    metric = get_metric("f1", problem_type="classification", positive="yes")

    by_time, at_random = (
        cross_validate_scores(
            pipeline(),
            FoldInputs(X, y, "classification", times=times),
            metric=metric,
            thresholds=THRESHOLDS,
        )
        for times in (np.arange(len(y)), None)
    )

    assert by_time.max() < at_random.max() - 0.02


def test_the_best_is_the_middle_of_equals_and_never_nan() -> None:
    f1, rmse = METRICS["f1_score"], METRICS["rmse"]
    assert best({"a": [0.8], "b": [0.9], "c": [math.nan]}, metric=f1) == Recipe("b")
    assert best({"c": [math.nan], "a": [0.8], "b": [0.9]}, metric=rmse) == Recipe("a")
    assert best({"a": [0.9], "b": [0.9]}, metric=f1) == Recipe("a")
    some = (0.1, 0.45, 0.7, 0.9)
    assert best({"a": [0.9, 0.9, 0.9, math.nan]}, metric=f1, thresholds=some) == Recipe("a", 0.45)
    both = {"a": [0.2, 0.3, 0.4, 0.1], "b": [0.2, 0.3, 0.3, 0.6]}
    assert best(both, metric=f1, thresholds=some) == Recipe("b", 0.9)
    assert best(both, metric=rmse, thresholds=some) == Recipe("a", 0.9)


@pytest.mark.parametrize("positive", ["yes", "no"])
def test_a_fitted_pipeline_predicts_from_its_threshold_on_in_any_batch(positive: str) -> None:
    X, y = make_rows()
    bare = pipeline().fit(X, y)
    model = with_threshold(bare, 0.2, positive=positive)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    loaded = joblib.load(file)

    probability = bare.predict_proba(X)[:, list(bare.classes_).index(positive)]
    expected = np.where(probability >= 0.2, positive, "no" if positive == "yes" else "yes")

    for one in (model, loaded):
        found = predict(one, X, problem_type="classification")
        assert (found.labels == expected).all()
        assert (one.predict(X) == expected).all()
        np.testing.assert_array_equal(found.probabilities, bare.predict_proba(X))
    assert (bare.predict(X) != expected).any()
    alone = [predict(model, X.iloc[[row]], problem_type="classification").labels[0] for row in range(100)]
    assert alone == list(expected[:100])


def test_what_no_threshold_can_decide_is_refused() -> None:
    X, y = make_rows(rows=100)
    with pytest.raises(ConfigurationError, match="for two classes, and the target has 3: a, b, c"):
        check_classes(("a", "b", "c"), positive="a")
    with pytest.raises(PositiveClassError, match=r"Set data\.positive to one of: no, yes"):
        check_classes(("no", "yes"), positive=None)
    check_classes((0, 1), positive=None)
    without = Pipeline([("scale", StandardScaler()), ("model", LinearSVC())]).fit(X, y)
    with pytest.raises(ConfigurationError, match=r"train\.threshold needs probabilities.*predict_proba"):
        with_threshold(without, 0.2, positive="yes")
