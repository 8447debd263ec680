"""What cannot be searched is refused by name, before any work is done."""

import dataclasses
from typing import Any

import pytest

from retrainer import Range, tuning
from retrainer.errors import ConfigurationError

from ..conftest import now

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


def plan(space: Any, **options: Any) -> tuning.Plan:
    project = dataclasses.replace(now(), spaces=lambda problem_type: space)
    values = {"estimator": None, "trials": 3, "time_limit": None, "workers": None} | options
    return tuning.plan(**values, project=project)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "nothing to search"),
        ({"linear": {}}, "nothing to search"),
        ({"liner": {"model__C": Range(1, 2)}}, "'liner', which is no estimator. Did you mean 'linear'"),
        ({"linear": {"model__c": Range(1, 2)}}, "no parameter 'model__c'.*Did you mean 'model__C'"),
        ({"linear": {"model__C": Range(2, 1)}}, "lower end comes first"),
        ({"linear": {"model__C": Range(1, float("inf"))}}, "finite"),
        ({"linear": {"model__C": Range(0, 1, log=True)}}, "above 0"),
        ({"linear": {"model__C": [0.1, None]}}, "no None"),
        ({"linear": {"model__C": (0.1, 10.0)}}, "write a Range"),
        ({"linear": 3}, "write a dict"),
        ({"linear": {"model__C": []}}, "no choices"),
        ({"linear": {"model__C": 3}}, "write a Range"),
    ],
)
def test_an_impossible_space_is_named(space: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plan(space)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("no name"), "models.py has no spaces"),
        (KeyError("x"), r"spaces\(\) in models.py failed \(KeyError"),
    ],
)
def test_a_models_file_without_working_spaces_is_named(error: Exception, message: str) -> None:
    def spaces(problem_type: str) -> Any:
        raise error

    with pytest.raises(ConfigurationError, match=message):
        tuning.plan(
            estimator=None,
            trials=3,
            time_limit=None,
            workers=None,
            project=dataclasses.replace(now(), spaces=spaces),
        )


def test_a_plan_has_the_estimators_with_a_space_and_their_share_of_the_time() -> None:
    spaces = {name: {"model__random_state": Range(0, 9)} for name in ("linear", "random_forest")}

    assert plan(spaces, time_limit="90s") == tuning.Plan(("linear",), 3, 90.0, None)
    assert plan(spaces, estimator="random_forest", time_limit="2h").seconds == 7200
    with pytest.raises(ConfigurationError, match="There is no estimator 'forest'"):
        plan(spaces, estimator="forest")


@pytest.mark.parametrize("text", ["2", "0s", "1d", "h", "-1s"])
def test_a_time_limit_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Write 90s, 30m or 2h"):
        plan({"linear": {"model__C": Range(1, 2)}}, time_limit=text)
