"""Compare two versions of the registry on today's holdout, by the rules of the gate; nothing is recorded."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import data, gate, reporting
from ..errors import RegistryError
from ..locations import Location
from ..pipeline import check
from ..prefect import resolve_source
from ..project import Project
from ..registry import Version, open_registry
from ..training import Model, baseline, load_evaluated_model, predict_with_version


def compare_versions(challenger: str, champion: str, *, project: Project) -> reporting.Facts:
    """Compare two versions on the rows of today's holdout that neither was trained on.

    The rules are those of a retrain, without floors, which are about a single model.

    Args:
        challenger: The version in question, or `champion` or `staging`.
        champion: The version it is compared with.
        project: The project; its table, split and gate are used.

    Raises:
        RegistryError: a version does not exist, both are the same, or they cannot be compared.
        DataError: the table cannot be used.
    """
    check(project)
    settings = project.settings
    registry = open_registry(settings)
    new, old = registry.version(challenger), registry.version(champion)
    if new.id == old.id:
        raise RegistryError(f"{challenger} and {champion} are the same version, {new.id}. Name two.")
    model = load_evaluated_model(registry, new, project=project)
    sides = _split_for_model(model, project)
    y, rows = sides.holdout[settings.data.target], sides.holdout
    entities = data.group_codes(rows, keys=settings.split.key_columns)
    kept_together = entities if settings.split.method == "hash" else None
    ours, theirs = (
        predict_with_version(registry, version, rows, project=project, entities=kept_together) for version in (new, old)
    )
    for version, opponent in ((new, ours), (old, theirs)):
        if opponent.obstacle:
            raise RegistryError(f"{version.id} cannot be compared on today's table: {opponent.obstacle}.")
    assert ours.predictions is not None
    comparable = _new_to_both((new, old), (ours, theirs), len(rows))
    metrics = gate.recorded_metrics(project)
    metric = metrics[settings.metric]
    simple = baseline(sides.train, rows, target=settings.data.target, metric=metric, split=settings.split)
    decision = gate.decide(
        gate.Question(
            y,
            metric=metric,
            gate=settings.gate.model_copy(update={"floor": None, "staging_floor": None}),
            rows=rows,
            entities=entities,
            seed=settings.seed,
            own_metrics=project.metrics(),
        ),
        ours.predictions,
        replace(theirs, comparable=comparable),
    )
    if decision.kind == "not_comparable":
        raise RegistryError(f"{new.id} and {old.id} are {decision.criteria[-1].detail}.")
    return reporting.Facts(
        project=settings.project,
        problem_type=settings.problem_type,
        decision=replace(
            decision,
            reason=_verdict_sentence(decision, new, old),
            criteria=decision.criteria[1:],  # the first is about all rows, some of which either may know
            baseline_name=simple.name,
        ),
        version=new,
        pipeline=model.pipeline,
        X=model.inputs(rows),
        y=y,
        predictions=ours.predictions,
        baseline=simple.predictions,
        champion=old,
        champion_predictions=theirs.predictions,
        comparable=comparable,
        metrics=metrics,
        holdout=rows,
        slices=tuple(settings.gate.guard_slices) or None,
        seed=settings.seed,
        recorded=False,
    )


def _new_to_both(
    versions: tuple[Version, Version], opponents: tuple[gate.Champion, gate.Champion], count: int
) -> NDArray[np.bool_]:
    """Return which holdout rows neither version was trained on.

    Raises:
        RegistryError: none is.
    """
    unseen = [opponent.comparable_rows(count) for opponent in opponents]
    comparable = np.logical_and(*unseen)
    if not comparable.any():
        trained = ", ".join(
            f"{version.id} was trained on {int((~new_to).sum()):,} of them"
            for version, new_to in zip(versions, unseen, strict=True)
        )
        raise RegistryError(
            f"The two cannot be compared: none of the {count:,} holdout rows of today is new to both"
            f" ({trained}). Compare them when there are new rows."
        )
    return comparable


def _split_for_model(model: Model, project: Project) -> data.Split:
    """Return today's table in two parts, read as the model reads it."""

    settings = project.settings

    def load(source: Location) -> pd.DataFrame:
        snapshot = data.fetch(resolve_source(source, project=project), settings=settings)
        return data.load(snapshot, texts=model.contract.texts)

    table = data.prepare(
        load(settings.data.source), settings=settings, code=data.current_code(project), prior=model.contract
    )
    own = settings.split.source or settings.data.source
    separate = data.prepare_like(load(own), table, settings=settings) if settings.split.method == "source" else None
    return data.split(table, settings=settings.split, problem_type=settings.problem_type, holdout=separate)


def _verdict_sentence(decision: gate.Decision, challenger: Version, champion: Version) -> str:
    _, _, explanation = decision.reason.partition(": ")
    verdict = f"promote {challenger.id}" if decision.promoted else f"keep {champion.id}"
    return f"With {champion.id} as champion and {challenger.id} as challenger, the gate would {verdict}: {explanation}"
