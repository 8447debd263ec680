"""The conditions of the gate, each on its own: what was measured, what it was compared with, and how it came out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import pandas as pd

from ..errors import ConfigurationError
from ..settings import GateSettings
from ._decision import Criterion
from ._metrics import Metric, evaluate
from ._predictions import Array
from ._resampling import TINY, Comparison, Pair, compare

CHAMPION = "the champion's"  # score
_SLICE_RESAMPLES, _SLICE_GROUPS = 400, 500


class SliceColumnError(ConfigurationError):
    """A guarded column is not in the holdout."""


@dataclass
class Criteria:
    """The criteria of one decision, in the order in which they were checked."""

    gate: GateSettings
    metric: Metric
    checked: list[Criterion] = field(default_factory=list)

    def require(self, name: str, passed: bool, value: float | None, threshold: float | None, detail: str) -> bool:
        """Add a criterion and return whether it is met."""
        self.checked.append(Criterion(name, bool(passed), value, threshold, detail))
        return bool(passed)


def check_finite(criteria: Criteria, score: float, rows: str) -> bool:
    """Require a score that is a finite number."""
    finite = math.isfinite(score)
    value = criteria.metric.format(score)
    detail = f"{criteria.metric.label} is {'a' if finite else 'not a'} finite number: {value} on {rows}"
    return criteria.require("finite", finite, score if finite else None, None, detail)


def check_floor(criteria: Criteria, name: str, floor: float | None, score: float, rows: str) -> bool:
    """Require a score that reaches `floor`, where one is set."""
    if floor is None:
        return True
    metric = criteria.metric
    reached = metric.reaches(score, floor)
    relation = "reaches" if reached else f"is {metric.below}"
    detail = f"{metric.label} {metric.format(score)} on {rows} {relation} {metric.format(floor)}"
    return criteria.require(name, reached, score, floor, detail)


def check_improvement(criteria: Criteria, found: Comparison) -> bool:
    """Require an improvement beyond the margin."""
    metric, margin = criteria.metric, criteria.gate.min_improvement
    return criteria.require(
        "improvement",
        found.improvement - margin > TINY,
        found.improvement,
        margin,
        f"{signed(metric, found.improvement)} ({required(metric, found.improvement, margin)})",
    )


def check_confidence(criteria: Criteria, found: Comparison, *, note: str = "") -> bool:
    """Require that equally good models would seldom show such an improvement by chance; `note` explains the limit."""
    metric, confidence = criteria.metric, criteria.gate.confidence
    allowed = 1 - confidence
    if abs(found.improvement) < TINY and found.standard_error < TINY:
        return criteria.require("confidence", False, found.p_value, allowed, "no difference in any resample")
    return criteria.require(
        "confidence",
        found.p_value <= allowed + TINY and found.lower > TINY,
        found.p_value,
        allowed,
        f"p-value {found.p_value:.4f} (limit {allowed:.4f}{note}; {found.method}); the improvement is at least "
        f"{metric.format_difference(found.lower)} ({confidence * 100:g}% confidence), and at most "
        f"{metric.format_difference(found.upper)} (the same confidence)",
    )


def check_guard_metrics(
    criteria: Criteria, metrics: Mapping[str, Metric], *, challenger: Mapping[str, float], champion: Mapping[str, float]
) -> list[str]:
    """Require that no guard metric is worse by more than its bound; return a sentence for each failed guard."""
    failed = []
    for name, bound in criteria.gate.guard_metrics.items():
        metric = metrics[name]
        change = metric.improvement(challenger[name], champion[name])
        than_champion = beside(metric, change, CHAMPION)
        detail = (
            f"{metric.label} is {metric.format(challenger[name])}, {than_champion} "
            f"({metric.format(champion[name])}; {_allowed(metric, bound)})"
        )
        if not criteria.require(f"guard {name}", -change - bound <= TINY, -change, bound, detail):
            failed.append(f"{capitalized(metric.label)} is {than_champion} ({_allowed(metric, bound)})")
    return failed


def check_guard_slices(criteria: Criteria, pair: Pair, columns: Mapping[str, pd.Series], *, seed: int) -> list[str]:
    """Require that no value of a guarded column is worse by more than its bound and beyond chance.

    Args:
        criteria: The criteria of the decision.
        pair: The predictions of m rows.
        columns: The guarded columns by name, m values each.
        seed: The seed of the resampling.

    Returns:
        A sentence for each failed guard.
    """
    gate, metric = criteria.gate, criteria.metric
    members = {column: _rows_by_value(columns[column], gate.slice_rows) for column in gate.guard_slices}
    # Of many slices one is worse by chance: the doubt allowed is shared among all of them (Bonferroni).
    doubt = (1 - gate.confidence) / max(1, sum(map(len, members.values())))
    certain = NormalDist().inv_cdf(1 - doubt)
    failed = []
    for column, bound in gate.guard_slices.items():
        slices = [
            (f"{column} = {value} ({len(rows):,} rows) is {beside(metric, found.improvement, CHAMPION)}", found)
            for value, rows in members[column]
            if (found := _compare_slice(criteria, pair.take(rows), seed))
        ]
        bad = [
            said
            for said, found in slices
            if -found.improvement - bound > TINY and -found.improvement > certain * found.standard_error
        ]
        worsening, detail = None, f"no value has {gate.slice_rows} rows on which {metric.label} is defined"
        if slices:
            said, worst = min(slices, key=lambda each: each[1].improvement)
            worsening = -worst.improvement
            which = "; ".join(bad) if bad else f"the worst of {len(members[column])} values, {said}"
            detail = f"{metric.label} for {which} ({_allowed(metric, bound)}, or what chance explains)"
        criteria.require(f"slice {column}", not bad, worsening, bound, detail)
        failed += [f"{capitalized(metric.label)} for {said} ({_allowed(metric, bound)})" for said in bad]
    return failed


def _compare_slice(criteria: Criteria, part: Pair, seed: int) -> Comparison | None:
    """Compare the models on one slice; None where the metric is not defined on it."""
    metric = criteria.metric
    metrics = {metric.name: metric}
    scores = [evaluate(one, part.y, metrics=metrics, rows=part.rows) for one in (part.challenger, part.champion)]
    if not all(math.isfinite(score[metric.name]) for score in scores):
        return None
    confidence = criteria.gate.confidence
    return compare(metric, part, confidence=confidence, seed=seed, resamples=_SLICE_RESAMPLES, groups=_SLICE_GROUPS)


def _rows_by_value(column: pd.Series, least: int) -> list[tuple[str, Array]]:
    """Return each value with at least this many rows, a missing one included, and the positions of its rows."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    ordered = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes + 1, minlength=len(values) + 1))
    groups = zip(["(missing)", *values], np.split(ordered, ends[:-1]), strict=True)
    return [(str(value), rows) for value, rows in groups if len(rows) >= least]


