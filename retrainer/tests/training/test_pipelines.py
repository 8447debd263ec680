"""Estimators with the preprocessing of the training room: any table, twice the same, picklable, better than guesses."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from churn.models import ESTIMATORS
from sklearn.pipeline import Pipeline

from retrainer import training
from retrainer.data._contract import learn_columns
from retrainer.errors import ConfigurationError
from retrainer.settings import Settings
from retrainer.training._threads import thread_budget

from ..conftest import make_pipeline, now


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine, threads that wait for each other cost more than these small fits."""
    with thread_budget(1):
        yield


PROBLEM_TYPES = ["classification", "regression"]


def messy_table(problem_type: str, *, rows: int = 900, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Return inputs of every kind, with gaps, and a target that depends on several of them."""
    rng = np.random.default_rng(seed)
    usage = rng.normal(size=rows).round(4)
    plan = rng.choice(["basic", "plus", "pro"], size=rows)
    route = rng.integers(0, 300, size=rows)
    angry = rng.random(rows) < 0.5
    X = pd.DataFrame(
        {
            "customer id": [f"C{row:05}" for row in range(rows)],
            "usage": usage,
            "as text": [f" {value}" if value > -1.5 else "?" for value in usage],
            "plan": plan,
            "route": [f"{number}_{number % 7}" for number in route],
            "active": rng.choice(["TRUE", "FALSE"], size=rows),
            "since": (pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, size=rows), unit="D")).strftime(
                "%d/%m/%Y"
            ),
            "note": [
                f"caller {row} was {'very angry today' if sad else 'quite happy again'}"
                for row, sad in enumerate(angry)
            ],
            "nothing": None,
            "always": 1,
        }
    )
    X.loc[rng.choice(rows, size=90, replace=False), ["usage", "plan"]] = None
    _, X, _ = learn_columns(X, tolerance=0.01)
    score = 2 * usage + (plan == "pro") - angry + route / 150 - 1 + 0.3 * rng.normal(size=rows)
    y = pd.Series(np.where(score > 0, "stays", "leaves") if problem_type == "classification" else score)
    return X, y


@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_learns_from_a_messy_table(name: str, problem_type: str) -> None:
    X, y = messy_table(problem_type)
    pipeline = make_pipeline(name, problem_type=problem_type, seed=0).fit(X[:700], y[:700])

    quality = pipeline.score(X[700:], y[700:])  # accuracy or R²

    assert quality > (0.8 if problem_type == "classification" else 0.7)
    assert set(pipeline[0].left_out_) == {"customer id", "nothing", "always"}


@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_seed_gives_the_same_model_which_survives_pickling(name: str, problem_type: str) -> None:
    X, y = messy_table(problem_type, rows=300)
    first, second = (make_pipeline(name, problem_type=problem_type, seed=7).fit(X, y) for _ in range(2))

    assert isinstance(first, Pipeline)
    # Not to the last bit: a forest adds its trees up in the order its threads finish.
    np.testing.assert_allclose(outputs(second, X), outputs(first, X), rtol=1e-12)
    np.testing.assert_allclose(outputs(pickle.loads(pickle.dumps(first)), X), outputs(first, X), rtol=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_rows_to_score_may_hold_what_training_did_not(name: str) -> None:
    X, y = messy_table("classification", rows=300)
    pipeline = make_pipeline(name, problem_type="classification", seed=0).fit(X, y)
    strange = pd.DataFrame(
        [dict.fromkeys(X.columns), X.iloc[0].to_dict() | {"plan": "new", "route": "new", "usage": "1.5"}]
    )

    assert set(pipeline.predict(strange)) <= {"stays", "leaves"}


@pytest.mark.parametrize(
    "classes",
    [[0, 1], [1, 2], [0, 1, 2, 3], [False, True], ["a", "b", "c"]],
    ids=["0/1", "1/2", "four", "bool", "text"],
)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_classes_of_any_kind(name: str, classes: list[Any]) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, len(classes), size=200)
    X = pd.DataFrame(
        {
            "x": codes + 0.1 * rng.normal(size=200),
            "city": [f"city {code}{row % 90}" for row, code in enumerate(codes)],
        }
    )
    y = pd.Series([classes[code] for code in codes])

    pipeline = make_pipeline(name, problem_type="classification", seed=0).fit(X, y)

    assert list(pipeline.classes_) == classes
    assert pipeline.score(X, y) > 0.95


def test_a_regression_on_whole_numbers_is_no_classification() -> None:
    """Few different whole numbers: what a target encoder would take for classes."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 300, size=900)
    X = pd.DataFrame({"level": [f"L{value}" for value in level], "x": rng.normal(size=900)})

    pipeline = make_pipeline("gradient_boosting", problem_type="regression", seed=0).fit(X, pd.Series(level % 4))

    assert pipeline[1].transform(X).shape == (900, 2)


def test_a_table_of_numbers_reaches_histograms_without_a_copy() -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc"))
    y = pd.Series(X["a"] > 0)

    pipeline = make_pipeline("hist_gradient_boosting", problem_type="classification", seed=0).fit(X, y)

    assert pipeline[:-1].transform(X) is X


def test_a_column_that_looks_like_an_identifier_is_kept_where_asked_for() -> None:
    X = pd.DataFrame({"order id": np.arange(50), "x": np.arange(50) % 7})
    kept = make_pipeline("linear", problem_type="regression", seed=0, keep=("order id",))
    usual = make_pipeline("linear", problem_type="regression", seed=0)

    assert kept.fit(X, X["order id"])[0].left_out_ == {}
    assert list(usual.fit(X, X["order id"])[0].left_out_) == ["order id"]


@pytest.mark.parametrize("settings", ["regression"], indirect=True)
def test_an_unknown_name_has_the_nearest_one(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'random_forest'"):
        training.make_pipeline("randomforest", project=now())


def outputs(pipeline: Pipeline, X: pd.DataFrame) -> Any:
    return pipeline.predict_proba(X) if hasattr(pipeline, "predict_proba") else pipeline.predict(X)
