"""What a report is made from, and what follows from it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..gate import METRICS, Array, Decision, EncodedLabels, Metric, Predictions, encode_labels, evaluate
from ..monitoring import Drift
from ..registry import Version
from ..settings import ProblemType
from ._importance import permutation_importance


@dataclass(frozen=True)
class Facts:
    """What the report is made from.

    Attributes:
        project: The project's name, which is the console command's too.
        problem_type: Which metrics and pictures fit.
        decision: The gate's.
        version: The challenger, staged.
        pipeline: The challenger, fitted.
        X: The holdout's inputs, shape (n, features).
        y: The truth, shape (n,).
        predictions: The challenger's, of the n rows.
        baseline: Of the same n rows, without a model.
        champion: The version in production before the decision.
        champion_predictions: Of the same n rows.
        comparable: Shape (n,), the rows that the champion was not trained on; None for all.
        held: The versions on hold, each with the reason.
        profile: Of the training inputs, see `monitoring.learn_profile`.
        drift: The training inputs, compared with the champion's profile.
        slices: Columns of the holdout to break the score down by; None chooses those of few values.
        run: The name of the run.
        run_url: Where the run can be looked at.
        seed: Of the samples drawn.
    """

    project: str
    problem_type: ProblemType
    decision: Decision
    version: Version
    pipeline: Any
    X: pd.DataFrame
    y: Any
    predictions: Predictions
    baseline: Predictions | None = None
    champion: Version | None = None
    champion_predictions: Predictions | None = None
    comparable: Array | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, Any] | None = None
    drift: Drift | None = None
    slices: tuple[str, ...] | None = None
    run: str = ""
    run_url: str = ""
    seed: int = 0

    @property
    def metric(self) -> Metric:
        """The metric of the decision."""
        return METRICS[self.decision.metric]

    @property
    def compared(self) -> bool:
        """Whether champion and challenger met on the same rows."""
        return self.decision.champion is not None and self.champion_predictions is not None

    @functools.cached_property
    def rows(self) -> Array:
        """The rows both models are compared on, shape (n,): those compared, or all."""
        if not self.compared or self.comparable is None:
            return np.ones(len(self.y), dtype=bool)
        return np.asarray(self.comparable, dtype=bool)

    @functools.cached_property
    def coded(self) -> dict[str, EncodedLabels]:
        """Truth and predictions of a classification on those rows, of each model, as numbers."""
        models = self._models
        coded = encode_labels(np.asarray(self.y)[self.rows], *models.values())
        return dict(zip(models, [coded] if isinstance(coded, EncodedLabels) else coded, strict=True))

    @functools.cached_property
    def truth(self) -> Array:
        """The truth on those rows; classes as numbers, which are quicker to compare."""
        if self.problem_type == "classification":
            return self.coded["challenger"].y
        return np.asarray(self.y, dtype=np.float64)[self.rows]

    @functools.cached_property
    def models(self) -> dict[str, Predictions]:
        """The predictions on those rows, of the challenger and, if compared, the champion; likewise."""
        if self.problem_type == "regression":
            return self._models
        return {
            name: Predictions(coded.labels, coded.probabilities, np.arange(len(coded.classes)))
            for name, coded in self.coded.items()
        }

    @functools.cached_property
    def _models(self) -> dict[str, Predictions]:
        models = {"challenger": self.predictions.take(self.rows)}
        if self.compared and self.champion_predictions is not None:
            models["champion"] = self.champion_predictions.take(self.rows)
        return models

    @functools.cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """Every metric of each model on those rows."""
        return {
            name: evaluate(model, self.truth, problem_type=self.problem_type)
            for name, model in self.models.items()
        }

    @functools.cached_property
    def baseline_scores(self) -> dict[str, float]:
        """Every metric of the baseline on those rows; empty without a baseline."""
        if self.baseline is None:
            return {}
        truth = np.asarray(self.y)[self.rows]
        return evaluate(self.baseline.take(self.rows), truth, problem_type=self.problem_type)

    @functools.cached_property
    def importance(self) -> list[tuple[str, float, float]]:
        """Column, mean and standard deviation of what permuting it costs, the most costly first."""
        return permutation_importance(
            self.pipeline,
            self.X,
            np.asarray(self.y),
            metric=self.metric,
            problem_type=self.problem_type,
            seed=self.seed,
            columns=[name for name in self.X.columns if str(name) not in self.left_out],
        )

    @property
    def left_out(self) -> Mapping[str, str]:
        """The columns that the model does not use, with the reason."""
        return self.profile["left_out"] if self.profile else {}
