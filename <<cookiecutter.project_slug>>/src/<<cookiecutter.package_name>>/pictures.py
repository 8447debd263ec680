"""The report's pictures: scikit-learn's displays, drawn as SVG that takes its colours from the page."""

import io
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from .evaluation import Array, Coded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 500  # of a scatter plot
CURVE_POINTS = 200
CURVES = 6  # classes that get one
CALIBRATION_BINS = 10

# Colours nobody uses, put in the place of the page's own, which are light or dark as the reader has it.
INK, MUTED, CHALLENGER, CHAMPION = "#010203", "#010204", "#010205", "#010206"
CLASS_COLOURS = tuple(f"#01021{number}" for number in range(CURVES))
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    CHALLENGER: "var(--challenger)",
    CHAMPION: "var(--champion)",
    **{colour: f"var(--class-{number})" for number, colour in enumerate(CLASS_COLOURS)},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
    "svg.hashsalt": "report",
    "font.size": 10.0,
    "axes.labelsize": 10.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
}
_STYLE_LOCK = threading.Lock()  # matplotlib's style belongs to the process


def draw(
    paint: Callable[["Axes"], None], *, name: str, alt: str, size: tuple[float, float] = (5.0, 3.9)
) -> str:
    """Return what `paint` draws as an SVG element to be put into a page.

    Args:
        paint: Draws on the axes it is given.
        name: Unlike that of any other picture of the page.
        alt: What is to be seen, in words.
        size: Width and height in inches.
    """
    from matplotlib.figure import Figure

    content = io.StringIO()
    with _STYLE_LOCK, _style():
        figure = Figure(figsize=size, layout="constrained")
        paint(figure.subplots())
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(content.getvalue(), name=name, alt=alt)


def _style() -> AbstractContextManager[None]:
    from matplotlib import rc_context

    return rc_context(_STYLE)


def _for_page(svg: str, *, name: str, alt: str) -> str:
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    referred = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(
        r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in referred else "", svg
    )
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    (box,) = re.findall(r'viewBox="[^"]+"', svg[:1000])
    escaped = alt.replace("&", "&amp;").replace('"', "&quot;")
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return re.sub(r"<svg[^>]*>", f'<svg {namespaces} {box} role="img" aria-label="{escaped}">', svg, count=1)


def _thinned(*curves: Array) -> list[Array]:
    """Return points spread evenly along the length of a curve, its ends included."""
    steps = np.sqrt(sum(np.diff(curve) ** 2 for curve in curves))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(along, np.linspace(0, along[-1], CURVE_POINTS))
    kept = np.unique(np.concatenate([[0], np.minimum(wanted, len(along) - 1), [len(along) - 1]]))
    return [curve[kept] for curve in curves]


def _curves(models: Mapping[str, Coded]) -> list[tuple[str, str, Array, Array]]:
    """Return label, colour, truth and score of each curve: of each model, or of each class of the first."""
    first = next(iter(models.values()))
    if len(first.classes) == 2:
        colours = (CHALLENGER, CHAMPION)
        return [
            (name, colour, coded.y == 1, coded.probabilities[:, 1])
            for (name, coded), colour in zip(models.items(), colours, strict=False)
            if coded.probabilities is not None
        ]
    assert first.probabilities is not None
    counts = np.bincount(first.y, minlength=len(first.classes))
    commonest = [position for position in np.argsort(-counts, kind="stable") if counts[position]][:CURVES]
    return [
        (str(first.classes[position]), colour, first.y == position, first.probabilities[:, position])
        for position, colour in zip(commonest, CLASS_COLOURS, strict=False)
    ]


def roc(models: Mapping[str, Coded]) -> Callable[["Axes"], None]:
    """Paint the receiver operating characteristic, each class against the rest if there are more than two."""
    from sklearn.metrics import RocCurveDisplay, auc, roc_curve

    def paint(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], linestyle=":", color=MUTED, linewidth=1)
        for label, colour, truth, score in _curves(models):
            false_positives, true_positives, _ = roc_curve(truth, score)
            area = auc(false_positives, true_positives)
            x, y = _thinned(false_positives, true_positives)
            RocCurveDisplay(fpr=x, tpr=y, roc_auc=area, name=label).plot(axes, curve_kwargs={"color": colour})
        axes.set(
            xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02)
        )
        axes.legend(loc="lower right")

    return paint


def precision_recall(models: Mapping[str, Coded]) -> Callable[["Axes"], None]:
    """Paint precision over recall, each class against the rest if there are more than two."""
    from sklearn.metrics import PrecisionRecallDisplay, average_precision_score, precision_recall_curve

    def paint(axes: "Axes") -> None:
        for label, colour, truth, score in _curves(models):
            precision, recall, _ = precision_recall_curve(truth, score)
            area = average_precision_score(truth, score)
            y, x = _thinned(precision, recall)
            PrecisionRecallDisplay(y, x, average_precision=area, name=label).plot(
                axes, curve_kwargs={"color": colour}
            )
        axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_aspect("auto")
        axes.legend(loc="lower left")

    return paint


