"""docs/forking.md, followed: its code blocks are applied to a copy of the template, which is rendered and run."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import RENDERED, TEMPLATE, Project, Runner, render, run

pytestmark = pytest.mark.long

PACKAGE = f"{RENDERED}/src/<<cookiecutter.package_name>>"
REPLACE = r"^In `(?P<file>[^`]+)`, replace\n\n```\w+\n(?P<old>.*?)\n```\n\nwith\n\n```\w+\n(?P<new>.*?)\n```\n"
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


def test_the_guide_leads_to_a_project_that_passes_the_checks_and_runs(
    template: Path,
    tmp_path: Path,
    cookiecutter_config: Path,
    check: Callable[[Project, Path], None],
    runner: Runner,
) -> None:
    fork = shutil.copytree(template, tmp_path / "fork", symlinks=True)
    guide = (TEMPLATE / "docs" / "forking.md").read_text()
    blocks = sum(guide.count(f"\n{how}") for how in ("with\n", "Create `", "Append to `"))
    assert follow(guide, fork) == blocks
    answers = {"keep_versions": "3", "estimator": "extra_trees", "data_source": "warehouse://customers"}
    project = render(fork, tmp_path / "out", cookiecutter_config, answers)
    library, python = fork / "retrainer", runner.environment / "python"

    run(python, "tools/settings_page.py", cwd=library, environment={"PYTHONPATH": "src"})
    assert "GATE__GUARD_SHARE" in (library / "src" / "retrainer" / "docs" / "settings.md").read_text()
    for words in (("check",), ("format", "--check")):
        run(runner.environment / "ruff", *words, "--no-cache", ".", cwd=library)
    check(project, runner.environment)

    assert "keep = 3" in (project.source / "config.toml").read_text()
    retrain = ("-m", project.package, "retrain", "--json")
    done = runner.python(project, *retrain)
    assert "repeated rows" in done.stderr
    assert json.loads(done.stdout)["verdict"] == "promoted"
    shown = runner.command(project, "registry", "show", "--json")
    assert shown["lineage"]["estimator"] == "extra_trees"
    assert shown["lineage"]["data"]["source"] == "warehouse://customers"
    settings = {"GATE__GUARD_SHARE": "0.9", "GATE__METRIC": "weighted_mistakes"}
    second = runner.command(project, "retrain", "--json", **settings)
    assert (second["metric"], second["verdict"]) == ("weighted_mistakes", "kept")
    explained = runner.command(project, "registry", "explain", second["version"], "--json")
    assert "guard share" in [criterion["name"] for criterion in explained["decision"]["criteria"]]
