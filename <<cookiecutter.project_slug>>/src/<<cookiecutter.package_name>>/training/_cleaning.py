"""The first step of every pipeline: a table as people keep it becomes numbers, categories and text.

What each column is gets learned once, from the training rows; the rows to score are then read the same way, however
they are typed (numbers as text, dates as text, yes and no as booleans).
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..data import DATE_FORMATS, MISSING_VALUES, TRUTH
from ..errors import DataError

_DATE_LIKE = re.compile(r"\d.*[-/.: ].*\d")
_ID_NAME = re.compile(
    r"(?i:unnamed: \d+|(.*[\W_])?(ids?|[ug]uid|key|pk|index|idx|row|no|nr|num|number|code|counter|ref))"
    r"|.*[a-z](ID|Id|Key|No|Nr|Number)|(?i:customer|client|user|account|order|session|record|person|patient|member|employee|product|device|trip)id"
)
_WORDS = 3  # text of more words on average is read as text, not as the name of a category
_MINIMUM_UNIQUE = 20  # fewer values that differ may do so by chance

Kind = Literal["number", "boolean", "date", "category", "text", "left out"]


class MissingColumnsError(DataError):
    """Columns that the pipeline was trained on are not in the table."""


@dataclass(frozen=True)
class Column:
    """What a column is, as learned from the training rows.

    Attributes:
        kind: How its values are read.
        reason: Why it is left out, otherwise empty.
        categories: Of a category, sorted.
        date_format: Of dates kept as text.
    """

    kind: Kind
    reason: str = ""
    categories: tuple[str, ...] = ()
    date_format: str | None = None


class TableCleaner(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Read every column as what it is, and leave out those that say nothing.

    The result is a frame of float columns (numbers; booleans as 0 and 1; dates as year, month, day, weekday, hour and
    seconds since 1970), category columns and text columns. Missing values stay missing; a category unknown from
    training becomes missing. A table of numbers only is handed on as it is, without a copy.

    Left out: empty and constant columns; identifiers, that is text of one word that differs in every row, or whole
    numbers that do and whose column is named like an identifier; and what is neither number, text nor date.

    Attributes:
        columns_: Name to `Column`.
        left_out_: Name to the reason.
        feature_names_in_: Shape (n_features_in_,).
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> "TableCleaner":
        """Learn what each column is.

        Raises:
            DataError: no column is left.
        """
        self.columns_ = {name: _learn(str(name), X[name]) for name in X.columns}
        self.left_out_ = {name: column.reason for name, column in self.columns_.items() if column.reason}
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        if len(self.left_out_) == len(self.columns_):
            said = ", ".join(f"{name} ({reason})" for name, reason in self.left_out_.items())
            raise DataError(f"No column is left to learn from: {said or 'the table has none'}.")
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the columns in their learned form, shape (n, features).

        Raises:
            MissingColumnsError: a column is gone.
        """
        check_is_fitted(self)
        kept = {name: column for name, column in self.columns_.items() if column.kind != "left out"}
        if gone := [str(name) for name in kept if name not in X.columns]:
            raise MissingColumnsError(
                f"The model was trained with columns that are missing: {', '.join(map(repr, gone))}."
            )
        if all(column.kind == "number" and _is_plain(X[name]) for name, column in kept.items()):
            return X if list(X.columns) == list(kept) else X[list(kept)]
        parts: dict[Any, Any] = {}
        for name, column in kept.items():
            parts |= _read(name, X[name], column)
        return pd.DataFrame(parts, index=X.index, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns that come out, shape (features,)."""
        names: list[str] = []
        for name, column in self.columns_.items():
            if column.kind == "date":
                names += [f"{name}.{part}" for part in _DATE_PARTS]
            elif column.kind != "left out":
                names.append(name)
        return np.asarray(names, dtype=object)


def _is_plain(values: pd.Series) -> bool:
    """Tell whether scikit-learn takes the column as numbers without more ado."""
    return isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"


def _learn(name: str, values: pd.Series) -> Column:
    dtype = values.dtype
    if values.isna().all():
        return Column("left out", "empty")
    if pd.api.types.is_bool_dtype(dtype):
        return _varying(Column("boolean"), values)
    if pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c":
        return _learn_number(name, values)
    if dtype.kind == "m":
        return _varying(Column("number"), values)
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return _varying(Column("date"), values)
    if pd.api.types.is_object_dtype(dtype):
        content = pd.api.types.infer_dtype(values, skipna=True)
        if content in {"integer", "floating", "mixed-integer-float", "decimal"}:
            return _learn_number(name, _numbers(values))
        if content == "boolean":
            return _varying(Column("boolean"), values)
        if content in {"date", "datetime"}:
            return _varying(Column("date"), values)
        if not values.dropna().map(lambda value: isinstance(value, str | int | float | bool)).all():
            return Column("left out", "neither number, text nor date")
    return _learn_text(values)


def _varying(column: Column, values: pd.Series) -> Column:
    known = values.dropna()
    if len(known) == len(values) and known.nunique() == 1:
        return Column("left out", "constant")
    return column


def _learn_number(name: str, values: pd.Series) -> Column:
    smallest, largest = values.min(), values.max()
    if smallest == largest and not values.isna().any():
        return Column("left out", "constant")
    if (
        _ID_NAME.fullmatch(name)
        and len(values) >= _MINIMUM_UNIQUE
        and bool((values.dropna() % 1 == 0).all())
        and values.is_unique
    ):
        return Column("left out", "identifier: another whole number in every row")
    return Column("number")


def _learn_text(values: pd.Series) -> Column:
    codes, texts = _texts(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    known = sorted({text for text, count in zip(texts, counts, strict=True) if text is not None and count})
    if not known:
        return Column("left out", "empty")
    some_missing = bool((codes < 0).any()) or None in texts
    if len(known) == 1 and not some_missing:
        return Column("left out", "constant")
    if {text.lower() for text in known} <= TRUTH.keys() and len(known) > 1:
        return Column("boolean")
    numbers = pd.to_numeric(pd.Series(known), errors="coerce")
    if numbers.notna().all():
        return Column("number")
    if date_format := _date_format(known):
        return Column("date", date_format=date_format)
    rows = int(counts.sum())
    if len(known) > 0.5 * rows and rows >= _MINIMUM_UNIQUE:
        if sum(len(text.split()) for text in known) >= _WORDS * len(known):
            return Column("text")
        if len(known) == rows:
            return Column("left out", "identifier: another text in every row")
    return Column("category", categories=tuple(known))


def _date_format(texts: list[str]) -> str | None:
    if not all(_DATE_LIKE.search(text) for text in texts[:100]):
        return None
    some, every = pd.Series(texts[:1000]), pd.Series(texts)
    for date_format in DATE_FORMATS:
        if _dates(some, date_format).notna().all() and _dates(every, date_format).notna().all():
            return date_format
    return None


def _dates(values: pd.Series, date_format: str | None) -> pd.Series:
    return pd.to_datetime(values, format=date_format, errors="coerce", utc=True)


def _texts(values: pd.Series) -> tuple[np.ndarray[Any, np.dtype[Any]], list[str | None]]:
    """Return the column as codes and the text of each code, without spaces around it; None for what is missing.

    Work on distinct values is what makes cleaning a large table cheap.
    """
    codes, uniques = pd.factorize(values)
    texts = [str(value).strip() for value in uniques]
    return codes, [None if text in MISSING_VALUES else text for text in texts]


def _read(name: Any, values: pd.Series, column: Column) -> dict[Any, Any]:
    """Return the columns that a column of this kind becomes, by name."""
    if column.kind == "number":
        return {name: values if _is_plain(values) else _numbers(values)}
    if column.kind == "boolean":
        return {name: _truths(values)}
    if column.kind == "date":
        return _date_columns(name, values, column.date_format)
    codes, texts = _texts(values)
    if column.kind == "category":
        # One more code for missing values: -1 finds it at the end.
        known = np.append(
            pd.Index(column.categories, dtype=object).get_indexer(pd.Index(texts, dtype=object)), -1
        )
        dtype = pd.CategoricalDtype(pd.Index(column.categories, dtype=object))
        return {name: pd.Categorical.from_codes(known[codes], dtype=dtype)}
    return {name: np.asarray([*texts, None], dtype=object)[codes]}


def _numbers(values: pd.Series) -> pd.Series:
    """Return floats; what cannot be read as a number is missing."""
    if values.dtype.kind == "m":
        return pd.Series(values.dt.total_seconds())
    if pd.api.types.is_numeric_dtype(values.dtype):
        return pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan), index=values.index)
    codes, texts = _texts(values)
    numbers = pd.to_numeric(pd.Series([*texts, None], dtype=object), errors="coerce").to_numpy(
        dtype=np.float64
    )
    return pd.Series(numbers[codes], index=values.index)


def _truths(values: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, texts = _texts(values)
    known = [np.nan if text is None else TRUTH.get(text.lower(), np.nan) for text in texts]
    return np.asarray(np.asarray([*known, np.nan])[codes])


_DATE_PARTS = ("year", "month", "day", "weekday", "hour", "seconds")


def _date_columns(name: Any, values: pd.Series, date_format: str | None) -> dict[str, Any]:
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        moments = values
    else:
        codes, texts = _texts(values)
        parsed = _dates(pd.Series([*texts, None], dtype=object), date_format or "ISO8601")
        moments = parsed.take(codes if len(codes) else []).reset_index(drop=True)
    when = moments.dt
    seconds = moments.to_numpy(dtype="datetime64[s]").astype(np.float64)
    seconds[moments.isna().to_numpy()] = np.nan
    parts = (when.year, when.month, when.day, when.day_of_week, when.hour, seconds)
    return {
        f"{name}.{part}": np.asarray(found, dtype=np.float64)
        for part, found in zip(_DATE_PARTS, parts, strict=True)
    }
