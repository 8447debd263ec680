"""What a promotion needs beside a champion that is beaten: to be better than no model, and than what is on hold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ..project import OwnMetric
from ..settings import GateSettings
from ._comparability import Champion
from ._decision import Criterion, Decision, Kind
from ._metrics import Metric
from ._predictions import Array, Predictions
from ._verdict import decide


@dataclass(frozen=True)
class Rival:
    """What a challenger must be better than, beside the champion.

    Attributes:
        name: For people: `always answering 'no'`, or the version that is on hold, and why.
        model: Its predictions, as far as they can be compared.
        advice: What a person can do where the challenger is not better, as a clause.
    """

    name: str
    model: Champion
    advice: str = ""


def confirm(
    decision: Decision,
    y: Any,
    challenger: Predictions,
    *,
    baseline: Rival,
    held: Sequence[Rival] = (),
    metric: Metric,
    gate: GateSettings,
    rows: pd.DataFrame | None = None,
    entities: Array | None = None,
    seed: int = 0,
    accept_not_comparable: bool = False,
    own_metrics: Mapping[str, OwnMetric] | None = None,
) -> Decision:
    """Return the decision with the baseline's score; a promotion becomes staging where it must not stand.

    A first model must be better than the baseline, any promoted one better than every version on hold, each by
    the gate's own rule, without floors and guards. With `gate.approval` a person promotes.

    Args:
        decision: Of `decide`.
        y: Shape (n,), the truth on the holdout.
        challenger: Predictions of the holdout's rows.
        baseline: What can be predicted without a model.
        held: The versions on hold.
        metric: What to compare.
        gate: The settings.
        rows: The holdout's rows, for a metric that reads columns.
        entities: Shape (n,), what each row is about; None if no two rows are about the same.
        seed: Of the resampling.
        accept_not_comparable: Pass a version on hold that cannot be compared.
        own_metrics: The team's own by name.
    """
    bare = gate.model_copy(
        update={"guard_metrics": {}, "guard_slices": {}, "floor": None, "staging_floor": None}
    )

    def compare(rival: Rival) -> Decision:
        return decide(
            y,
            challenger,
            rival.model,
            metric=metric,
            gate=bare,
            own_metrics=own_metrics,
            rows=rows,
            entities=entities,
            seed=seed,
            accept_not_comparable=accept_not_comparable,
        )

    found = compare(baseline)
    scores = found.champion or {metric.name: math.nan}
    decision = replace(decision, baseline=scores, baseline_name=baseline.name)
    # Where the metric has no value for one and the same answer, there is nothing to compare with.
    if decision.kind == "first" and math.isfinite(scores[metric.name]):
        score = metric.format(scores[metric.name])
        decision = _require(decision, "baseline", replace(baseline, name=f"{baseline.name} ({score})"), found)
    for rival in held:
        if decision.promoted:
            decision = _require(decision, "held", rival, compare(rival))
    if decision.promoted and gate.approval:
        reason = "gate.approval leaves the promotion to a person: `registry promote staging --reason …`"
        return _to_staging(decision, "approval", f"{_bare(decision)}, and {reason}")
    return decision


def _require(decision: Decision, kind: Kind, rival: Rival, found: Decision) -> Decision:
    missed = next((one.detail for one in found.criteria if not one.passed), None)
    detail = f"compared with {rival.name}: {missed or found.criteria[-1].detail}"
    name = "baseline" if kind == "baseline" else "on hold"
    criterion = Criterion(name, found.promoted, found.improvement, None, detail)
    decision = replace(decision, criteria=(*decision.criteria, criterion))
    if found.promoted:
        return replace(decision, reason=f"Promoted: {_bare(decision)}; better than {rival.name}.")
    reason = f"{_bare(decision)}, but not surely better than {rival.name}: {missed}"
    return _to_staging(decision, kind, f"{reason}; {rival.advice}" if rival.advice else reason)


def _to_staging(decision: Decision, kind: Kind, reason: str) -> Decision:
    return replace(decision, verdict="staging", kind=kind, reason=f"Staging: {reason}.")


def _bare(decision: Decision) -> str:
    return decision.reason.removeprefix("Promoted: ").removesuffix(".")
