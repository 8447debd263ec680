"""Checks before any work is done; the start of a run and `doctor` make the same ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..locations import PREFECT_SECRET
from ..project import Project
from ..settings import Settings

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from ..gate import Metric


def check(project: Project) -> None:
    """Refuse settings that cannot work together, or with this project's code and environment.

    Raises:
        ConfigurationError: an estimator or a metric is unknown or cannot work with the other settings, or a source
            needs a variable that is not set.

    Examples:
        >>> check(project)
    """
    from ..gate import gate_metrics
    from ..training import make_pipeline

    settings = project.settings
    estimators = {name: make_pipeline(name, project=project) for name in settings.estimators}
    metrics = gate_metrics(project)
    _check_threshold(settings, metrics[settings.metric])
    _check_probabilities(settings, estimators, metrics)
    for location in (
        settings.data.source,
        settings.split.source,
        settings.score.source,
        settings.monitor.source,
        settings.score.folder,
        settings.monitor.folder,
        settings.registry.path,
    ):
        if location and not any(name.startswith(PREFECT_SECRET) for name in location.placeholders):
            location.reveal()


def _check_threshold(settings: Settings, metric: "Metric") -> None:
    threshold = settings.train.threshold
    if threshold is None:
        return
    if settings.problem_type == "regression":
        raise ConfigurationError("train.threshold is for two classes, and problem_type is regression. Remove it.")
    if threshold == "tuned" and not metric.looks_at_classes:
        raise ConfigurationError(
            f"train.threshold is tuned, and {metric.label} (gate.metric) looks at probabilities only: it is the same at"
            " every threshold. Name a metric of classes (f1, matthews_corrcoef, a cost of your own), or set a number."
        )
    if threshold == "tuned" and settings.metric in ("recall", "precision"):
        extreme = "for every row" if settings.metric == "recall" else "for a row or two"
        raise ConfigurationError(
            f"train.threshold is tuned, and {metric.label} (gate.metric) alone is best where the class is predicted"
            f" {extreme}. Name a metric that weighs both errors (f1, a cost of your own), or set a number."
        )


def _check_probabilities(
    settings: Settings, estimators: "Mapping[str, Pipeline]", metrics: "Mapping[str, Metric]"
) -> None:
    """Refuse a classifier whose class has no probabilities; for others this is only known after fitting."""
    from ..training import needs_probabilities

    wanted = [f"Metric {name!r}" for name, metric in metrics.items() if metric.needs_probabilities]
    wanted += ["train.threshold"] if settings.train.threshold is not None else []
    for name, pipeline in estimators.items():
        if wanted and not hasattr(type(pipeline.steps[-1][1]), "predict_proba"):
            raise needs_probabilities(wanted[0], f"estimator {name!r}")
