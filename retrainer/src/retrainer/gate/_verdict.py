"""From champion and challenger on the same rows to a decision, and the sentence that gives its reason."""

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd

from ..errors import ConfigurationError
from . import _criteria as criteria_of
from ._comparability import MINIMUM_COMPARABLE_ROWS, Champion
from ._criteria import Criteria, capitalized, required, signed
from ._decision import STAGED, Decision, Kind, Verdict
from ._metrics import Metric, evaluate, get_metric
from ._predictions import Array, Predictions
from ._question import Question, compare_by_evidence, score_on_common_rows
from ._resampling import TINY, Comparison, Pair

_BEGINNINGS: dict[Verdict, str] = {
    "promoted": "Promoted",
    "kept": "Not promoted",
    "staging": STAGED,
    "rejected": "Rejected",
}


def decide(question: Question, challenger: Predictions, champion: Champion | None) -> Decision:
    """Decide whether a challenger takes the champion's place.

    The rules apply in this order. A challenger whose score is not a finite number is rejected. Below the floor it is
    rejected, or goes to staging if it reaches the staging floor. Without a champion it is promoted. With one, both are
    compared on rows that neither was trained on. The challenger is promoted if it is better by more than
    `min_improvement`, is better with the confidence required, and fails no guard. Otherwise, and in a tie, the champion
    is kept.

    The models are not comparable if the champion cannot predict the holdout (`Champion.obstacle`), if it has other
    classes, if fewer than 30 rows are new to both (or not all rows of a smaller holdout), if a class of the holdout has
    no such row, or if a score on these rows is not finite. Then the champion is kept, unless `accept_not_comparable` is
    set.

    A guard metric fails when it is worse by more than its bound. A guard slice fails when a value of the column with at
    least `slice_rows` rows is worse by more than the bound, and worse beyond chance. The significance level is divided
    by the number of slices (Bonferroni).

    Args:
        question: The question for the gate.
        challenger: Predictions of the holdout rows.
        champion: The model in production; None without one.

    Raises:
        UnknownMetricError: a guard metric does not exist or fit.
        ConfigurationError: a metric needs probabilities, and the challenger has none.
        SliceColumnError: a column of `guard_slices` is not in `rows`.

    Examples:
        >>> truth, classes = np.array(["no", "yes"] * 100), np.array(["no", "yes"])
        >>> worse = Predictions(np.where(np.arange(200) < 40, "no", truth), None, classes)
        >>> from retrainer.settings import GateSettings
        >>> question = Question(truth, get_metric("accuracy", problem_type="classification"), GateSettings())
        >>> decision = decide(question, Predictions(truth, None, classes), Champion(worse))
        >>> decision.verdict, decision.kind, round(decision.improvement, 2)
        ('promoted', 'improvement', 0.1)
    """
    truth, metric, gate = np.asarray(question.y), question.metric, question.gate
    metrics = _metrics_to_evaluate(question)
    columns = criteria_of.guarded_columns(gate, question.rows)
    scores = _evaluate(challenger, truth, metrics, question.columns(metrics))
    criteria = Criteria(gate, metric)
    draft = Decision(
        "rejected",
        "not_finite",
        "",
        (),
        metric.name,
        scores,
        stored_champion=champion.stored_score if champion else None,
        confidence=gate.confidence,
        holdout_rows=len(truth),
        seed=question.seed,
        positive=metric.positive,
    )
    if stopped := _decide_alone(draft, criteria, first=champion is None):
        return stopped
    assert champion is not None

    found = score_on_common_rows(question, challenger, champion, metrics, name="champion")
    if found.pair is not None:
        draft = replace(draft, compared_rows=len(found.pair.y), challenger=found.challenger, champion=found.rival)
    if found.obstacle is not None or found.pair is None:
        return _decide_not_comparable(
            draft, criteria, champion, str(found.obstacle), accepted=question.accept_not_comparable
        )
    new = f"{draft.compared_rows:,} of {_holdout_text(draft)} are new to both models"
    criteria.require("comparable", True, draft.compared_rows, MINIMUM_COMPARABLE_ROWS, new)
    compared, pair = compare_by_evidence(question, found.pair)
    mask = champion.comparable_rows(len(truth))
    return _decide_compared(
        draft, criteria, compared, pair, metrics, {name: column[mask] for name, column in columns.items()}
    )


