"""The charts: what is drawn lies where the axes say, whatever its shape."""

import itertools
import math
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from retrainer.reporting._charts import (
    Chart,
    Series,
    _legend,
    _names,
    _range,
    _ticks,
    _time_names,
    _times,
    draw,
)

X, Y = np.array([0.0, 2.0, 4.0]), np.array([0.0, 0.5, 0.25])


def svg_of(*series: Series, **options: Any) -> str:
    return draw("Spent", Chart(series, "time spent", "money", **options), alt="what is seen").svg


def x_ticks(svg: str) -> dict[str, float]:
    """Return the place of each name on the x axis."""
    found = re.findall(r'v5" stroke="var\(--muted\)"/><text x="([\d.]+)"[^>]*>([^<]+)<', svg)
    return {name: float(place) for place, name in found}


def y_ticks(svg: str) -> dict[str, float]:
    """Return the height of each name on the y axis."""
    found = re.findall(r'd="M[\d.]+,([\d.]+)H[\d.]+" stroke="var\(--line\)"/><text[^>]*>([^<]+)<', svg)
    return {name: float(place) for place, name in found}


def paths(svg: str, colour: str = "challenger") -> list[str]:
    """Return what is drawn in a colour, without the legend."""
    return re.findall(rf'^<path d="([^"]+)"[^>]*var\(--{colour}\)', svg, flags=re.MULTILINE)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]


def test_a_point_at_a_tick_is_drawn_at_the_tick() -> None:
    svg = svg_of(Series(X, Y, "challenger"), x_range=(-1, 5), y_range=(-0.1, 0.7))
    across, up = x_ticks(svg), y_ticks(svg)

    assert list(across) == ["-1", "0", "1", "2", "3", "4", "5"]
    assert list(up) == ["0.0", "0.2", "0.4", "0.6"]
    (path,) = paths(svg)
    assert points(path) == [
        (across["0"], up["0.0"]),
        (across["2"], pytest.approx((up["0.4"] + up["0.6"]) / 2, abs=0.1)),
        (across["4"], pytest.approx(up["0.4"] * 0.25 + up["0.2"] * 0.75, abs=0.1)),
    ]
    assert up["0.0"] > up["0.6"] > 0  # a larger value is further up
    assert max(up.values()) < 340
    assert 0 < min(across.values()) < max(across.values()) < 440
    assert 'viewBox="0 0 440 340"' in svg
    assert 'aria-label="what is seen"' in svg
    assert ">time spent<" in svg
    assert ">money<" in svg


def test_the_axes_reach_around_all_that_is_drawn() -> None:
    svg = svg_of(
        Series(X, Y, "challenger"),
        Series(X + 10, Y - 3, "champion"),
        upright=[(30.0, "bad", "rolled back")],
    )
    left, bottom, right = map(float, re.findall(r'd="M([\d.]+),[\d.]+V([\d.]+)H([\d.]+)"', svg)[0])

    drawn = [*points(paths(svg)[0]), *points(paths(svg, "champion")[0])]
    assert all(left < x < right and 10 < y < bottom for x, y in drawn)
    (line,) = paths(svg, "bad")
    at = float(line[1:].partition(",")[0])
    assert max(x for x, _ in drawn) < at < right
    assert ">rolled back</text>" in svg


def test_each_shape_passes_through_its_points() -> None:
    corners = points(paths(svg_of(Series(X, Y, "challenger")))[0])

    for shape in ("dotted", "dashed"):
        svg = svg_of(Series(X, Y, "challenger", shape=shape))
        assert points(paths(svg)[0]) == corners
        assert 'stroke-dasharray="' in svg
    (first, second, third) = corners
    steps = points(paths(svg_of(Series(X, Y, "challenger", shape="steps")))[0])
    assert steps == [first, (second[0], first[1]), second, (third[0], second[1]), third]
    for shape in ("points", "circles", "triangles", "diamonds", "crosses"):
        (path,) = paths(svg_of(Series(X, Y, "challenger", shape=shape)))
        starts = [points(part)[0] for part in path.split("M")[1:]]
        assert starts == corners
    line, dots = paths(svg_of(Series(X, Y, "challenger", markers=True)))
    assert points(line) == points(dots) == corners


def test_an_area_is_shaded_down_to_the_axis() -> None:
    svg = svg_of(Series(X, Y, "challenger", fill=True))
    area, line = re.findall(r'^<path d="([^"]+)"[^>]*--challenger\)"', svg, flags=re.MULTILINE)
    bottom = float(re.findall(r'd="M[\d.]+,[\d.]+V([\d.]+)H', svg)[0])

    corners = points(line)
    assert points(area) == [*corners, (corners[-1][0], bottom), (corners[0][0], bottom)]
    assert area.endswith("z")
    assert svg.count('fill-opacity="0.3"') == 1


