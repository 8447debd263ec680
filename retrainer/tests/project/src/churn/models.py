"""Small estimators for the tests of the machinery, whatever the team makes of those in models.py."""

from collections.abc import Callable
from typing import Any

from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from .retrainer import Range
from .retrainer.settings import ProblemType
from .retrainer.training import TableCleaner, TreeEncoder, linear_encoder


def hist_gradient_boosting(problem_type: ProblemType, seed: int) -> Pipeline:
    kind = HistGradientBoostingClassifier if problem_type == "classification" else HistGradientBoostingRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(native_categories=255, problem_type=problem_type, random_state=seed)),
            (
                "model",
                kind(max_leaf_nodes=48, categorical_features="from_dtype", random_state=seed),
            ),
        ]
    )


def gradient_boosting(problem_type: ProblemType, seed: int) -> Pipeline:
    kind = GradientBoostingClassifier if problem_type == "classification" else GradientBoostingRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(problem_type=problem_type, random_state=seed)),
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            (
                "model",
                kind(n_estimators=40, max_depth=5, learning_rate=0.2, subsample=0.8, random_state=seed),
            ),
        ]
    )


def random_forest(problem_type: ProblemType, seed: int) -> Pipeline:
    kind = RandomForestClassifier if problem_type == "classification" else RandomForestRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(problem_type=problem_type, random_state=seed)),
            ("model", kind(n_estimators=40, min_samples_leaf=2, n_jobs=-1, random_state=seed)),
        ]
    )


def linear(problem_type: ProblemType, seed: int) -> Pipeline:
    model = LogisticRegression(max_iter=1000) if problem_type == "classification" else Ridge()
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", linear_encoder(seed)),
            ("model", model.set_params(random_state=seed)),
        ]
    )


ESTIMATORS: dict[str, Callable[[ProblemType, int], Pipeline]] = {
    "hist_gradient_boosting": hist_gradient_boosting,
    "gradient_boosting": gradient_boosting,
    "random_forest": random_forest,
    "linear": linear,
}


def spaces(problem_type: ProblemType) -> dict[str, dict[str, Range | list[Any]]]:
    return {
        "random_forest": {"model__min_samples_leaf": Range(1, 20), "model__max_features": ["sqrt", 0.5]},
        "linear": {"model__C" if problem_type == "classification" else "model__alpha": Range(0.001, 1000.0, log=True)},
    }