def _metrics_to_evaluate(question: Question) -> dict[str, Metric]:
    metric = question.metric
    return {metric.name: metric} | {
        name: get_metric(
            name, problem_type=metric.problem_type, positive=metric.positive, own_metrics=question.own_metrics
        )
        for name in question.gate.guard_metrics
    }


def _evaluate(
    challenger: Predictions, y: Array, metrics: Mapping[str, Metric], rows: pd.DataFrame | None
) -> dict[str, float]:
    scores = evaluate(challenger, y, metrics=metrics, rows=rows)
    for name in metrics:
        if name not in scores:
            raise ConfigurationError(
                f"Metric {name!r} (gate.metric or gate.guard_metrics) needs probabilities, and the "
                "challenger has no predict_proba. Choose f1_score or accuracy, or another estimator."
            )
    return scores


def _decide_alone(draft: Decision, criteria: Criteria, *, first: bool) -> Decision | None:
    """Decide about the challenger by itself; None where it has to be compared."""
    gate, metric = criteria.gate, criteria.metric
    score, rows = draft.challenger[metric.name], _holdout_text(draft)
    if not criteria_of.check_finite(criteria, score, rows):
        reason = f"{metric.label} of the challenger is {score} on {rows}"
        return _finish_decision(draft, criteria, "rejected", "not_finite", reason)
    reaches_floor = criteria_of.check_floor(criteria, "floor", gate.floor, score, rows)
    reaches_staging = criteria_of.check_floor(criteria, "staging floor", gate.staging_floor, score, rows)
    shown = f"{metric.label} {metric.format(score)} on {rows}"
    if reaches_floor and reaches_staging:
        reason = f"the first model. {capitalized(shown)}"
        return _finish_decision(draft, criteria, "promoted", "first", reason) if first else None
    if reaches_staging and gate.staging_floor is not None and gate.floor is not None:
        reason = (
            f"{shown} is {metric.below} the floor of {metric.format(gate.floor)} for production, and reaches "
            f"the staging floor of {metric.format(gate.staging_floor)}"
        )
        return _finish_decision(draft, criteria, "staging", "below_floor", reason)
    name, missed = ("floor", gate.floor) if reaches_staging else ("staging floor", gate.staging_floor)
    assert missed is not None
    reason = f"{shown} is {metric.below} the {name} of {metric.format(missed)}"
    return _finish_decision(draft, criteria, "rejected", "below_floor", reason)


def _decide_not_comparable(
    draft: Decision, criteria: Criteria, champion: Champion, obstacle: str, *, accepted: bool
) -> Decision:
    """Decide where a comparison is impossible, for whatever reason."""
    metric = criteria.metric
    count = int(champion.comparable_rows(draft.holdout_rows).sum())
    said = f"not comparable: {obstacle}"
    if accepted:
        criteria.require("comparable", True, count, MINIMUM_COMPARABLE_ROWS, f"{said}; accepted by request")
        score = f"{metric.label} {metric.format(draft.challenger[metric.name])} on {_holdout_text(draft)}"
        reason = f"without a comparison, as --accept-not-comparable allows ({obstacle}). {capitalized(score)}"
        return _finish_decision(draft, criteria, "promoted", "accepted", reason)
    criteria.require("comparable", False, count, MINIMUM_COMPARABLE_ROWS, said)
    return _finish_decision(draft, criteria, "kept", "not_comparable", f"not comparable with the champion ({obstacle})")


