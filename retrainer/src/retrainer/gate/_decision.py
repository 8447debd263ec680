"""What the gate decided, as it is recorded: a verdict, the reason for it, and the numbers behind it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..files import plain
from ..project import OwnMetric
from ._metrics import known_metric

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
    "baseline",
    "held",
    "approval",
    "alarm",
]
STAGED = "In staging, not promoted"  # begins a reason
# What people read for a stored word.
_SHOWN_VERDICTS = {"kept": "not promoted", "staging": "staged", "rolled_back": "rolled back"}
_SHOWN_CRITERIA = {"finite": "valid score", "on hold": "held version"}


def shown_verdict(verdict: str) -> str:
    """Return a verdict as people read it.

    Examples:
        >>> shown_verdict("kept"), shown_verdict("promoted")
        ('not promoted', 'promoted')
    """
    return _SHOWN_VERDICTS.get(verdict, verdict)


@dataclass(frozen=True)
class Criterion:
    """One condition of the gate, and its result.

    Attributes:
        name: `finite`, `floor`, `comparable`, `improvement`, `confidence`, `guard <metric>` or `slice
            <column>`.
        passed: Whether the condition is met.
        value: The measured value; None where nothing could be measured.
        threshold: The limit of the value; None where there is no number.
        detail: The condition and its result in words.
    """

    name: str
    passed: bool
    value: float | None
    threshold: float | None
    detail: str

    @property
    def label(self) -> str:
        """The name as people read it."""
        return _SHOWN_CRITERIA.get(self.name, self.name)


@dataclass(frozen=True)
class Decision:
    """A decision of the gate, with all its numbers.

    Attributes:
        verdict: `promoted`: the challenger goes to production. `kept`: the champion stays. `staging`: not
            good enough for production, good enough for a review. `rejected`: not good enough for either.
        kind: The reason in one word: `first` (no champion), `improvement`, `accepted` (not comparable, and a person
            accepted that); `marginal` (better by no more than the margin), `uncertain` (better by more, perhaps by
            chance), `tie`, `regression`, `guarded`, `not_comparable`; `below_floor`, `not_finite`; `baseline` (not
            better than the baseline), `held` (not better than a version on hold), `approval` (a person promotes),
            `alarm` (a person checks it first).
        reason: The reason in sentences, with the numbers.
        criteria: Each condition that was checked, in order.
        metric: The name of the metric that decides.
        challenger: The scores of the challenger on the compared rows, by metric: the deciding metric and the guards.
        champion: The same scores of the champion; None without a comparison.
        baseline: The deciding score of a prediction without a model; None in records of earlier releases.
        baseline_name: The baseline in words, such as `always predicting 'no'`.
        stored_champion: The champion's score at training. It is shown, and never compared.
        improvement: The improvement: a difference of scores, or a share of the champion's error.
        interval: The one-sided bounds of the true improvement, lower and upper.
        probability: The share of bootstrap draws in which the challenger is better.
        method: The method of `interval` and `p_value` in words.
        confidence: The confidence of each bound of `interval`.
        holdout_rows: The number of holdout rows.
        compared_rows: The number of rows on which both models were compared; neither was trained on them.
        seed: The seed of the resampling.
        p_value: The probability of such an improvement, or a larger one, between equally good models.
        positive: The positive class of the settings.
        alarms: Sentences about what a person should check; they are never a reason for the verdict.
    """

    verdict: Verdict
    kind: Kind
    reason: str
    criteria: tuple[Criterion, ...]
    metric: str
    challenger: dict[str, float]
    champion: dict[str, float] | None = None
    baseline: dict[str, float] | None = None
    baseline_name: str = ""
    stored_champion: float | None = None
    improvement: float | None = None
    interval: tuple[float, float] | None = None
    probability: float | None = None
    method: str | None = None
    confidence: float = 0.95
    holdout_rows: int = 0
    compared_rows: int = 0
    seed: int = 0
    p_value: float | None = None
    positive: str | int | float | bool | None = None
    alarms: tuple[str, ...] = ()

    @property
    def promoted(self) -> bool:
        """Whether the challenger goes to production."""
        return self.verdict == "promoted"

    def explain(self, own_metrics: Mapping[str, OwnMetric] | None = None, *, champion: str | None = None) -> str:
        """Return the reason and every criterion, one a line.

        Args:
            own_metrics: The team's own metrics by name, for their labels.
            champion: The id of the champion at the time of the decision.
        """
        lines = [self.reason]
        for criterion in self.criteria:
            lines.append(f"  {'passed' if criterion.passed else 'failed'}  {criterion.label}: {criterion.detail}")
        metric = known_metric(self.metric, positive=self.positive, own_metrics=own_metrics)
        if self.baseline is not None:
            score = metric.format(self.baseline[self.metric])
            lines.append(f"  Baseline, {self.baseline_name}: {metric.label} {score}")
        if self.stored_champion is not None:
            stored = f"{metric.label} {metric.format(self.stored_champion)}"
            who = f"{champion}, the champion at that time," if champion else "the champion"
            lines.append(f"  For information: {who} scored {stored} on its own holdout.")
        lines += [f"  Alarm: {alarm}" for alarm in self.alarms]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form; numbers that are not finite become None."""
        return dict(plain(asdict(self)))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Decision":
        """Restore a decision from `to_dict`; keys it does not know are left out."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        known["criteria"] = tuple(Criterion(**criterion) for criterion in known["criteria"])
        for name in ("challenger", "champion", "baseline"):
            if known.get(name) is not None:
                known[name] = {key: math.nan if value is None else value for key, value in known[name].items()}
        known["alarms"] = tuple(known.get("alarms", ()))
        if known.get("interval") is not None:
            known["interval"] = tuple(known["interval"])
        return cls(**known)
