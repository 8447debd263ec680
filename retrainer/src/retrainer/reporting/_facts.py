"""The facts of a report, and values derived from them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..gate import Array, Decision, Metric, Predictions, Sample, encode_labels, evaluate, find_positive, predict
from ..monitoring import Drift
from ..registry import Version
from ..settings import ProblemType

IMPORTANCE_ROWS, IMPORTANCE_REPEATS = 500, 3


@dataclass(frozen=True)
class Facts:
    """The facts of a report.

    Attributes:
        project: The name of the project and of its console command.
        problem_type: The problem type; it selects metrics and pictures.
        decision: The decision of the gate.
        version: The challenger's version, staged.
        pipeline: The challenger's fitted pipeline.
        X: The holdout's inputs, shape (n, features).
        y: The truth, shape (n,).
        predictions: The challenger's predictions of the n rows.
        baseline: The baseline's predictions of the n rows.
        champion: The version in production before the decision.
        champion_predictions: The champion's predictions of the n rows.
        metrics: The metrics to show, by name, including the one that decided.
        holdout: The n rows with the columns of the source, for metrics that read columns.
        comparable: Mask of the rows that the champion was not trained on, shape (n,); None for all.
        held: Maps each version on hold to the reason.
        profile: The profile of the training inputs; see `monitoring.learn_profile`.
        drift: The comparison of the training inputs with the champion's profile.
        slices: Columns of the holdout for scores by value; None selects columns with few values.
        run: The name of the run.
        run_url: The URL of the run's page.
        seed: The seed of samples.
        recorded: Whether a run recorded the version and the decision; False for a comparison of two versions of the
            registry.
    """

    project: str
    problem_type: ProblemType
    decision: Decision
    version: Version
    pipeline: Any
    X: pd.DataFrame
    y: Any
    predictions: Predictions
    metrics: Mapping[str, Metric]
    baseline: Predictions | None = None
    champion: Version | None = None
    champion_predictions: Predictions | None = None
    comparable: Array | None = None
    holdout: pd.DataFrame | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, Any] | None = None
    drift: Drift | None = None
    slices: tuple[str, ...] | None = None
    run: str = ""
    run_url: str = ""
    seed: int = 0
    recorded: bool = True

    @property
    def metric(self) -> Metric:
        """The metric of the decision."""
        return self.metrics[self.decision.metric]

    @property
    def compared(self) -> bool:
        """Whether champion and challenger were compared on the same rows."""
        return self.decision.champion is not None and self.champion_predictions is not None

    @functools.cached_property
    def rows(self) -> Array:
        """Mask of the rows on which both models are compared, or of all rows, shape (n,)."""
        if not self.compared or self.comparable is None:
            return np.ones(len(self.y), dtype=bool)
        return np.asarray(self.comparable, dtype=bool)

    @functools.cached_property
    def coded(self) -> dict[str, Sample]:
        """Truth and predictions of each model of a classification on these rows, as numbers."""
        coded = encode_labels(self.truth, *self.models.values())
        return dict(zip(self.models, coded, strict=True))

    @property
    def positive(self) -> int:
        """The position of the positive class among the classes of `coded`: data.positive, or the last one."""
        classes = self.coded["challenger"].classes
        positive = self.decision.positive
        return len(classes) - 1 if positive is None else find_positive(positive, classes)

    @functools.cached_property
    def truth(self) -> Array:
        """The truth on these rows."""
        return np.asarray(self.y)[self.rows]

    @functools.cached_property
    def models(self) -> dict[str, Predictions]:
        """The predictions on these rows by model: the challenger and, if compared, the champion."""
        models = {"challenger": self.predictions.take(self.rows)}
        if self.compared and self.champion_predictions is not None:
            models["champion"] = self.champion_predictions.take(self.rows)
        return models

    @functools.cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """Every metric of each model on these rows."""
        every = np.arange(len(self.truth))
        return {name: self.score(name, every, self.metrics) for name in self.models}

    def score(self, model: str, chosen: Array, metrics: Mapping[str, Metric]) -> dict[str, float]:
        """Return metrics of a model on some of these rows, given by their positions."""
        return self._evaluate(self.models[model].take(chosen), chosen, metrics)

    def score_with_labels(self, labels: Array) -> float:
        """Return the deciding metric of other predicted labels on these rows, shape (n,)."""
        predictions = replace(self.models["challenger"], labels=labels)
        return self._evaluate(predictions, np.arange(len(self.truth)), {self.metric.name: self.metric})[
            self.metric.name
        ]

    def _evaluate(self, predictions: Predictions, chosen: Array, metrics: Mapping[str, Metric]) -> dict[str, float]:
        holdout = None
        if self.holdout is not None and any(metric.columns for metric in metrics.values()):
            holdout = self.holdout.iloc[np.flatnonzero(self.rows)[chosen]]
        return evaluate(predictions, self.truth[chosen], metrics=metrics, rows=holdout)

    @functools.cached_property
    def baseline_scores(self) -> dict[str, float]:
        """Every metric of the baseline on these rows; empty without a baseline."""
        if self.baseline is None:
            return {}
        return self._evaluate(self.baseline.take(self.rows), np.arange(len(self.truth)), self.metrics)

    @functools.cached_property
    def importance(self) -> list[tuple[str, float, float]]:
        """For each column its name, and mean and standard deviation of the loss when it is shuffled, the largest first.

        The loss is a difference of scores, or a share of the error (Breiman 2001), on a sample of the rows. All is
        predicted at
        once: scikit-learn's own function, which predicts for each column and repeat, takes 1.46 s of CPU time on the
        sample table, where this takes 0.15 s.
        """
        random = np.random.default_rng(self.seed)
        chosen = np.sort(random.permutation(len(self.X))[:IMPORTANCE_ROWS])
        sample, truth, count = self.X.iloc[chosen], np.asarray(self.y)[chosen], len(chosen)
        used = [name for name in sample.columns if str(name) not in self.left_out]
        copies = [
            sample.assign(**{name: sample[name].array.take(random.permutation(count))})
            for name in used
            for _ in range(IMPORTANCE_REPEATS)
        ]
        every = pd.concat([sample, *copies], ignore_index=True)
        predictions = predict(self.pipeline, every, problem_type=self.problem_type)
        rows = None if self.holdout is None else self.holdout.iloc[chosen]
        wanted = {self.metric.name: self.metric}
        before, *after = (
            evaluate(predictions.take(slice(end, end + count)), truth, metrics=wanted, rows=rows)[self.metric.name]
            for end in range(0, len(every), count)
        )
        costs = np.reshape([-self.metric.improvement(one, before) for one in after], (-1, IMPORTANCE_REPEATS))
        found = zip(map(str, used), costs.mean(axis=1).tolist(), costs.std(axis=1).tolist(), strict=True)
        return sorted(found, key=lambda one: -one[1])

    @property
    def left_out(self) -> Mapping[str, str]:
        """The columns that the model does not use, with the reason."""
        return self.profile["left_out"] if self.profile else {}
