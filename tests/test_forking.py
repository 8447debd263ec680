"""docs/forking.md, followed: its code blocks are applied to a copy of the template, which is rendered and run."""

import re
import shutil
from pathlib import Path

import pytest

from .conftest import RENDERED, TEMPLATE, Project, Runner, render, run

PACKAGE = f"{RENDERED}/src/<<cookiecutter.package_name>>"
REPLACE = (
    r"^In `(?P<file>[^`]+)`, replace\n\n```\w+\n(?P<old>.*?)\n```\n\nwith\n\n```\w+\n(?P<new>.*?)\n```\n"
)
WRITE = r"^(?P<how>Create|Append to) `(?P<path>[^`]+)`:\n\n```\w+\n(?P<text>.*?)```\n"
EDIT = re.compile(f"{REPLACE}|{WRITE}", re.MULTILINE | re.DOTALL)


def follow(guide: str, template: Path) -> int:
    """Apply every code block of the guide; return how many there were."""
    edits = list(EDIT.finditer(guide))
    for edit in edits:
        path = template / re.sub(r"^src/", f"{PACKAGE}/", edit["file"] or edit["path"])
        if edit["how"] == "Create":
            assert not path.exists(), path
            path.write_text(edit["text"])
        elif edit["how"] == "Append to":
            path.write_text(path.read_text() + edit["text"])
        else:
            text = path.read_text()
            assert text.count(edit["old"]) == 1, f"{edit['file']} does not have this once:\n{edit['old']}"
            path.write_text(text.replace(edit["old"], edit["new"]))
    return len(edits)


@pytest.fixture
def fork(template: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "fork"
    shutil.copytree(template, copy, symlinks=True)
    guide = (TEMPLATE / "docs" / "forking.md").read_text()
    assert follow(guide, copy) == guide.count("\nwith\n") + guide.count("\nCreate `") + guide.count(
        "\nAppend to `"
    )
    return copy


@pytest.fixture
def project(fork: Path, tmp_path: Path, cookiecutter_config: Path) -> Project:
    answers = {"keep_versions": "3", "estimator": "extra_trees", "data_source": "warehouse://customers"}
    return render(fork, tmp_path / "out", cookiecutter_config, answers)


def test_the_guide_leads_to_a_project_that_runs(project: Project, runner: Runner) -> None:
    first = runner.command(project, "retrain", "--json")
    second = runner.command(project, "retrain", "--json", GATE__GUARD_SHARE="0.9")

    assert (first["verdict"], second["verdict"]) == ("promoted", "kept")
    assert "repeated rows" in runner.python(project, "-m", project.package, "retrain").stderr
    shown = runner.command(project, "registry", "show", "--json")
    assert shown["lineage"]["estimator"] == "extra_trees"
    assert shown["lineage"]["data"]["source"] == "warehouse://customers"
    explained = runner.command(project, "registry", "explain", second["version"], "--json")
    assert "guard share" in [criterion["name"] for criterion in explained["decision"]["criteria"]]
    own = runner.command(project, "retrain", "--json", GATE__METRIC="weighted_mistakes")
    assert (own["metric"], own["verdict"]) == ("weighted_mistakes", "kept")
    assert "keep = 3" in (project.source / "config.toml").read_text()


def test_what_the_guide_leads_to_passes_the_checks(fork: Path, project: Project, environment: Path) -> None:
    library = fork / "retrainer"
    run(environment / "python", "tools/settings_page.py", cwd=library, environment={"PYTHONPATH": "src"})
    assert "GATE__GUARD_SHARE" in (library / "src" / "retrainer" / "docs" / "settings.md").read_text()

    for folder in (project.path, library):
        run(environment / "ruff", "check", "--no-cache", ".", cwd=folder)
        run(environment / "ruff", "format", "--no-cache", "--check", ".", cwd=folder)
    run(environment / "mypy", cwd=project.path, environment={"MYPY_CACHE_DIR": "/dev/null"})
    run(environment / "deptry", ".", cwd=project.path)
