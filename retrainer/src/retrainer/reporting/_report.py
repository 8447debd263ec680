"""The report of a run: one HTML page that needs no network, and the same facts as Markdown.

Both are made from the same sections; only pictures are the page's own.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..gate import encode_labels
from ._document import Gauge, Mark, Section, Tile, escaped, fenced, markdown_table, moment, render, sentence
from ._facts import Facts
from ._sections import by_class, difference, number, shown

CLASSES_SHOWN = 4
COMPARED = {"promoted": ("✓", "Better"), "kept": ("=", "Not better")}
HEADLINES = {
    "promoted": ("✓", "Promoted to production"),
    "kept": ("=", "Not promoted, the champion stays"),
    "staging": ("?", "In staging, not promoted"),
    "rejected": ("✕", "Rejected"),
}


def page(facts: Facts, parts: Sequence[Section]) -> str:
    """Return the report as one HTML document, which needs no network."""
    mark, headline = _headline(facts)
    return render(
        "report.html.j2",
        project=facts.project,
        verdict=facts.decision.verdict,
        version=facts.version.id,
        when=moment(facts.version.created_at),
        recorded=facts.recorded,
        mark=mark,
        headline=headline,
        reason=sentence(facts.decision.reason),
        tiles=_tiles(facts),
        gauge=_gauge(facts),
        sections=parts,
    )


def card(facts: Facts, parts: Sequence[Section]) -> str:
    """Return the report as Markdown, the model card of the version: the same facts without the pictures."""
    _, headline = _headline(facts)
    lines = [
        f"# {headline}: {escaped(facts.project)} {facts.version.id}",
        escaped(facts.decision.reason),
        "\n".join(f"- {escaped(tile.label)}: **{escaped(tile.value)}**" for tile in _tiles(facts)),
    ]
    for section in parts:
        lines.append(f"## {escaped(section.title)}")
        lines += map(escaped, section.texts)
        lines += map(markdown_table, section.tables)
        lines += [fenced(section.code)] if section.code else []
        lines += map(escaped, section.notes)
    return "\n\n".join(lines) + "\n"


def _headline(facts: Facts) -> tuple[str, str]:
    return (HEADLINES if facts.recorded else COMPARED)[facts.decision.verdict]


def _tiles(facts: Facts) -> list[Tile]:
    decision, metric = facts.decision, facts.metric
    tiles = [Tile(f"{metric.label}, challenger", shown(metric, decision.challenger), "challenger")]
    if decision.champion is not None:
        tiles.append(Tile(f"{metric.label}, champion", shown(metric, decision.champion), "champion"))
    if facts.baseline_scores:
        tiles.append(Tile(f"{metric.label}, {decision.baseline_name}", shown(metric, facts.baseline_scores)))
    if decision.improvement is not None:
        tiles.append(Tile("better by", difference(metric, decision.improvement)))
    if decision.p_value is not None:
        tiles.append(Tile("p-value", f"{decision.p_value:.4f}"))
    rows = decision.compared_rows if facts.compared else decision.holdout_rows
    tiles.append(Tile("rows new to both models" if facts.compared else "holdout rows", f"{rows:,}"))
    return tiles + list(_class_tiles(facts))


def _class_tiles(facts: Facts) -> Iterator[Tile]:
    """Yield the F1 of each class, or of the worst ones, beside that of the champion or the baseline."""
    if facts.problem_type != "classification":
        return
    classes = by_class(facts.coded["challenger"])
    if len(classes) > CLASSES_SHOWN:
        classes = sorted(classes, key=lambda scores: scores.f1)[:CLASSES_SHOWN]
    beside, other = "champion", facts.coded.get("champion")
    if other is None and facts.baseline is not None:
        beside, (other,) = "baseline", encode_labels(facts.truth, facts.baseline.take(facts.rows))
    f1 = {scores.name: scores.f1 for scores in by_class(other)} if other else {}
    for scores in classes:
        compared = f", {beside} {f1[scores.name]:.4f}" if scores.name in f1 else ""
        yield Tile(f"F1 of {scores.name!r} ({scores.rows:,} rows)", f"{scores.f1:.4f}{compared}")


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
    simple = number(facts.baseline_scores.get(metric.name))
    threshold = floor.threshold if floor else None
    values = [own, *(value for value in (threshold, recorded, simple) if value is not None and math.isfinite(value))]
    if len(values) == 1:
        return None  # nothing to compare it with
    bounded = metric.greater_is_better and max(values) <= 1
    at = _scale_to_percent([*values, 0.0, 1.0 if bounded else max(values) * 1.2], pad=0)
    lines, zone = [], None
    if floor and threshold is not None:
        place = at(threshold)
        lines.append(Mark(place, f"{floor.name} {metric.format(threshold)}", "ink", dashed=True))
        zone = (place, 100.0) if metric.greater_is_better else (0.0, place)
    if recorded is not None:
        label = f"champion, on its own holdout {metric.format(recorded)}"
        lines.append(Mark(at(recorded), label, dashed=True, above=False))
    elif math.isfinite(simple):  # two labels below the line would meet on a phone
        lines.append(Mark(at(simple), f"baseline {metric.format(simple)}", "muted", above=False))
    direction = "Further right is better" if metric.greater_is_better else "Further left is better"
    caption = f"{metric.label} on a scale from {metric.format(min(0.0, *values))}. {direction}."
    if recorded is not None:
        caption += " The champion's score is from its own holdout, so it is not compared."
    said = f"challenger {metric.format(own)}"
    alt = f"{metric.label}: {'; '.join([said, *(line.label for line in lines)])}"
    return Gauge(alt, caption, Mark(at(own), said), lines, zone=zone)


def _gauge_of_improvement(facts: Facts, improvement: float, interval: tuple[float, float]) -> Gauge:
    decision, metric = facts.decision, facts.metric
    margin = next((one.threshold or 0.0 for one in decision.criteria if one.name == "improvement"), 0.0)
    at = _scale_to_percent([0.0, margin, improvement, *interval], pad=0.12)
    lower, upper = (difference(metric, bound) for bound in interval)
    champion = f"champion {shown(metric, decision.champion or {})}"
    challenger = f"challenger {shown(metric, decision.challenger)}"
    required = f"required: more than {difference(metric, margin)}"
    caption = (
        f"The improvement by {metric.label} is {difference(metric, improvement)}. The bar is its confidence interval,"
        f" from {lower} to {upper}, each end with {decision.confidence * 100:g}% confidence. For a promotion, the dot"
        " must be in the shaded part and the whole bar to the right of the champion."
    )
    return Gauge(
        f"{champion}, {challenger}, {required}, improvement {lower} to {upper}",
        caption,
        Mark(at(improvement), challenger),
        [Mark(at(0.0), champion), Mark(at(margin), required, "good", dashed=True, above=False)],
        (at(interval[0]), at(interval[1])),
        (at(margin), 100.0),
    )


def _scale_to_percent(values: Sequence[float], *, pad: float) -> Any:
    low, high = min(values), max(values)
    width = (high - low) or 1.0
    low, width = low - pad * width, width * (1 + 2 * pad)
    return lambda value: round(2 + 96 * (value - low) / width, 2)
