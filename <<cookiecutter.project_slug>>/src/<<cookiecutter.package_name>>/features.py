"""Yours to edit: what the model learns to predict, and from what.

A model is saved with this file as it is when the model is trained, and predicts with that: an edit takes effect with
the next model that is promoted.

Columns come as float64 (whole numbers too), `str`, `boolean` and datetime64 in UTC, from any kind of file.
"""

import pandas as pd


def label(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to learn from, with the target column.

    Called where the target is known: in training, and when the monitor flow compares labels with predictions.
    Derive the target from other columns here, and drop rows; also drop columns that are known only afterwards and
    would give the target away: `features()` gets the columns of the table that are left.

    Args:
        frame: The table, read.
    """
    return frame


def features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that the model sees, a row for each row.

    Called in training and in scoring alike, without the target column. Each row must be derived from itself alone:
    what has to be learned from all rows (means, categories) belongs into the pipeline in models.py. A retrain tries that
    before it trains, and refuses code that opens a file, which no model would hold.

    Args:
        frame: The rows of `label()`, or those to score.
    """
    return frame
