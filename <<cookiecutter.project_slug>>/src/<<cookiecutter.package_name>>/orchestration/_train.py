"""From the training part to a fitted model: the recipe that cross-validation chooses, and the fits of it."""

import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from prefect import unmapped
from prefect.logging import get_run_logger
from sklearn.pipeline import Pipeline

from .. import data, gate, models
from ..errors import ProjectError
from ..settings import Settings
from ..training import (
    Model,
    Recipe,
    best,
    code_of_steps,
    cross_validate_scores,
    possible_thresholds,
    thread_budget,
    with_jobs,
    with_threshold,
)
from ._common import left_out, may_pass, step
from ._compare import GateResult
from ._parts import Part
from ._progress import fit
from ._runner import optional_runner


class RefitError(ProjectError):
    """A model that was fitted once more on all rows cannot be used."""


@dataclass(frozen=True)
class FoldInputs:
    """What cross-validation needs of the training part.

    Attributes:
        X: The inputs, n rows.
        y: Shape (n,), the truth.
        groups: Shape (n,), see data.group_codes.
        times: Shape (n,), see data.times.
        rows: The n rows with the columns that the metric reads; None if it reads none.
    """

    X: pd.DataFrame
    y: gate.Array
    groups: gate.Array | None
    times: gate.Array | None
    rows: pd.DataFrame | None = None


@dataclass(frozen=True)
class Refit:
    """The recipe, fitted once more on all labelled rows: what predicts in production.

    Attributes:
        part: The rows.
        model: Fitted on them; None if that failed.
        error: Why it failed.
    """

    part: Part | None = None
    model: Model | None = None
    error: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What the lineage and whoever reads the result of a run is told."""
        return {"failed": self.error} if self.part is None else {"rows": len(self.part.rows)}


@step(task_run_name="cross-validate {estimator}")
def cross_validate(training: Part, *, estimator: str, settings: Settings, threads: int | None) -> gate.Array:
    """Score one candidate at each threshold on folds of the training rows; the holdout plays no part in the choice."""
    part = fold_inputs(training, settings=settings)
    return cross_validate_scores(
        unfitted(estimator, settings=settings),
        part.X,
        part.y,
        metric=metric_of_choice(settings),
        thresholds=possible_thresholds(settings.train.threshold),
        seed=settings.seed,
        groups=part.groups,
        times=part.times,
        rows=part.rows,
        threads=threads,
    )


def fold_inputs(training: Part, *, settings: Settings) -> FoldInputs:
    """Return what cross-validation needs of the training part."""
    split = settings.split
    times = data.times(training.rows, column=str(split.time_column)) if split.method == "time" else None
    groups = data.group_codes(training.rows, keys=split.key_columns)
    columns = list(metric_of_choice(settings).columns)
    rows = training.rows[columns] if columns else None
    return FoldInputs(training.X, np.asarray(training.y), groups, times, rows)


def metric_of_choice(settings: Settings) -> gate.Metric:
    """Return what candidates are compared by: the gate's metric if it or a threshold is set, else log loss or RMSE.

    On few rows log loss tells candidates apart that F1 does not: it sees how sure they are, not only hits.
    """
    chosen = settings.gate.metric is not None or settings.train.threshold is not None
    if (
        chosen
        or settings.problem_type == "regression"
        or not all(
            hasattr(unfitted(name, settings=settings), "predict_proba") for name in settings.estimators
        )
    ):
        return gate.deciding_metric(settings)
    return gate.get_metric("log_loss", problem_type=settings.problem_type)


def unfitted(estimator: str, *, settings: Settings) -> Pipeline:
    """Return the pipeline of an estimator as the settings want it."""
    return models.make_pipeline(
        estimator, problem_type=settings.problem_type, seed=settings.seed, keep=settings.data.keep
    )


def choose_recipe(training: Part, *, settings: Settings) -> Recipe:
    """Return the candidate with the best cross-validation score, and the threshold it has it at.

    With more training rows than `compared_rows` the first candidate is taken. Where there is one candidate and one
    threshold, none is scored. Candidates are scored side by side, each with its share of the cores.
    """
    if len(training.rows) > settings.compared_rows:
        settings = settings.model_copy(update={"estimators": settings.estimators[:1]})
    names, thresholds = settings.estimators, possible_thresholds(settings.train.threshold)
    if len(names) == len(thresholds) == 1:
        return Recipe(names[0], thresholds[0])
    metric, scores = metric_of_choice(settings), candidate_scores(training, settings=settings)
    recipe = best(dict(zip(names, scores, strict=True)), metric=metric, thresholds=thresholds)
    if len(thresholds) > 1:
        get_run_logger().info("%s is tuned to the threshold %g", recipe.estimator, recipe.threshold)
    else:
        shown = ", ".join(f"{name} {score[0]:.4f}" for name, score in zip(names, scores, strict=True))
        get_run_logger().info(
            "%s is the best by %s in cross-validation: %s", recipe.estimator, metric.label, shown
        )
    return recipe


def candidate_scores(training: Part, *, settings: Settings) -> list[gate.Array]:
    """Return the cross-validation scores of each candidate of the settings, computed side by side."""
    if runner := optional_runner(settings):
        return runner.candidate_scores(training, settings=settings)
    names = settings.estimators
    threads = max(1, (os.cpu_count() or 1) // len(names))
    # BLAS has one limit for the process: the candidates, which end one by one, must find it there.
    with thread_budget(threads):
        return cross_validate.map(
            unmapped(training), estimator=list(names), settings=unmapped(settings), threads=unmapped(threads)
        ).result()


@step(retries=2, retry_condition_fn=may_pass)
def train(training: Part, *, recipe: Recipe, settings: Settings) -> Model:
    """Fit the recipe's estimator with its preprocessing on the training rows."""
    model = _fit(training, recipe, settings)
    for column, reason in left_out(model.pipeline).items():
        get_run_logger().info("Column %r is left out: %s", column, reason)
    return model


