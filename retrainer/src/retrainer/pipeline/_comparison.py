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
    """What the gate decided, and about which champion; `predictions` are the champion's, `challenger` the other's."""

    decision: gate.Decision
    champion: Version | None
    predictions: gate.Predictions | None
    comparable: Any
    held: dict[str, str]
    baseline_metrics: dict[str, float]
    challenger: gate.Predictions


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
    alarms = _alarms(training, holdout, challenger.left_out, project)
    return Scores(predictions, metrics, simple, of_baseline, alarms)


def _alarms(
    training: SplitSide, holdout: SplitSide, unused: dict[str, str], project: Project
) -> tuple[str, ...]:
    """Return what makes the score look better than it will be."""
    settings = project.settings
    target, problem_type = training.contract.target, settings.problem_type
    found = [*training.alarms]
    found += [
        f"Column {name!r} is left out: {why}." for name, why in unused.items() if why.startswith("figures")
    ]
    found += given_away(
        training.X, training.y, problem_type=problem_type, seed=settings.seed, left_out=unused
    )
    if settings.split.method == "hash" and not settings.split.key_columns:
        found += shared_entities(training.rows, holdout.rows, target=target, problem_type=problem_type)
    return tuple(found)


def compare_with_production(
    scores: Scores, holdout: SplitSide, *, project: Project, accept_not_comparable: bool
) -> GateResult:
    """Let the champion, the baseline and what is on hold predict the same holdout, and ask the gate."""
    settings = project.settings
    registry = open_registry(settings)
    champion, held = registry.to_beat(), registry.held()
    entities = data.group_codes(holdout.rows, keys=settings.split.key_columns)

    def opponent(version: Version) -> gate.Champion:
        return opponent_of(
            registry,
            version,
            holdout.rows,
            project=project,
            entities=entities if settings.split.method == "hash" else None,  # it holds out all rows of one
        )

    question = gate.Question(
        holdout.y,
        gate.deciding_metric(project),
        settings.gate,
        holdout.rows,
        entities,
        data.times(holdout.rows, column=str(settings.split.time_column))
        if settings.split.method == "time"
        else None,
        settings.seed,
        accept_not_comparable,
        project.metrics(),
    )
    in_production, said = opponent(champion) if champion else None, scores.alarms
    if in_production:
        in_production, more = gate.what_serves(question, in_production)
        said += more
    decision = gate.decide(question, scores.predictions, in_production)
    compared = in_production.comparable if in_production and decision.compared_rows else None
    rivals = [
        gate.Rival(
            f"{name}, which is on hold",
            gate.what_serves(question, opponent(registry.version(name)))[0],
            advice=f"`registry release {name} --reason …` lifts the hold",
        )
        for name in (held if decision.promoted else ())
    ]
    simple = scores.baseline
    proper = gate.Champion(simple.proper, compared) if simple.proper else None
    no_model = gate.Rival(simple.name, gate.Champion(simple.predictions, compared), proper=proper)
    decision = gate.confirm(decision, question, scores.predictions, baseline=no_model, held=rivals)
    said += gate.alarms(decision, question, scores.predictions, in_production)
    if said and decision.promoted and settings.gate.alarms == "stage":
        wait = (
            "gate.alarms leaves a promotion with an alarm to a person: `registry promote staging --reason …`"
        )
        decision = gate.to_staging(decision, "alarm", wait)
    decision = dataclasses.replace(decision, alarms=said)
    for alarm in decision.alarms:
        logger.warning(alarm)
    return GateResult(
        decision,
        champion,
        in_production.predictions if in_production else None,
        in_production.comparable if in_production else None,
        held,
        scores.baseline_metrics,
        scores.predictions,
    )
