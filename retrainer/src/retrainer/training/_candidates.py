"""The candidate estimators of a project: each an unfitted pipeline, by the name that the settings list."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.pipeline import Pipeline

from ..errors import ConfigurationError, ProjectError
from ..project import Project
from ._cleaning import TableCleaner

TUNED = {"study", "metric", "score", "score_before", "parameters"}  # what `tune` writes of an estimator


class EstimatorError(ProjectError):
    """An estimator of models.py ends the program."""


def make_pipeline(name: str, *, project: Project) -> Pipeline:
    """Return the unfitted pipeline of this name, with the parameters of params.toml.

    Args:
        name: The name of an estimator in models.py.
        project: The project.

    Raises:
        ConfigurationError: there is no such estimator, or params.toml sets an unknown parameter; the message has the
            nearest name.
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
        for parameter, value in parameters.items():
            if not isinstance(value, str | int | float):
                raise ConfigurationError(
                    f"{file}: {parameter} of {name!r} is {value!r}. It can be a text, a number, true or false; other"
                    " values belong into models.py."
                )
    return found


def check_parameters(names: Iterable[str], pipeline: Pipeline, *, where: str) -> None:
    """Check that the steps of a pipeline have these parameters.

    Raises:
        ConfigurationError: they lack one; the message has the nearest name.
    """
    known = [name for name in pipeline.get_params() if "__" in name]
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"The estimator has no parameter {name!r} ({where}).{nearest(name, known)} A parameter of a step is"
                " named by the step, two underscores, and its name there: model__learning_rate."
            )


@contextmanager
def translate_estimator_errors() -> Iterator[None]:
    """Name what an estimator does not accept, and keep one that calls `sys.exit` from ending the run.

    Raises:
        ConfigurationError: a parameter has a value that the estimator refuses.
        EstimatorError: an estimator ends the program.
    """
    try:
        yield
    except SystemExit as error:
        raise EstimatorError(
            f"An estimator of models.py ended the program (exit code {error.code}). Let it raise an error there."
        ) from error
    except ValueError as error:
        if not isinstance(error, TypeError):  # scikit-learn's error about a parameter is both
            raise
        raise ConfigurationError(f"{error} The value is that of params.toml, or else of models.py.") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the most similar known name; empty if no name is similar.

    Examples:
        >>> nearest("lineer", ["linear", "random_forest"])
        " Did you mean 'linear'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
