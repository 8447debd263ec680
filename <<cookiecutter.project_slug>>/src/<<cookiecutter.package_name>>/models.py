"""Yours to edit: the candidate estimators, by the names that `estimators` in the settings lists.

Each is one scikit-learn pipeline from the table as it comes to the prediction, and is saved as that: scoring needs
nothing else. To add one, write a function like those below, enter it in ESTIMATORS, and name it
in `estimators` in config.toml.
"""

from collections.abc import Callable

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

from .retrainer.settings import ProblemType
from .retrainer.training import TableCleaner, TreeEncoder, linear_encoder


def hist_gradient_boosting(problem_type: ProblemType, seed: int) -> Pipeline:
    """Return gradient boosting on binned values: fast on large tables, and at home with gaps and categories.

    It stops early, by a validation set of a tenth of the rows: without that and the penalty, it overfits small tables.
    With 48 leaves a tree, not 31, it loses nothing to `gradient_boosting` on 100,000 rows of twenty numbers. The
    template's docs/benchmarks/defaults.md has the study.
    """
    kind = (
        HistGradientBoostingClassifier if problem_type == "classification" else HistGradientBoostingRegressor
    )
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(native_categories=255, problem_type=problem_type, random_state=seed)),
            (
                "model",
                kind(
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