def guarded_columns(gate: GateSettings, rows: pd.DataFrame | None) -> dict[str, pd.Series]:
    """Return the columns of `guard_slices`, by name.

    Raises:
        SliceColumnError: one of them is missing.
    """
    columns = [] if rows is None else list(rows.columns)
    for column in gate.guard_slices:
        if column not in columns:
            have = ", ".join(map(str, columns)) or "nothing"
            raise SliceColumnError(f"Column {column!r} (gate.guard_slices) is not in the holdout, which has: {have}.")
    return {} if rows is None else {column: rows[column] for column in gate.guard_slices}


def beside(metric: Metric, improvement: float, other: str) -> str:
    """Return `equal to` another, or `better by` or `worse by` how much `than` it."""
    return f"{signed(metric, improvement)} {'to' if abs(improvement) < TINY else 'than'} {other}"


def _allowed(metric: Metric, bound: float) -> str:
    return (
        f"allowed: worse by at most {metric.format_difference(bound)}" if bound > TINY else "allowed: no worse at all"
    )


def required(metric: Metric, improvement: float, margin: float) -> str:
    """Return what is required, for the parenthesis after an improvement."""
    better = "" if improvement > TINY else "better by "
    return f"required: {better}more than {metric.format_difference(margin)}"


def capitalized(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def signed(metric: Metric, improvement: float) -> str:
    """Return `equal`, or `better by` or `worse by` and how much."""
    if abs(improvement) < TINY:
        return "equal"
    word = "better" if improvement > 0 else "worse"
    return f"{word} by {metric.format_difference(abs(improvement))}"
