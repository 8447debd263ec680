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
    """One condition of the gate, and how it came out.

    Attributes:
        name: `finite`, `floor`, `comparable`, `improvement`, `confidence`, `guard <metric>` or `slice
            <column>`.
        passed: Whether it is met.
        value: What was measured; None where nothing could be.
        threshold: What it was compared with; None where there is no number.
        detail: The same in words.
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
        kind: Why, as one word: `first` (no champion), `improvement`, `accepted` (not comparable, and a person
            accepted it); `marginal` (better by no more than the margin), `uncertain` (better by more, perhaps by
            chance), `tie`, `regression`, `guarded`, `not_comparable`; `below_floor`, `not_finite`; `baseline` (no
            better than no model), `held` (no better than a version on hold), `approval` (a person promotes),
            `alarm` (a person looks at it first).
        reason: One sentence with the numbers.
        criteria: Each condition that was looked at, in order.
        metric: The name of the metric compared.
        challenger: The compared and guarded metrics of the challenger, on the rows compared.
        champion: The same of the champion on the same rows; None without a comparison.
        baseline: The compared metric of what can be predicted without a model, on the same rows; None in records
            of earlier releases.
        baseline_name: What the baseline does, such as `always predicting 'no'`.
        stored_champion: The champion's score when it was recorded: to be shown, never compared.
        improvement: In points of a score, or as a share of the champion's error.
        interval: Bounds of the true improvement, each with the confidence of the settings.
        probability: Of the challenger being better at all.
        method: How interval and probability were found.
        confidence: Of each bound of the interval.
        holdout_rows: The rows of the holdout.
        compared_rows: Those that neither model was trained on, on which they were compared.
        seed: Of the resampling.
        p_value: How often equally good models would show such an improvement, or a larger one, by chance.
        positive: The positive class of the settings.
        alarms: What a person should check, a sentence each; never a reason for the verdict.
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
