"""From a fitted pipeline and rows to figures: predictions once, then every metric from them."""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .errors import ConfigurationError, DataError
from .settings import ProblemType

FOLDS = 5
_CLOSE_CALLS = 256  # rows on which predict() is asked whether it agrees with the largest probability

Array = np.ndarray[Any, np.dtype[Any]]


class UnknownMetricError(ConfigurationError):
    """No metric has this name, or it does not fit the problem type."""


class FoldError(DataError):
    """The training part cannot be divided into folds."""


@dataclass(frozen=True)
class Predictions:
    """What a pipeline says about n rows.

    Attributes:
        labels: Shape (n,): the predicted classes, or the predicted values of a regression.
        probabilities: Shape (n, k), in the order of `classes`; None for a regression, or a classifier without
            them.
        classes: Shape (k,); None for a regression.
    """

    labels: Array
    probabilities: Array | None = None
    classes: Array | None = None


@dataclass(frozen=True)
class Coded:
    """Classes as numbers, so that metrics compare integers.

    Attributes:
        classes: Shape (k,), sorted: every class of the rows and of the model.
        y: Shape (n,), positions in `classes`.
        labels: Shape (n,), positions in `classes`; k for a prediction that is no class at all.
        probabilities: Shape (n, k), 0 for a class the model does not know; None if the model gives none.
    """

    classes: Array
    y: Array
    labels: Array
    probabilities: Array | None


@dataclass(frozen=True)
class Metric:
    """How good predictions are, as one number.

    Attributes:
        name: The key in settings and records.
        label: For people.
        greater_is_better: False for errors and losses.
        relative: True where an improvement is a share of the champion's value (errors and losses), False
            where it is a difference (scores, in points).
        problem_type: What it measures.
        needs_probabilities: Whether predicted classes are not enough.
        function: (y, predictions) for a regression, (coded) for a classification; returns the value.
    """

    name: str
    label: str
    greater_is_better: bool
    relative: bool
    problem_type: ProblemType
    needs_probabilities: bool
    function: Callable[..., float]

    def improvement(self, challenger: float, champion: float) -> float:
        """Return how much better the challenger is: in points, or as a share of the champion's error.

        Against a champion without any error no share can be told: an equal challenger is 0 better, any other
        -1.
        """
        gain = challenger - champion if self.greater_is_better else champion - challenger
        if not self.relative:
            return gain
        if champion == 0:
            return 0.0 if challenger == 0 else -1.0
        return gain / champion

    def reaches(self, value: float, floor: float) -> bool:
        """Tell whether `value` is at least as good as `floor`."""
        return value >= floor if self.greater_is_better else value <= floor

    def format(self, value: float) -> str:
        """Return the value for people: four decimals for a score, four digits for an error."""
        return f"{value:.4f}" if not self.relative or self.name == "log_loss" else f"{value:.4g}"

    def format_difference(self, value: float) -> str:
        """Return an improvement for people: points, or per cent of the champion's error."""
        return f"{value * 100:.2f} %" if self.relative else f"{value:.4f}"


def _f1(coded: Coded) -> float:
    """Return the mean of the classes' F1, weighted by their rows; from counts, for importance asks often."""
    count = len(coded.classes)
    rows = np.bincount(coded.y, minlength=count)
    predicted = np.bincount(coded.labels, minlength=count)[:count]
    right = np.bincount(coded.y[coded.y == coded.labels], minlength=count)
    return float(np.average(2 * right / np.maximum(rows + predicted, 1), weights=rows))


def _accuracy(coded: Coded) -> float:
    return float(np.mean(coded.y == coded.labels))


def _one_against_rest(coded: Coded, score: Callable[[Array, Array], float]) -> float:
    """Score the second of two classes, or average over every class against the rest, weighted by its rows."""
    assert coded.probabilities is not None
    counts = np.bincount(coded.y, minlength=len(coded.classes))
    if np.count_nonzero(counts) < 2:
        return math.nan
    if len(coded.classes) == 2:
        return float(score(coded.y == 1, coded.probabilities[:, 1]))
    present = np.flatnonzero(counts)
    scores = [score(coded.y == position, coded.probabilities[:, position]) for position in present]
    return float(np.average(scores, weights=counts[present]))


def _roc_auc(coded: Coded) -> float:
    from sklearn.metrics import roc_auc_score

    return _one_against_rest(coded, roc_auc_score)


