"""The metrics by name, and figures from predictions."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ConfigurationError
from ..project import OwnMetric, Project
from ..settings import ProblemType
from . import _builtin
from ._measures import Measure, NonAdditive
from ._own import CHECKED_ROWS, Own, missing_column, simple_answers
from ._predictions import Array, Predictions
from ._samples import Sample, find_positive, make_samples

# What a scorer of scikit-learn measures, by its name; `_scorers` has the others' signs and figures.
_OF_VALUES = re.compile(r"explained_variance|d2_absolute.*|neg_(mean|root|median|max)_.*")
_OF_PROBABILITIES = re.compile(r"roc_auc_ov.*|top_k_accuracy|d2_(brier|log_loss)_score")
_OF_ONE_CLASS = re.compile(r"positive_likelihood_ratio|neg_negative_likelihood_ratio")
_OF_CLUSTERS = {
    *("adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "fowlkes_mallows_score"),
    *("homogeneity_score", "mutual_info_score", "normalized_mutual_info_score", "rand_score", "v_measure_score"),
}


class UnknownMetricError(ConfigurationError):
    """No metric has this name, or it does not fit the problem type."""


@dataclass(frozen=True)
class Metric:
    """A metric: one number that says how good predictions are.

    Attributes:
        name: The name in settings and records.
        label: The name that people read.
        greater_is_better: False for errors and losses.
        relative: True where an improvement is a share of the champion's value (errors and losses), False
            where it is a difference (scores, in points).
        problem_type: The problem type that it fits.
        needs_probabilities: Whether it needs probabilities, not only predicted classes.
        measure: The computation and resampling of the metric.
        positive: The positive class, for metrics about one class; None where the names of the classes imply it.
        columns: The columns of the rows that the metric reads.
    """

    name: str
    label: str
    greater_is_better: bool
    relative: bool
    problem_type: ProblemType
    needs_probabilities: bool
    measure: Measure
    positive: Any = None
    columns: tuple[str, ...] = ()

    def improvement(self, challenger: float, champion: float) -> float:
        """Return how much better the challenger is: in points, or as a share of the champion's value.

        The share is of the absolute value, as a profit can be below zero. For a value of 0 no share is defined: the
        result is 0 for an equal challenger, else 1 or -1.
        """
        gain = challenger - champion if self.greater_is_better else champion - challenger
        if not self.relative:
            return gain
        if champion == 0:
            return float(np.sign(gain))
        return gain / abs(champion)

    def reaches(self, value: float, floor: float) -> bool:
        """Return whether `value` is at least as good as `floor`."""
        return value >= floor if self.greater_is_better else value <= floor

    @property
    def below(self) -> str:
        """The word for being worse than a floor."""
        return "below" if self.greater_is_better else "above"

    @property
    def one_class(self) -> bool:
        """Whether the metric is about the positive class alone."""
        return bool(getattr(self.measure, "one_class", False))

    @property
    def looks_at_classes(self) -> bool:
        """Whether the predicted classes can matter, not the probabilities alone."""
        of_classes = self.problem_type == "classification" and not self.needs_probabilities
        return of_classes or isinstance(self.measure, Own)

    def format(self, value: float) -> str:
        """Return the value as text: four decimals for a score, four digits for an error."""
        return f"{value:.4f}" if not self.relative or self.name == "log_loss" else f"{value:.4g}"

    def format_difference(self, value: float) -> str:
        """Return an improvement as text: points, or percent of the champion's error."""
        return f"{value * 100:.2f} %" if self.relative else f"{value:.4f}"


def _built_in_metrics() -> dict[str, Metric]:
    groups: list[tuple[Mapping[str, tuple[str, Measure]], bool, ProblemType, bool]] = [
        (_builtin.CLASSES, True, "classification", False),
        (_builtin.PROBABILITIES, True, "classification", True),
        (_builtin.PROBABILITY_LOSSES, False, "classification", True),
        (_builtin.VALUES, True, "regression", False),
        (_builtin.VALUE_LOSSES, False, "regression", False),
    ]
    metrics = {
        name: Metric(name, label, greater, not greater, problem_type, probabilities, measure)
        for group, greater, problem_type, probabilities in groups
        for name, (label, measure) in group.items()
    }
    return metrics | {name: replace(metrics[same], name=name) for name, same in _builtin.ALIASES.items()}


SHOWN = 12  # names in an error
METRICS = _built_in_metrics()


@dataclass(frozen=True)
class SklearnScorer(NonAdditive):
    """A scorer of scikit-learn, which is computed for each resample."""

    one_class: bool = False


