"""What is searched, and for how long: checked before any work is done."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..project import Project, Range, Space
from ..training import check_parameters, make_pipeline, nearest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Plan:
    """The plan of a search.

    Attributes:
        estimators: The names of the estimators to tune, one after another.
        trials: The number of trials of each study, including earlier runs.
        seconds: The time for the trials of each estimator, in seconds; None means no limit.
        workers: The number of parallel trials; None means one for each core.
    """

    estimators: tuple[str, ...]
    trials: int
    seconds: float | None
    workers: int | None


def plan(*, estimator: str | None, trials: int, time_limit: str | None, workers: int | None, project: Project) -> Plan:
    """Return the plan of a search.

    Args:
        estimator: The name of the estimator to tune; None means all in the settings with a search space.
        trials: The number of trials of each study.
        time_limit: The time for all trials together, such as `2h`; each estimator gets an equal share.
        workers: The number of parallel trials.
        project: The project, with its estimators and their spaces.

    Raises:
        ConfigurationError: there is nothing to search, or a space or the limit is impossible.
    """
    spaces, known = _spaces_of(project), project.estimators()
    for name in spaces:
        if name not in known:
            raise ConfigurationError(
                f"spaces() in models.py has {name!r}, which is no estimator.{nearest(name, known)}"
            )
    if estimator is not None:
        make_pipeline(estimator, project=project)
    wanted = project.settings.estimators if estimator is None else (estimator,)
    names = tuple(name for name in wanted if spaces.get(name))
    if not names:
        raise ConfigurationError(
            f"There is nothing to search: spaces() in models.py has no parameters of {', '.join(wanted)}. Enter some, "
            'such as {"model__max_depth": Range(2, 10)}.'
        )
    for name in names:
        space_of(name, project=project)
    seconds = None if time_limit is None else parse_seconds(time_limit) / len(names)
    return Plan(names, trials, seconds, workers)


def parse_seconds(text: str) -> float:
    """Return the seconds of `90s`, `30m` or `2h`.

    Raises:
        ConfigurationError: the text has another form.

    Examples:
        >>> parse_seconds("30m")
        1800.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if not match or not float(match[1]):
        raise ConfigurationError(f"The time limit {text!r} is not a duration. Write 90s, 30m or 2h.")
    return float(match[1]) * _UNITS[match[2]]


def space_of(name: str, *, project: Project) -> Space:
    """Return the space of an estimator.

    Raises:
        ConfigurationError: it is empty or impossible, or the estimator lacks one of its parameters.
    """
    space = _spaces_of(project)[name]
    where = f"spaces() of models.py, {name!r}"
    if not isinstance(space, Mapping):
        raise ConfigurationError(f"{where} is {space!r}: write a dict of parameters and what to search of each.")
    check_parameters(space, make_pipeline(name, project=project), where=where)
    for parameter, domain in space.items():
        if trouble := _describe_domain_error(domain):
            raise ConfigurationError(f"{parameter} ({where}) {trouble}")
    return space


def _spaces_of(project: Project) -> Mapping[str, Space]:
    """Return what the team's `spaces()` returns; a models.py of an earlier release has none."""
    try:
        return project.spaces(project.settings.problem_type)
    except ImportError:
        raise ConfigurationError(
            "models.py has no spaces(). Write one that returns, for each estimator to tune, a dict of its parameters, "
            'such as {"linear": {"model__C": Range(0.01, 100.0, log=True)}}.'
        ) from None
    except Exception as error:
        raise ConfigurationError(f"spaces() in models.py failed ({type(error).__name__}: {error}).") from error


def _describe_domain_error(domain: Any) -> str | None:
    if isinstance(domain, Range):
        ends = (domain.low, domain.high)
        if not all(isinstance(end, int | float) and math.isfinite(end) for end in ends):
            return f"is {domain}: both ends must be finite numbers."
        if domain.low >= domain.high:
            return f"is {domain}: the lower end comes first, and both differ."
        if domain.log and domain.low <= 0:
            return f"is {domain}: on a logarithmic scale, the lower end must be above 0."
    elif not isinstance(domain, list):
        return f"is {domain!r}: write a Range, or a list of choices."
    elif not domain:
        return "has no choices."
    elif not all(isinstance(choice, str | int | float) for choice in domain):
        return f"has the choices {domain!r}: params.toml can hold texts, numbers, True and False, and no None."
    return None


def distributions(space: Space) -> "dict[str, BaseDistribution]":
    """Return a space in the form of the search library."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(domain: Any) -> "BaseDistribution":
        if not isinstance(domain, Range):
            return CategoricalDistribution(tuple(domain))
        if isinstance(domain.low, int) and isinstance(domain.high, int):
            return IntDistribution(domain.low, domain.high, log=domain.log)
        return FloatDistribution(domain.low, domain.high, log=domain.log)

    return {name: distribution(domain) for name, domain in space.items()}


def contains(space: Space, values: Mapping[str, Any]) -> bool:
    """Return whether the space contains all of these values."""

    def inside(domain: Any, value: Any) -> bool:
        if not isinstance(domain, Range):
            return value in domain
        return type(value) in (int, float) and domain.low <= value <= domain.high

    return all(inside(domain, values[name]) for name, domain in space.items())
