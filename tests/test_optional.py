"""What is in a project only when an answer asked for it: MLflow and Dask, and how they come later."""

import json
import re
import shutil
from pathlib import Path

import pytest

from .conftest import AUTHOR, CHOICES, Bake, Project, Runner, commit_all, create, git, run
from .test_hooks import GOOD, post

WORDS = re.compile("mlflow|dask", re.IGNORECASE)
SETTINGS = {"tracking": ("REGISTRY__KIND", "mlflow"), "scale_out": ("SCALE_OUT__RUNNER", "dask")}
ALL = {prompt: value for prompt, (_, value) in SETTINGS.items()}
EVERYTHING = ALL | {"serving": "http"}  # which no setting asks for: it is a command of its own


def table(project: Project, prompt: str) -> set[str]:
    """Return the files that the hook's table gives to the prompt."""
    listed = (name for (asked, _), names in post.ONLY_WITH.items() if asked == prompt for name in names)
    names = tuple(name.format(package_name=project.package) for name in listed)
    folders = tuple(f"{name}/" for name in names)
    return {file for file in project.files() if file in names or file.startswith(folders)}


@pytest.mark.parametrize("prompt", EVERYTHING)
def test_an_answer_adds_exactly_the_files_of_the_table(bake: Bake, prompt: str) -> None:
    without, asked = bake(), bake(**{prompt: EVERYTHING[prompt]})

    assert asked.files() - without.files() == table(asked, prompt)
    assert without.files() <= asked.files()


def test_every_file_that_needs_a_part_is_in_the_table(bake: Bake) -> None:
    """A module of a part is named after it, so that the table and the folders cannot drift apart unseen."""
    project = bake(**ALL)
    named = {name for name in project.files() if WORDS.search(Path(name).name)}

    assert named == set().union(*(table(project, prompt) for prompt in SETTINGS))


def test_without_the_answers_nothing_speaks_of_them(bake: Bake) -> None:
    project = bake()
    own = {name: text for name, text in project.texts().items() if name.startswith(("src/", "tests/"))}
    own = {name: text for name, text in own.items() if "/retrainer/" not in name}

    assert len(own) > 10
    assert [name for name, text in own.items() if WORDS.search(text)] == []
    metadata = (project.path / "pyproject.toml").read_text() + (project.path / "Makefile").read_text()
    assert not WORDS.search(metadata)
    assert not WORDS.search((project.path / "requirements.lock").read_text())


def test_a_name_in_the_table_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ci_provider=github: there is no .*\.github"):
        post.remove_unasked(GOOD, tmp_path)


def test_the_error_names_the_command_that_adds_the_part_and_then_the_one_that_installs_it(
    template: Path, cookiecutter_config: Path, tmp_path: Path, runner: Runner, bake: Bake
) -> None:
    source = shutil.copytree(template, tmp_path / "template", symlinks=True)
    git(source, "init", "--quiet", "--initial-branch", "main")
    commit_all(source, "Begin")
    project = create(source, cookiecutter_config)
    features = project.source / "features.py"
    features.write_text(features.read_text() + "\n# An edit of the user.\n")
    commit_all(project.path, "Edit")

    for prompt, (setting, value) in SETTINGS.items():
        said = runner.command(project, "registry", "list", code=2, **{setting: value})
        (command,) = set(re.findall(r"cruft update [^{]*\{[^}]*\}'", said))  # in the log, and in the end
        done = run("sh", "-c", command, cwd=project.path, environment=AUTHOR)
        assert "Good work" in done.stdout, done.stdout + done.stderr
        commit_all(project.path, f"Add {prompt}")
        said = runner.command(project, "retrain", code=2, **{setting: value})
        assert f"{value!r} needs the package" in said
        assert "make setup LOCK=requirements-extras.lock" in said
        assert not (project.path / "models").exists(), "no work was done"

    asked = bake(**ALL)
    assert project.files() - {".cruft.json"} == asked.files() | git_files(project)
    assert features.read_text().endswith("# An edit of the user.\n")
    for name in asked.files() - {f"src/{project.package}/features.py"}:
        assert (project.path / name).read_bytes() == (asked.path / name).read_bytes(), name
    answers = json.loads((project.path / ".cruft.json").read_text())["context"]["cookiecutter"]
    assert answers.items() >= ALL.items()


def git_files(project: Project) -> set[str]:
    """Return what git keeps for itself, and what the command wrote."""
    return {name for name in project.files() if name.startswith(".git/") or "__pycache__" in name}


def test_every_part_is_a_choice_of_its_prompt() -> None:
    assert all(value in CHOICES[prompt] for prompt, value in EVERYTHING.items())
