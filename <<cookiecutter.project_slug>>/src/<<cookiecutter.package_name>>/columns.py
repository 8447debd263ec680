"""Columns that name a row rather than describe it."""

import re
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

_NAME = re.compile(r"(^|[\W_]|(?<=[a-z]))(id|ID|Id|uuid|UUID|guid|key)$")
_DENSE = 0.5  # a counter fills its range, less the rows held out; measurements do not


def identifier_reason(values: pd.Series) -> str | None:
    """Say why a column looks like an identifier, or return None.

    Text is one when every value is different and a single word; whole numbers when every value is different and they
    are called an id, or count upwards through the table without leaving much out.
    """
    present = values.dropna()
    if len(present) < 2 or not present.is_unique:
        return None
    if pd.api.types.is_bool_dtype(present) or pd.api.types.is_float_dtype(present):
        return None
    if pd.api.types.is_integer_dtype(present):
        if _NAME.search(str(values.name)):
            return "called an id, and different in every row"
        span = float(present.iloc[-1]) - float(present.iloc[0]) + 1
        if present.is_monotonic_increasing and len(present) > 20 and len(present) / span > _DENSE:
            return "counts the rows"
        return None
    if pd.api.types.is_datetime64_any_dtype(present):
        return None
    text = present.astype("str")
    if _NAME.search(str(values.name)) or not text.str.contains(r"[\s:/.,-]", regex=True).any():
        if pd.to_numeric(text.head(100), errors="coerce").notna().all() and not _NAME.search(
            str(values.name)
        ):
            return None
        return "text that is different in every row"
    return None


class LeaveOutIdentifiers(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Leave out the columns that look like identifiers, which a model can only learn by heart.

    Attributes:
        left_out_: The reason for each column left out, by name.
        columns_: The columns kept, in the order of training.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> "LeaveOutIdentifiers":
        """Look at every column of the training inputs, shape (n, features)."""
        reasons = {name: identifier_reason(X[name]) for name in X.columns}
        self.left_out_ = {str(name): reason for name, reason in reasons.items() if reason}
        self.columns_ = [name for name, reason in reasons.items() if not reason]
        self.feature_names_in_ = X.columns.to_numpy(dtype=object)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the columns kept; others that came since are ignored."""
        return X if list(X.columns) == self.columns_ else X[self.columns_]

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns kept."""
        import numpy as np

        return np.asarray(self.columns_, dtype=object)