def _fit(part: Part, recipe: Recipe, settings: Settings) -> Model:
    pipeline = unfitted(recipe.estimator, settings=settings)
    fit(pipeline, part.X, part.y)
    with_jobs(
        pipeline, 1
    )  # a forest adds up its trees in the order in which threads end: the last bit would differ
    imports = part.contract.imports | code_of_steps(pipeline)
    if recipe.threshold is not None:
        pipeline = with_threshold(pipeline, recipe.threshold, positive=settings.data.positive)
    return Model(pipeline, dataclasses.replace(part.contract, imports=imports), part.code)


@step()
def refit(
    comparison: GateResult,
    training: Part,
    gap: Part | None,
    holdout: Part,
    *,
    recipe: Recipe,
    settings: Settings,
) -> Refit | None:
    """Fit the recipe on all labelled rows, for a model that goes, or may go, to production; None where it does not.

    Before the version is saved, so that what is recorded is complete, and a run that dies here leaves nothing behind.
    A failure costs the newest rows and nothing else: the model that was compared serves then.
    """
    if not settings.refits or comparison.decision.verdict not in ("promoted", "staging"):
        return None
    try:
        part = _joined([side for side in (training, gap, holdout) if side is not None])
        model = _fit(part, recipe, settings)
        predictions = gate.predict(model.pipeline, holdout.X, problem_type=settings.problem_type)
        metric = {settings.metric: gate.deciding_metric(settings)}
        score = gate.evaluate(predictions, holdout.y, metrics=metric, rows=holdout.rows)[settings.metric]
        if not math.isfinite(score):
            raise RefitError(f"{settings.metric} of its predictions is {score}.")
    except Exception as error:  # an estimator may fail in any way
        reason = f"{type(error).__name__}: {error}"
        get_run_logger().warning(
            "The refit on all rows failed (%s). The model that was compared serves without it.",
            reason,
            exc_info=True,
        )
        return Refit(error=reason)
    get_run_logger().info("Fitted once more, on all %s labelled rows", f"{len(part.rows):,}")
    return Refit(part, model)


def _joined(sides: Sequence[Part]) -> Part:
    """Return one part with the rows of all."""
    rows = pd.concat([side.rows for side in sides], ignore_index=True)
    first = sides[0]
    return dataclasses.replace(
        first,
        rows=rows,
        X=data.inputs(rows, contract=first.contract, code=first.code),
        y=rows[first.contract.target],
        identities=np.concatenate([side.identities for side in sides]),
    )
