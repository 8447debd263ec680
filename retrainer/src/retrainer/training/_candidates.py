"""The candidate estimators of a project: each an unfitted pipeline, by the name that the settings list."""

import difflib
import tomllib
from collections.abc import Iterable
from typing import Any

from sklearn.pipeline import Pipeline

from ..errors import ConfigurationError
from ..project import Project
from ._cleaning import TableCleaner

TUNED = {"study", "metric", "score", "score_before", "parameters"}  # what `tune` writes of an estimator


def make_pipeline(name: str, *, project: Project) -> Pipeline:
    """Return the unfitted pipeline of this name, with the parameters of params.toml.

    Args:
        name: The name of an estimator in models.py.
        project: The project.

    Raises:
        ConfigurationError: there is no such name, or params.toml sets an unknown parameter; the message has the nearest
            name.
    """
    settings, estimators = project.settings, project.estimators()
    if name not in estimators:
        raise ConfigurationError(
            f"There is no estimator {name!r} (estimators).{nearest(name, estimators)}"
            f" Those in models.py: {', '.join(estimators)}."
        )
    pipeline = estimators[name](settings.problem_type, settings.seed)
    for step in pipeline.named_steps.values():
        if settings.data.keep and isinstance(step, TableCleaner):
            step.set_params(keep=settings.data.keep)
    parameters = tuned(project).get(name, {}).get("parameters", {})
    check_parameters(parameters, pipeline, where=f"[{name}.parameters] in {project.params_file}")
    return pipeline.set_params(**parameters)


def tuned(project: Project) -> dict[str, dict[str, Any]]:
    """Return the entry of each estimator in params.toml by name; empty without the file.

    Raises:
        ConfigurationError: params.toml cannot be read, or names an estimator that does not exist.
    """
    file = project.params_file
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigurationError(f"{file} is not a TOML file: {error}. Correct or remove it.") from None
    for name, table in found.items():
        if name not in project.estimators():
            raise ConfigurationError(
                f"{file} has parameters of an estimator {name!r}, and models.py has none of that name."
                f"{nearest(name, project.estimators())} Rename or remove its table."
            )
        parameters = table.get("parameters") if isinstance(table, dict) else None
        if not isinstance(parameters, dict) or not table.keys() <= TUNED:
            raise ConfigurationError(f"{file}: the parameters of {name!r} belong into [{name}.parameters].")
    return found


def check_parameters(names: Iterable[str], pipeline: Pipeline, *, where: str) -> None:
    """Check that a pipeline has these parameters.

    Raises:
        ConfigurationError: it lacks one; the message has the nearest name.
    """
    known = pipeline.get_params()
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"The estimator has no parameter {name!r} ({where}).{nearest(name, known)} A parameter of a step is"
                " named by the step, two underscores, and its name there: model__learning_rate."
            )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the most similar known name; empty if no name is similar.

    Examples:
        >>> nearest("lineer", ["linear", "random_forest"])
        " Did you mean 'linear'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
