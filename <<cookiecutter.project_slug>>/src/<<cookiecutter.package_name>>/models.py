"""Yours to edit: the candidate estimators, by the names that `estimators` in the settings lists.

Each is one scikit-learn pipeline from the table as it comes to the prediction, and is saved as that: scoring needs
nothing else. To add one, write a function like those below, enter it in ESTIMATORS, and name it
in `estimators` in config.toml.
"""

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
    """Return gradient boosting on binned values: fast on large tables, and at home with gaps and categories.

    It stops early, by a validation set of a tenth of the rows: without that and the penalty, it overfits small tables.
    With 48 leaves a tree, not 31, it loses nothing to `gradient_boosting` on 100,000 rows of twenty numbers; small
    tables seldom need more than 100 trees, and those that do gain by 200. The template's docs/benchmarks/defaults.md
    has the study.
    """
    kind = HistGradientBoostingClassifier if problem_type == "classification" else HistGradientBoostingRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(native_categories=255, problem_type=problem_type, random_state=seed)),
            (
                "model",
                kind(
                    max_iter=200,
                    max_leaf_nodes=48,
                    max_features=0.7,
                    l2_regularization=3,
                    early_stopping=True,
                    random_state=seed,
                ),
            ),
        ]
    )


def gradient_boosting(problem_type: ProblemType, seed: int) -> Pipeline:
    """Return gradient boosting on exact values: many times slower than on binned ones."""
    kind = GradientBoostingClassifier if problem_type == "classification" else GradientBoostingRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(problem_type=problem_type, random_state=seed)),
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            (
                "model",
                kind(n_estimators=200, max_depth=5, learning_rate=0.1, subsample=0.8, random_state=seed),
            ),
        ]
    )


def random_forest(problem_type: ProblemType, seed: int) -> Pipeline:
    """Return a forest of 200 trees."""
    kind = RandomForestClassifier if problem_type == "classification" else RandomForestRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(problem_type=problem_type, random_state=seed)),
            ("model", kind(n_estimators=200, min_samples_leaf=2, n_jobs=-1, random_state=seed)),
        ]
    )


def linear(problem_type: ProblemType, seed: int) -> Pipeline:
    """Return logistic or ridge regression on scaled numbers and one column for each category."""
    model = LogisticRegression(max_iter=1000) if problem_type == "classification" else Ridge()
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", linear_encoder(seed)),
            ("model", model),
        ]
    )


ESTIMATORS: dict[str, Callable[[ProblemType, int], Pipeline]] = {
    "hist_gradient_boosting": hist_gradient_boosting,
    "gradient_boosting": gradient_boosting,
    "random_forest": random_forest,
    "linear": linear,
}


def spaces(problem_type: ProblemType) -> dict[str, dict[str, Range | list[Any]]]:
    """Return what `tune` searches of each estimator: a Range or a list of choices for each parameter."""
    return {
        "hist_gradient_boosting": {
            "model__learning_rate": Range(0.01, 0.3, log=True),
            "model__max_iter": Range(50, 1000, log=True),  # at most: it stops early
            "model__max_leaf_nodes": Range(4, 128, log=True),
            "model__min_samples_leaf": Range(2, 100, log=True),
            "model__max_features": Range(0.2, 1.0),
            "model__l2_regularization": Range(0.001, 100.0, log=True),
        },
        "gradient_boosting": {
            "model__learning_rate": Range(0.01, 0.3, log=True),
            "model__n_estimators": Range(50, 500, log=True),
            "model__max_depth": Range(2, 8),
            "model__min_samples_leaf": Range(1, 100, log=True),
            "model__subsample": Range(0.5, 1.0),
        },
        "random_forest": {
            "model__min_samples_leaf": Range(1, 50, log=True),
            "model__max_features": ["sqrt", 0.2, 0.4, 0.6, 0.8, 1.0],
            "model__max_samples": Range(0.3, 0.99),
        },
        "linear": {"model__C" if problem_type == "classification" else "model__alpha": Range(0.001, 1000.0, log=True)},
    }
