"""What can be known to be wrong before any work is done: the start of a run and doctor make the same checks."""

from .locations import PREFECT_SECRET
from .settings import Settings


def check(settings: Settings) -> None:
    """Refuse settings that are each possible, and cannot work with this project's code and environment.

    Raises:
        ConfigurationError: an estimator or a metric is unknown, or a source needs a variable that is not set.
    """
    from .gate import get_metric
    from .models import make_pipeline

    for name in settings.estimators:
        make_pipeline(name, problem_type=settings.problem_type, seed=settings.seed)
    for name in (settings.metric, *settings.gate.guard_metrics):
        get_metric(name, problem_type=settings.problem_type)
    for location in (
        settings.data.source,
        settings.split.source,
        settings.score.source,
        settings.monitor.source,
        settings.score.folder,
        settings.registry.path,
    ):
        if location and not any(name.startswith(PREFECT_SECRET) for name in location.placeholders):
            location.reveal()
