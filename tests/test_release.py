"""Releases, in a clone that may be scratched: what is checked, what is tagged, and that a project knows its release."""

import shutil
import sys
from pathlib import Path

import pytest

from .conftest import AUTHOR, commit_all, git, render, run

PLACE = Path("retrainer/src/retrainer/version.py")


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """The template as a repository of its own, with something to release."""
    path = tmp_path / "template"
    shutil.copytree(template, path, symlinks=True)
    (path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\nThe first version.\n")
    git(path, "init", "--quiet", "--initial-branch", "main")
    commit_all(path, "Begin")
    return path


def release(clone: Path, version: str, *, tests: str = "true", code: int = 0) -> str:
    command = (sys.executable, ".ci/release.py", version, "--tests", tests)
    done = run(*command, cwd=clone, environment=AUTHOR, code=code)
    return done.stdout + done.stderr


def test_a_release_is_tagged_with_its_notes_and_known_to_its_renders(
    clone: Path, cookiecutter_config: Path, tmp_path: Path
) -> None:
    printed = release(clone, "1.0.0")

    assert "git push origin HEAD v1.0.0" in printed
    assert "The first version." in git(clone, "tag", "--list", "--format=%(contents)", "v1.0.0")
    assert 'VERSION = "1.0.0"' in git(clone, "show", f"v1.0.0:{PLACE}")
    assert "\n## 1.0.0, 20" in git(clone, "show", "v1.0.0:CHANGELOG.md")
    assert "## Unreleased\n\n## 1.0.0, 20" in (clone / "CHANGELOG.md").read_text()
    assert git(clone, "status", "--porcelain") == ""
    git(clone, "checkout", "--quiet", "v1.0.0")
    project = render(clone, tmp_path / "out", cookiecutter_config, {})
    assert 'VERSION = "1.0.0"' in (project.source / "retrainer" / "version.py").read_text()


def test_the_number_says_what_an_update_asks(clone: Path) -> None:
    release(clone, "1.4.0")
    changelog = clone / "CHANGELOG.md"
    said = "## Unreleased\n\n### What a project has to change\n\nA setting has another name.\n"
    changelog.write_text(changelog.read_text().replace("## Unreleased\n", said, 1))
    commit_all(clone, "Rename a setting")

    assert "after 1.4.0 that is 2.0.0" in release(clone, "1.5.0", code=1)
    release(clone, "2.0.0")
    assert git(clone, "tag").split() == ["v1.4.0", "v2.0.0"]


@pytest.mark.parametrize(
    ("version", "change", "tests", "reason"),
    [
        ("1.0", "", "true", "three numbers such as 1.2.0"),
        ("1.0.0", "CHANGELOG.md", "true", "nothing under '## Unreleased'"),
        ("1.0.0", "README.md", "true", "not clean: commit or remove\n M README.md"),
        ("1.0.0", "", "false", "`false` failed"),
    ],
)
def test_what_is_not_released(clone: Path, version: str, change: str, tests: str, reason: str) -> None:
    before = git(clone, "rev-parse", "HEAD")
    if change:
        (clone / change).write_text("# Changed\n")

    assert reason in release(clone, version, tests=tests, code=1)
    assert git(clone, "tag") == ""
    assert git(clone, "rev-parse", "HEAD") == before


def test_a_version_that_was_released_is_not_released_again(clone: Path) -> None:
    release(clone, "1.0.0")
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## Unreleased\n", "## Unreleased\n\nMore.\n", 1))
    commit_all(clone, "Say more")

    assert "1.0.0 does not come after 1.0.0" in release(clone, "1.0.0", code=1)
