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

from .retrainer import OwnMetric

METRICS: dict[str, OwnMetric] = {}
