"""The challenger on the holdout, and what the gate decides about it and the champion there."""

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

from .. import data, gate
from ..project import Project
from ..registry import Version, open_registry
from ..training import Baseline, Model, baseline, given_away, opponent_of, shared_entities
from ._sides import SplitSide

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """The challenger on the holdout, and what can be predicted there without a model."""

    predictions: gate.Predictions
    metrics: dict[str, float]
    baseline: Baseline
    baseline_metrics: dict[str, float]
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class GateResult:
    """What the gate decided, and about which champion."""

    decision: gate.Decision
    champion: Version | None
    predictions: gate.Predictions | None
    comparable: Any
    held: dict[str, str]
    baseline_metrics: dict[str, float]


def evaluate(challenger: Model, training: SplitSide, holdout: SplitSide, *, project: Project) -> Scores:
    """Score the challenger on the holdout, and the baseline, which looks at nothing but the target."""
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
    for name, scores in (("challenger", metrics), (simple.name, of_baseline)):
        logger.info("%s: %s", name, ", ".join(f"{key} {score:.4f}" for key, score in scores.items()))
    return Scores(predictions, metrics, simple, of_baseline, _alarms(training, holdout, project))


def _alarms(training: SplitSide, holdout: SplitSide, project: Project) -> tuple[str, ...]:
    """Return what makes the score look better than it will be."""
    settings = project.settings
    target, problem_type = training.contract.target, settings.problem_type
    found = [*training.alarms]
    found += given_away(training.X, training.y, problem_type=problem_type, seed=settings.seed)
    if settings.split.method == "hash" and not settings.split.key_columns:
        found += shared_entities(training.rows, holdout.rows, target=target, problem_type=problem_type)
    return tuple(found)


def compare_with_production(
    scores: Scores, holdout: SplitSide, *, project: Project, accept_not_comparable: bool
) -> GateResult:
    """Let the champion, the baseline and what is on hold predict the same holdout, and ask the gate."""
    settings = project.settings
    registry = open_registry(settings)
    champion, held = registry.champion(), registry.held()
    entities = data.group_codes(holdout.rows, keys=settings.split.key_columns)

    def opponent(version: Version) -> gate.Champion:
        return opponent_of(
            registry,
            version,
            holdout.rows,
            project=project,
            entities=entities if settings.split.method == "hash" else None,  # it holds out all rows of one
        )

    in_production = opponent(champion) if champion else None
    options: dict[str, Any] = {
        "metric": gate.deciding_metric(project),
        "gate": settings.gate,
        "rows": holdout.rows,
        "entities": entities,
        "seed": settings.seed,
        "accept_not_comparable": accept_not_comparable,
        "own_metrics": project.metrics(),
    }
    decision = gate.decide(holdout.y, scores.predictions, in_production, **options)
    rivals = [
        gate.Rival(
            f"{name}, which is on hold",
            opponent(registry.version(name)),
            advice=f"`registry release {name}` lifts the hold",
        )
        for name in (held if decision.promoted else ())
    ]
    simple = gate.Rival(scores.baseline.name, gate.Champion(scores.baseline.predictions))
    decision = gate.confirm(decision, holdout.y, scores.predictions, baseline=simple, held=rivals, **options)
    logger.info(decision.reason)
    decision = dataclasses.replace(
        decision,
        alarms=scores.alarms
        + gate.alarms(
            decision,
            holdout.y,
            scores.predictions,
            in_production,
            metric=gate.deciding_metric(project),
            rows=holdout.rows,
            seed=settings.seed,
        ),
    )
    for alarm in decision.alarms:
        logger.warning(alarm)
    return GateResult(
        decision,
        champion,
        in_production.predictions if in_production else None,
        in_production.comparable if in_production else None,
        held,
        scores.baseline_metrics,
    )
