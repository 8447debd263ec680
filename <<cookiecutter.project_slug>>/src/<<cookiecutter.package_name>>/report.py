"""What a run found, for people: one HTML page that needs no network, and the same facts as Markdown.

Both are made from the same sections; only pictures are the page's own.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .document import Gauge, Mark, Section, Tile, escaped, markdown_table, moment, render, sentence
from .drift import Drift
from .evaluation import METRICS, Array, Coded, Metric, Predictions, code, evaluate
from .importance import permutation_importance, take
from .promotion import Decision
from .records import Version
from .sections import difference, number, sections, shown
from .settings import ProblemType

HEADLINES = {
    "promoted": ("✓", "Promoted to production"),
    "kept": ("=", "The champion stays"),
    "staging": ("?", "To staging"),
    "rejected": ("✕", "Rejected"),
}


@dataclass(frozen=True)
class Facts:
    """What the report is made from.

    Attributes:
        project: The project's name, which is the console command's too.
        problem_type: Which metrics and pictures fit.
        decision: The gate's.
        version: The challenger, staged.
        pipeline: The challenger, fitted.
        X: The holdout's inputs, shape (n, features).
        y: The truth, shape (n,).
        predictions: The challenger's, of the n rows.
        champion: The version in production before the decision.
        champion_predictions: Of the same n rows.
        comparable: Shape (n,), the rows that the champion was not trained on; None for all.
        profile: Of the training inputs, see drift.learn_profile.
        drift: The training inputs held against the champion's profile.
        slices: Columns of the holdout to break the score down by; None chooses those of few values.
        run: The name of the run.
        run_url: Where the run can be looked at.
        seed: Of the samples drawn.
    """

    project: str
    problem_type: ProblemType
    decision: Decision
    version: Version
    pipeline: Any
    X: pd.DataFrame
    y: Any
    predictions: Predictions
    champion: Version | None = None
    champion_predictions: Predictions | None = None
    comparable: Array | None = None
    profile: Mapping[str, Any] | None = None
    drift: Drift | None = None
    slices: tuple[str, ...] | None = None
    run: str = ""
    run_url: str = ""
    seed: int = 0

    @property
    def metric(self) -> Metric:
        """The metric that was decided by."""
        return METRICS[self.decision.metric]

    @property
    def compared(self) -> bool:
        """Whether champion and challenger met on the same rows."""
        return self.decision.champion is not None and self.champion_predictions is not None

    @functools.cached_property
    def rows(self) -> Array:
        """The rows both models are shown on, shape (n,): those compared, or all."""
        if not self.compared or self.comparable is None:
            return np.ones(len(self.y), dtype=bool)
        return np.asarray(self.comparable, dtype=bool)

    @functools.cached_property
    def coded(self) -> dict[str, Coded]:
        """Truth and predictions of a classification on those rows, of each model, as numbers."""
        models = self._models
        coded = code(np.asarray(self.y)[self.rows], *models.values())
        return dict(zip(models, [coded] if isinstance(coded, Coded) else coded, strict=True))

    @functools.cached_property
    def truth(self) -> Array:
        """The truth on those rows; classes as numbers, which are quicker to compare."""
        if self.problem_type == "classification":
            return self.coded["challenger"].y
        return np.asarray(self.y, dtype=np.float64)[self.rows]

    @functools.cached_property
    def models(self) -> dict[str, Predictions]:
        """The predictions on those rows, of the challenger and, if compared, the champion; likewise."""
        if self.problem_type == "regression":
            return self._models
        return {
            name: Predictions(coded.labels, coded.probabilities, np.arange(len(coded.classes)))
            for name, coded in self.coded.items()
        }

    @functools.cached_property
    def _models(self) -> dict[str, Predictions]:
        models = {"challenger": take(self.predictions, self.rows)}
        if self.compared and self.champion_predictions is not None:
            models["champion"] = take(self.champion_predictions, self.rows)
        return models

    @functools.cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """Every metric of each model on those rows."""
        return {
            name: evaluate(model, self.truth, problem_type=self.problem_type)
            for name, model in self.models.items()
        }

    @functools.cached_property
    def importance(self) -> list[tuple[str, float, float]]:
        """Column, mean and standard deviation of what permuting it costs, the most costly first."""
        return permutation_importance(
            self.pipeline,
            self.X,
            np.asarray(self.y),
            metric=self.metric,
            problem_type=self.problem_type,
            seed=self.seed,
            columns=[name for name in self.X.columns if str(name) not in self.left_out],
        )

    @functools.cached_property
    def sections(self) -> list[Section]:
        """The parts of the report."""
        return list(sections(self))

    @property
    def left_out(self) -> Mapping[str, str]:
        """The columns that the model does not look at, with the reason."""
        return self.profile["left_out"] if self.profile else {}


def page(facts: Facts) -> str:
    """Return the report as one HTML document, without a reference to anything outside."""
    mark, headline = HEADLINES[facts.decision.verdict]
    return render(
        "report.html.j2",
        project=facts.project,
        verdict=facts.decision.verdict,
        version=facts.version.id,
        when=moment(facts.version.created_at),
        mark=mark,
        headline=headline,
        reason=sentence(facts.decision.reason),
        tiles=_tiles(facts),
        gauge=_gauge(facts),
        sections=facts.sections,
    )


def card(facts: Facts) -> str:
    """Return the report as Markdown, the model card of the version: the same facts without the pictures."""
    _, headline = HEADLINES[facts.decision.verdict]
    parts = [
        f"# {headline}: {facts.project} {facts.version.id}",
        escaped(facts.decision.reason),
        "\n".join(f"- {escaped(tile.label)}: **{escaped(tile.value)}**" for tile in _tiles(facts)),
    ]
    for section in facts.sections:
        parts.append(f"## {section.title}")
        parts += map(escaped, section.texts)
        parts += map(markdown_table, section.tables)
        parts += [f"```\n{section.code}\n```"] if section.code else []
        parts += map(escaped, section.notes)
    return "\n\n".join(parts) + "\n"


def _tiles(facts: Facts) -> list[Tile]:
    decision, metric = facts.decision, facts.metric
    tiles = [Tile(f"{metric.label}, challenger", shown(metric, decision.challenger), "challenger")]
    if decision.champion is not None:
        tiles.append(Tile(f"{metric.label}, champion", shown(metric, decision.champion), "champion"))
    if decision.improvement is not None:
        tiles.append(Tile("better by", difference(metric, decision.improvement)))
    if decision.probability is not None:
        tiles.append(
            Tile("probability of being better", f"{math.floor(decision.probability * 1000) / 10:.1f} %")
        )
    rows = decision.compared_rows if facts.compared else decision.holdout_rows
    return [*tiles, Tile("rows compared on" if facts.compared else "holdout rows", f"{rows:,}")]


def _gauge(facts: Facts) -> Gauge | None:
    decision, metric = facts.decision, facts.metric
    if decision.improvement is not None and decision.interval is not None:
        return _gauge_of_improvement(facts, decision.improvement, decision.interval)
    own = number(decision.challenger.get(metric.name))
    if not math.isfinite(own):
        return None
    # Of two floors the one that decided: the last that was missed, or else the one to production.
    floors = [one for one in decision.criteria if one.name in ("floor", "staging floor")]
    floor = next((one for one in reversed(floors) if not one.passed), floors[0] if floors else None)
    recorded = decision.stored_champion
    threshold = floor.threshold if floor else None
    if threshold is None and recorded is None:
        return None  # nothing to hold it against
    values = [value for value in (own, threshold, recorded) if value is not None]
    bounded = metric.greater_is_better and max(values) <= 1
    at = _scale([*values, 0.0, 1.0 if bounded else max(values) * 1.2], pad=0)
    lines, zone = [], None
    if floor and threshold is not None:
        place = at(threshold)
        lines.append(Mark(place, f"{floor.name} {metric.format(threshold)}", "ink", dashed=True))
        zone = (place, 100.0) if metric.greater_is_better else (0.0, place)
    if recorded is not None:
        label = f"recorded champion {metric.format(recorded)}"
        lines.append(Mark(at(recorded), label, dashed=True, above=False))
    direction = "Further right is better" if metric.greater_is_better else "Further left is better"
    caption = f"{metric.label} on a scale from {metric.format(min(0.0, *values))}. {direction}."
    if recorded is not None:
        caption += " The champion's recorded score is from other rows: shown, not compared."
    said = f"challenger {metric.format(own)}"
    alt = f"{metric.label}: {'; '.join([said, *(line.label for line in lines)])}"
    return Gauge(alt, caption, Mark(at(own), said), lines, zone=zone)


def _gauge_of_improvement(facts: Facts, improvement: float, interval: tuple[float, float]) -> Gauge:
    decision, metric = facts.decision, facts.metric
    margin = next((one.threshold or 0.0 for one in decision.criteria if one.name == "improvement"), 0.0)
    at = _scale([0.0, margin, improvement, *interval], pad=0.12)
    lower, upper = (difference(metric, bound) for bound in interval)
    champion = f"champion {shown(metric, decision.champion or {})}"
    challenger = f"challenger {shown(metric, decision.challenger)}"
    asked = f"asked: over {difference(metric, margin)}"
    caption = (
        f"How much better the challenger is, by {metric.label}: {difference(metric, improvement)}. The bar reaches"
        f" from {lower} to {upper}, each end with {decision.confidence:.0%} confidence. To be promoted, the dot must be"
        " in the shaded part and the whole bar to the right of the champion."
    )
    return Gauge(
        f"{champion}, {challenger}, {asked}, improvement {lower} to {upper}",
        caption,
        Mark(at(improvement), challenger),
        [Mark(at(0.0), champion), Mark(at(margin), asked, "good", dashed=True, above=False)],
        (at(interval[0]), at(interval[1])),
        (at(margin), 100.0),
    )


def _scale(values: Sequence[float], *, pad: float) -> Any:
    low, high = min(values), max(values)
    width = (high - low) or 1.0
    low, width = low - pad * width, width * (1 + 2 * pad)
    return lambda value: round(2 + 96 * (value - low) / width, 2)
