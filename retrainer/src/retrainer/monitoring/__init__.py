"""What comes after training: scoring in batches, drift, live scores.

In:    the champion and tables of new rows.
Out:   predictions as Parquet, what drifted since training, and whether to retrain.
Never: trains or promotes; keeps a table in memory to score it.
"""

from ._drift import ColumnDrift, Drift, compare_with_profile, learn_profile, should_fire
from ._scoring import Counts, Scored, ScoredPart, checked, output_name, read_parts, score_batch, write, write_parts
from ._windows import History, Window, is_far, is_worse, needs_retrain, summary

__all__ = [
    "ColumnDrift",
    "Counts",
    "Drift",
    "History",
    "Scored",
    "ScoredPart",
    "Window",
    "checked",
    "compare_with_profile",
    "is_far",
    "is_worse",
    "learn_profile",
    "needs_retrain",
    "output_name",
    "read_parts",
    "score_batch",
    "should_fire",
    "summary",
    "write",
    "write_parts",
]
