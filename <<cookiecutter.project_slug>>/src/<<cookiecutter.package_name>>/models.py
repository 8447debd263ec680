"""Yours: the candidate estimators, by name, each with the preprocessing it needs.

What `make_pipeline` returns is fitted as a whole and saved as a whole, so that production predicts from raw columns.
"""

import difflib
from collections.abc import Callable
from typing import Any

from sklearn.compose import make_column_selector, make_column_transformer
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
from sklearn.pipeline import make_pipeline as chain
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from skrub import DatetimeEncoder, TableVectorizer, ToCategorical

from .columns import LeaveOutIdentifiers
from .errors import ConfigurationError
from .settings import ProblemType

# More values than this are encoded by what the target is like at each; the histograms of boosting hold 255.
MANY_VALUES = 200


def hist_gradient_boosting(*, classification: bool, seed: int) -> list[Any]:
    """Gradient boosting over histograms: fast on many rows, at home with categories and missing values."""
    boosting = HistGradientBoostingClassifier if classification else HistGradientBoostingRegressor
    return [
        _tidy(low=ToCategorical(), high=TargetEncoder(random_state=seed)),
        boosting(random_state=seed),
    ]


def gradient_boosting(*, classification: bool, seed: int) -> list[Any]:
    """Gradient boosting over every split point: 200 trees of depth 5; slow beyond some ten thousand rows."""
    boosting = GradientBoostingClassifier if classification else GradientBoostingRegressor
    return [
        *_numbers(seed),
        boosting(n_estimators=200, max_depth=5, learning_rate=0.1, subsample=0.8, random_state=seed),
    ]


def random_forest(*, classification: bool, seed: int) -> list[Any]:
    """A random forest of 200 trees."""
    forest = RandomForestClassifier if classification else RandomForestRegressor
    return [*_numbers(seed), forest(n_estimators=200, n_jobs=-1, random_state=seed)]


def linear(*, classification: bool, seed: int) -> list[Any]:
    """Logistic or ridge regression: numbers scaled, every other value a column of its own in a sparse matrix."""
    text = make_column_selector(dtype_exclude="number")
    encoded = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", dtype="float32"), text),
        (
            chain(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
    )
    model = (
        LogisticRegression(max_iter=1000, random_state=seed) if classification else Ridge(random_state=seed)
    )
    return [_tidy(low="passthrough", high="passthrough"), encoded, model]


ESTIMATORS: dict[str, Callable[..., list[Any]]] = {
    "hist_gradient_boosting": hist_gradient_boosting,
    "gradient_boosting": gradient_boosting,
    "random_forest": random_forest,
    "linear": linear,
}


def make_pipeline(name: str, *, problem_type: ProblemType, seed: int) -> Pipeline:
    """Return the unfitted pipeline of an estimator: raw columns in, predictions out.

    Raises:
        ConfigurationError: there is no estimator of this name; the nearest are given.
    """
    if name not in ESTIMATORS:
        near = difflib.get_close_matches(name, ESTIMATORS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(
            f"There is no estimator {name!r} (estimators).{hint} models.py has: {', '.join(ESTIMATORS)}."
        )
    steps = ESTIMATORS[name](classification=problem_type == "classification", seed=seed)
    return chain(LeaveOutIdentifiers(), *steps)


def _tidy(*, low: Any, high: Any) -> TableVectorizer:
    """Make numbers of text that holds numbers, parts of dates, and encode categories of few and of many values."""
    return TableVectorizer(
        cardinality_threshold=MANY_VALUES,
        low_cardinality=low,
        high_cardinality=high,
        datetime=DatetimeEncoder(add_weekday=True),
        drop_if_constant=True,
        null_strings=["?", ""],
    )


def _numbers(seed: int) -> list[Any]:
    """Turn any table into numbers without a gap."""
    one_hot = OneHotEncoder(handle_unknown="ignore", drop="if_binary", sparse_output=False, dtype="float32")
    return [_tidy(low=one_hot, high=TargetEncoder(random_state=seed)), SimpleImputer(strategy="median")]
