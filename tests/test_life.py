"""What people do with a project over the months: set it up, change it, update it from the template."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .conftest import RENDERED, Bake, Project, Server, clean_environment, run

AUTHOR = {
    **{
        f"GIT_{who}_{what}": f"{who}@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(folder: Path, *words: str) -> str:
    """Run git as nobody in particular, whatever the machine's configuration."""
    return run("git", *words, cwd=folder, environment=AUTHOR).stdout


def commit_all(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def make(project: Project, *targets: str, environment: dict[str, str] | None = None) -> str:
    command = ("make", f"PYTHON={sys.executable}", *targets)
    return run(*command, cwd=project.path, environment=environment, timeout=900).stdout


def test_set_up_check_test_and_retrain_leave_nothing_for_git(own_copy: Bake, server: Server) -> None:
    project = own_copy()
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    commit_all(project.path, "Begin")

    make(project, "setup", "check")  # its tests pass in test_week, with a team's edits
    make(project, "test", "ARGS=tests/test_features.py tests/test_models.py")
    assert_doctor_repairs_the_environment(project)
    make(project, "retrain", environment=server.environment)

    listed = run(
        project.path / ".venv" / "bin" / project.slug, "registry", "list", "--json", cwd=project.path
    )
    (version,) = json.loads(listed.stdout)
    assert version["now"] == ["champion"]
    shown = run(project.path / ".venv" / "bin" / project.slug, "registry", "show", "--json", cwd=project.path)
    assert json.loads(shown.stdout)["lineage"]["git_commit"] == git(project.path, "rev-parse", "HEAD").strip()
    assert git(project.path, "status", "--porcelain") == ""


def assert_doctor_repairs_the_environment(project: Project) -> None:
    """Remove a package of the lock; the command that doctor prints brings it back."""
    commands = project.path / ".venv" / "bin"

    def lock() -> tuple[str, str]:
        done = subprocess.run(
            [commands / project.slug, "doctor", "--json"],
            cwd=project.path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            check=False,
        )
        (check,) = [check for check in json.loads(done.stdout) if check["name"] == "lock"]
        return check["severity"], check["command"]

    run("uv", "pip", "uninstall", "--quiet", "--python", commands / "python", "iniconfig", cwd=project.path)
    severity, command = lock()
    assert severity == "error"
    run("sh", "-c", command, cwd=project.path, environment={"PYTHON": sys.executable})
    assert lock() == ("ok", "")


def test_pip_alone_sets_a_project_up(own_copy: Bake, server: Server) -> None:
    project = own_copy()

    make(project, "UV=", "setup", environment={"PIP_NO_COMPILE": "1"})  # half the time
    make(project, "UV=", "retrain", environment=server.environment)

    assert (project.path / "models" / "production_metrics.json").is_file()


def test_the_commit_hooks_pass_on_a_fresh_project(own_copy: Bake, environment: Path) -> None:
    project = own_copy(ci_provider="none")
    (project.path / ".venv").symlink_to(environment.parent)
    git(project.path, "init", "--quiet")
    git(project.path, "add", "--all")

    run(environment / "pre-commit", "run", "--all-files", cwd=project.path, environment=AUTHOR)


def repository(template: Path, source: Path) -> Path:
    """Copy the template into a git repository of its own."""
    shutil.copytree(template, source, symlinks=True)
    git(source, "init", "--quiet", "--initial-branch", "main")
    commit_all(source, "Begin")
    return source


def create(source: Path, cookiecutter_config: Path) -> Project:
    """Create a project beside a template with cruft, and commit it."""
    quiet = ("--no-input", "--config-file", cookiecutter_config)
    run("cruft", "create", source, *quiet, cwd=source.parent, environment=AUTHOR)
    project = Project(source.with_name("ml-retraining"), "ml-retraining", "ml_retraining")
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    commit_all(project.path, "Begin")
    return project


def test_cruft_brings_the_templates_change_and_keeps_the_users_edit(
    template: Path, cookiecutter_config: Path, tmp_path: Path, environment: Path, server: Server
) -> None:
    source = repository(template, tmp_path / "template")
    project = create(source, cookiecutter_config)
    run("cruft", "check", cwd=project.path, environment=AUTHOR)

    models = project.source / "models.py"
    models.write_text(models.read_text() + "\n# An edit of the user.\n")
    commit_all(project.path, "Edit")
    package = source / RENDERED / "src" / "<<cookiecutter.package_name>>"
    for changed in (package / "features.py", source / RENDERED / "README.md"):
        changed.write_text(changed.read_text() + "\n# A change of the template.\n")
    (package / "extra.py").write_text('"""A file that is new in the template."""\n')
    commit_all(source, "Change")
    run("cruft", "check", cwd=project.path, environment=AUTHOR, code=1)
    run("cruft", "update", "--skip-apply-ask", cwd=project.path, environment=AUTHOR)

    assert models.read_text().endswith("# An edit of the user.\n")
    assert (project.source / "features.py").read_text().endswith("# A change of the template.\n")
    assert (project.path / "README.md").read_text().endswith("# A change of the template.\n")
    assert (project.source / "extra.py").is_file()
    assert list(project.path.rglob("*.rej")) == []
    run("cruft", "check", cwd=project.path, environment=AUTHOR)
    command = (environment / "python", "-m", project.package, "retrain", "--json")
    path = {"PYTHONPATH": str(project.path / "src")}
    done = run(*command, cwd=project.path, environment=server.environment | path)
    assert json.loads(done.stdout)["verdict"] == "promoted"
