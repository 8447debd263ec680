"""Yours to edit: what the model learns to predict, and from what.

A model is saved with the columns it was trained on, so after a change here the next retrain makes a new model, and
scoring with the one in production is refused where its columns are gone.
"""

import pandas as pd


def label(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to learn from, with the target column.

    Called where the target is known: in training, and when the monitor flow compares labels with predictions.
    Derive the target from other columns here, and drop rows; also drop columns that are known only afterwards and
    would give the target away.

    Args:
        frame: The table as the source has it.
    """
    return frame


def features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that the model sees, a row for each row.

    Called in training and in scoring alike, without the target column. Each row must be derived from itself alone:
    what has to be learned from all rows (means, categories) belongs into the pipeline in models.py.

    Args:
        frame: The rows of `label()`, or those to score.
    """
    return frame
