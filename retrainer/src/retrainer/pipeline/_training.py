"""From the training part to a fitted model: the recipe that cross-validation selects, and its fits."""

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import data, gate
from ..errors import ProjectError
from ..project import Project
from ..settings import Settings
from ..training import (
    FoldInputs,
    Model,
    Recipe,
    best,
    code_of_steps,
    cross_validate_scores,
    make_pipeline,
    possible_thresholds,
    translate_estimator_errors,
    with_jobs,
    with_threshold,
)
from ._comparison import Evaluation, GateResult
from ._sides import SplitSide

LEAST_OF_A_CLASS = 10  # rows of each class in a sample, where there are as many

logger = logging.getLogger(__name__)


class RefitError(ProjectError):
    """A model that was refit on all rows cannot be used."""


@dataclass(frozen=True)
class Refit:
    """The model that serves: the recipe, refit on all labelled rows.

    Attributes:
        part: The labelled rows.
        model: The fitted model; None if fitting failed.
        error: The reason of the failure.
    """

    part: SplitSide | None = None
    model: Model | None = None
    error: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The facts for the lineage and the result of a run."""
        return {"failed": self.error} if self.part is None else {"rows": len(self.part.rows)}


def cross_validate(training: SplitSide, *, estimator: str, project: Project, threads: int | None) -> gate.Array:
    """Score one candidate at each threshold by cross-validation on the training rows; the holdout is not used.

    Examples:
        >>> cross_validate(training, estimator="linear", project=project, threads=1).shape
        (1,)
    """
    return cross_validate_scores(
        make_pipeline(estimator, project=project),
        fold_inputs(training, project=project),
        metric=selection_metric(project),
        thresholds=possible_thresholds(project.settings.train.threshold),
        threads=threads,
    )


def fold_inputs(training: SplitSide, *, project: Project) -> FoldInputs:
    """Return the inputs of cross-validation: the training part; for several candidates, a sample of `compared_rows`.

    Examples:
        >>> fold_inputs(training, project=project).problem_type
        'classification'
    """
    settings, split = project.settings, project.settings.split
    if len(settings.estimators) > 1 and len(training.rows) > settings.compared_rows:
        training = _sample_rows(training, settings)
    times = data.times(training.rows, column=str(split.time_column)) if split.method == "time" else None
    columns = list(selection_metric(project).columns)
    return FoldInputs(
        training.X,
        np.asarray(training.y),
        settings.problem_type,
        settings.seed,
        data.group_codes(training.rows, keys=split.key_columns),
        times,
        training.rows[columns] if columns else None,
    )


def selection_metric(project: Project) -> gate.Metric:
    """Return the metric that selects a candidate: the gate's if it or a threshold is set, else log loss or RMSE.

    On few rows log loss separates candidates that F1 does not: it uses probabilities, not only classes.

    Examples:
        >>> selection_metric(project).label
        'log loss'
    """
    settings = project.settings
    chosen = settings.gate.metric is not None or settings.train.threshold is not None
    if (
        chosen
        or settings.problem_type == "regression"
        or not all(hasattr(make_pipeline(name, project=project), "predict_proba") for name in settings.estimators)
    ):
        return gate.deciding_metric(project)
    return gate.get_metric("log_loss", problem_type=settings.problem_type)


def candidates(training: SplitSide, *, project: Project) -> tuple[str, ...]:
    """Return the estimators to compare, and log on how many rows.

    Examples:
        >>> candidates(training, project=project)
        ('linear',)
    """
    settings = project.settings
    if len(settings.estimators) > 1:
        rows, compared = len(training.rows), min(len(training.rows), settings.compared_rows)
        logger.info(
            "%s are compared on %s of %s training rows", ", ".join(settings.estimators), f"{compared:,}", f"{rows:,}"
        )
    return settings.estimators


def _sample_rows(training: SplitSide, settings: Settings) -> SplitSide:
    """Return `compared_rows` of the rows, drawn by the seed; a rare class keeps the rows that its folds need."""
    random = np.random.default_rng(settings.seed)
    order = random.permutation(len(training.rows))
    chosen = order[: settings.compared_rows]
    if settings.problem_type == "classification":
        rank = training.y.iloc[order].groupby(training.y.iloc[order].to_numpy()).cumcount().to_numpy()
        chosen = np.union1d(chosen, order[rank < LEAST_OF_A_CLASS])
    chosen = np.sort(chosen)
    return dataclasses.replace(
        training, rows=training.rows.iloc[chosen], X=training.X.iloc[chosen], y=training.y.iloc[chosen]
    )


def only_recipe(names: Sequence[str], *, project: Project) -> Recipe | None:
    """Return the recipe if there is only one estimator and threshold, else None.

    Examples:
        >>> only_recipe(["linear"], project=project)
        Recipe(estimator='linear', threshold=None)
    """
    thresholds = possible_thresholds(project.settings.train.threshold)
    return Recipe(names[0], thresholds[0]) if len(names) == len(thresholds) == 1 else None


def best_recipe(names: Sequence[str], scores: Sequence[gate.Array], *, project: Project) -> Recipe:
    """Return the candidate with the best cross-validation score, and its best threshold.

    Args:
        names: Names of the n candidates.
        scores: One array per candidate, shape (t,): the score at each of the t thresholds; see `cross_validate`.
        project: The project, with its estimators and settings.

    Examples:
        >>> losses = [np.array([0.41]), np.array([0.35])]
        >>> best_recipe(["linear", "random_forest"], losses, project=project).estimator
        'random_forest'
    """
    metric, thresholds = selection_metric(project), possible_thresholds(project.settings.train.threshold)
    recipe = best(dict(zip(names, scores, strict=True)), metric=metric, thresholds=thresholds)
    if len(thresholds) > 1:
        logger.info("The threshold of %s is tuned to %g", recipe.estimator, recipe.threshold)
    else:
        shown = ", ".join(f"{name} {score[0]:.4f}" for name, score in zip(names, scores, strict=True))
        logger.info("%s is the best by %s in cross-validation: %s", recipe.estimator, metric.label, shown)
    return recipe


def train(training: SplitSide, *, recipe: Recipe, project: Project) -> Model:
    """Fit the recipe's estimator with its preprocessing on the training rows.

    Examples:
        >>> model = train(training, recipe=Recipe("linear"), project=project)
        >>> len(model.predict(holdout.rows).labels) == len(holdout.rows)
        True
    """
    model = _fit_recipe(training, recipe, project)
    for column, reason in model.left_out.items():
        logger.info("Column %r is not used: %s", column, reason)
    return model


def _fit_recipe(part: SplitSide, recipe: Recipe, project: Project) -> Model:
    pipeline = make_pipeline(recipe.estimator, project=project)
    with translate_estimator_errors():
        pipeline.fit(part.X, part.y)
    # A forest adds up its trees in the order in which threads end: the last bit would differ.
    with_jobs(pipeline, 1)
    imports = part.contract.imports | code_of_steps(pipeline, project)
    if recipe.threshold is not None:
        pipeline = with_threshold(pipeline, recipe.threshold, positive=project.settings.data.positive)
    return Model(pipeline, dataclasses.replace(part.contract, imports=imports), part.code)


def refit(comparison: GateResult, gap: SplitSide | None, *, recipe: Recipe, project: Project) -> Refit | None:
    """Fit the recipe on all labelled rows, if the model goes, or may go, to production; else return None.

    This happens before the version is saved, so that the version is complete, and a run that is killed here leaves
    nothing behind. If the refit fails, the evaluated model serves, without the newest rows.

    Examples:
        >>> comparison.decision.verdict, refit(comparison, None, recipe=Recipe("linear"), project=project)
        ('kept', None)
    """
    settings, evaluation = project.settings, comparison.evaluation
    if not settings.refits or comparison.decision.verdict not in ("promoted", "staging"):
        return None
    try:
        part = _join_sides([side for side in (evaluation.training, gap, evaluation.holdout) if side])
        model = _fit_recipe(part, recipe, project)
        _judge_refit(model, evaluation, project)
    except Exception as error:  # an estimator may fail in any way
        reason = f"{type(error).__name__}: {error}"
        logger.warning("The refit on all rows failed (%s), so the evaluated model serves.", reason, exc_info=True)
        return Refit(error=reason)
    logger.info("Refit on all %s labelled rows", f"{len(part.rows):,}")
    return Refit(part, model)


def _judge_refit(model: Model, evaluation: Evaluation, project: Project) -> None:
    """Refuse a refit that is worse on the holdout than the evaluated model, beyond chance.

    Raises:
        RefitError: it is, or has no finite score.
    """
    metric, holdout = gate.deciding_metric(project), evaluation.holdout
    predictions = gate.predict(model.pipeline, holdout.X, problem_type=metric.problem_type)
    scores = gate.evaluate(predictions, holdout.y, metrics={metric.name: metric}, rows=holdout.rows)
    if not math.isfinite(scores[metric.name]):
        raise RefitError(f"{metric.name} of its predictions is {scores[metric.name]}.")
    settings = project.settings
    # By rows: what is judged is how it fits these, and not others of another time.
    question = gate.Question(holdout.y, metric, settings.gate, holdout.rows, seed=settings.seed)
    if lost := gate.lost_by_refit(question, predictions, gate.Champion(evaluation.predictions)):
        raise RefitError(
            f"{metric.label} on the holdout, which it learned from and the model that was compared did not, is {lost}"
            " so the rows it learned from in addition make it worse."
        )


def _join_sides(sides: Sequence[SplitSide]) -> SplitSide:
    """Return one part with the rows of all."""
    first, rows = sides[0], pd.concat([side.rows for side in sides], ignore_index=True)
    return dataclasses.replace(
        first,
        rows=rows,
        # Not joined: categories that a side lacks would make another type of the column.
        X=data.inputs(rows, contract=first.contract, code=first.code),
        y=rows[first.contract.target],
        identities=np.concatenate([side.identities for side in sides]),
    )
