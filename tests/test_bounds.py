"""Whether each upper bound of a project is still needed: `make test-newest` tries what lies beyond it.

A bound names the failure that it prevents, and the probe here shows that failure. When the probe passes with the newest
release beyond the bound, the bound can go, and the test says so. It downloads, so `make test` leaves it out.
"""

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import TEMPLATE, Bake, Once, Project, clean_environment, install

pytestmark = pytest.mark.newest

LIBRARY = TEMPLATE / "retrainer"


@pytest.fixture(scope="module")
def environment(once: Once) -> Path:
    """Install what the library's tests need; return the environment's folder of commands."""
    return once("library", lambda folder: install(LIBRARY / "requirements.lock", folder)) / "bin"


def run_tests(*tests: str) -> Callable[[Path, Path, Path], None]:
    """Return a probe: some of the library's own tests."""

    def probe(environment: Path, folder: Path, beyond: Path) -> None:
        command = [environment / "python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        values = clean_environment() | {"PYTHONPATH": str(beyond)}
        subprocess.run(command, cwd=LIBRARY, env=values, check=True, capture_output=True)

    return probe


PROBES = {
    "pandas": run_tests("tests/test_contract.py", "tests/data"),
}


def upper_bounds(project: Project) -> dict[str, str]:
    """Return the packages with an upper bound, to the bound."""
    declared = tomllib.loads((project.path / "pyproject.toml").read_text())["project"]["dependencies"]
    return {re.split(r"[<>=\[]", line)[0]: found[1] for line in declared if (found := re.search(r"<([\d.]+)", line))}


def test_each_upper_bound_has_a_probe(bake: Bake) -> None:
    assert upper_bounds(bake()).keys() == PROBES.keys()


@pytest.mark.parametrize("name", PROBES)
def test_an_upper_bound_is_still_needed(name: str, bake: Bake, environment: Path, tmp_path: Path) -> None:
    beyond = tmp_path / "beyond"
    bounds = upper_bounds(bake())
    bound = bounds.pop(name)
    others = tmp_path / "others.txt"
    others.write_text("".join(f"{other}<{limit}\n" for other, limit in bounds.items()))
    target = ("--target", beyond, "--python", environment / "python", "--constraints", others)
    install = ["uv", "pip", "install", "--quiet", *map(str, target), f"{name}>={bound}"]
    done = subprocess.run(install, capture_output=True, text=True, env=clean_environment())
    if done.returncode:
        assert "No solution found" in done.stderr, done.stderr
        pytest.skip(f"No {name} {bound} can be installed yet")

    (version,) = [path.name for path in beyond.glob(f"{name}-*.dist-info")]
    try:
        PROBES[name](environment, tmp_path, beyond)
    except (AssertionError, OSError, subprocess.CalledProcessError, pytest.fail.Exception) as failure:
        print(f"{version}: {failure}")
        return
    pytest.fail(f"{version} works: the bound {name}<{bound} can go", pytrace=False)