def _average_precision(coded: Coded) -> float:
    from sklearn.metrics import average_precision_score

    return _one_against_rest(coded, average_precision_score)


def _log_loss(coded: Coded) -> float:
    return float(np.mean(log_losses(coded)))


def log_losses(coded: Coded) -> Array:
    """Return minus the logarithm of the probability of each row's own class, shape (n,), never infinite."""
    assert coded.probabilities is not None
    own = coded.probabilities[np.arange(len(coded.y)), coded.y]
    smallest = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(own, smallest, 1 - smallest)))


def _rmse(y: Array, values: Array) -> float:
    return float(np.sqrt(np.mean((y - values) ** 2)))


def _mae(y: Array, values: Array) -> float:
    return float(np.mean(np.abs(y - values)))


def _r2(y: Array, values: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, values)) if len(y) > 1 else math.nan


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("f1_score", "F1", True, False, "classification", False, _f1),
        Metric("accuracy", "accuracy", True, False, "classification", False, _accuracy),
        Metric("roc_auc", "ROC AUC", True, False, "classification", True, _roc_auc),
        Metric(
            "average_precision", "average precision", True, False, "classification", True, _average_precision
        ),
        Metric("log_loss", "log loss", False, True, "classification", True, _log_loss),
        Metric("rmse", "RMSE", False, True, "regression", False, _rmse),
        Metric("mae", "MAE", False, True, "regression", False, _mae),
        Metric("r2", "R²", True, False, "regression", False, _r2),
    )
}


def get_metric(name: str, *, problem_type: ProblemType) -> Metric:
    """Return the metric of this name.

    Raises:
        UnknownMetricError: there is none, or it measures the other problem type.
    """
    possible = [metric.name for metric in METRICS.values() if metric.problem_type == problem_type]
    if name in possible:
        return METRICS[name]
    if name in METRICS:
        what = f"Metric {name!r} measures a {METRICS[name].problem_type}, and problem_type is {problem_type}."
    else:
        near = difflib.get_close_matches(name, possible, n=1)
        what = f"There is no metric {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    raise UnknownMetricError(f"{what} Possible for a {problem_type} (gate.metric): {', '.join(possible)}.")


def predict(pipeline: Any, X: pd.DataFrame, *, problem_type: ProblemType) -> Predictions:
    """Run the whole fitted pipeline over the rows once.

    Classes are taken from the probabilities, which spares a second run. A classifier may decide otherwise
    (its own threshold, a decision function): it is asked about the rows where its two best probabilities lie
    closest, and where it disagrees there, predict() has the word on every row.

    Args:
        pipeline: Fitted.
        X: The inputs, n rows.
        problem_type: Whether to look for probabilities.
    """
    if problem_type == "regression":
        return Predictions(np.asarray(pipeline.predict(X), dtype=np.float64))
    if not hasattr(pipeline, "predict_proba"):
        return Predictions(np.asarray(pipeline.predict(X)), None, np.asarray(pipeline.classes_))
    probabilities = np.asarray(pipeline.predict_proba(X), dtype=np.float64)
    classes = np.asarray(pipeline.classes_)
    labels = classes[probabilities.argmax(axis=1)]
    if len(classes) > 1 and len(X):
        two_best = np.partition(probabilities, -2, axis=1)[:, -2:]
        margins = two_best[:, 1] - two_best[:, 0]
        count = min(_CLOSE_CALLS, len(X))
        closest = np.argpartition(margins, count - 1)[:count]
        if not np.array_equal(np.asarray(pipeline.predict(X.iloc[closest])), labels[closest]):
            labels = np.asarray(pipeline.predict(X))
    return Predictions(labels, probabilities, classes)