def calibration(models: Mapping[str, Coded]) -> Callable[["Axes"], None]:
    """Paint how often the model is right over how sure it is.

    Of two classes the probability of the second; of more, that of the predicted class (Guo et al. 2017).
    """
    from sklearn.calibration import CalibrationDisplay, calibration_curve

    def paint(axes: "Axes") -> None:
        for (label, coded), colour in zip(models.items(), (CHALLENGER, CHAMPION), strict=False):
            if coded.probabilities is None:
                continue
            if len(coded.classes) == 2:
                truth, sure = coded.y == 1, coded.probabilities[:, 1]
            else:
                truth, sure = coded.y == coded.labels, coded.probabilities.max(axis=1)
            happened, said = calibration_curve(truth, sure, n_bins=CALIBRATION_BINS, strategy="quantile")
            CalibrationDisplay(happened, said, sure).plot(
                ax=axes, name=label, ref_line=False, color=colour, markersize=5
            )
        axes.plot([0, 1], [0, 1], linestyle=":", color=MUTED, linewidth=1)
        axes.set(xlabel="probability given", ylabel="share that came true")
        axes.legend(loc="upper left")

    return paint


def predicted_against_actual(y: Array, values: Array, *, kind: str) -> Callable[["Axes"], None]:
    """Paint the values of a regression, `actual_vs_predicted` or `residual_vs_predicted`, on a sample of rows."""
    from matplotlib.ticker import MaxNLocator
    from sklearn.metrics import PredictionErrorDisplay

    def paint(axes: "Axes") -> None:
        rows = np.random.default_rng(0).permutation(len(y))[:POINTS]
        PredictionErrorDisplay(y_true=y[rows], y_pred=values[rows]).plot(
            axes,
            kind=kind,
            scatter_kwargs={"color": CHALLENGER, "alpha": 0.45, "s": 14, "linewidths": 0},
            line_kwargs={"color": MUTED, "linewidth": 1},
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        axes.set(
            xlabel="predicted", ylabel="actual" if kind == "actual_vs_predicted" else "actual - predicted"
        )
        axes.set_aspect("auto")

    return paint


def residuals(models: Mapping[str, Array]) -> Callable[["Axes"], None]:
    """Paint how the errors (actual minus predicted) of each model are spread, the outermost hundredth left out."""

    def paint(axes: "Axes") -> None:
        every = np.concatenate(list(models.values()))
        low, high = np.quantile(every, [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1, 41)
        for (label, errors), colour in zip(models.items(), (CHALLENGER, CHAMPION), strict=False):
            counts, _ = np.histogram(errors, edges)
            fill = colour == CHALLENGER
            axes.stairs(
                counts / max(1, len(errors)), edges, fill=fill, color=colour, alpha=0.35 if fill else 1
            )
            axes.stairs(counts / max(1, len(errors)), edges, color=colour, linewidth=1.5, label=label)
        axes.axvline(0, color=MUTED, linestyle=":", linewidth=1)
        axes.set(xlabel="actual - predicted", ylabel="share of rows")
        axes.legend(loc="upper right")

    return paint


def life(
    moments: Sequence[Any],
    scores: Sequence[float],
    verdicts: Sequence[str],
    champions: tuple[Sequence[Any], Sequence[float]],
    rollbacks: Sequence[Any],
    *,
    label: str,
) -> Callable[["Axes"], None]:
    """Paint the score of each version over time, and which one was in production.

    Args:
        moments: When each version was trained.
        scores: On its own holdout.
        verdicts: What was decided about each.
        champions: When the champion changed, and the score of the one in production from then on.
        rollbacks: When production went back.
        label: The metric.
    """
    from matplotlib.dates import AutoDateLocator

    shapes = {
        "promoted": ("^", CHALLENGER, "full"),
        "kept": ("o", MUTED, "none"),
        "staging": ("D", CHAMPION, "none"),
    }

    def paint(axes: "Axes") -> None:
        axes.step(*champions, where="post", color=CHALLENGER, linewidth=1.5, alpha=0.7, label="in production")
        for verdict in ("promoted", "kept", "staging", "rejected"):
            points = [(x, y) for x, y, what in zip(moments, scores, verdicts, strict=True) if what == verdict]
            if points:
                shape, colour, fill = shapes.get(verdict, ("x", CHAMPION, "full"))
                x, y = zip(*points, strict=True)
                axes.plot(
                    x,
                    y,
                    shape,
                    color=colour,
                    fillstyle=fill,
                    markersize=7,
                    markeredgewidth=1.5,
                    label=verdict,
                )
        for number, moment in enumerate(rollbacks):
            axes.axvline(
                moment, color=CHAMPION, linestyle="--", linewidth=1.2, label=None if number else "rolled back"
            )
        axes.set(ylabel=label)
        axes.margins(y=0.15)
        axes.figure.autofmt_xdate(rotation=0, ha="center")  # type: ignore[union-attr]
        axes.xaxis.set_major_locator(AutoDateLocator(maxticks=7))  # type: ignore[no-untyped-call]
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, columnspacing=1.2, handletextpad=0.4
        )

    return paint


def sizes(moments: Sequence[Any], rows: Sequence[int]) -> Callable[["Axes"], None]:
    """Paint how many rows each version learned from."""
    from matplotlib.dates import AutoDateLocator

    def paint(axes: "Axes") -> None:
        axes.plot(moments, rows, "-o", color=CHALLENGER, markersize=4, linewidth=1.5)
        axes.set(ylabel="training rows", ylim=(0, max(rows) * 1.1))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_major_locator(AutoDateLocator(maxticks=7))  # type: ignore[no-untyped-call]

    return paint
