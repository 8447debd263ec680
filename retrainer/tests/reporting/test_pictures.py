"""The pictures: what scikit-learn draws is what was predicted, and it fits into the page."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

import retrainer
from retrainer.gate import Predictions, encode_labels
from retrainer.reporting import _pictures, sections
from retrainer.reporting._pictures import COLOURS, draw

from .test_report import HOSTILE, classified, regressed

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Axes]]:
    """Keep the axes of every picture, by title."""
    kept: dict[str, Axes] = {}
    whole = _pictures.draw

    def keeping(title: str, plot: Any, **options: Any) -> Any:
        return whole(title, lambda axes: (kept.update({title: axes}), plot(axes)), **options)

    monkeypatch.setattr(_pictures, "draw", keeping)
    return kept


def lines(axes: Axes, colour: str = "challenger") -> list[tuple[float, float]]:
    (line,) = (one for one in axes.lines if one.get_color() == COLOURS[colour])
    return [(float(x), float(y)) for x, y in line.get_xydata()]


@pytest.mark.parametrize(("positive", "name"), [(None, "yes"), ("no", "no")])
def test_curves_are_of_the_positive_class(drawn: dict[str, Axes], positive: str | None, name: str) -> None:
    facts = classified()
    sections(replace(facts, decision=replace(facts.decision, positive=positive)))

    for colour, one in (("challenger", facts.predictions), ("champion", facts.champion_predictions)):
        sure = one.probabilities[:, list(one.classes).index(name)]
        truth = facts.y == name
        rates, hits, _ = roc_curve(truth, sure)
        precision, recall, _ = precision_recall_curve(truth, sure, drop_intermediate=True)
        assert lines(drawn["ROC"], colour) == list(zip(rates, hits, strict=True))
        assert lines(drawn["Precision and recall"], colour) == list(zip(recall, precision, strict=True))
        points = lines(drawn["Calibration"], colour)
        assert len(points) <= 10
        assert all(sure.min() - 1e-9 <= said <= sure.max() + 1e-9 for said, _ in points)
        area = f"{colour} (AUC = {roc_auc_score(truth, sure):.2f})"
        assert area in [text.get_text() for text in drawn["ROC"].get_legend().get_texts()]


def test_of_many_classes_the_commonest_get_a_curve_whatever_their_names(drawn: dict[str, Axes]) -> None:
    names = np.array(["_a", "$b$", "c" * 50, "d\ne", "f", "g", "rare"], dtype=object)
    y = np.repeat(names, [20, 20, 20, 20, 20, 20, 3])
    random = np.random.default_rng(0)
    order = np.argsort(names.astype(str))
    predictions = Predictions(y, random.dirichlet(np.ones(7), len(y)), names[order])
    (coded,) = encode_labels(y, predictions)
    pictures = _pictures.curves({"challenger": coded}, 0, ["", "", ""])

    shown = [text.get_text().partition(" (")[0] for text in drawn["ROC"].get_legend().get_texts()]
    assert set(shown) == {"class _a", "class $b$", f"class {'c' * 25}…", "class d e", "class f", "class g"}
    assert len({line.get_color() for line in drawn["ROC"].lines}) == 7  # six, and the diagonal
    assert ">class $b$ (AUC" in pictures[0].svg


def test_errors_are_those_of_the_models(drawn: dict[str, Axes]) -> None:
    facts = regressed()
    sections(facts)

    points = np.asarray(drawn["Residuals over predictions"].collections[0].get_offsets())
    assert len(points) == _pictures.POINTS
    own = facts.predictions.labels
    known = {(round(float(x), 9), round(float(y), 9)) for x, y in zip(own, facts.y - own, strict=True)}
    assert {(round(float(x), 9), round(float(y), 9)) for x, y in points} <= known
    texts = [text.get_text() for text in drawn["Spread of the errors"].get_legend().get_texts()]
    assert texts == ["challenger", "champion"]


def test_a_picture_is_an_element_of_the_page_in_the_pages_colours() -> None:
    alt = f'what is "seen" {HOSTILE}'
    pictures = [
        draw(
            title,
            lambda axes: axes.plot([0, 1], [2, 3], "o-", color=COLOURS["challenger"], label=HOSTILE),
            alt=alt,
        )
        for title in ("one", "two")
    ]

    for picture in pictures:
        root = ElementTree.fromstring(picture.svg)
        assert (root.tag, root.get("role"), root.get("aria-label")) == (f"{SVG}svg", "img", alt)
        assert HOSTILE in [text.text for text in root.iter(f"{SVG}text")]
        assert "var(--challenger)" in picture.svg
        assert not any(colour in picture.svg for colour in COLOURS.values())
        assert re.findall(r"<script|<style|<!|href=\"(?!#)|\d{4}-\d\d-\d\d", picture.svg) == []
    ids = [re.findall(r'\bid="([^"]*)"', picture.svg) for picture in pictures]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    again = draw(
        "one",
        lambda axes: axes.plot([0, 1], [2, 3], "o-", color=COLOURS["challenger"], label=HOSTILE),
        alt=alt,
    )
    assert again == pictures[0]


def test_a_curve_through_many_points_stays_small() -> None:
    x = np.linspace(0, 1, 200_000)
    assert len(draw("Many", lambda axes: axes.plot(x, x**2), alt="").svg) < 30_000


def test_the_projects_own_style_is_left_alone() -> None:
    before = dict(matplotlib.rcParams)
    draw("One", lambda axes: axes.plot([0, 1], [0, 1]), alt="")
    assert dict(matplotlib.rcParams) == before


def test_matplotlib_is_not_imported_before_a_picture_is_drawn() -> None:
    code = "import sys, retrainer.reporting; sys.exit('matplotlib' in sys.modules)"
    environment = {"PYTHONPATH": str(Path(retrainer.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
