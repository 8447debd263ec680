"""From the table as it was read to what a pipeline learns from."""

import logging

import pandas as pd

from . import features, validation
from .errors import DataError
from .settings import Settings

logger = logging.getLogger(__name__)


def labelled(frame: pd.DataFrame, *, settings: Settings) -> pd.DataFrame:
    """Return the rows to learn from, with a target in each: `features.label`, checked.

    Rows without a target are left out and counted in the log.

    Raises:
        DataError: the table has no usable target, see `validation.check_target`.
    """
    target = settings.data.target
    validation.check_columns(frame, source=settings.data.source)
    table = features.label(frame)
    validation.check_target(table, target=target, problem_type=settings.problem_type)
    missing = table[target].isna()
    if missing.any():
        logger.warning("%d of %d rows have no %r: left out", missing.sum(), len(table), target)
        table = table[~missing]
    return table.reset_index(drop=True)


def inputs(rows: pd.DataFrame, *, target: str) -> pd.DataFrame:
    """Return what the pipeline gets of the rows, target or no target among them: `features.features`, checked.

    Raises:
        DataError: `features` changed the number of rows, or a column holds infinite values.
    """
    X = features.features(rows.drop(columns=target, errors="ignore"))
    if len(X) != len(rows):
        raise DataError(
            f"features.features() returned {len(X)} rows for {len(rows)}: drop rows in features.label() instead."
        )
    validation.check_finite(X)
    return X
