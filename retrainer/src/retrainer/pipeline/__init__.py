"""The steps of a retrain, a batch of predictions and a look at new data, as plain functions over the other rooms.

In:    a project, and what the step before made: a snapshot, a table, the sides of the split, a challenger, scores.
Out:   the next one; in the end what was decided and recorded, scored, or found to have drifted.
Never: imports Prefect; holds what one room alone could hold.
"""

from ._checks import check
from ._comparison import Evaluation, GateResult, compare_with_production, evaluate
from ._monitoring import check_drift
from ._record import Run, Saved, add_report, export_dry_run, record, save
from ._scoring import Scorer, loaded_model, score_table, scored_batches
from ._sides import SplitSide, preprocess, preprocess_holdout, split
from ._to_do import to_do
from ._training import (
    Refit,
    best_recipe,
    candidates,
    cross_validate,
    fold_inputs,
    only_recipe,
    refit,
    selection_metric,
    train,
)

__all__ = [
    "Evaluation",
    "GateResult",
    "Refit",
    "Run",
    "Saved",
    "Scorer",
    "SplitSide",
    "add_report",
    "best_recipe",
    "candidates",
    "check",
    "check_drift",
    "compare_with_production",
    "cross_validate",
    "evaluate",
    "export_dry_run",
    "fold_inputs",
    "loaded_model",
    "only_recipe",
    "preprocess",
    "preprocess_holdout",
    "record",
    "refit",
    "save",
    "score_table",
    "scored_batches",
    "selection_metric",
    "split",
    "to_do",
    "train",
]
