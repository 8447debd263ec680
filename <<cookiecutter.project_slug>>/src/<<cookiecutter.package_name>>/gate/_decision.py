"""The gate: champion and challenger on the same rows, a verdict, and the reason for it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..errors import ConfigurationError
from ..settings import GateSettings, ProblemType
from ._metrics import METRICS, Metric, evaluate, get_metric
from ._predictions import Array, Predictions
from ._resampling import TINY, Comparison, compare

MINIMUM_COMPARABLE_ROWS = 30

Verdict = Literal["promoted", "kept", "staging", "rejected"]
Kind = Literal[
    "first",
    "improvement",
    "accepted",
    "marginal",
    "uncertain",
    "tie",
    "regression",
    "guarded",
    "not_comparable",
    "below_floor",
    "not_finite",
]
_SLICE_RESAMPLES, _SLICE_GROUPS = 400, 1000


class SliceColumnError(ConfigurationError):
    """A guarded column is not in the holdout."""


@dataclass(frozen=True)
class Criterion:
    """One condition of the gate, and how it came out.

    Attributes:
        name: `finite`, `floor`, `comparable`, `improvement`, `confidence`, `guard <metric>` or `slice
            <column>`.
        passed: Whether it is met.
        value: What was measured; None where nothing could be.
        threshold: What it was held against; None where there is no number.
        detail: The same in words.
    """

    name: str
    passed: bool
    value: float | None
    threshold: float | None
    detail: str


@dataclass(frozen=True)
class Decision:
    """What the gate decided, with everything it decided by.

    Attributes:
        verdict: `promoted`: the challenger goes to production. `kept`: the champion stays. `staging`: not
            good enough for production, good enough to look at. `rejected`: not even that.
        kind: Why, as one word: `first` (no champion), `improvement`, `accepted` (not comparable, and a person
            said yes); `marginal` (better by no more than the margin), `uncertain` (better by more, perhaps by
            chance), `tie`, `regression`, `guarded`, `not_comparable`; `below_floor`, `not_finite`.
        reason: One sentence with the numbers.
        criteria: Each condition that was looked at, in order.
        metric: The name of the metric compared.
        challenger: The compared and guarded metrics of the challenger, on the rows compared.
        champion: The same of the champion on the same rows; None without a comparison.
        stored_champion: The champion's recorded score, from other rows: to be shown, never compared.
        improvement: In points of a score, or as a share of the champion's error.
        interval: Bounds of the true improvement, each with the confidence of the settings.
        probability: Of the challenger being better at all.
        method: How interval and probability were found.
        confidence: Of each bound of the interval.
        holdout_rows: The rows of the holdout.
        compared_rows: Those that neither model was trained on, on which they were compared.
        seed: Of the resampling.
    """

    verdict: Verdict
    kind: Kind
    reason: str
    criteria: tuple[Criterion, ...]
    metric: str
    challenger: dict[str, float]
    champion: dict[str, float] | None = None
    stored_champion: float | None = None
    improvement: float | None = None
    interval: tuple[float, float] | None = None
    probability: float | None = None
    method: str | None = None
    confidence: float = 0.95
    holdout_rows: int = 0
    compared_rows: int = 0
    seed: int = 0

    @property
    def promoted(self) -> bool:
        """Whether the challenger goes to production."""
        return self.verdict == "promoted"

    def explain(self) -> str:
        """Return the reason and every criterion, one a line."""
        lines = [self.reason]
        for criterion in self.criteria:
            lines.append(
                f"  {'passed' if criterion.passed else 'failed'}  {criterion.name}: {criterion.detail}"
            )
        if self.stored_champion is not None:
            stored = f"{METRICS[self.metric].label} {self.stored_champion:.4g}"
            lines.append(f"  The champion's recorded score, from other rows and not compared: {stored}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form; numbers that are not finite become None."""
        return {name: _jsonable(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Decision":
        """Restore a decision from `to_dict`; keys it does not know are left out."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        known["criteria"] = tuple(Criterion(**criterion) for criterion in known["criteria"])
        for name in ("challenger", "champion"):
            if known.get(name) is not None:
                known[name] = {
                    key: math.nan if value is None else value for key, value in known[name].items()
                }
        if known.get("interval") is not None:
            known["interval"] = tuple(known["interval"])
        return cls(**known)


@dataclass
class _Case:
    """A decision in the making."""

    gate: GateSettings
    metric: Metric
    facts: dict[str, Any]
    criteria: list[Criterion] = field(default_factory=list)

    def require(
        self, name: str, passed: bool, value: float | None, threshold: float | None, detail: str
    ) -> bool:
        self.criteria.append(Criterion(name, bool(passed), value, threshold, detail))
        return bool(passed)

    def close(self, verdict: Verdict, kind: Kind, reason: str) -> Decision:
        sentence = f"{verdict.capitalize()}: {reason}."
        return Decision(verdict, kind, sentence, tuple(self.criteria), self.metric.name, **self.facts)


def decide(
    y: Any,
    challenger: Predictions,
    champion: Predictions | None,
    *,
    gate: GateSettings,
    metric: str,
    problem_type: ProblemType,
    slices: pd.DataFrame | None = None,
    seed: int = 0,
    comparable: Array | None = None,
    accept_not_comparable: bool = False,
    why_not_comparable: str = "",
    stored_champion: float | None = None,
) -> Decision:
    """Decide whether a challenger takes the champion's place.

    In this order: a score that is no finite number is rejected. Below the floor the challenger is rejected,
    or goes to staging where it reaches the staging floor. Without a champion it is promoted. With one, both
    are compared on the rows neither was trained on, and the challenger is promoted when it is better by more
    than `min_improvement`, is better at all with the confidence asked for, and fails no guard; otherwise the
    champion is kept, a tie included.

    The champion is not comparable when fewer than 30 such rows remain (or fewer than all of a smaller
    holdout), when a class of the holdout has none among them, or when it has no finite score on them. It is
    kept then, unless `accept_not_comparable`.

    A guard metric fails when it is worse by more than its bound. A guard slice fails when a value of the
    column with at least `slice_rows` rows is worse by more than the bound and that is no chance: worse at all
    with the confidence asked for, shared out over all slices looked at (Bonferroni).

    Args:
        y: Shape (n,), the truth on the holdout.
        challenger: Predictions of the holdout's rows.
        champion: Predictions of the same rows by the model in production; None without one.
        gate: The settings.
        metric: The name of the metric to compare.
        problem_type: Which metrics fit.
        slices: n rows with the columns of `guard_slices`, others being ignored.
        seed: Of the resampling; the same seed gives the same decision.
        comparable: Shape (n,), the rows the champion was not trained on (splitting.unseen); None for all.
        accept_not_comparable: Promote a challenger that cannot be compared.
        why_not_comparable: Said in the reason then, such as splitting.difference gives.
        stored_champion: The champion's recorded score, to be shown.

    Raises:
        UnknownMetricError: `metric` or a guard metric does not exist or fit.
        SliceColumnError: a column of `guard_slices` is not in `slices`.
    """
    wanted = {name: get_metric(name, problem_type=problem_type) for name in (metric, *gate.guard_metrics)}
    chosen = wanted[metric]
    truth = np.asarray(y)
    score = evaluate(challenger, truth, problem_type=problem_type, metrics=wanted)
    _require_probabilities(score, wanted)
    facts: dict[str, Any] = {
        "challenger": score,
        "stored_champion": stored_champion,
        "confidence": gate.confidence,
        "holdout_rows": len(truth),
        "seed": seed,
    }
    case = _Case(gate, chosen, facts)
    own = score[metric]
    label, rows = chosen.label, f"{len(truth):,} holdout rows"

    finite = math.isfinite(own)
    said = f"{label} on {rows} is {own:.4g}"
    if not case.require("finite", finite, own if finite else None, None, said):
        return case.close("rejected", "not_finite", f"{label} of the challenger is {own} on {rows}")
    if stopped := _check_floors(case, own, rows):
        return stopped
    shown = f"{label} {chosen.format(own)} on {rows}"
    if champion is None:
        return case.close("promoted", "first", f"{shown}, and there is no champion yet")

    mask = np.ones(len(truth), dtype=bool) if comparable is None else np.asarray(comparable, dtype=bool)
    obstacle = _obstacle(truth, mask, problem_type)
    if obstacle is None:
        here, of_champion = _part(challenger, mask), _part(champion, mask)
        whole = bool(mask.all())
        scores = [
            score if whole else evaluate(here, truth[mask], problem_type=problem_type, metrics=wanted),
            evaluate(of_champion, truth[mask], problem_type=problem_type, metrics=wanted),
        ]
        facts["challenger"], facts["champion"] = scores
        facts["compared_rows"] = int(mask.sum())
        broken = [name for name in wanted if not math.isfinite(scores[1].get(name, math.nan))]
        undefined = [name for name in wanted if not math.isfinite(scores[0][name])]
        if broken or undefined:
            whose = "champion" if broken else "challenger"
            obstacle = f"the {whose} has no finite {(broken or undefined)[0]} on the rows new to both"
    if obstacle is not None:
        because = f"{obstacle} ({why_not_comparable})" if why_not_comparable else obstacle
        said = f"not comparable on these rows: {because}"
        if accept_not_comparable:
            case.require(
                "comparable", True, int(mask.sum()), MINIMUM_COMPARABLE_ROWS, f"{said}; accepted by request"
            )
            return case.close("promoted", "accepted", f"{shown}; {said}, and accept_not_comparable was given")
        case.require("comparable", False, int(mask.sum()), MINIMUM_COMPARABLE_ROWS, said)
        advice = "run once with accept_not_comparable to let the challenger take over"
        return case.close("kept", "not_comparable", f"the champion is {said}; {advice}")
    case.require(
        "comparable",
        True,
        int(mask.sum()),
        MINIMUM_COMPARABLE_ROWS,
        f"{mask.sum():,} of {rows} are new to both models",
    )

    found = compare(
        chosen, truth[mask], champion=of_champion, challenger=here, confidence=gate.confidence, seed=seed
    )
    facts["improvement"] = found.improvement
    facts["interval"] = (found.lower, found.upper)
    facts["probability"] = found.probability
    facts["method"] = found.method
    enough, sure = _check_improvement(case, found)
    failed = _check_guard_metrics(case, wanted, *scores)
    if gate.guard_slices:
        failed += _check_slices(case, truth, mask, champion, challenger, slices, seed)
    return _verdict(case, found, enough=enough, sure=sure, failed_guards=failed)


def _require_probabilities(scores: Mapping[str, float], wanted: Mapping[str, Metric]) -> None:
    for name in wanted:
        if name not in scores:
            raise ConfigurationError(
                f"Metric {name!r} (gate.metric or gate.guard_metrics) needs probabilities, and the "
                "challenger has no predict_proba. Choose f1_score or accuracy, or another estimator."
            )


def _check_floors(case: _Case, own: float, rows: str) -> Decision | None:
    """Return the decision of a challenger below a floor, None for one that reaches both."""
    gate, metric = case.gate, case.metric
    below = "below" if metric.greater_is_better else "above"
    reaches_floor = gate.floor is None or metric.reaches(own, gate.floor)
    reaches_staging = gate.staging_floor is None or metric.reaches(own, gate.staging_floor)
    shown = f"{metric.label} {metric.format(own)} on {rows}"
    for name, floor, reached in (
        ("floor", gate.floor, reaches_floor),
        ("staging floor", gate.staging_floor, reaches_staging),
    ):
        if floor is not None:
            relation = "reaches" if reached else f"is {below}"
            case.require(name, reached, own, floor, f"{shown} {relation} {metric.format(floor)}")
    if reaches_floor and reaches_staging:
        return None
    if gate.floor is not None and gate.staging_floor is not None and reaches_staging:
        reason = (
            f"{shown} is {below} the floor of {metric.format(gate.floor)} for production, and reaches the "
            f"staging floor of {metric.format(gate.staging_floor)}"
        )
        return case.close("staging", "below_floor", reason)
    name, missed = ("floor", gate.floor) if reaches_staging else ("staging floor", gate.staging_floor)
    assert missed is not None
    return case.close("rejected", "below_floor", f"{shown} is {below} the {name} of {metric.format(missed)}")


def _obstacle(y: Array, mask: Array, problem_type: ProblemType) -> str | None:
    """Say what stands in the way of a comparison on the rows of `mask`, if anything does."""
    count, needed = int(mask.sum()), min(MINIMUM_COMPARABLE_ROWS, len(y))
    if count < needed:
        have = f"{count:,} of the {len(y):,} holdout rows were held out from the champion too"
        return f"{have}, and {needed} are needed"
    if problem_type == "classification" and not mask.all():
        missing = set(pd.unique(y)) - set(pd.unique(y[mask]))
        if missing:
            names = ", ".join(sorted(map(str, missing)))
            return f"class {names} has no row among the {count:,} that were held out from the champion too"
    return None


def _part(predictions: Predictions, mask: Array) -> Predictions:
    probabilities = predictions.probabilities
    return Predictions(
        np.asarray(predictions.labels)[mask],
        None if probabilities is None else probabilities[mask],
        predictions.classes,
    )


def _check_improvement(case: _Case, found: Comparison) -> tuple[bool, bool]:
    gate, metric = case.gate, case.metric
    enough = case.require(
        "improvement",
        found.improvement - gate.min_improvement > TINY,
        found.improvement,
        gate.min_improvement,
        f"{_signed(metric, found.improvement)}, over {metric.format_difference(gate.min_improvement)} asked",
    )
    sure = case.require(
        "confidence",
        found.lower > TINY,
        found.lower,
        0.0,
        f"with {gate.confidence:.0%} confidence the true improvement is above "
        f"{metric.format_difference(found.lower)} (and below {metric.format_difference(found.upper)}); "
        f"probability of being better {found.probability:.3f} ({found.method})",
    )
    return enough, sure


def _check_guard_metrics(
    case: _Case, wanted: Mapping[str, Metric], challenger: Mapping[str, float], champion: Mapping[str, float]
) -> list[str]:
    """Return what each failed guard found."""
    failed = []
    for name, bound in case.gate.guard_metrics.items():
        guarded = wanted[name]
        change = guarded.improvement(challenger[name], champion[name])
        detail = (
            f"{guarded.label} {guarded.format(challenger[name])} against {guarded.format(champion[name])} is "
            f"{_signed(guarded, change)}; worse by at most {guarded.format_difference(bound)} is allowed"
        )
        if not case.require(f"guard {name}", -change - bound <= TINY, -change, bound, detail):
            failed.append(f"{guarded.label} is {_signed(guarded, change)}")
    return failed


def _check_slices(
    case: _Case,
    y: Array,
    mask: Array,
    champion: Predictions,
    challenger: Predictions,
    slices: pd.DataFrame | None,
    seed: int,
) -> list[str]:
    """Return what each failed guard found."""
    gate, metric = case.gate, case.metric
    if missing := sorted(set(gate.guard_slices) - set([] if slices is None else slices.columns)):
        have = "nothing" if slices is None else ", ".join(map(str, slices.columns))
        raise SliceColumnError(
            f"Column {missing[0]!r} (gate.guard_slices) is not in the holdout, which has: {have}."
        )
    assert slices is not None
    members = {
        column: {
            str(value): rows
            for value, rows in _rows_by_value(slices[column], mask)
            if len(rows) >= gate.slice_rows
        }
        for column in gate.guard_slices
    }
    # Of many slices one is worse by chance: the doubt allowed is shared out among all of them.
    doubt = (1 - gate.confidence) / max(1, sum(map(len, members.values())))
    certain = NormalDist().inv_cdf(1 - doubt)
    failed = []
    for column, bound in gate.guard_slices.items():
        worst: tuple[float, str] | None = None
        bad = []
        for value, rows in members[column].items():
            before, after = _part(champion, rows), _part(challenger, rows)
            scores = evaluate(after, y[rows], problem_type=metric.problem_type, metrics={metric.name: metric})
            if not math.isfinite(scores[metric.name]):
                continue
            found = compare(
                metric,
                y[rows],
                champion=before,
                challenger=after,
                confidence=gate.confidence,
                seed=seed,
                resamples=_SLICE_RESAMPLES,
                groups=_SLICE_GROUPS,
            )
            worsening = -found.improvement
            said = f"{column} = {value} ({len(rows):,} rows) is {_signed(metric, found.improvement)}"
            if worst is None or worsening > worst[0]:
                worst = worsening, said
            if worsening - bound > TINY and worsening > certain * found.standard_error:
                bad.append(said)
        if worst is None:
            detail = f"no value has {gate.slice_rows} rows on which {metric.label} is defined"
        else:
            allowed = f"worse by more than {metric.format_difference(bound)} beyond chance is not allowed"
            which = "; ".join(bad) if bad else f"the worst of {len(members[column])} values, {worst[1]}"
            detail = f"{which}; {allowed}"
        case.require(f"slice {column}", not bad, worst[0] if worst else None, bound, detail)
        failed += bad
    return failed


def _rows_by_value(column: pd.Series, mask: Array) -> list[tuple[Any, Array]]:
    """Return each value of the column, a missing one included, with the positions of its rows in `mask`."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    positions = np.flatnonzero(mask)
    ordered = positions[np.argsort(codes[positions], kind="stable")]
    ends = np.cumsum(np.bincount(codes[positions] + 1, minlength=len(values) + 1))
    return list(zip(["(missing)", *values], np.split(ordered, ends[:-1]), strict=True))


def _signed(metric: Metric, improvement: float) -> str:
    if abs(improvement) < TINY:
        return "equal"
    word = "better" if improvement > 0 else "worse"
    return f"{word} by {metric.format_difference(abs(improvement))}"


def _verdict(
    case: _Case, found: Comparison, *, enough: bool, sure: bool, failed_guards: list[str]
) -> Decision:
    gate, metric = case.gate, case.metric
    challenger, champion = (case.facts[which][metric.name] for which in ("challenger", "champion"))
    scores = f"{metric.format(challenger)} against the champion's {metric.format(champion)}"
    values = f"{metric.label} {scores} on the same {case.facts['compared_rows']:,} rows"
    margin = metric.format_difference(gate.min_improvement)
    lower = metric.format_difference(found.lower)
    sureness = f"{gate.confidence:.0%} confidence"
    if abs(found.improvement) < TINY:
        return case.close("kept", "tie", f"a tie, {values}")
    compared = f"{values}, {_signed(metric, found.improvement)}"
    if found.improvement < 0:
        return case.close("kept", "regression", f"a regression, {compared}")
    if not enough:
        return case.close(
            "kept", "marginal", f"a marginal improvement, {compared}, and over {margin} is asked"
        )
    if not sure:
        ratio = NormalDist().inv_cdf(gate.confidence) * found.standard_error / found.improvement
        needed = _two_digits(case.facts["compared_rows"] * ratio**2)
        reason = f"an uncertain improvement, {compared}, but with {sureness} only above {lower}"
        return case.close("kept", "uncertain", f"{reason} (certainty takes about {needed} rows)")
    if failed_guards:
        return case.close("kept", "guarded", f"{compared}, but a guard failed: {'; '.join(failed_guards)}")
    reason = f"a real improvement, {compared} (with {sureness} above {lower}), and over {margin} is asked"
    return case.close("promoted", "improvement", reason)


def _two_digits(number: float) -> str:
    digits = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return f"{math.ceil(number / digits) * digits:,}"


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
