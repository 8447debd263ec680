"""The checks of a table before training, and their errors."""

import difflib
import logging
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from ..errors import DataError, named
from ..settings import ProblemType
from ._columns import MISSING_VALUES, as_floats, kind_of
from ._tables import DuplicateColumnsError

logger = logging.getLogger(__name__)

_LARGEST = float(np.finfo(np.float32).max)  # scikit-learn's trees take larger ones for infinity
MINIMUM_ROWS = 20  # half of what a split needs on each side would be less than chance
SHOWN = 10  # columns in an error
MANY_VALUES = 20  # a target of more distinct fractions is a number, not a class
MANY_CLASSES = 100  # a target of more distinct whole numbers is one, too


class TargetError(DataError):
    """The target column is missing or unusable."""


class TooFewRowsError(DataError):
    """The table has too few rows for training."""


class InfiniteValuesError(DataError):
    """Columns hold infinite values."""


class SplitError(DataError):
    """The table cannot be split as configured."""


class SplitColumnError(SplitError):
    """A key or time column is not in the table."""


def check_target(
    table: pd.DataFrame, *, target: str, problem_type: ProblemType, words: Collection[str] = ()
) -> pd.Series:
    """Return the target of the rows that have one, read as the problem type needs it.

    Text loses the spaces around it; numbers kept as text become numbers in a regression, whole numbers kept as floats
    become whole in a classification. Rows without a target are left out and counted; `words` of
    missingness are classes.

    Raises:
        DuplicateColumnsError: two columns have the same name.
        TargetError: it is missing, empty, infinite, of one class, or of the wrong type for the problem.
    """
    check_duplicates(table)
    require_target(table, target=target)
    y = table[target]
    if isinstance(y.dtype, pd.CategoricalDtype):
        y = y.astype(y.cat.categories.dtype)
    if kind_of(y) == "text":
        y = y.astype("str").str.strip()
        y = y.mask(y.isin(MISSING_VALUES.difference(words)))
    missing = int(y.isna().sum())
    if missing == len(y) and missing:
        raise TargetError(f"The target column {target!r} (data.target) has no value in any of {len(y)} rows.")
    if missing:
        logger.warning("%d of %d rows are without a value in %r: left out", missing, len(y), target)
        y = y.dropna()
    return _read_classes(y, target) if problem_type == "classification" else _read_values(y, target)


def require_target(table: pd.DataFrame, *, target: str) -> None:
    """Check that the target is a column of the table.

    Raises:
        TargetError: it is missing; the message has the nearest names.
    """
    if target not in table.columns:
        names = [str(name) for name in table.columns]
        near = difflib.get_close_matches(target, names, n=3, cutoff=0.5)
        lower = [name for name in names if name.lower() == target.lower()]
        hint = (
            f"The nearest names: {', '.join(lower or near)}." if lower or near else f"It has: {', '.join(names[:10])}."
        )
        raise TargetError(f"The target column {target!r} (data.target) is not in the table. {hint}")


def _read_classes(y: pd.Series, target: str) -> pd.Series:
    distinct = y.nunique()
    advice = "Set problem_type to regression, or derive classes in label() of features.py."
    if pd.api.types.is_bool_dtype(y.dtype):
        y = y.astype("bool")
    elif pd.api.types.is_numeric_dtype(y.dtype):
        _require_finite_target(y, target)
        fractions = bool((y % 1 != 0).any())
        if distinct > MANY_CLASSES or (distinct > MANY_VALUES and fractions):
            raise TargetError(
                f"The target column {target!r} looks like regression: it has {distinct} different numbers, such as "
                f"{y.iloc[0]}. {advice}"
            )
        if fractions:
            raise TargetError(
                f"The target column {target!r} has fractions such as {y[y % 1 != 0].iloc[0]}, which scikit-learn "
                f"does not accept as classes. {advice}"
            )
        y = y.astype("int64")
    elif kind_of(y) == "date":
        raise TargetError(f"The target column {target!r} holds dates such as {y.iloc[0]}. {advice}")
    elif distinct > MANY_CLASSES and distinct > len(y) / 2:
        raise TargetError(
            f"The target column {target!r} has {distinct} different values in {len(y)} rows, such as {y.iloc[0]!r}: "
            "too many for classes. Choose another column (data.target)."
        )
    if distinct < 2 and len(y):
        raise TargetError(
            f"The target column {target!r} has one class only, {y.iloc[:1].item()!r}, in all {len(y)} rows: "
            "a classification needs two."
        )
    return y


