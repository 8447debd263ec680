"""The report's pictures: which curves and points they show. `_charts.py` draws them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from ..gate import Array, EncodedLabels
from ._charts import Chart, Series, Shape

POINTS = 500  # of a scatter plot
CURVE_POINTS = 200
CURVES = 6  # classes that get one
CALIBRATION_BINS = 10
UNIT = (-0.02, 1.02)


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """Return points spread evenly along the length of a curve, its ends included."""
    steps = np.hypot(np.diff(x), np.diff(y))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(along, np.linspace(0, along[-1], CURVE_POINTS))
    kept = np.unique(np.concatenate([[0], np.minimum(wanted, len(along) - 1), [len(along) - 1]]))
    return x[kept], y[kept]


def _curves(models: Mapping[str, EncodedLabels], positive: int) -> list[tuple[str, str, Array, Array]]:
    """Return label, colour, truth and score of each curve: of each model, or of each class of the first."""
    first = next(iter(models.values()))
    if len(first.classes) == 2:
        return [
            (name, name, coded.y == positive, coded.probabilities[:, positive])
            for name, coded in models.items()
            if coded.probabilities is not None
        ]
    assert first.probabilities is not None
    counts = np.bincount(first.y, minlength=len(first.classes))
    commonest = [position for position in np.argsort(-counts, kind="stable") if counts[position]][:CURVES]
    return [
        (
            str(first.classes[position]),
            f"class-{number}",
            first.y == position,
            first.probabilities[:, position],
        )
        for number, position in enumerate(commonest)
    ]


def _diagonal(low: float = 0.0, high: float = 1.0) -> Series:
    return Series(np.array([low, high]), np.array([low, high]), "muted", shape="dotted")


def roc(models: Mapping[str, EncodedLabels], positive: int) -> Chart:
    """Return the receiver operating characteristic, each class against the rest if there are more than two.

    Args:
        models: What each predicted.
        positive: The position of the class that two classes' curve is about.
    """
    from sklearn.metrics import auc, roc_curve

    series = [_diagonal()]
    for label, colour, truth, score in _curves(models, positive):
        false_positives, true_positives, _ = roc_curve(truth, score)
        area = auc(false_positives, true_positives)
        series.append(
            Series(*_thinned(false_positives, true_positives), colour, f"{label} (area {area:.3f})")
        )
    return Chart(series, "false positive rate", "true positive rate", UNIT, UNIT)


def precision_recall(models: Mapping[str, EncodedLabels], positive: int) -> Chart:
    """Return precision over recall, each class against the rest if there are more than two; see `roc`."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    series = []
    for label, colour, truth, score in _curves(models, positive):
        precision, recall, _ = precision_recall_curve(truth, score)
        area = average_precision_score(truth, score)
        series.append(Series(*_thinned(recall, precision), colour, f"{label} (average {area:.3f})"))
    return Chart(series, "recall", "precision", UNIT, UNIT)


def calibration(models: Mapping[str, EncodedLabels], positive: int) -> Chart:
    """Return how often the model is right over how sure it is; see `roc`.

    Of two classes the probability of the positive one; of more, that of the predicted class (Guo et al. 2017).
    """
    from sklearn.calibration import calibration_curve

    series = [_diagonal()]
    for label, coded in models.items():
        if coded.probabilities is None:
            continue
        if len(coded.classes) == 2:
            truth, sure = coded.y == positive, coded.probabilities[:, positive]
        else:
            truth, sure = coded.y == coded.labels, coded.probabilities.max(axis=1)
        happened, said = calibration_curve(truth, sure, n_bins=CALIBRATION_BINS, strategy="quantile")
        series.append(Series(said, happened, label, label, markers=True))
    return Chart(series, "probability given", "share that came true", UNIT, UNIT)


def actual_over_predicted(y: Array, values: Array) -> Chart:
    """Return the actual values over the predicted ones, of a sample of rows."""
    y, values = _sample(y, values)
    low, high = min(y.min(), values.min()), max(y.max(), values.max())
    return Chart(
        [Series(values, y, "challenger", shape="points"), _diagonal(low, high)], "predicted", "actual"
    )


def residuals_over_predicted(y: Array, values: Array) -> Chart:
    """Return the errors (actual minus predicted) over the predicted values, of a sample of rows."""
    y, values = _sample(y, values)
    ends = np.array([values.min(), values.max()])
    zero = Series(ends, np.zeros(2), "muted", shape="dotted")
    return Chart(
        [Series(values, y - values, "challenger", shape="points"), zero], "predicted", "actual - predicted"
    )


def _sample(y: Array, values: Array) -> tuple[Array, Array]:
    rows = np.random.default_rng(0).permutation(len(y))[:POINTS]
    return y[rows], values[rows]


def residuals(models: Mapping[str, Array]) -> Chart:
    """Return how the errors (actual minus predicted) of each model are spread, the outermost hundredth left out."""
    every = np.concatenate(list(models.values()))
    low, high = np.quantile(every, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, 41)
    series = []
    for label, errors in models.items():
        share = np.histogram(errors, edges)[0] / max(1, len(errors))
        heights = np.concatenate([[0.0], share, [0.0]])
        places = np.concatenate([edges[:1], edges])
        series.append(Series(places, heights, label, label, "steps", fill=label == "challenger"))
    highest = max(float(one.y.max()) for one in series)
    return Chart(
        series,
        "actual - predicted",
        "share of rows",
        y_range=(0.0, highest * 1.05 or 1.0),
        y_format=lambda share: f"{share:.1%}",
    )


def life(
    moments: Sequence[datetime],
    scores: Sequence[float],
    verdicts: Sequence[str],
    champions: tuple[Sequence[datetime], Sequence[float]],
    rollbacks: Sequence[datetime],
    *,
    label: str,
    size: tuple[float, float],
) -> Chart:
    """Return the score of each version over time, and which one was in production.

    Args:
        moments: When each version was trained.
        scores: On its own holdout.
        verdicts: What was decided about each.
        champions: When the champion changed, and the score of the one in production from then on.
        rollbacks: When production went back.
        label: The metric.
        size: See Chart.
    """
    looks: dict[str, tuple[Shape, str, bool]] = {
        "promoted": ("triangles", "challenger", True),
        "kept": ("circles", "muted", False),
        "staging": ("diamonds", "champion", False),
        "rejected": ("crosses", "bad", False),
    }
    changed, held = champions
    series = []
    if changed:
        until, scored = _seconds([*changed, max(moments[-1], changed[-1])]), np.array([*held, held[-1]])
        series.append(Series(until, scored, "challenger", "in production", "steps"))
    for verdict, (shape, colour, fill) in looks.items():
        chosen = [number for number, one in enumerate(verdicts) if one == verdict]
        if chosen:
            x, y = (
                _seconds([moments[number] for number in chosen]),
                np.array([scores[number] for number in chosen]),
            )
            series.append(Series(x, y, colour, verdict, shape, fill=fill))
    upright = [(moment, "bad", "rolled back") for moment in _seconds(rollbacks)]
    return Chart(series, "", label, x_is_time=True, upright=upright, size=size)


def sizes(moments: Sequence[datetime], rows: Sequence[int], *, size: tuple[float, float]) -> Chart:
    """Return how many rows each version learned from."""
    series = Series(_seconds(moments), np.asarray(rows), "challenger", markers=True)
    return Chart([series], "", "rows", y_range=(0.0, max(rows) * 1.1), x_is_time=True, size=size)


def _seconds(moments: Sequence[datetime]) -> Array:
    return np.array([moment.timestamp() for moment in moments], dtype=np.float64)
