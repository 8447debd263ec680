"""A project from before the rooms, edited by its team and with a model in production, updated to this template."""

import re
import shutil
from pathlib import Path

import pytest

from .conftest import TEMPLATE, Project, Runner, run
from .test_life import AUTHOR, commit_all, git

# The template before "Draw the rooms" as one commit, without locks and tests: a clone may be shallow.
# Made with `git bundle create before-the-rooms.bundle main`.
BEFORE = TEMPLATE / "tests" / "releases" / "before-the-rooms.bundle"

FEATURES = """def features(frame: pd.DataFrame) -> pd.DataFrame:"""
OWN_FEATURES = """def ratio(frame: pd.DataFrame) -> pd.Series:
    \"\"\"Return an edit of the team.\"\"\"
    numbers = frame.select_dtypes("number")
    return numbers.iloc[:, 0] / (numbers.iloc[:, 1].abs() + 1)


"""
OWN_ESTIMATOR = '''def extra_trees(problem_type: ProblemType, seed: int) -> Pipeline:
    """Return the team's own forest."""
    kind = ExtraTreesClassifier if problem_type == "classification" else ExtraTreesRegressor
    return Pipeline(
        [
            ("clean", TableCleaner()),
            ("encode", TreeEncoder(problem_type=problem_type, random_state=seed)),
            ("impute", SimpleImputer(keep_empty_features=True)),
            ("model", kind(n_estimators=50, random_state=seed)),
        ]
    )


'''


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The template as it was."""
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(BEFORE), "template")
    return tmp_path / "template"


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new))


def edit(project: Project) -> list[tuple[str, str]]:
    """Edit the team's files as a team does; return each file with a line that must be in it afterwards."""
    features = project.source / "features.py"
    head, _, body = features.read_text().rpartition("    return frame\n")
    assert not body
    features.write_text(f"{head}    return frame.assign(ratio=ratio(frame))\n")
    replace_once(features, FEATURES, OWN_FEATURES + FEATURES)
    models = project.source / "models.py"
    replace_once(
        models,
        "from sklearn.ensemble import (\n",
        "from sklearn.ensemble import (\n    ExtraTreesClassifier,\n    ExtraTreesRegressor,\n",
    )
    replace_once(models, "def linear(", OWN_ESTIMATOR + "def linear(")
    replace_once(
        models, '    "linear": linear,\n', '    "extra_trees": extra_trees,\n    "linear": linear,\n'
    )
    config = project.source / "config.toml"
    replace_once(config, 'estimators = ["hist_gradient_boosting"]', 'estimators = ["extra_trees", "linear"]')
    replace_once(
        config, "min_improvement = 0.005", "min_improvement = 0.01\nguard_metrics = { accuracy = 0.02 }"
    )
    return [
        ("features.py", "    return frame.assign(ratio=ratio(frame))\n"),
        ("features.py", OWN_FEATURES),
        ("models.py", "    ExtraTreesClassifier,\n"),
        ("models.py", OWN_ESTIMATOR),
        ("models.py", '    "extra_trees": extra_trees,\n'),
        ("config.toml", 'estimators = ["extra_trees", "linear"]\n'),
        ("config.toml", "min_improvement = 0.01\nguard_metrics = { accuracy = 0.02 }\n"),
    ]


def test_an_edited_project_from_before_the_rooms_updates_and_retrains(
    source: Path, template: Path, cookiecutter_config: Path, tmp_path: Path, runner: Runner
) -> None:
    quiet = ("--no-input", "--config-file", cookiecutter_config)
    run("cruft", "create", source, *quiet, cwd=tmp_path, environment=AUTHOR)
    project = Project(tmp_path / "ml-retraining", "ml-retraining", "ml_retraining")
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    commit_all(project.path, "Begin")
    edits = edit(project)
    commit_all(project.path, "Make it ours")
    old = runner.command(project, "retrain", "--json")
    assert old["verdict"] == "promoted"

    replace_all(source, template)
    commit_all(source, "Change")
    done = run("cruft", "update", "--skip-apply-ask", cwd=project.path, environment=AUTHOR)

    assert "Good work" in done.stdout, done.stdout + done.stderr
    assert list(project.path.rglob("*.rej")) == []
    assert not re.search("^(<<<<<<<|>>>>>>>)", git(project.path, "diff", "HEAD"), re.MULTILINE)
    for name, lines in edits:
        assert lines in (project.source / name).read_text(), name
    commit_all(project.path, "Update")
    run("cruft", "check", cwd=project.path, environment=AUTHOR)

    compared = runner.command(project, "retrain", "--json")
    assert compared["verdict"] == "kept", compared["reason"]
    assert compared["champion"] == old["version"]
    assert "not comparable" in compared["reason"]
    assert "--accept-not-comparable" in compared["reason"]
    accepted = runner.command(project, "retrain", "--accept-not-comparable", "--json")
    assert accepted["verdict"] == "promoted", accepted["reason"]
    assert accepted["champion"] == accepted["version"]
    listed = {entry["version"]: entry for entry in runner.command(project, "registry", "list", "--json")}
    assert listed[accepted["version"]]["now"] == ["champion"]
    assert listed[old["version"]]["verdict"] == "promoted"
    shown = runner.command(project, "registry", "show", "--json")
    assert shown["lineage"]["estimator"] in ("extra_trees", "linear")


def replace_all(folder: Path, template: Path) -> None:
    """Put the files of the template in place of those of the folder, whose history stays."""
    git(folder, "rm", "--quiet", "-r", ".")
    for path in template.iterdir():
        if path.is_symlink() or path.is_file():
            shutil.copy2(path, folder / path.name, follow_symlinks=False)
        elif path.name != ".git":
            shutil.copytree(path, folder / path.name, symlinks=True, dirs_exist_ok=True)