def _read_values(y: pd.Series, target: str) -> pd.Series:
    advice = "Set problem_type to classification, or derive a number in label() of features.py."
    kind = kind_of(y)
    if kind == "text":
        values = pd.to_numeric(y, errors="coerce")
        if values.isna().any():
            example = y[values.isna()].iloc[0]
            raise TargetError(
                f"The target column {target!r} holds text such as {example!r}, where regression needs numbers. {advice}"
            )
        y = values
    elif kind != "number":
        raise TargetError(
            f"The target column {target!r} holds {kind} values such as {y.iloc[0]}, where regression needs numbers. "
            f"{advice}"
        )
    _require_finite_target(y, target)
    return y.astype("float64") if not isinstance(y.dtype, np.dtype) else y


def _require_finite_target(y: pd.Series, target: str) -> None:
    infinite = int(np.isinf(y.to_numpy(dtype="float64")).sum())
    if infinite:
        raise TargetError(f"The target column {target!r} is infinite in {infinite} of {len(y)} rows.")


def check_table(table: pd.DataFrame, *, target: str) -> None:
    """Check that there are enough rows and columns for training.

    Raises:
        TooFewRowsError: fewer than 20 rows.
        DataError: there is no column besides the target.
    """
    if len(table) < MINIMUM_ROWS:
        raise TooFewRowsError(
            f"{len(table)} rows with a value in {target!r} are too few for training: {MINIMUM_ROWS} at least."
        )
    if len(table.columns) < 2:
        raise DataError(f"The table has no column besides the target {target!r}.")


def check_duplicates(table: pd.DataFrame) -> None:
    """Check that column names are unique.

    Raises:
        DuplicateColumnsError: they are not.
    """
    if not table.columns.is_unique:
        twice = sorted(map(str, set(table.columns[table.columns.duplicated()])))
        raise DuplicateColumnsError(f"The table has column {named(twice)} more than once.")


def check_finite(table: pd.DataFrame) -> None:
    """Check that no number is infinite; missing values are allowed.

    Raises:
        InfiniteValuesError: some numbers are; the message counts them by column.
    """
    floats = as_floats(table)
    if floats is not None and not (np.abs(floats) > _LARGEST).any():
        return
    found = {}
    for name, values in table.items():
        if values.dtype.kind == "f":
            is_plain = isinstance(values.dtype, np.dtype)
            numbers = values.to_numpy() if is_plain else values.to_numpy(dtype="float64", na_value=np.nan)
            count = int((np.abs(numbers) > _LARGEST).sum())
            if count:
                found[str(name)] = count
    if found:
        shown = [f"{name!r} ({count} of {len(table)} rows)" for name, count in list(found.items())[:SHOWN]]
        counted = ", ".join(shown) + (f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else "")
        raise InfiniteValuesError(
            f"Infinite values, or numbers too large for a model, in column {counted}. Replace them in features() of "
            "features.py, for example by missing values."
        )


def require_columns(frame: pd.DataFrame, names: Iterable[str], *, setting: str, table: str) -> None:
    """Check that columns of the settings are in the table.

    Raises:
        SplitColumnError: one is missing; the message has the nearest names.
    """
    known = [str(name) for name in frame.columns]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known[:5]
            raise SplitColumnError(
                f"Column {name!r} ({setting}) is not in {table}. The nearest names are: {', '.join(near)}."
            )