def test_what_is_no_number_is_not_drawn() -> None:
    svg = svg_of(Series(np.array([0, 1, math.nan, 3]), np.array([1, math.inf, 2, 4]), "challenger"))

    assert len(points(paths(svg)[0])) == 2
    assert paths(svg_of(Series(np.array([math.nan]), np.array([1.0]), "challenger"))) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([np.array([0.0, 10.0]), [20.0]], (-1.0, 21.0)),
        ([np.array([0.0, math.nan, 1.0, math.inf])], (-0.05, 1.05)),
        ([np.array([-4.0])], (-4.2, -3.8)),
        ([np.array([0.0])], (-1.0, 1.0)),
        ([np.array([])], (-0.05, 1.05)),
    ],
)
def test_a_range_leaves_a_twentieth_on_either_side(values: Any, expected: tuple[float, float]) -> None:
    assert _range(values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.9, [0.2, 0.4, 0.6, 0.8]),
        (-0.02, 1.02, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (3.0, 8.9, [3, 4, 5, 6, 7, 8]),
        (0.5, 29.0, [5, 10, 15, 20, 25]),
        (-1.5e6, 1.5e6, [-1.5e6, -1e6, -0.5e6, 0, 0.5e6, 1e6, 1.5e6]),
        (0.0, 6.1, [0, 2, 4, 6]),
    ],
)
def test_ticks_are_round_numbers_within_the_range(low: float, high: float, expected: list[float]) -> None:
    assert _ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0.0, 0.2, 0.4], ["0.0", "0.2", "0.4"]),
        ([0.0, 0.05], ["0.00", "0.05"]),
        ([1000.0, 1500.0], ["1,000", "1,500"]),
        ([1e7, 2e7], ["1e+07", "2e+07"]),
        ([9e6, 9.5e6], ["9,000,000", "9,500,000"]),
        ([-2e7, 0.0], ["-2e+07", "0"]),
        ([0.0, 1e-5], ["0", "1e-05"]),
        ([0.0, 1e-4], ["0.0000", "0.0001"]),
        ([3.0], ["3"]),
        ([0.0], ["0"]),
        ([], []),
    ],
)
def test_ticks_have_as_many_decimals_as_tell_them_apart(ticks: list[float], expected: list[str]) -> None:
    assert _names(ticks, None) == expected
    assert _names(ticks, lambda tick: f"{tick:.0%}") == [f"{tick:.0%}" for tick in ticks]


HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("span", "apart", "name"),
    [
        (6, 1, "12:00:01"),
        (7, 2, "12:00:02"),
        (6 * 60, 60, "21 Nov 12:01"),
        (6 * 60 + 1, 120, "21 Nov 12:02"),
        (6 * HOUR, HOUR, "21 Nov 13:00"),
        (6 * DAY, DAY, "2026-11-22"),
        (13 * DAY, 7 * DAY, "2026-11-26"),
        (6 * 365 * DAY, 365 * DAY, "2027-12-18"),
        (13 * 365 * DAY, 3 * 365 * DAY, "2029-12-17"),
    ],
)
def test_times_are_a_round_number_of_seconds_to_years_apart(span: int, apart: int, name: str) -> None:
    start = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
    ticks = _times(start, start + span)

    assert set(np.diff(ticks)) <= {apart}
    assert all(tick % apart == 0 for tick in ticks)
    assert start <= ticks[0] < start + apart
    assert start + span - apart < ticks[-1] <= start + span
    assert name in _time_names(ticks)


def test_entries_of_the_legend_that_find_no_room_go_to_the_next_row() -> None:
    names = ["a" * 10, "b" * 10, "c" * 10]
    chart = Chart([Series(X, Y, "muted", name) for name in names] + [Series(X, Y, "muted")], "", "")

    wide, rows_wide = _legend(chart, 312)
    narrow, rows_narrow = _legend(chart, 311)

    assert [(x, y) for x, y, *_ in wide] == [("0", "0"), ("104", "0"), ("208", "0")]
    assert [(x, y) for x, y, *_ in narrow] == [("0", "0"), ("104", "0"), ("0", "20")]
    assert (rows_wide, rows_narrow) == (1, 2)
    assert _legend(Chart([Series(X, Y, "muted")], "", ""), 100) == ([], 0)
    once = Chart([], "", "", upright=[(1.0, "bad", "rolled back"), (2.0, "bad", "rolled back")])
    assert len(_legend(once, 400)[0]) == 1


def test_a_key_of_the_legend_looks_like_its_series() -> None:
    series = [
        Series(X, Y, "muted", "line"),
        Series(X, Y, "muted", "dotted", shape="dotted"),
        Series(X, Y, "muted", "point", shape="points"),
        Series(X, Y, "muted", "full", shape="triangles", fill=True),
        Series(X, Y, "muted", "empty", shape="triangles"),
        Series(X, Y, "muted", "area", fill=True),
    ]
    found, _ = _legend(Chart(series, "", ""), 900)
    entries = {label: (path, dashes, filled) for _, _, path, _, dashes, filled, label in found}

    assert entries["line"] == ("M0,0h16", "", False)
    assert entries["dotted"] == ("M0,0h16", "2 4", False)
    assert entries["point"] == ("M8,0h0", "", False)
    assert entries["full"][1:] == ("", True)
    assert entries["full"][0] == entries["empty"][0]
    assert entries["full"][0].startswith("M8,0m")
    assert entries["empty"][2] is entries["area"][2] is False


@pytest.mark.parametrize(("length", "shown"), [(32, 32), (33, 32)])
def test_a_long_name_is_cut(length: int, shown: int) -> None:
    ((*_, label),), _ = _legend(Chart([Series(X, Y, "muted", "n" * length)], "", ""), 900)

    assert len(label) == shown
    assert label.endswith("…") is (length > shown)


def test_names_on_the_axis_do_not_overlap() -> None:
    svg = svg_of(Series(np.array([0, 1e6]), Y[:2], "challenger"), x_range=(0, 1e6), size=(200, 200))
    places = sorted((place, len(name)) for name, place in x_ticks(svg).items())

    assert len(places) > 1
    for (before, length), (after, other) in itertools.pairwise(places):
        assert after - before > 7 * (length + other) / 2
