"""The candidate estimators of a project: each an unfitted pipeline, by the name that the settings list."""

import difflib

from sklearn.pipeline import Pipeline

from ..errors import ConfigurationError
from ..project import Project
from ._cleaning import TableCleaner


def make_pipeline(name: str, *, project: Project) -> Pipeline:
    """Return the unfitted pipeline of this name, as the settings want it.

    Args:
        name: Of an estimator of the project, those of models.py.
        project: Whose it is.

    Raises:
        ConfigurationError: there is no such name; the message has the nearest.
    """
    settings, estimators = project.settings, project.estimators()
    if name not in estimators:
        near = difflib.get_close_matches(name, estimators, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(
            f"There is no estimator {name!r} (estimators).{hint} Those in models.py: {', '.join(estimators)}."
        )
    pipeline = estimators[name](settings.problem_type, settings.seed)
    for step in pipeline.named_steps.values():
        if settings.data.keep and isinstance(step, TableCleaner):
            step.set_params(keep=settings.data.keep)
    return pipeline
