"""The first step of every pipeline: columns become numbers, categories and text; others are left out."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..data import as_numbers, is_number_identifier, kind_of, looks_like_sums
from ..errors import DataError, named

_WORDS = 3  # text of more words on average is read as text, not as the name of a category
_MINIMUM_UNIQUE = 20  # fewer values that differ may do so by chance
DATE_PARTS = ("year", "month", "day", "weekday", "hour", "seconds")

Use = Literal["number", "date", "category", "text", "left out"]


class MissingColumnsError(DataError):
    """Columns that the pipeline was trained on are not in the table."""


@dataclass(frozen=True)
class Feature:
    """How the pipeline encodes a column.

    Attributes:
        use: How the column is used.
        reason: The reason why it is left out; empty if it is used.
        categories: The categories of a category column, sorted.
    """

    use: Use
    reason: str = ""
    categories: tuple[str, ...] = ()


class TableCleaner(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Convert every column by its type, and leave out those without information.

    The result is a frame of float columns (numbers; booleans as 0 and 1; dates as year, month, day, weekday, hour and
    seconds since 1970), category columns and text columns. Missing values stay missing; a new category becomes missing.
    A table of numbers only is passed on without a copy.

    Left out are empty and constant columns, columns that are neither number, text nor date, and identifiers: one-word
    texts that differ in every row, or such whole numbers in a column named like an identifier.

    Args:
        keep: Columns that are not left out as identifiers.

    Attributes:
        columns_: Maps each column to its `Feature`.
        left_out_: Maps each column that is left out to the reason.
        feature_names_in_: The names of the input columns, shape (n_features_in_,).
    """

    def __init__(self, keep: tuple[str, ...] = ()) -> None:
        self.keep = keep

    def fit(self, X: pd.DataFrame, y: Any = None) -> "TableCleaner":
        """Learn the type of each column.

        Raises:
            DataError: no column is left.
        """
        self.columns_ = {name: _learn_feature(str(name), X[name], keep=name in self.keep) for name in X.columns}
        self.left_out_ = {name: feature.reason for name, feature in self.columns_.items() if feature.reason}
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        if len(self.left_out_) == len(self.columns_):
            reasons = named(f"{name} ({reason})" for name, reason in self.left_out_.items())
            raise DataError(f"No column is left for training: {reasons or 'the table has none'}.")
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the columns in their learned form, shape (n, features).

        Raises:
            MissingColumnsError: a column is missing.
        """
        check_is_fitted(self)
        kept = {name: feature for name, feature in self.columns_.items() if feature.use != "left out"}
        names = X.columns.tolist()
        there = set(names)
        if gone := [str(name) for name in kept if name not in there]:
            raise MissingColumnsError(f"The model was trained with columns that are missing: {named(gone)}.")
        if all(feature.use == "number" for feature in kept.values()):
            numbers = X if names == list(kept) else X[list(kept)]
            if all(map(_is_plain, numbers.dtypes)):
                return numbers
        parts: dict[Any, Any] = {}
        for name, feature in kept.items():
            parts |= _read_feature(name, X[name], feature)
        return pd.DataFrame(parts, index=X.index, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the output columns, shape (features,)."""
        names: list[str] = []
        for name, feature in self.columns_.items():
            if feature.use == "date":
                names += [f"{name}.{part}" for part in DATE_PARTS]
            elif feature.use != "left out":
                names.append(name)
        return np.asarray(names, dtype=object)


def _is_plain(dtype: Any) -> bool:
    """Return whether scikit-learn accepts a column of this type as numbers."""
    return isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _learn_feature(name: str, values: pd.Series, *, keep: bool) -> Feature:
    kind = kind_of(values)
    if kind == "other":
        return Feature("left out", "neither number, text nor date")
    if kind == "empty" or values.isna().all():
        return Feature("left out", "empty")
    if kind == "text":
        return _learn_text(values, keep=keep)
    known = values.dropna()
    if len(known) == len(values) and (known.iloc[0] == known).all():
        return Feature("left out", "constant")
    if kind == "number" and not keep and is_number_identifier(name, values):
        return Feature("left out", "it is an identifier, a different whole number in every row")
    return Feature("date" if kind == "date" else "number")


def _learn_text(values: pd.Series, *, keep: bool) -> Feature:
    codes, uniques = pd.factorize(values)
    known = sorted(map(str, uniques))
    rows = int((codes >= 0).sum())
    if len(known) == 1 and rows == len(values):
        return Feature("left out", "constant")
    if len(known) > 0.5 * rows and rows >= _MINIMUM_UNIQUE:
        if sum(len(text.split()) for text in known) >= _WORDS * len(known):
            return Feature("text")
        if len(known) == rows and not keep and looks_like_sums(values):
            return Feature("left out", f"figures such as {known[0]!r} cannot be read as numbers")
        if len(known) == rows and not keep:
            return Feature("left out", "it is an identifier, a different value in every row")
    return Feature("category", categories=tuple(dict.fromkeys(known)))


def _read_feature(name: Any, values: pd.Series, feature: Feature) -> dict[Any, Any]:
    """Return the columns that a column becomes, by name."""
    if feature.use == "number":
        return {name: values if _is_plain(values.dtype) else as_numbers(values)}
    if feature.use == "date":
        return _date_columns(name, values)
    codes, uniques = pd.factorize(values)
    texts = [str(value) for value in uniques]
    if feature.use == "category":
        # One more code for missing values: -1 finds it at the end.
        index = pd.Index(feature.categories, dtype=object)
        known = np.append(index.get_indexer(pd.Index(texts, dtype=object)), -1)
        return {name: pd.Categorical.from_codes(known[codes], dtype=pd.CategoricalDtype(index))}
    return {name: np.asarray([*texts, None], dtype=object)[codes]}


def _date_columns(name: Any, values: pd.Series) -> dict[str, Any]:
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    moments = values if values.dtype.kind == "M" else pd.to_datetime(values, utc=True)
    when = moments.dt
    seconds = moments.to_numpy(dtype="datetime64[s]").astype(np.float64)
    seconds[moments.isna().to_numpy()] = np.nan
    parts = (when.year, when.month, when.day, when.day_of_week, when.hour, seconds)
    return {
        f"{name}.{part}": np.asarray(found, dtype=np.float64) for part, found in zip(DATE_PARTS, parts, strict=True)
    }


# Pickled models know classes by their address: the door, so that this file may move.
for _pickled in (TableCleaner, Feature):
    _pickled.__module__ = __package__
