"""From the table as loaded to what is learned from: the label, the features, and the checks on both."""

import pandas as pd

from .. import features
from ..errors import DataError
from ..settings import Settings
from . import _validation


class FeaturesError(DataError):
    """features.py returned something that cannot be used."""


def labelled(frame: pd.DataFrame, *, settings: Settings) -> pd.DataFrame:
    """Return the rows to learn from, with a usable target column.

    Calls `label()` of features.py, drops rows without a target, and reads the target as what the problem type needs.

    Args:
        frame: The table as loaded.
        settings: For the target and the problem type.

    Raises:
        DataError: see `_validation.check_target` and `_validation.check_table`.
    """
    table = features.label(frame)
    if not isinstance(table, pd.DataFrame):
        raise FeaturesError(f"label() in features.py must return a DataFrame, not {type(table).__name__}.")
    table = table.reset_index(drop=True)
    target = settings.data.target
    y = _validation.check_target(table, target=target, problem_type=settings.problem_type)
    if len(y) < len(table):
        table = table.loc[y.index]
    _validation.check_table(table, target=target)
    if not y.equals(table[target]):
        table[target] = y
    return table


def inputs(frame: pd.DataFrame, *, target: str) -> pd.DataFrame:
    """Return what the pipeline gets: `features()` of the frame without the target, a row for each row.

    Args:
        frame: Labelled rows, or rows to score, with or without the target.
        target: The column to predict.

    Raises:
        FeaturesError: `features()` changed the number of rows, kept the target, or returned no columns.
        InfiniteValuesError: a column holds infinite values.
    """
    X = features.features(frame.drop(columns=target) if target in frame.columns else frame)
    if not isinstance(X, pd.DataFrame):
        raise FeaturesError(f"features() in features.py must return a DataFrame, not {type(X).__name__}.")
    if len(X) != len(frame):
        raise FeaturesError(
            f"features() in features.py made {len(X)} rows of {len(frame)}: it must return each row. "
            "Rows are dropped in label()."
        )
    if target in X.columns:
        raise FeaturesError(f"features() in features.py returned the target column {target!r}.")
    if not len(X.columns):
        raise FeaturesError("features() in features.py returned no columns.")
    _validation.check_duplicates(X)
    _validation.check_finite(X)
    return X
