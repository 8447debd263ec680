"""Yours to edit: what the gate compares, where the built-in metrics do not fit.

A metric is a function of the truth, the predictions and the rows of the holdout. It returns one number, or one
number for each row, whose mean is compared then. Enter it in METRICS, and name it in `gate.metric` or among the
`gate.guard_metrics`. An example, the cost of a missed churner against that of a needless call:

    def cost(truth, predictions, rows):
        missed = (truth == "yes") & (predictions.labels == "no")
        called = predictions.labels == "yes"
        return np.where(missed, 12 * rows["monthly_charges"], 0) + np.where(called, 5, 0)

    METRICS = {"cost": OwnMetric(cost, greater_is_better=False, columns=("monthly_charges",))}
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OwnMetric:
    """A metric of yours.

    Attributes:
        function: Gets `truth`, shape (n,); `predictions` with `labels` (n,), `probabilities` (n, k) and
            `classes` (k,); and `rows`, a DataFrame of the n rows with `columns`, as the source has them.
            Returns a number, or an array of shape (n,), and looks at each row by itself or at all alike.
        greater_is_better: False for a cost or an error.
        columns: Those it reads.
        relative: Whether an improvement is a share of the champion's value, or a difference (the default).
        needs_probabilities: Whether predicted classes are not enough.
        label: For people; the metric's name if empty.
    """

    function: Callable[..., Any]
    greater_is_better: bool
    columns: tuple[str, ...] = ()
    relative: bool = False
    needs_probabilities: bool = False
    label: str = ""


METRICS: dict[str, OwnMetric] = {}
