"""A project's own checks and tests under answers that share no name: what runs under the defaults works only there."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Bake, Project, Runner, run

Check = Callable[[Project, Path], None]

ANSWERS = {
    "defaults": {},
    "regression": {
        "project_name": "House Prices",
        "problem_type": "regression",
        "estimator": "linear",
        "ci_provider": "none",
        "license": "none",
    },
    "every option": {
        "project_slug": "churn",
        "package_name": "customers",
        "tracking": "mlflow",
        "scale_out": "dask",
        "serving": "http",
    },
    "digits": {"project_slug": "m5-forecast-2", "estimator": "random_forest", "timezone": "Europe/Berlin"},
    "GitLab": {"project_name": "Fraud", "ci_provider": "gitlab", "min_improvement": "0.02"},
}
OPTIONS = {"tracking", "scale_out"}  # whose packages are in the larger lock
# Those that differ from the defaults in most are tried at once, the others among the long tests.
FIRST = ("regression", "every option")


@pytest.mark.parametrize(
    "name", [name if name in FIRST else pytest.param(name, marks=pytest.mark.long) for name in ANSWERS]
)
def test_a_project_passes_its_own_checks_and_tests(
    name: str, own_copy: Bake, check: Check, environment: Path, request: pytest.FixtureRequest
) -> None:
    project = own_copy(**ANSWERS[name])
    commands = environment
    if OPTIONS & ANSWERS[name].keys():
        commands = request.getfixturevalue("extras").parent
    variables = {"PYTHONPATH": str(project.path / "src"), "OMP_NUM_THREADS": "1"}

    check(project, commands)
    tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    done = run(commands / "python", *tests, cwd=project.path, environment=variables, timeout=900)

    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


BOTH = """
import json
import pandas as pd
import house_prices, ml_retraining

for package, file in ((ml_retraining, "sample-classification.csv"), (house_prices, "sample-regression.csv")):
    rows = pd.read_csv(package.project.settings.resolve("data") / file).head(100)
    print(json.dumps([str(value) for value in package.champion().predict(rows)]))
"""


def test_two_projects_in_one_process_predict_with_their_own_models(own_copy: Bake, runner: Runner) -> None:
    """The library is a package of each: neither meets the other's settings, classes or registry."""
    projects = [own_copy(**ANSWERS[name]) for name in ("defaults", "regression")]
    for project in projects:
        runner.command(project, "retrain")

    path = os.pathsep.join(str(project.path / "src") for project in projects)
    done = runner.python(projects[0], "-c", BOTH, variables={"PYTHONPATH": path})

    classes, numbers = map(json.loads, done.stdout.splitlines())
    assert set(classes) == {"benign", "malignant"}
    assert len({float(number) for number in numbers}) > 90
