"""Render the template with any answers, once each, from what a clone of it would hold."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[1]
RENDERED = "<<cookiecutter.project_slug>>"
CONTEXT: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text())
PROMPTS = {name: value for name, value in CONTEXT.items() if not name.startswith("_")}
CHOICES: dict[str, list[str]] = {name: value for name, value in PROMPTS.items() if isinstance(value, list)}

# The settings of whoever runs the tests must not reach the projects under test.
FOREIGN = ("PREFECT_", "ML_RETRAINING_", "SLACK_", "PYTHON", "VIRTUAL_ENV", "GIT_", "MAKE", "MFLAGS")


@dataclass(frozen=True)
class Project:
    """A rendered project."""

    path: Path
    slug: str
    package: str

    @property
    def source(self) -> Path:
        """The folder of the package."""
        return self.path / "src" / self.package

    def files(self) -> set[str]:
        """Return every file, as paths from the project's folder."""
        return {str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file()}

    def texts(self) -> dict[str, str]:
        """Return the content of every file; all are text."""
        return {name: (self.path / name).read_text(encoding="utf-8") for name in sorted(self.files())}


Bake = Callable[..., Project]


def combinations(*names: str) -> Iterable[Any]:
    """Yield pytest parameters, every combination of the choices of these prompts, with readable ids."""
    for values in itertools.product(*(CHOICES[name] for name in names)):
        yield pytest.param(dict(zip(names, values, strict=True)), id="-".join(values))


def one_choice_each() -> Iterable[Any]:
    """Yield pytest parameters, the defaults and every other choice alone, with readable ids."""
    yield pytest.param({}, id="defaults")
    for name, (_, *others) in CHOICES.items():
        for value in others:
            yield pytest.param({name: value}, id=f"{name}={value}")


def run(
    *command: str | Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    code: int = 0,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a command, which must end with `code`; show its output if it does not."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != code:
        words = " ".join(map(str, command))
        pytest.fail(
            f"{words}\nended with {done.returncode} instead of {code}\n{done.stdout}\n{done.stderr}",
            pytrace=False,
        )
    return done


def clean_environment() -> dict[str, str]:
    """Return the environment without what could change how a rendered project behaves."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what git would clone, changes not yet committed included, caches and the like left out."""
    copy = tmp_path_factory.mktemp("template") / TEMPLATE.name
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TEMPLATE).stdout
    for name in filter(None, listed.split("\0")):
        source, target = TEMPLATE / name, copy / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return copy


@pytest.fixture(scope="session")
def cookiecutter_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep cookiecutter from reading and writing the home folder."""
    home = tmp_path_factory.mktemp("cookiecutter")
    config = home / "config.yaml"
    config.write_text(f"cookiecutters_dir: '{home}/cloned'\nreplay_dir: '{home}/replay'\n")
    return config


@pytest.fixture(scope="session")
def bake(template: Path, cookiecutter_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Render with answers; the same answers give the same folder, so a test must not write into it."""
    cache: dict[frozenset[tuple[str, str]], Project] = {}

    def bake(**answers: str) -> Project:
        if unknown := answers.keys() - PROMPTS.keys():
            raise KeyError(f"no such prompts: {sorted(unknown)}")
        key = frozenset(answers.items())
        if key not in cache:
            cache[key] = render(template, tmp_path_factory.mktemp("render"), cookiecutter_config, answers)
        return cache[key]

    return bake


def render(template: Path, folder: Path, config: Path, answers: Mapping[str, str]) -> Project:
    """Render the template below `folder`."""
    path = cookiecutter(
        str(template),
        no_input=True,
        extra_context=dict(answers),
        output_dir=str(folder),
        config_file=str(config),
    )
    (source,) = (child for child in (Path(path) / "src").iterdir() if child.is_dir())
    return Project(Path(path), Path(path).name, source.name)


@pytest.fixture
def own_copy(tmp_path: Path, bake: Bake) -> Bake:
    """Render with answers, for a test that writes into the project."""

    def own_copy(**answers: str) -> Project:
        project = bake(**answers)
        path = tmp_path / project.slug
        shutil.copytree(project.path, path)
        return Project(path, project.slug, project.package)

    return own_copy


@pytest.fixture(scope="session")
def environment(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the render's lock once; return the environment's folder of commands.

    No render is installed: `PYTHONPATH` says which one is meant.
    """
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    lock = bake().path / "requirements.lock"
    run("uv", "venv", "--quiet", "--python", sys.executable, folder, cwd=lock.parent)
    run(
        *("uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python", "--require-hashes"),
        *("-r", lock),
        cwd=lock.parent,
        timeout=600,
    )
    return folder / "bin"
