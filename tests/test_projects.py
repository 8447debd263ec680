"""A project's own checks and tests under answers that share no name: what runs under the defaults works only there."""

from pathlib import Path

import pytest

from .conftest import Bake, Project, run

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


@pytest.mark.parametrize("name", ANSWERS)
def test_a_project_passes_its_own_checks_and_tests(
    name: str, own_copy: Bake, environment: Path, request: pytest.FixtureRequest
) -> None:
    project: Project = own_copy(**ANSWERS[name])
    commands = environment
    if OPTIONS & ANSWERS[name].keys():
        commands = request.getfixturevalue("extras").parent
    path = {"PYTHONPATH": str(project.path / "src")}

    run(commands / "ruff", "check", ".", cwd=project.path)
    run(commands / "ruff", "format", "--check", ".", cwd=project.path)
    run(commands / "mypy", cwd=project.path)
    run(commands / "deptry", ".", cwd=project.path)
    done = run(
        commands / "python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        cwd=project.path,
        environment=path,
    )
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