def evaluate(
    predictions: Predictions,
    y: Any,
    *,
    problem_type: ProblemType,
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """Return every metric that fits, by name.

    Metrics that need probabilities are left out for a classifier without them. A metric that is not defined
    on these rows (one class only), or predictions that are no finite numbers, give nan.

    Args:
        predictions: Of n rows.
        y: Shape (n,), the truth.
        problem_type: Which metrics fit.
        metrics: The metrics wanted, instead of every one that fits.
    """
    wanted = (metrics or METRICS).values()
    if problem_type == "regression":
        truth = np.asarray(y, dtype=np.float64)
        values = np.asarray(predictions.labels, dtype=np.float64)
        finite = bool(len(truth)) and bool(np.isfinite(values).all())
        return {
            metric.name: metric.function(truth, values) if finite else math.nan
            for metric in wanted
            if metric.problem_type == problem_type
        }
    coded = code(y, predictions)
    no_probabilities = coded.probabilities is None
    usable = len(coded.y) > 0 and (no_probabilities or bool(np.isfinite(coded.probabilities).all()))
    return {
        metric.name: metric.function(coded) if usable else math.nan
        for metric in wanted
        if metric.problem_type == problem_type and not (metric.needs_probabilities and no_probabilities)
    }


def code(y: Any, *predictions: Predictions) -> Any:
    """Turn classes into positions in the sorted union of all classes, for each model's predictions.

    Returns:
        One `Coded` for one model, otherwise a tuple of them, all with the same `classes` and `y`.
    """
    truth = pd.Index(np.asarray(y))
    known = truth.unique()
    for one in predictions:
        known = known.union(
            pd.Index(one.classes if one.classes is not None else one.labels).unique(), sort=False
        )
    classes = _sorted(known)
    y_codes = classes.get_indexer(truth)
    coded = []
    for one in predictions:
        labels = classes.get_indexer(pd.Index(np.asarray(one.labels)))
        labels[labels < 0] = len(classes)
        coded.append(Coded(classes.to_numpy(), y_codes, labels, _aligned(one, classes)))
    return coded[0] if len(coded) == 1 else tuple(coded)


def _sorted(classes: Any) -> Any:
    try:
        return classes.sort_values()
    except TypeError:  # classes of several types
        return pd.Index(sorted(classes, key=lambda value: (type(value).__name__, str(value))))


def _aligned(predictions: Predictions, classes: pd.Index) -> Array | None:
    if predictions.probabilities is None or predictions.classes is None:
        return None
    positions = classes.get_indexer(pd.Index(predictions.classes))
    if np.array_equal(positions, np.arange(len(classes))):
        return predictions.probabilities
    aligned = np.zeros((len(predictions.probabilities), len(classes)))
    aligned[:, positions] = predictions.probabilities
    return aligned


def cross_validate_score(
    pipeline: Any,
    X: pd.DataFrame,
    y: Any,
    *,
    metric: str,
    problem_type: ProblemType,
    seed: int = 0,
    folds: int = FOLDS,
    groups: Array | None = None,
    times: Array | None = None,
    threads: int | None = None,
) -> float:
    """Return the mean score over folds of the training part, on which a candidate is chosen.

    Rows of one group stay in one fold; with times, each fold is judged on rows later than those it learnt
    from; otherwise folds are drawn by `seed`, with every class in each. The pipeline itself is left unfitted.

    Args:
        pipeline: Unfitted; cloned for each fold.
        X: The inputs, n rows.
        y: Shape (n,), the truth.
        metric: A name of METRICS.
        problem_type: Which metrics fit.
        seed: Draws the folds.
        folds: At most; fewer where a class or the groups do not suffice.
        groups: Shape (n,), see splitting.group_codes.
        times: Shape (n,), see splitting.times; takes precedence over groups.
        threads: How many threads each fit may use; set it when several run side by side.

    Raises:
        FoldError: too few rows of a class or too few groups for two folds, or no fold on which the metric is
            defined.
        UnknownMetricError: there is no such metric for the problem type.
    """
    truth = np.asarray(y)
    divided = divide(truth, problem_type=problem_type, folds=folds, seed=seed, groups=groups, times=times)
    scores = [
        fold_score(pipeline, X, truth, fold, metric=metric, problem_type=problem_type, threads=threads)
        for fold in divided
    ]
    return mean_score(scores, metric=metric, rows=len(truth))


def fold_score(
    pipeline: Any,
    X: pd.DataFrame,
    y: Array,
    fold: tuple[Array, Array],
    *,
    metric: str,
    problem_type: ProblemType,
    threads: int | None = None,
) -> float:
    """Return the score of one fold, nan where the metric is not defined on it.

    Args:
        pipeline: Unfitted; cloned.
        X: The inputs, n rows.
        y: Shape (n,), the truth.
        fold: Positions of the rows to fit and of those to score, one of `divide`.
        metric: A name of METRICS.
        problem_type: Which metrics fit.
        threads: How many threads the fit may use.

    Raises:
        UnknownMetricError: there is no such metric for the problem type.
    """
    from sklearn.base import clone

    wanted = {metric: get_metric(metric, problem_type=problem_type)}
    train, test = fold
    if problem_type == "classification" and len(pd.unique(y[train])) < 2:
        return math.nan
    with thread_budget(threads):
        fitted = with_jobs(clone(pipeline), threads).fit(X.iloc[train], y[train])
        predictions = predict(fitted, X.iloc[test], problem_type=problem_type)
    got = evaluate(predictions, y[test], problem_type=problem_type, metrics=wanted)
    if metric not in got:
        raise UnknownMetricError(
            f"Metric {metric!r} (gate.metric) needs probabilities, and the classifier has no "
            "predict_proba. Choose f1_score or accuracy, or an estimator with probabilities."
        )
    return got[metric]


def mean_score(scores: Sequence[float], *, metric: str, rows: int) -> float:
    """Return the mean over those folds of so many rows on which the metric is defined.

    Raises:
        FoldError: there is none.
    """
    defined = [score for score in scores if math.isfinite(score)]
    if not defined:
        raise FoldError(
            f"Cross-validation found no fold of the {rows} training rows on which {metric} is defined. "
            "Bring more rows, or set split.key_columns or gate.metric otherwise."
        )
    return float(np.mean(defined))


def best(scores: Mapping[str, float], *, metric: str) -> str:
    """Return the name of the best score in the direction of `metric`, the first of equals; nan never wins."""
    sign = 1 if METRICS[metric].greater_is_better else -1
    return max(scores, key=lambda name: sign * scores[name] if math.isfinite(scores[name]) else -math.inf)


@contextmanager
def thread_budget(threads: int | None) -> Iterator[None]:
    """Keep OpenMP and BLAS within `threads` in this block; None leaves them as they are.

    Fits side by side that each take every core slow each other down many times over, as OpenMP's threads spin
    while they wait. OpenMP's limit holds for the calling thread only: enter the block in the thread that
    fits.
    """
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads):
        yield


