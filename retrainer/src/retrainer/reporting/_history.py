"""The model history on one page: scores over time, decisions, and training rows."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from ..gate import Metric, known_metric, shown_verdict
from ..project import OwnMetric
from ..registry import Record, Version
from . import _pictures
from ._document import Cell, Number, Picture, Section, Table, Tile, moment, render, sentence

VERDICTS = ("promoted", "kept", "staging", "rejected")
STYLES = {"promoted": "good", "rejected": "bad", "rolled_back": "bad"}


def history(
    versions: Sequence[Version],
    decisions: Sequence[Record],
    *,
    project: str,
    own_metrics: Mapping[str, OwnMetric] | None = None,
) -> str:
    """Return the model history as one HTML page: its score over time, what was decided, and data sizes.

    Args:
        versions: The versions of the registry, oldest first.
        decisions: The decisions of the registry, oldest first.
        project: The project's name.
        own_metrics: The team's own metrics by name, for their labels.
    """
    metric_of = partial(known_metric, own_metrics=own_metrics)
    known = {version.id: version for version in versions}
    shown_records = [record for record in decisions if record.version in known]
    champion = known.get(str(decisions[-1].champion)) if decisions else None
    count = Counter(record.verdict for record in shown_records)
    tiles = [Tile("versions trained", str(len(versions)))]
    tiles += [
        Tile(shown_verdict(verdict), str(count[verdict]))
        for verdict in (*VERDICTS, "rolled_back")
        if count[verdict] or verdict == "promoted"
    ]
    if champion is None:
        reason = "No model is in production yet."
    else:
        metric = metric_of(champion.metric)
        value = metric.format(champion.metrics.get(champion.metric, math.nan))
        since = moment(str(decisions[-1].promoted_at))
        reason = f"{champion.id} is in production since {since}; its {metric.label} is {value} on its own holdout."
    return render(
        "history.html.j2",
        project=project,
        headline="Model history",
        reason=reason,
        tiles=tiles,
        sections=[
            *_score_section(known, shown_records, metric_of, metric=champion.metric if champion else None),
            _decisions_section(known, shown_records, metric_of),
        ],
    )


def _score_section(
    known: Mapping[str, Version],
    shown_records: Sequence[Record],
    metric_of: Callable[[str], Metric],
    *,
    metric: str | None,
) -> Iterator[Section]:
    scored = [
        record for record in shown_records if record.verdict in VERDICTS and known[str(record.version)].metric == metric
    ]
    if not metric or len(scored) < 2:
        return
    label = metric_of(metric).label
    score = {name: _recorded_score(version, metric) for name, version in known.items()}
    when = datetime.fromisoformat
    values = [(when(one.time), score[str(one.version)], one.verdict) for one in scored]
    champions = [(when(one.time), score[str(one.champion)]) for one in shown_records if one.champion in known]
    rollbacks = [when(one.time) for one in shown_records if one.verdict == "rolled_back"]
    drawn = [
        _pictures.draw(
            f"{label} of each version, on its own holdout",
            lambda axes: _pictures.score_timeline(axes, values, champions, rollbacks),
            alt=f"{label} over time, from {values[0][1]:.4g} to {values[-1][1]:.4g}; the table has every value.",
            size=(8.5, 3.4),
            ylabel=label,
        ),
        *_draw_training_rows([(when(one.time), _training_rows(known[str(one.version)])) for one in scored]),
    ]
    about = ["Each version was scored on its own holdout. Only a decision compares two versions on the same rows."]
    yield Section("over-time", f"{label} over time", about, pictures=drawn, wide=True)


def _draw_training_rows(learned: Sequence[tuple[datetime, int]]) -> Iterator[Picture]:
    sizes = [(moment, rows) for moment, rows in learned if rows]
    if len(sizes) > 1:
        yield _pictures.draw(
            "Training rows",
            lambda axes: axes.plot(*zip(*sizes, strict=True), "o-", color=_pictures.COLOURS["challenger"]),
            alt=f"Training rows over time, from {sizes[0][1]:,} to {sizes[-1][1]:,}.",
            size=(8.5, 2.2),
            ylim=(0, None),
            ylabel="rows",
        )


def _decisions_section(
    known: Mapping[str, Version], shown_records: Sequence[Record], metric_of: Callable[[str], Metric]
) -> Section:
    rows: list[list[str | Cell]] = []
    for record in reversed(shown_records):
        version = known[str(record.version)]
        shown = metric_of(version.metric)
        rows.append(
            [
                str(record.sequence),
                Cell(moment(record.time), "whole"),
                Cell(shown_verdict(record.verdict), STYLES.get(record.verdict, "wait")),
                Cell(version.id, "whole"),
                Cell(f"{shown.label} {shown.format(_recorded_score(version, version.metric))}", "number"),
                f"{_training_rows(version):,}" if _training_rows(version) else "",
                Cell(sentence(record.reason), "long"),
            ]
        )
    columns = ("number", "when", "decision", "version", Number("score"), Number("training rows"), "why")
    return Section("decisions", "Decisions", tables=[Table("Every decision, the latest first", columns, rows)])


def _training_rows(version: Version) -> int:
    return int((version.lineage.get("rows") or {}).get("training") or 0)


def _recorded_score(version: Version, metric: str) -> float:
    value = version.metrics.get(metric)
    return math.nan if value is None else value
