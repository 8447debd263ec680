"""The second step of a pipeline: categories and text become numbers, as the estimator after it needs them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from ..settings import ProblemType
from ._cleaning import DATE_PARTS

TEXT_FEATURES = 30  # numbers that stand for a text


class TextEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn text columns into numbers with skrub's StringEncoder: tf-idf of character n-grams, reduced by SVD.

    skrub is imported only if there are text columns, as its import takes as long as a small training.
    """

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any = None) -> "TextEncoder":
        """Learn the n-grams of each column."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None) -> pd.DataFrame:
        """Learn the n-grams of each column and return its numbers, shape (n, columns times 30 at most)."""
        from skrub import StringEncoder

        self.encoders_ = {name: StringEncoder(TEXT_FEATURES, random_state=self.random_state) for name in X.columns}
        return _stack_parts([encoder.fit_transform(X[name].astype("str")) for name, encoder in self.encoders_.items()])

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the numbers of each text."""
        return _stack_parts([encoder.transform(X[name].astype("str")) for name, encoder in self.encoders_.items()])


def _stack_parts(parts: list[pd.DataFrame]) -> pd.DataFrame:
    # float64: matrices of 32 bits give a row another last digit in other company.
    joined: pd.DataFrame = pd.concat(parts, axis=1).astype(np.float64)
    return joined


class TreeEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encode a cleaned table for trees; a table of numbers and few categories is passed on unchanged.

    Trees get the year and the repeating parts of a time (month, weekday, hour, ...), not the seconds since 1970: from
    these they would learn that everything after a certain week is different. Categories become the mean target of their
    rows (scikit-learn's TargetEncoder, cross-fitted on the training rows), text becomes numbers (`TextEncoder`).

    Args:
        native_categories: Columns with at most this many categories are not encoded, for estimators that accept them.
        problem_type: Whether the target is a class or a number.
        random_state: The seed of the folds of the target encoding.
    """

    def __init__(
        self, native_categories: int = 0, problem_type: ProblemType = "classification", random_state: int | None = None
    ) -> None:
        self.native_categories = native_categories
        self.problem_type = problem_type
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any = None) -> "TreeEncoder":
        """Learn the encodings."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None) -> pd.DataFrame:
        """Learn the encodings and return the training rows, each encoded without its own target."""
        self.categorical_ = [name for name in categorical(X) if len(X[name].cat.categories) > self.native_categories]
        self.text_ = texts(X)
        self.unrepeated_ = unrepeated(X)
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        classification = self.problem_type == "classification"
        folds = (StratifiedKFold if classification else KFold)(5, shuffle=True, random_state=self.random_state)
        self.target_encoder_ = TargetEncoder(target_type="auto" if classification else "continuous", cv=folds)
        self.text_encoder_ = TextEncoder(self.random_state)
        means = text = None
        if self.categorical_:
            means = self.target_encoder_.fit_transform(X[self.categorical_].astype(object), y)
        if self.text_:
            text = self.text_encoder_.fit_transform(X[self.text_])
        return self._encoded(X, means, text)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the encoded rows."""
        means = text = None
        if self.categorical_:
            means = self.target_encoder_.transform(X[self.categorical_].astype(object))
        if self.text_:
            text = self.text_encoder_.transform(X[self.text_])
        return self._encoded(X, means, text)

    def _encoded(self, X: pd.DataFrame, means: Any, text: pd.DataFrame | None) -> pd.DataFrame:
        """Put the encoded columns, where there are any, beside the numbers."""
        gone = getattr(self, "unrepeated_", [])  # of a model that an earlier release saved
        if means is None and text is None:
            return X.drop(columns=gone) if gone else X
        parts = [X.drop(columns=self.categorical_ + self.text_ + gone)]
        if means is not None:
            names = self.target_encoder_.get_feature_names_out()
            parts.append(pd.DataFrame(means, columns=names, index=X.index))
        if text is not None:
            parts.append(text.set_axis(X.index))
        return pd.concat(parts, axis=1)


def linear_encoder(seed: int) -> ColumnTransformer:
    """Return the encoding for linear models: scaled numbers, and a sparse column for each category.

    Missing numbers become the median, with an indicator column.
    """
    scaled = [("impute", SimpleImputer(strategy="median", add_indicator=True)), ("scale", StandardScaler())]
    return ColumnTransformer(
        [
            ("numbers", Pipeline(scaled), numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore", dtype=np.float64), categorical),
            ("texts", Pipeline([("encode", TextEncoder(seed)), ("scale", StandardScaler())]), texts),
        ]
    )


def unrepeated(X: pd.DataFrame) -> list[Any]:
    """Return the names of the columns with seconds since 1970, which `TableCleaner` made from times."""
    names = set(map(str, X.columns))
    return [
        name
        for name in X.columns
        if str(name).endswith(".seconds")
        and {f"{str(name).removesuffix('seconds')}{part}" for part in DATE_PARTS} <= names
    ]


def numbers(X: pd.DataFrame) -> list[Any]:
    """Return the names of the number columns."""
    return list(X.select_dtypes("number").columns)


def categorical(X: pd.DataFrame) -> list[Any]:
    """Return the names of the category columns."""
    return list(X.select_dtypes("category").columns)


def texts(X: pd.DataFrame) -> list[Any]:
    """Return the names of the text columns."""
    return list(X.select_dtypes(["object", "str"]).columns)


# Pickled models know these by their address: the door, so that this file may move.
for _pickled in (TextEncoder, TreeEncoder, numbers, categorical, texts):
    _pickled.__module__ = __package__