def _decide_compared(
    draft: Decision,
    criteria: Criteria,
    found: Comparison,
    pair: Pair,
    metrics: Mapping[str, Metric],
    columns: Mapping[str, pd.Series],
) -> Decision:
    """Check every criterion of a comparison, and decide."""
    draft = replace(
        draft,
        improvement=found.improvement,
        interval=(found.lower, found.upper),
        probability=None if abs(found.improvement) < TINY else found.probability,
        p_value=found.p_value,
        method=found.method,
    )
    enough = criteria_of.check_improvement(criteria, found)
    sure = criteria_of.check_confidence(criteria, found)
    assert draft.champion is not None
    failed = criteria_of.check_guard_metrics(criteria, metrics, challenger=draft.challenger, champion=draft.champion)
    if criteria.gate.guard_slices:
        failed += criteria_of.check_guard_slices(criteria, pair, columns, seed=draft.seed)

    return _decide_by_criteria(draft, criteria, found, enough=enough, sure=sure, failed_guards=failed)


def _decide_by_criteria(
    draft: Decision, criteria: Criteria, found: Comparison, *, enough: bool, sure: bool, failed_guards: list[str]
) -> Decision:
    """Turn the criteria of a comparison into the verdict, the reason being the first that failed."""
    metric = criteria.metric
    assert draft.champion is not None
    challenger, champion = draft.challenger[metric.name], draft.champion[metric.name]
    values = f"{metric.format(challenger)} against the champion's {metric.format(champion)}"
    overall = f"{metric.label} is {values} on the same {draft.compared_rows:,} rows"
    compared, overall = capitalized(overall), f"{overall}, {signed(metric, found.improvement)}"
    difference = capitalized(overall)
    needed = f"({required(metric, found.improvement, criteria.gate.min_improvement)})"
    guards = ". ".join(failed_guards)

    def keep(kind: Kind, reason: str) -> Decision:
        return _finish_decision(draft, criteria, "kept", kind, reason)

    if abs(found.improvement) < TINY:
        return keep("tie", f"no difference. {compared}")
    if found.improvement < 0:
        if found.upper >= -TINY:
            return keep("regression", f"not better. {difference}, which may be chance")
        return keep("regression", f"worse. {difference}, and chance does not explain it")
    if not enough:
        return keep("marginal", f"too small an improvement. {difference} {needed}")
    if not sure:
        doubt = _why_uncertain(draft, criteria, found) + (f". A guard failed too. {guards}" if failed_guards else "")
        return keep("uncertain", f"uncertain. {difference}, which may be chance {doubt}")
    if failed_guards:
        return keep("guarded", f"a guard failed. {guards}. Overall, {overall}")
    sure_by = f"chance does not explain it (p-value {found.p_value:.4f})"
    reason = f"better than the champion. {difference} {needed}, and {sure_by}"
    return _finish_decision(draft, criteria, "promoted", "improvement", reason)


def _why_uncertain(draft: Decision, criteria: Criteria, found: Comparison) -> str:
    """Return the number that makes an improvement uncertain, and how many rows would make it certain."""
    if found.p_value <= 1 - criteria.gate.confidence + TINY:
        lower = criteria.metric.format_difference(found.lower)
        return f"({criteria.gate.confidence * 100:g}% lower bound: {lower})"
    doubt = f"(p-value {found.p_value:.2f})"
    if found.standard_error <= TINY:  # all rows are one piece of evidence
        return doubt
    new = "" if draft.compared_rows == draft.holdout_rows else " new to both models"
    return f"{doubt}. A holdout of about {_rows_needed(draft, found)} rows{new} would be needed to be sure"


def _finish_decision(draft: Decision, criteria: Criteria, verdict: Verdict, kind: Kind, reason: str) -> Decision:
    sentence = f"{_BEGINNINGS[verdict]}: {reason}."
    return replace(draft, verdict=verdict, kind=kind, reason=sentence, criteria=tuple(criteria.checked))


def _holdout_text(draft: Decision) -> str:
    return f"{draft.holdout_rows:,} holdout rows"


def _rows_needed(draft: Decision, found: Comparison) -> str:
    ratio = NormalDist().inv_cdf(draft.confidence) * found.standard_error / found.improvement
    number = draft.compared_rows * ratio**2
    digits = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return f"{math.ceil(number / digits) * digits:,}"
