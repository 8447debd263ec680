"""The page of a search: the best score over time, the importance of each parameter, and every trial."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..gate import Metric
from . import _pictures
from ._document import Cell, Number, Picture, Section, Table, Tile, render

DRAWN = 6  # parameters, the most important first
STYLES = {"failed": "bad", "pruned": "wait"}


def tuning_page(
    *,
    project: str,
    headline: str,
    reason: str,
    metric: Metric,
    trials: Sequence[Mapping[str, Any]],
    importance: Mapping[str, float],
) -> str:
    """Return one HTML page about a search, which needs no network.

    Args:
        project: The name of the project.
        headline: The title.
        reason: The result in a sentence.
        metric: The metric of the scores.
        trials: The trials in order, each with `trial`, `state`, `score`, `seconds`, `parameters` and `error`.
        importance: Maps each parameter to its importance.
    """
    states = [trial["state"] for trial in trials]
    names = [*importance] or sorted({name for trial in trials for name in trial["parameters"]})
    tiles = [Tile("trials", str(len(trials)))]
    tiles += [Tile(state, str(states.count(state))) for state in ("complete", "pruned", "failed")]
    pictures = [*_best_by_time(metric, trials), *_importance(importance), *_slices(metric, trials, names)]
    rows: list[list[str | Cell]] = [
        [
            str(trial["trial"]),
            Cell(trial["state"], STYLES.get(trial["state"], "good")),
            "" if trial["score"] is None else metric.format(trial["score"]),
            "" if trial["seconds"] is None else f"{trial['seconds']:.1f}",
            *(_format_value(trial["parameters"].get(name)) for name in names),
            Cell(trial["error"], "long"),
        ]
        for trial in trials
    ]
    columns = ("trial", "state", Number(metric.label), Number("seconds"), *map(Number, names), "error")
    return render(
        "history.html.j2",
        project=project,
        headline=headline,
        reason=reason,
        tiles=tiles,
        sections=[
            *([Section("search", "The search", pictures=pictures)] if pictures else []),
            Section("trials", "Trials", tables=[Table("Every trial, in its order", columns, rows)], wide=True),
        ],
    )


def _format_value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _scored_trials(trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [trial for trial in trials if trial["score"] is not None]


def _best_by_time(metric: Metric, trials: Sequence[Mapping[str, Any]]) -> Iterator[Picture]:
    spent = list(itertools.accumulate(trial["seconds"] or 0.0 for trial in trials))
    points = [(at, trial["score"]) for at, trial in zip(spent, trials, strict=True) if trial["score"] is not None]
    if len(points) < 2:
        return
    times, scores = zip(*points, strict=True)
    best = list(itertools.accumulate(scores, max if metric.greater_is_better else min))

    def plot(axes: Any) -> None:
        axes.plot(times, scores, "o", color=_pictures.COLOURS["muted"], markersize=4, label="a trial")
        axes.step(times, best, where="post", color=_pictures.COLOURS["challenger"], label="the best so far")

    yield _pictures.draw(
        "Best score over time",
        plot,
        alt=f"{metric.label}, from {metric.format(best[0])} with today's parameters to {metric.format(best[-1])}.",
        xlabel="seconds of all trials",
        ylabel=metric.label,
    )


def _importance(importance: Mapping[str, float]) -> Iterator[Picture]:
    if not importance:
        return
    names = list(importance)[::-1]
    shares = [importance[name] for name in names]
    yield _pictures.draw(
        "Importance of the parameters",
        lambda axes: axes.barh(names, shares, color=_pictures.COLOURS["challenger"]),
        alt="; ".join(f"{name}: {share:.0%}" for name, share in importance.items()),
        xlabel="share of the variance of the scores",
    )


def _slices(metric: Metric, trials: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[Picture]:
    """Yield a picture of each parameter: its values, and the scores of the trials that had them."""
    for name in names[:DRAWN]:
        points = [
            (trial["parameters"][name], trial["score"])
            for trial in _scored_trials(trials)
            if name in trial["parameters"]
        ]
        if len(points) < 2:
            continue
        values, scores = zip(*points, strict=True)
        numbers = all(type(value) in (int, float) for value in values)
        wide = numbers and min(values) > 0 and max(values) > 20 * min(values)
        shown = values if numbers else tuple(map(str, values))
        yield _pictures.draw(
            name,
            partial(_slice, values=shown, scores=scores, log=wide),
            alt=f"{metric.label} of each complete trial by its {name}; the table has every value.",
            xlabel=name,
            ylabel=metric.label,
        )


def _slice(axes: Any, values: Sequence[Any], scores: Sequence[float], log: bool) -> None:
    axes.plot(values, scores, "o", color=_pictures.COLOURS["challenger"], markersize=4)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")  # that of matplotlib writes powers as formulas