def with_jobs(pipeline: Any, threads: int | None) -> Any:
    """Let joblib, too, keep within `threads`: steps that were made to use every core (`n_jobs=-1`) are told so."""
    if threads is not None:
        jobs = {
            name: n for name, n in pipeline.get_params().items() if name.split("__")[-1] == "n_jobs" and n
        }
        pipeline.set_params(**{name: min(n, threads) if n > 0 else threads for name, n in jobs.items()})
    return pipeline


def divide(
    y: Array,
    *,
    problem_type: ProblemType,
    folds: int = FOLDS,
    seed: int = 0,
    groups: Array | None = None,
    times: Array | None = None,
) -> list[tuple[Array, Array]]:
    """Return the folds of `cross_validate_score`: positions to fit and to score; the same input, the same folds.

    Raises:
        FoldError: too few rows of a class or too few groups for two folds.
    """
    from sklearn import model_selection

    rows = np.arange(len(y))
    if times is not None:
        order = np.argsort(times, kind="stable")
        count = min(folds, len(y) - 1)
        if count < 2:
            raise FoldError(
                f"Cross-validation over time needs at least 3 rows, and the training part has {len(y)}."
            )
        splitter: Any = model_selection.TimeSeriesSplit(n_splits=count)
        return [(order[train], order[test]) for train, test in splitter.split(rows)]
    available = len(y)
    what = "rows"
    if groups is not None:
        available, what = len(np.unique(groups)), "groups (split.key_columns)"
    elif problem_type == "classification":
        available, what = int(pd.Series(y).value_counts().min()), "rows of the rarest class"
    count = min(folds, available)
    if count < 2:
        raise FoldError(
            f"Cross-validation needs at least 2 {what} in the training part, which has {available}."
        )
    stratified = problem_type == "classification"
    if groups is not None:
        kind = model_selection.StratifiedGroupKFold if stratified else model_selection.GroupKFold
        return list(kind(n_splits=count, shuffle=True, random_state=seed).split(rows, y, groups))
    kind = model_selection.StratifiedKFold if stratified else model_selection.KFold
    return list(kind(n_splits=count, shuffle=True, random_state=seed).split(rows, y))
