"""A model that retrains itself; `champion()` gives the one in production to any Python code."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .retrainer import OwnMetric, Project

if TYPE_CHECKING:
    from .retrainer.settings import ProblemType
    from .retrainer.training import ProductionModel

__all__ = ["champion", "project"]


def _estimators() -> Mapping[str, Any]:
    from .models import ESTIMATORS  # imports scikit-learn, which not every command needs

    return ESTIMATORS


def _metrics() -> Mapping[str, OwnMetric]:
    from .metrics import METRICS

    return METRICS


def _spaces(problem_type: "ProblemType") -> Mapping[str, Any]:
    from .models import spaces

    return spaces(problem_type)


project = Project(
    package=__name__,
    folder=Path(__file__).parent,
    estimators=_estimators,
    metrics=_metrics,
    spaces=_spaces,
)


def champion() -> "ProductionModel":
    """Return the model in production, verified and ready to predict rows as a table has them.

    Call it wherever you predict: the model is loaded once, and again when another one is promoted or put back, which
    is noticed within a second.

    Raises:
        RegistryError: there is no model in production yet, or it is damaged.
        ConfigurationError: the settings do not say where the registry is.
    """
    from .retrainer.training import production_model

    return production_model(project)