def _scorer_metric(name: str) -> Metric:
    """Return the metric that scikit-learn's scorer of this name computes, whether or not there is one."""
    of_values, one_class = bool(_OF_VALUES.fullmatch(name)), bool(_OF_ONE_CLASS.fullmatch(name))
    return Metric(
        name,
        name.removeprefix("neg_").replace("_", " "),
        not name.startswith("neg_"),
        name.startswith("neg_"),
        "regression" if of_values else "classification",
        bool(_OF_PROBABILITIES.fullmatch(name)),
        SklearnScorer(partial(_score_with_scorer, name, one_class), by_class=not of_values, one_class=one_class),
    )


def _score_with_scorer(name: str, one_class: bool, sample: Sample, positive: Any) -> float:
    from . import _scorers

    try:
        return _scorers.score(name, sample, positive, one_class=one_class)
    except ValueError:
        return math.nan  # not defined on these rows


def _is_scorer(name: str) -> bool:
    from . import _scorers

    return _scorers.find_scorer(name) is not None


RECORDED = ("f1_score", "accuracy", "roc_auc", "average_precision", "log_loss", "rmse", "mae", "r2")


def get_metric(
    name: str,
    *,
    problem_type: ProblemType,
    positive: Any = None,
    own_metrics: Mapping[str, OwnMetric] | None = None,
    setting: str = "gate.metric",
) -> Metric:
    """Return the metric of this name: one of the team's own, or one built in.

    Args:
        name: The name in the settings and in records.
        problem_type: The problem type that it must fit.
        positive: The positive class (data.positive).
        own_metrics: The team's own metrics of metrics.py, by name.
        setting: The setting that contains the name, for messages.

    Raises:
        UnknownMetricError: there is no such metric, it fits another problem type, or metrics.py redefines a built-in
        one.

    Examples:
        >>> get_metric("f1", problem_type="classification", positive="yes").label
        'F1 of yes'
    """
    own = _own_metric(name, problem_type, own_metrics)
    if own and (name in METRICS or _is_scorer(name)):
        raise UnknownMetricError(
            f"Metric {name!r} of metrics.py has the name of a built-in one, which records and reports would show: "
            "give it another."
        )
    metric = own or METRICS.get(name) or _scorer_metric(name)
    known = not isinstance(metric.measure, SklearnScorer) or _is_scorer(name)
    if known and metric.problem_type == problem_type:
        return _for_positive_class(metric, positive)
    possible = _metric_names(problem_type, own_metrics)
    shown = ", ".join([*possible[:SHOWN], "…"] if len(possible) > SHOWN else possible)
    built_in = f"Metrics for {problem_type}: {shown}; docs/promotion.md lists all."
    which = f"{built_in} Metrics of your own are in metrics.py."
    if known:
        raise UnknownMetricError(
            f"{setting}: metric {name!r} measures a {metric.problem_type}, and problem_type is {problem_type}. {which}"
        )
    near = difflib.get_close_matches(name, possible, n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UnknownMetricError(f"{setting}: there is no metric {name!r}.{hint} {which}")


def known_metric(name: str, *, positive: Any = None, own_metrics: Mapping[str, OwnMetric] | None = None) -> Metric:
    """Return the metric of a recorded name, for display; an unknown name becomes its label."""
    return _for_positive_class(
        _own_metric(name, "classification", own_metrics) or METRICS.get(name) or _scorer_metric(name), positive
    )


def _for_positive_class(metric: Metric, positive: Any) -> Metric:
    label = metric.label if positive is None or not metric.one_class else f"{metric.label} of {positive}"
    return replace(metric, positive=positive, label=label)


def _metric_names(problem_type: ProblemType, own_metrics: Mapping[str, OwnMetric] | None) -> list[str]:
    from sklearn.metrics import get_scorer_names

    scorers = set(get_scorer_names()) - METRICS.keys() - _OF_CLUSTERS
    known = METRICS | {name: _scorer_metric(name) for name in sorted(scorers)}
    fitting = [name for name, metric in known.items() if metric.problem_type == problem_type]
    pinball = ["neg_mean_pinball_loss_0.9"] if problem_type == "regression" else []
    return [*(own_metrics or {}), *fitting, *pinball]


def _own_metric(name: str, problem_type: ProblemType, own_metrics: Mapping[str, OwnMetric] | None) -> Metric | None:
    own = (own_metrics or {}).get(name)
    if own is None:
        return None
    return Metric(
        name,
        own.label or name.replace("_", " "),
        own.greater_is_better,
        own.relative,
        problem_type,
        own.needs_probabilities,
        Own(name, own),
        columns=own.columns,
    )


def gate_metrics(project: Project) -> dict[str, Metric]:
    """Return the deciding metric and the guard metrics by name, the deciding one first.

    Raises:
        UnknownMetricError: there is no such metric, or it measures the other problem type.
    """
    settings, own_metrics = project.settings, project.metrics()
    guards = dict.fromkeys(settings.gate.guard_metrics, "gate.guard_metrics")
    return {
        name: get_metric(
            name,
            problem_type=settings.problem_type,
            positive=settings.data.positive,
            own_metrics=own_metrics,
            setting=setting,
        )
        for name, setting in ({settings.metric: "gate.metric"} | guards).items()
    }


def deciding_metric(project: Project) -> Metric:
    """Return the metric that the gate compares."""
    return gate_metrics(project)[project.settings.metric]


def recorded_metrics(project: Project) -> dict[str, Metric]:
    """Return the metrics that are recorded with a version: the gate's and the usual ones."""
    settings = project.settings
    names = (name for name in RECORDED if METRICS[name].problem_type == settings.problem_type)
    return {name: _for_positive_class(METRICS[name], settings.data.positive) for name in names} | gate_metrics(project)


def check_table(table: pd.DataFrame, *, target: str, metrics: Mapping[str, Metric]) -> None:
    """Check before training that the table has the columns and classes of each metric.

    Args:
        table: The rows with the target.
        target: The target column.
        metrics: The metrics to compute.

    Raises:
        PositiveClassError: the positive class is not in the data, or has to be set.
        OwnMetricError: a metric of metrics.py reads a missing column, fails, or has no value.
        UnknownMetricError: scikit-learn's scorer is for another kind of target.
    """
    for name, metric in metrics.items():
        if missing := [column for column in metric.columns if column not in table.columns]:
            raise missing_column(name, missing[0], table.columns)
        if isinstance(metric.measure, Own):
            metric.measure.check(table, target, metric.problem_type)
        if isinstance(metric.measure, SklearnScorer):
            _check_scorer(metric, table[target].head(CHECKED_ROWS).to_numpy())
        about_one = metric.positive is not None or metric.one_class
        if metric.problem_type == "classification" and about_one:
            find_positive(metric.positive, sorted(pd.unique(table[target].dropna()), key=str))


def _check_scorer(metric: Metric, truth: Array) -> None:
    from ._scorers import score

    _, perfect = next(simple_answers(truth, metric.problem_type))
    (sample,) = make_samples(truth, perfect, problem_type=metric.problem_type)
    try:
        score(metric.name, sample, metric.positive, one_class=metric.one_class)
    except ValueError as error:
        raise UnknownMetricError(
            f"Metric {metric.name!r} (gate.metric, gate.guard_metrics) does not fit the target; scikit-learn says: "
            f"{error} Choose another metric."
        ) from error


def evaluate(
    predictions: Predictions, y: Any, *, metrics: Mapping[str, Metric], rows: pd.DataFrame | None = None
) -> dict[str, float]:
    """Return the metrics by name.

    Metrics that need probabilities are left out for a classifier without them. A metric that is not defined
    on these rows (one class only), or predictions that are not finite numbers, give nan.

    Args:
        predictions: Predictions of n rows.
        y: The truth, shape (n,).
        metrics: The metrics to compute, all for the same problem type.
        rows: The n rows with the columns of the source, for metrics that read columns.

    Raises:
        OwnMetricError: a metric of metrics.py cannot be computed.

    Examples:
        >>> accuracy = get_metric("accuracy", problem_type="classification")
        >>> predictions = Predictions(np.array(["yes", "no", "no"]), None, np.array(["no", "yes"]))
        >>> evaluate(predictions, ["yes", "no", "yes"], metrics={"accuracy": accuracy})
        {'accuracy': 0.6666666666666666}
    """
    problem_type = next(iter(metrics.values())).problem_type
    (sample,) = make_samples(y, predictions, problem_type=problem_type, rows=rows)
    usable = sample.usable
    return {
        name: metric.measure.value(sample, metric.positive) if usable else math.nan
        for name, metric in metrics.items()
        if not (metric.needs_probabilities and sample.probabilities is None)
    }


def evaluate_thresholds(
    predictions: Predictions, y: Any, *, metric: Metric, thresholds: Sequence[float], rows: pd.DataFrame | None = None
) -> Array:
    """Return a metric, shape (t,), where the positive class is predicted at or above each of t probabilities.

    Args:
        predictions: Predictions of n rows, with probabilities.
        y: The truth, shape (n,).
        metric: The metric; it names the positive class.
        thresholds: The t probabilities, each used as a threshold.
        rows: The n rows with the columns of the source, for a metric that reads columns.
    """
    (sample,) = make_samples(y, predictions, problem_type=metric.problem_type, rows=rows)
    if not sample.usable:
        return np.full(len(thresholds), np.nan)
    assert sample.probabilities is not None
    positive = find_positive(metric.positive, sample.classes)
    chance = sample.probabilities[:, positive]
    decided = (
        replace(sample, labels=np.where(chance >= threshold, positive, 1 - positive)) for threshold in thresholds
    )
    return np.array([metric.measure.value(one, metric.positive) for one in decided])
