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
def fork(template: Path, tmp_path: Path, cookiecutter_config: Path) -> Project:
    copy = tmp_path / "fork"
    shutil.copytree(template, copy, symlinks=True)
    guide = (TEMPLATE / "docs" / "forking.md").read_text()
    assert follow(guide, copy) == guide.count("\nwith\n") + guide.count("\nCreate `") + guide.count(
        "\nAppend to `"
    )
    answers = {"keep_versions": "3", "estimator": "extra_trees", "data_source": "warehouse://customers"}
    return render(copy, tmp_path / "out", cookiecutter_config, answers)


def test_the_guide_leads_to_a_project_that_runs(fork: Project, runner: Runner) -> None:
    first = runner.command(fork, "retrain", "--json")
    second = runner.command(fork, "retrain", "--json", GATE__GUARD_SHARE="0.9")

    assert (first["verdict"], second["verdict"]) == ("promoted", "kept")
    assert "repeated rows" in runner.python(fork, "-m", fork.package, "retrain").stderr
    shown = runner.command(fork, "registry", "show", "--json")
    assert shown["lineage"]["estimator"] == "extra_trees"
    assert shown["lineage"]["data"]["source"] == "warehouse://customers"
    explained = runner.command(fork, "registry", "explain", second["version"], "--json")
    assert "guard share" in [criterion["name"] for criterion in explained["decision"]["criteria"]]
    own = runner.command(fork, "retrain", "--json", GATE__METRIC="weighted_mistakes")
    assert own["metric"] == "weighted_mistakes"
    assert own["reason"].startswith("Kept: a tie, weighted mistakes 0")
    assert "keep = 3" in (fork.source / "config.toml").read_text()


def test_what_the_guide_leads_to_passes_the_checks(fork: Project, environment: Path) -> None:
    python_path = {"PYTHONPATH": "src"}
    run(environment / "python", "docs/settings.py", cwd=fork.path, environment=python_path)

    run(environment / "ruff", "check", "--no-cache", ".", cwd=fork.path)
    run(environment / "ruff", "format", "--no-cache", "--check", ".", cwd=fork.path)
    run(environment / "mypy", cwd=fork.path, environment={"MYPY_CACHE_DIR": "/dev/null"})
    run(environment / "lint-imports", "--no-cache", cwd=fork.path, environment=python_path)
    run(environment / "deptry", ".", cwd=fork.path)
    run(
        environment / "python",
        "-m",
        "pytest",
        "-q",
        "tests/test_doors.py",
        "tests/test_settings.py",
        cwd=fork.path,
        environment=python_path,
    )
