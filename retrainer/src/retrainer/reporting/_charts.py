"""Line charts and scatter plots as SVG whose colours are the page's own.

Drawn here and not by matplotlib, whose import alone takes longer than a small training.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from ..gate import Array
from ._document import Picture, render

WIDTH, HEIGHT = 440.0, 340.0  # on a phone, letters stay about as large as the page's small print
CHARACTER = 7.0  # about the width of one, for the room that labels need
LINE = 20.0
LABEL = 32  # characters in the legend
_HOUR, _DAY = 3600, 86_400
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 7, 14, 28, 91, 182, 365)),
)

Shape = Literal["line", "dotted", "dashed", "steps", "points", "circles", "triangles", "diamonds", "crosses"]
_Place = Callable[[Any], Any]
_MARKERS = {
    "circles": "m-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0",
    "triangles": "m0,-6l6,11h-12z",
    "diamonds": "m0,-6l6,6l-6,6l-6,-6z",
    "crosses": "m-5,-5l10,10m-10,0l10,-10",
}
_DASHES = {"dotted": "2 4", "dashed": "7 5"}
_KEYS = {"points": "M8,0h0", **{name: f"M8,0{path}" for name, path in _MARKERS.items()}}


@dataclass(frozen=True)
class Series:
    """What is drawn in one colour.

    Attributes:
        x: Shape (n,).
        y: Shape (n,).
        colour: The name of one of the page's colours.
        label: In the legend; none if empty.
        shape: How the points are shown; `steps` keep a value until the next one.
        markers: Another shape on top of a line.
        fill: Whether the area below is shaded, or the markers are.
    """

    x: Array
    y: Array
    colour: str
    label: str = ""
    shape: Shape = "line"
    markers: bool = False
    fill: bool = False


@dataclass(frozen=True)
class Chart:
    """Series on common axes.

    Attributes:
        series: Drawn in order.
        x_label: Below the axis.
        y_label: Beside the axis.
        x_range: Of the axis; that of the values if None.
        y_range: Likewise.
        x_is_time: Whether x is in seconds since 1970.
        y_format: How a number on the axis is written; None chooses.
        upright: Places on the x axis with a dashed line across, with colour and label.
        size: Width and height, in units of which a letter is 13 high.
    """

    series: Sequence[Series]
    x_label: str
    y_label: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_is_time: bool = False
    y_format: Callable[[float], str] | None = None
    upright: Sequence[tuple[float, str, str]] = field(default_factory=tuple)
    size: tuple[float, float] = (WIDTH, HEIGHT)


def draw(title: str, chart: Chart, *, alt: str) -> Picture:
    """Return the chart as an SVG element to be put into a page.

    Args:
        title: Above it.
        chart: What to draw.
        alt: What is to be seen, in words.
    """
    width, height = chart.size
    places = [place for place, *_ in chart.upright]
    x_range = chart.x_range or _range([*(one.x for one in chart.series), places])
    y_range = chart.y_range or _range([one.y for one in chart.series])
    x_ticks, y_ticks = (_times if chart.x_is_time else _ticks)(*x_range), _ticks(*y_range)
    x_names = _time_names(x_ticks) if chart.x_is_time else _names(x_ticks, None)
    y_names = _names(y_ticks, chart.y_format)
    left = 30 + CHARACTER * max(map(len, y_names), default=0)
    right = width - max(16, CHARACTER / 2 * max(map(len, x_names), default=0))
    legend, rows = _legend(chart, width - left)
    top, bottom = 10 + rows * LINE, height - 46

    def at_x(value: Any) -> Any:
        return left + (value - x_range[0]) / (x_range[1] - x_range[0]) * (right - left)

    def at_y(value: Any) -> Any:
        return bottom - (value - y_range[0]) / (y_range[1] - y_range[0]) * (bottom - top)

    step = math.ceil(len(x_names) * (max(map(len, x_names), default=0) + 2) * CHARACTER / (right - left))
    svg = render(
        "chart.svg.j2",
        alt=alt,
        width=round(width),
        height=round(height),
        left=_shown(left),
        right=_shown(right),
        top=_shown(top),
        bottom=_shown(bottom),
        x_ticks=list(zip(map(_shown, map(at_x, x_ticks)), x_names, strict=True))[:: max(1, step)],
        y_ticks=list(zip(map(_shown, map(at_y, y_ticks)), y_names, strict=True)),
        x_label=chart.x_label,
        y_label=chart.y_label,
        upright=[(_shown(at_x(place)), colour) for place, colour, _ in chart.upright],
        paths=[path for one in chart.series for path in _paths(one, at_x, at_y, bottom)],
        legend=legend,
    )
    return Picture(title, svg)


def _paths(series: Series, at_x: _Place, at_y: _Place, bottom: float) -> list[Any]:
    """Return path, colour, width, dashes and opacity of the area of each path."""
    x, y = np.asarray(series.x, dtype=np.float64), np.asarray(series.y, dtype=np.float64)
    drawn = np.isfinite(x) & np.isfinite(y)
    points = [f"{_shown(a)},{_shown(b)}" for a, b in zip(at_x(x[drawn]), at_y(y[drawn]), strict=True)]
    if not points:
        return []
    if series.shape == "points":
        return [("".join(f"M{point}h0" for point in points), series.colour, 5, "", None)]
    if series.shape in _MARKERS:
        path = "".join(f"M{point}{_MARKERS[series.shape]}" for point in points)
        return [(path, series.colour, 1.5, "", 1 if series.fill else None)]
    if series.shape == "steps":
        corners = [points[0]]
        for before, after in itertools.pairwise(points):
            corners += [f"{after.partition(',')[0]},{before.partition(',')[2]}", after]
        points = corners
    path = "M" + "L".join(points)
    paths: list[Any] = []
    if series.fill:
        first, last = points[0].partition(",")[0], points[-1].partition(",")[0]
        area = f"{path}L{last},{_shown(bottom)}L{first},{_shown(bottom)}z"
        paths.append((area, series.colour, 0, "", 0.3))
    dashes = _DASHES.get(series.shape, "")
    paths.append((path, series.colour, 1.2 if dashes else 2, dashes, None))
    if series.markers:
        paths.append(("".join(f"M{point}h0" for point in points), series.colour, 7, "", None))
    return paths


def _legend(chart: Chart, width: float) -> tuple[list[Any], int]:
    """Return place, path, colour, dashes, filling and text of each entry, and how many rows they take."""
    keys = [(one.label, one.colour, one.shape, one.fill) for one in chart.series if one.label]
    keys += dict.fromkeys((label, colour, "dashed", False) for _, colour, label in chart.upright)
    entries: list[Any] = []
    x, row = 0.0, 0
    for name, colour, shape, fill in keys:
        label = name if len(name) <= LABEL else f"{name[: LABEL - 1]}…"
        room = 34 + CHARACTER * len(label)
        if x and x + room > width:
            x, row = 0.0, row + 1
        path, dashes = _KEYS.get(shape, "M0,0h16"), _DASHES.get(shape, "")
        filled = fill and shape in _MARKERS
        entries.append((_shown(x), _shown(row * LINE), path, colour, dashes, filled, label))
        x += room
    return entries, row + 1 if entries else 0


def _range(values: Sequence[Any]) -> tuple[float, float]:
    """Return the least and the greatest finite value, a twentieth of their distance added on either side."""
    every = np.concatenate([np.asarray(one, dtype=np.float64).ravel() for one in values])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    pad = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - pad, high + pad


def _ticks(low: float, high: float, *, count: int = 6) -> list[float]:
    """Return round numbers within the range: 1, 2 or 5 times a power of ten apart, about `count` of them."""
    least = (high - low) / count
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _times(low: float, high: float, *, count: int = 6) -> list[float]:
    """Return moments within the range, a round number of seconds to years apart."""
    step = next((step for step in _TIME_STEPS if step * count >= high - low), _TIME_STEPS[-1])
    step *= math.ceil((high - low) / step / count)
    return [float(step * number) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _time_names(ticks: Sequence[float]) -> list[str]:
    apart = ticks[1] - ticks[0] if len(ticks) > 1 else _HOUR
    if apart >= _DAY:
        written = "%Y-%m-%d"
    elif apart >= 60:
        written = "%d %b %H:%M"
    else:
        written = "%H:%M:%S"
    return [datetime.fromtimestamp(tick, UTC).strftime(written) for tick in ticks]


def _names(ticks: Sequence[float], written: Callable[[float], str] | None) -> list[str]:
    if written:
        return [written(tick) for tick in ticks]
    largest = max(map(abs, ticks), default=0.0)
    if largest >= 1e7 or 0 < largest < 1e-4:
        return [f"{tick:.3g}" for tick in ticks]
    apart = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(apart) + 1e-9))
    return [f"{tick:,.{decimals}f}" for tick in ticks]


def _shown(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
