"""The team's own metrics of metrics.py, as measures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from traceback import extract_tb
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ProjectError, named
from ..project import OwnMetric
from ..settings import ProblemType
from ._measures import Losses, Measure, NonAdditive, Resampler
from ._predictions import Array, Predictions
from ._samples import Sample, make_samples

CHECKED_ROWS = 100_000


class OwnMetricError(ProjectError):
    """A metric of metrics.py cannot be computed."""


def missing_column(metric: str, column: str, have: Iterable[Any]) -> OwnMetricError:
    """Return the error of a metric that reads a column which is not there."""
    return OwnMetricError(
        f"Metric {metric!r} (metrics.py) reads column {column!r}, and the rows have: {named(have) or 'no columns'}."
    )


@dataclass(frozen=True)
class Own(Measure):
    """A function of the team: numbers for each row are summed, one for all rows is computed for each resample."""

    name: str
    own: OwnMetric

    def value(self, sample: Sample, positive: Any) -> float:
        """Return the score of one model.

        Raises:
            OwnMetricError: the function raises, returns something else than numbers, or a column is missing.
        """
        return float(np.mean(self._call(sample)))

    def resampler(
        self, champion: Sample, challenger: Sample, positive: Any, group_of_row: Array, n_groups: int
    ) -> Resampler:
        measure: Measure = NonAdditive(self.value)
        if self._call(champion).ndim:
            measure = Losses(self._rows, lambda sums: sums[:, 1] / sums[:, 0])
        return measure.resampler(champion, challenger, positive, group_of_row, n_groups)

    def check(self, table: pd.DataFrame, target: str, problem_type: ProblemType) -> None:
        """Call the function before anything is trained: with perfect and with constant predictions.

        Raises:
            OwnMetricError: it fails, gives no number for a perfect prediction, or none for some row.
        """
        whole = table[list(self.own.columns)].notna().all(axis=1).to_numpy()
        rows = table.iloc[np.argsort(whole, kind="stable")[:CHECKED_ROWS]]  # those with gaps first
        truth = rows[target].to_numpy()
        for what, predictions in simple_answers(truth, problem_type):
            (sample,) = make_samples(truth, predictions, problem_type=problem_type, rows=rows)
            value = self._call(sample)
            strange = np.flatnonzero(~np.isfinite(np.atleast_1d(value)))
            if value.ndim and len(strange):
                raise OwnMetricError(
                    f"Metric {self.name!r} (metrics.py) is {value[strange[0]]} for {len(strange):,} of {len(rows):,}"
                    f" rows {what}{self._describe_row(rows, strange[0])}. Fill such gaps in label() of features.py, or"
                    " in the metric."
                )
            if len(strange) and predictions.labels is truth:
                raise OwnMetricError(f"Metric {self.name!r} (metrics.py) is {value} {what}: it must be a number.")

    def _describe_row(self, rows: pd.DataFrame, position: int) -> str:
        cells = [f"{column} is {rows[column].iloc[position]}" for column in self.own.columns]
        return f", the first where {' and '.join(cells)}" if cells else ""

    def _rows(self, sample: Sample, positive: Any) -> Array:
        return np.column_stack([np.ones(len(sample.y)), self._call(sample)])

    def _call(self, sample: Sample) -> Array:
        rows = sample.rows
        have = [] if rows is None else list(rows.columns)
        if missing := [column for column in self.own.columns if column not in have]:
            raise missing_column(self.name, missing[0], have)
        given = None if rows is None else rows[list(self.own.columns)].reset_index(drop=True)  # as the arrays are
        truth, predictions = _decode_labels(sample)
        try:
            value = np.asarray(self.own.function(truth, predictions, given), dtype=np.float64)
        except Exception as error:
            own_file = getattr(getattr(self.own.function, "__code__", None), "co_filename", None)
            steps = [step for step in extract_tb(error.__traceback__) if step.filename == own_file]
            at = f", line {steps[-1].lineno}" if steps else ""
            code = f"\n    {steps[-1].line}" if steps else ""
            what = f"{type(error).__name__}: {error}{code}"
            raise OwnMetricError(f"Metric {self.name!r} (metrics.py{at}) failed: {what}") from error
        if value.shape not in ((), sample.y.shape):
            raise OwnMetricError(
                f"Metric {self.name!r} (metrics.py) returned an array of shape {value.shape}; it must return a "
                f"number, or one for each of the {len(sample.y):,} rows."
            )
        return value


def simple_answers(truth: Array, problem_type: ProblemType) -> Iterator[tuple[str, Predictions]]:
    """Yield predictions that a model could make, each with a description; the first is the truth."""
    if problem_type == "regression":
        yield "when every row is predicted perfectly", Predictions(truth)
        yield "when every row is predicted as the mean", Predictions(np.full(len(truth), np.mean(truth)))
        return
    codes, names = pd.factorize(truth, sort=True)
    classes, counts = np.asarray(names), np.bincount(codes)
    nearly = 0.98 * np.eye(len(classes)) + 0.02 / len(classes)  # sure, and no logarithm is infinite
    shares = np.tile(counts / len(codes), (len(codes), 1))
    yield "when every row is predicted perfectly", Predictions(truth, nearly[codes], classes)
    for code in np.argsort(-counts, kind="stable")[:2]:
        same = np.full(len(truth), classes[code])
        yield f"when every row is predicted {classes[code]!s}", Predictions(same, shares, classes)


def _decode_labels(sample: Sample) -> tuple[Array, Predictions]:
    if sample.classes is None:
        return sample.y, Predictions(sample.labels)
    known = np.array([*sample.classes.tolist(), None], dtype=object)  # None: predicted, and not a class at all
    strange = bool((sample.labels == len(sample.classes)).any())
    labels = (known if strange else sample.classes)[sample.labels]
    return sample.classes[sample.y], Predictions(labels, sample.probabilities, sample.classes)
