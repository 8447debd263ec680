"""What the tests of the machinery use instead of features.py."""

import pandas as pd


def label(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table as it is."""
    return frame


def features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns as they are."""
    return frame
