"""Further conditions of a promotion: a better score than the baseline, and than each version on hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ._comparability import Champion
from ._criteria import Criteria, beside, capitalized, check_confidence, check_improvement, required, signed
from ._decision import STAGED, Criterion, Decision, Kind
from ._metrics import METRICS, Metric
from ._predictions import Predictions
from ._question import Question, compare_by_evidence, score_on_common_rows
from ._resampling import TINY

# By these a model that knows nothing more is no better than always the best answer, whatever the metric rewards.
_PROPER = {"classification": "log_loss", "regression": "rmse"}
_AS_GOOD = {"neg_brier_score", "neg_mean_squared_error", "r2"}


@dataclass(frozen=True)
class Rival:
    """A model that a challenger must beat, besides the champion.

    Attributes:
        name: The name that people read: `always predicting 'no'`, or the id of a version on hold.
        model: The predictions of the model, or the obstacle to a comparison.
        proper: For the baseline, the best prediction by the proper score; None if it is the same prediction.
    """

    name: str
    model: Champion
    proper: Champion | None = None


def apply_baseline_and_holds(
    decision: Decision, question: Question, challenger: Predictions, *, baseline: Rival, held: Sequence[Rival] = ()
) -> Decision:
    """Return the decision with the baseline's score; a promotion that fails a further condition becomes staging.

    Any promoted model must be better than the baseline, with evidence of skill, and better than every version on hold
    by the gate's rule, without floors and guards. With `gate.approval` a person promotes.

    Args:
        decision: The decision, as `decide` returned it.
        question: The question that `decide` answered.
        challenger: Predictions of the holdout rows.
        baseline: The best prediction without a model.
        held: The versions on hold.
    """
    metric = question.metric
    found = score_on_common_rows(question, challenger, baseline.model, {metric.name: metric}, name="baseline")
    scores = found.rival or {metric.name: math.nan}
    decision = replace(decision, baseline=scores, baseline_name=baseline.name)
    # Where the metric has no value for one and the same answer, there is nothing to compare with.
    if decision.promoted and math.isfinite(scores[metric.name]):
        shown = replace(baseline, name=f"{baseline.name} ({metric.format(scores[metric.name])})")
        gain = metric.improvement(found.challenger[metric.name], scores[metric.name])
        criterion = _check_skill(question, challenger, shown, gain)
        doubt = ", which may be chance" if gain > TINY else ""
        found_text = f"{capitalized(metric.label)} is {beside(metric, gain, f'that of {shown.name}')}{doubt}"
        reason = f"not better than a prediction without a model. {found_text}"
        decision = _apply_criterion(decision, "baseline", shown, criterion, reason)
    for rival in held:
        if decision.promoted:
            criterion, reason = _check_held_version(question, challenger, rival)
            decision = _apply_criterion(decision, "held", rival, criterion, reason)
    if decision.promoted and question.gate.approval:
        return to_staging(decision, "approval", "gate.approval leaves every promotion to a person")
    return decision


def to_staging(decision: Decision, kind: Kind, reason: str) -> Decision:
    """Turn a decision to promote into one to stage; the new reason comes first."""
    clause = _reason_clause(decision)
    return replace(decision, verdict="staging", kind=kind, reason=f"{STAGED}: {reason}. {capitalized(clause)}.")


def _check_held_version(question: Question, challenger: Predictions, rival: Rival) -> tuple[Criterion, str]:
    """Compare with a version on hold, as with a champion; return also why it failed."""
    metric = question.metric
    found = score_on_common_rows(question, challenger, rival.model, {metric.name: metric}, name="rival")
    if found.obstacle is not None or found.pair is None:
        accepted = question.accept_not_comparable
        said = f"{rival.name} could not be compared ({found.obstacle})" + ("; accepted by request" if accepted else "")
        reason = f"{rival.name}, which is on hold, could not be compared ({found.obstacle})"
        return Criterion("on hold", accepted, None, None, said), reason
    criteria = Criteria(question.gate, metric)
    compared, _ = compare_by_evidence(question, found.pair)
    enough, sure = check_improvement(criteria, compared), check_confidence(criteria, compared)
    why = f"({required(metric, compared.improvement, question.gate.min_improvement)})"
    why += f", which may be chance (p-value {compared.p_value:.2f})" if enough and not sure else ""
    told = beside(metric, compared.improvement, rival.name)
    detail = f"{told} {why}" + (f"; {criteria.checked[-1].detail}" if enough and sure else "")
    reason = (
        f"{metric.label} is {beside(metric, compared.improvement, f'that of {rival.name}, which is on hold')} {why}"
    )
    return Criterion("on hold", enough and sure, compared.improvement, None, detail), reason


def _check_skill(question: Question, challenger: Predictions, baseline: Rival, gain: float) -> Criterion:
    """Require a better score than without a model, and evidence that the model knows something.

    The evidence may be of the metric or of a proper score, which sees more: the doubt allowed is shared by the two
    looks (Bonferroni).
    """
    metric = question.metric
    if gain <= TINY:
        return Criterion("baseline", False, gain, 0.0, beside(metric, gain, baseline.name))
    proper = _proper_score(metric, challenger)
    looks = [(metric, baseline.model)]
    if proper is not None:
        looks.append((proper, baseline.proper or baseline.model))
    confidence = 1 - (1 - question.gate.confidence) / len(looks)
    gate = question.gate.model_copy(update={"confidence": confidence})
    said = []
    for look, model in looks:
        by_look = replace(question, metric=look, gate=gate)
        found = score_on_common_rows(by_look, challenger, model, {look.name: look}, name="baseline")
        if found.obstacle is not None or found.pair is None:
            said.append(str(found.obstacle))
            continue
        compared, _ = compare_by_evidence(by_look, found.pair)
        criteria = Criteria(gate, look)
        names = " and ".join(each.label for each, _ in looks)
        note = f": shared between two tests, by {names}" if len(looks) > 1 else ""
        known = check_confidence(criteria, compared, note=note) and compared.improvement > TINY
        difference = "" if look is metric else f"by {look.label} {signed(look, compared.improvement)}, "
        said.append(difference + criteria.checked[-1].detail)
        if known:
            return Criterion("baseline", True, gain, 0.0, f"{beside(metric, gain, baseline.name)}; {said[-1]}")
    return Criterion("baseline", False, gain, 0.0, f"{beside(metric, gain, baseline.name)}; {'; '.join(said)}")


def _proper_score(metric: Metric, challenger: Predictions) -> Metric | None:
    """Return the proper score to test besides the metric; None where the metric is as good, or none fits."""
    proper = METRICS[_PROPER[metric.problem_type]]
    if metric.name in _AS_GOOD or metric.measure == proper.measure:
        return None
    return None if proper.needs_probabilities and challenger.probabilities is None else proper


def _apply_criterion(decision: Decision, kind: Kind, rival: Rival, found: Criterion, reason: str) -> Decision:
    decision = replace(decision, criteria=(*decision.criteria, found))
    if not found.passed:
        return to_staging(decision, kind, reason)
    if found.value is None:  # accepted without a comparison
        return decision
    held = "" if kind == "baseline" else ", which is on hold"
    return replace(decision, reason=f"Promoted: {_reason_clause(decision)}. Better than {rival.name}{held}.")


def _reason_clause(decision: Decision) -> str:
    return decision.reason.removeprefix("Promoted: ").removesuffix(".")
