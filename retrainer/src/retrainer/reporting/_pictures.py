"""The report's pictures: scikit-learn's displays and a little matplotlib, as SVG in the page's own colours.

matplotlib is imported when a picture is drawn and not before: its import takes longer than a small training.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from html import escape
from typing import Any

import numpy as np

from ..gate import Array, Sample
from ._document import Picture

POINTS = 500  # of a scatter plot
CURVES = 6  # classes that get one
LABEL = 32  # characters of a name in the legend
COLOURS = {  # those of base.html.j2 in daylight; in the page each is a variable, so that it follows the reader's theme
    "challenger": "#1460c4",
    "champion": "#a34e00",
    "good": "#0d6b38",
    "third": "#8a2a8f",
    "fourth": "#8a6d00",
    "bad": "#b3261e",
    "muted": "#566273",
    "ink": "#17202b",
    "line": "#d5dbe3",
}
_STYLE = {
    "svg.fonttype": "none",  # letters stay letters: they can be found, read aloud, and take the page's font
    "text.usetex": False,
    "text.parse_math": False,  # a class may be named "$x$"
    "text.color": COLOURS["ink"],
    "font.size": 10,
    "axes.edgecolor": COLOURS["muted"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": COLOURS["ink"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "date.converter": "concise",
    "figure.facecolor": "none",
    "grid.color": COLOURS["line"],
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
}
_UNIT: dict[str, Any] = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.02), "aspect": "auto"}
_DIAGONAL = {"color": COLOURS["muted"], "linestyle": "dotted", "label": "_"}
_VERDICTS = {  # marker, colour and filling
    "promoted": ("^", "challenger", COLOURS["challenger"]),
    "kept": ("o", "muted", "none"),
    "staging": ("D", "champion", "none"),
    "rejected": ("x", "bad", COLOURS["bad"]),
}


def draw(
    title: str, plot: Callable[[Any], object], *, alt: str, size: tuple[float, float] = (4.4, 3.4), **axes: Any
) -> Picture:
    """Return a picture that can be put into a page.

    Args:
        title: The title above the picture.
        plot: A function that draws on matplotlib's axes.
        alt: A description of the picture.
        size: Width and height in inches; a letter is about a tenth of an inch wide.
        axes: Labels and limits of the axes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = _STYLE | {"svg.hashsalt": title}
    with warnings.catch_warnings(), matplotlib.rc_context(style):
        warnings.filterwarnings("ignore", "Glyph")  # the page's font has the letter, if matplotlib's has not
        figure = Figure(figsize=size, layout="constrained")
        drawn = figure.subplots()
        plot(drawn)
        drawn.set(**axes)
        handles, labels = drawn.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        if once:
            above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
            drawn.legend(list(once.values()), list(once), ncols=max(1, int(size[0] // 2) - 1), **above)
        written = io.StringIO()
        figure.savefig(written, format="svg")
    return Picture(title, _inline_svg(written.getvalue(), alt))


def _inline_svg(svg: str, alt: str) -> str:
    """Return the SVG as an element of a page: without what only a file needs, or what two pictures would share."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}" class="chart"', 1)


def _curves(models: Mapping[str, Sample], positive: int) -> Iterator[tuple[Array, Array, Any]]:
    """Yield truth, score and look of each curve: of each model, or of each class of the first."""
    first = next(iter(models.values()))
    if len(first.classes) == 2:
        for name, coded in models.items():
            if coded.probabilities is not None:
                yield coded.y == positive, coded.probabilities[:, positive], _curve_style(name, name)
        return
    assert first.probabilities is not None
    counts = np.bincount(first.y, minlength=len(first.classes))
    commonest = [position for position in np.argsort(-counts, kind="stable") if counts[position]][:CURVES]
    for position, colour in zip(commonest, COLOURS, strict=False):
        name = " ".join(f"class {first.classes[position]}".split())
        short = name if len(name) <= LABEL else f"{name[: LABEL - 1]}…"
        yield first.y == position, first.probabilities[:, position], _curve_style(short, colour)


def _curve_style(name: str, colour: str) -> dict[str, Any]:
    return {"name": name, "curve_kwargs": {"color": COLOURS[colour]}}


def curves(models: Mapping[str, Sample], positive: int, alts: Sequence[str]) -> list[Picture]:
    """Return the curves of ROC, precision over recall, and calibration; of many classes, each against the rest.

    Args:
        models: The predictions of each model.
        positive: The position of the class that the curves of two classes are about.
        alts: A description of each of the three pictures.
    """
    from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

    def roc(axes: Any) -> None:
        for number, (truth, score, look) in enumerate(_curves(models, positive)):
            chance = {"plot_chance_level": number == 0, "chance_level_kw": _DIAGONAL}
            RocCurveDisplay.from_predictions(truth, score, ax=axes, **look, **chance)

    def precision_recall(axes: Any) -> None:
        for truth, score, look in _curves(models, positive):
            PrecisionRecallDisplay.from_predictions(truth, score, ax=axes, drop_intermediate=True, **look)

    rates: dict[str, Any] = {"xlabel": "false positive rate", "ylabel": "true positive rate"}
    return [
        draw("ROC", roc, alt=alts[0], **rates, **_UNIT),
        draw("Precision and recall", precision_recall, alt=alts[1], xlabel="recall", ylabel="precision", **_UNIT),
        draw(
            "Calibration",
            lambda axes: _calibration(axes, models, positive),
            alt=alts[2],
            xlabel="probability given",
            ylabel="share that came true",
            **_UNIT,
        ),
    ]


def _calibration(axes: Any, models: Mapping[str, Sample], positive: int) -> None:
    """Draw how often a model is right over how sure it is, in ten groups of as many rows.

    Of two classes the probability of the positive one; of more, that of the predicted class (Guo et al. 2017).
    """
    from sklearn.calibration import CalibrationDisplay

    for name, coded in models.items():
        if coded.probabilities is None:
            continue
        if len(coded.classes) == 2:
            truth, sure = coded.y == positive, coded.probabilities[:, positive]
        else:
            truth, sure = coded.y == coded.labels, coded.probabilities.max(axis=1)
        options = {"n_bins": 10, "strategy": "quantile", "name": name, "color": COLOURS[name]}
        CalibrationDisplay.from_predictions(truth, sure, ref_line=False, ax=axes, **options)
    axes.plot([0, 1], [0, 1], **_DIAGONAL)


def errors(truth: Array, models: Mapping[str, Array]) -> list[Picture]:
    """Return pictures of the challenger: predictions over truth, errors, and the distribution of errors."""
    found = {name: truth - values for name, values in models.items()}
    limits = tuple(np.quantile(np.concatenate(list(found.values())), [0.005, 0.995]))

    def spread(axes: Any) -> None:
        for name, one in found.items():
            look = {"histtype": "stepfilled", "alpha": 0.5} if name == "challenger" else {"histtype": "step"}
            share = np.full(len(one), 100 / len(one))
            axes.hist(one, 40, range=limits, weights=share, color=COLOURS[name], label=name, **look)

    points = partial(_reset_ticks, truth=truth, predicted=models["challenger"])
    return [
        draw(
            "Predicted against actual",
            partial(points, kind="actual_vs_predicted"),
            alt="Actual over predicted values of the challenger, around the diagonal",
            xlabel="predicted",
            ylabel="actual",
            aspect="auto",
        ),
        draw(
            "Residuals over predictions",
            partial(points, kind="residual_vs_predicted"),
            alt="Errors of the challenger over its predictions, around zero",
            xlabel="predicted",
            ylabel="actual - predicted",
        ),
        draw(
            "Spread of the errors",
            spread,
            alt=f"Histogram of the errors of {' and '.join(models)}, the outermost hundredth left out",
            xlabel="actual - predicted",
            ylabel="% of rows",
        ),
    ]


def _reset_ticks(axes: Any, *, truth: Array, predicted: Array, kind: str) -> None:
    from matplotlib.ticker import AutoLocator
    from sklearn.metrics import PredictionErrorDisplay

    look = {"color": COLOURS["challenger"], "s": 9, "alpha": 0.5, "linewidths": 0}
    sample = {"subsample": min(POINTS, len(truth)), "random_state": 0}
    PredictionErrorDisplay.from_predictions(
        truth, predicted, kind=kind, ax=axes, scatter_kwargs=look, line_kwargs=_DIAGONAL, **sample
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(AutoLocator())  # scikit-learn's are at 3.97, 8.12, ...


def score_timeline(
    axes: Any,
    scored: Sequence[tuple[datetime, float, str]],
    champions: Sequence[tuple[datetime, float]],
    rollbacks: Sequence[datetime],
) -> None:
    """Draw the score of each version over time, and which one was in production.

    Args:
        axes: The axes to draw on.
        scored: The time, the score on its own holdout, and the verdict of each version.
        champions: The times at which the champion changed, each with the score of the new champion.
        rollbacks: The times of rollbacks.
    """
    if champions:
        until = (max(scored[-1][0], champions[-1][0]), champions[-1][1])
        axes.step(
            *zip(*[*champions, until], strict=True), where="post", color=COLOURS["challenger"], label="in production"
        )
    for verdict, (marker, colour, filling) in _VERDICTS.items():
        chosen = [(when, score) for when, score, one in scored if one == verdict]
        if chosen:
            look = {"color": COLOURS[colour], "markerfacecolor": filling, "linestyle": "none", "label": verdict}
            axes.plot(*zip(*chosen, strict=True), marker=marker, **look)
    for when in rollbacks:
        axes.axvline(when, color=COLOURS["bad"], linestyle="dashed", label="rolled back")
