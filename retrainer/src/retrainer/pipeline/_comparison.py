"""The challenger on the holdout, and what the gate decides about it and the champion there."""

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import data, gate
from ..project import Project
from ..registry import Version, open_registry
from ..training import Baseline, Model, baseline, leaking_columns, predict_with_version, shared_entities
from ._sides import SplitSide

LEFT_TO_A_PERSON = "gate.alarms leaves a promotion with an alarm to a person"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """The challenger, both sides of the split, and its scores and the baseline's on the holdout."""

    challenger: Model
    training: SplitSide
    holdout: SplitSide
    predictions: gate.Predictions
    metrics: dict[str, float]
    baseline: Baseline
    baseline_metrics: dict[str, float]
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateResult:
    """The decision about a challenger, and the models it was compared with."""

    evaluation: Evaluation
    decision: gate.Decision
    champion: Version | None
    opponent: gate.Champion | None
    held: dict[str, str]


def evaluate(challenger: Model, training: SplitSide, holdout: SplitSide, *, project: Project) -> Evaluation:
    """Score the challenger and the baseline on the holdout.

    Examples:
        >>> evaluation = evaluate(challenger, training, holdout, project=project)
        >>> evaluation.metrics["accuracy"] > evaluation.baseline_metrics["accuracy"]
        True
    """
    settings = project.settings
    predictions = gate.predict(challenger.pipeline, holdout.X, problem_type=settings.problem_type)
    simple = baseline(
        training.rows,
        holdout.rows,
        target=training.contract.target,
        metric=gate.deciding_metric(project),
        split=settings.split,
    )
    metrics, of_baseline = (
        gate.evaluate(each, holdout.y, metrics=gate.recorded_metrics(project), rows=holdout.rows)
        for each in (predictions, simple.predictions)
    )
    alarms = _training_alarms(training, holdout, challenger.left_out, project)
    alarms += tuple(_few_rows_dominate(challenger, training, holdout, predictions, gate.deciding_metric(project)))
    return Evaluation(challenger, training, holdout, predictions, metrics, simple, of_baseline, alarms)


def _training_alarms(
    training: SplitSide, holdout: SplitSide, unused: dict[str, str], project: Project
) -> tuple[str, ...]:
    """Return an alarm for each sign that the score is too good: leakage, an entity on both sides of the split."""
    settings = project.settings
    target, problem_type = training.contract.target, settings.problem_type
    found = [*training.alarms]
    found += [f"Column {name!r} is not used: {why}." for name, why in unused.items() if why.startswith("figures")]
    found += leaking_columns(
        training.X,
        training.y,
        problem_type=problem_type,
        seed=settings.seed,
        left_out={*unused, *settings.split.key_columns},  # no key of the holdout is among the training rows
    )
    if settings.split.method == "hash" and not settings.split.key_columns:
        found += shared_entities(training.rows, holdout.rows, target=target, problem_type=problem_type)
    return tuple(found)


def _few_rows_dominate(
    challenger: Model, training: SplitSide, holdout: SplitSide, predictions: gate.Predictions, metric: gate.Metric
) -> Iterator[str]:
    """Yield an alarm where a few rows, of training or else of the holdout, cause most of the squared error."""
    found: list[str] = []
    if metric.problem_type == "regression":
        y = np.asarray(training.y, dtype=np.float64)
        middle = gate.Predictions(np.full(len(y), np.median(y)))
        if len(gate.worst_rows(y, middle, metric)[0]):  # else no few rows do: nothing has to be predicted
            fitted = gate.predict(challenger.pipeline, training.X, problem_type=metric.problem_type)
            found += gate.few_rows(y, fitted, metric, where="training")
    yield from found or gate.few_rows(holdout.y, predictions, metric, where="holdout")


def compare_with_production(evaluation: Evaluation, *, project: Project, accept_not_comparable: bool) -> GateResult:
    """Predict the holdout with the champion, the baseline and the versions on hold, and let the gate decide.

    Examples:
        >>> evaluation = evaluate(challenger, training, holdout, project=project)
        >>> found = compare_with_production(evaluation, project=project, accept_not_comparable=False)
        >>> found.decision.verdict, found.decision.kind
        ('kept', 'tie')
    """
    settings, rows = project.settings, evaluation.holdout.rows
    registry = open_registry(settings)
    champion, held = registry.to_beat(), registry.held()
    question = _gate_question(evaluation.holdout, project, accept_not_comparable)

    def opponent(version: Version) -> tuple[gate.Champion, tuple[str, ...]]:
        together = question.entities if settings.split.method == "hash" else None  # all rows of one are held out
        found = predict_with_version(registry, version, rows, project=project, entities=together)
        return gate.what_serves(question, found)

    in_production, alarms = opponent(champion) if champion else (None, ())
    decision = gate.decide(question, evaluation.predictions, in_production)
    compared = in_production.comparable if in_production and decision.compared_rows else None
    rivals = [gate.Rival(name, opponent(registry.version(name))[0]) for name in (held if decision.promoted else ())]
    simple = evaluation.baseline
    proper = gate.Champion(simple.proper, compared) if simple.proper else None
    no_model = gate.Rival(simple.name, gate.Champion(simple.predictions, compared), proper=proper)
    decision = gate.apply_baseline_and_holds(decision, question, evaluation.predictions, baseline=no_model, held=rivals)
    alarms = evaluation.alarms + alarms
    alarms += gate.alarms(decision, question, evaluation.predictions, in_production)
    if alarms and decision.promoted and settings.gate.alarms == "stage":
        decision = gate.to_staging(decision, "alarm", LEFT_TO_A_PERSON)
    for alarm in alarms:
        logger.warning(alarm)
    decision = dataclasses.replace(decision, alarms=alarms)
    return GateResult(evaluation, decision, champion, in_production, held)


def _gate_question(holdout: SplitSide, project: Project, accept_not_comparable: bool) -> gate.Question:
    """Return what the gate compares, on which rows and by which settings."""
    split = project.settings.split
    return gate.Question(
        holdout.y,
        gate.deciding_metric(project),
        project.settings.gate,
        holdout.rows,
        data.group_codes(holdout.rows, keys=split.key_columns),
        data.times(holdout.rows, column=str(split.time_column)) if split.method == "time" else None,
        project.settings.seed,
        accept_not_comparable,
        project.metrics(),
    )
