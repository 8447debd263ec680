"""From two sets of predictions to a decision.

In:    the truth on a holdout, and what challenger, champion and others predict for the same rows.
Out:   metrics, and a decision: promoted, kept, staging or rejected, with the reason and its numbers.
Never: reads a table or a model; changes what is in production.
"""

from ._alarms import Change, alarms, change, few_rows, worst_rows
from ._comparability import Champion
from ._decision import Criterion, Decision, shown_verdict
from ._metrics import (
    METRICS,
    Metric,
    UnknownMetricError,
    check_table,
    deciding_metric,
    evaluate,
    evaluate_thresholds,
    gate_metrics,
    get_metric,
    known_metric,
    recorded_metrics,
)
from ._own import OwnMetricError
from ._predictions import Array, Predictions, predict
from ._promotion import Rival, apply_baseline_and_holds, to_staging
from ._question import Question
from ._resampling import Comparison, Pair, compare, standard_error
from ._samples import PositiveClassError, Sample, encode_labels, find_positive
from ._serving import lost_by_refit, what_serves
from ._verdict import decide

__all__ = [
    "METRICS",
    "Array",
    "Champion",
    "Change",
    "Comparison",
    "Criterion",
    "Decision",
    "Metric",
    "OwnMetricError",
    "Pair",
    "PositiveClassError",
    "Predictions",
    "Question",
    "Rival",
    "Sample",
    "UnknownMetricError",
    "alarms",
    "apply_baseline_and_holds",
    "change",
    "check_table",
    "compare",
    "decide",
    "deciding_metric",
    "encode_labels",
    "evaluate",
    "evaluate_thresholds",
    "few_rows",
    "find_positive",
    "gate_metrics",
    "get_metric",
    "known_metric",
    "lost_by_refit",
    "predict",
    "recorded_metrics",
    "shown_verdict",
    "standard_error",
    "to_staging",
    "what_serves",
    "worst_rows",
]
