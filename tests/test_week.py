"""The first week with a project, as its README tells it: each step changes what is the team's, and all stays green."""

import csv
from pathlib import Path
from typing import Any

from .conftest import Bake, Project, Runner, run

FEATURE = '    return frame.assign(roundness=frame["mean perimeter"] / frame["mean radius"])\n'
ESTIMATOR = '''def extra_trees(problem_type, seed):
    """Return a hundred random trees."""
    model = ExtraTreesClassifier(100, random_state=seed)
    return Pipeline([("clean", TableCleaner()), ("encode", linear_encoder(seed)), ("model", model)])


ESTIMATORS: '''


def edit(path: Path, **changes: str) -> None:
    """Replace the last place of each text, given without its spaces' look: `old` by `new`."""
    text = path.read_text(encoding="utf-8")
    head, found, tail = text.rpartition(changes["old"])
    assert found
    path.write_text(head + changes["new"] + tail, encoding="utf-8")


def champion(project: Project, runner: Runner) -> str:
    listed: list[dict[str, Any]] = runner.command(project, "registry", "list", "--json")
    (found,) = [version["version"] for version in listed if "champion" in version["now"]]
    return str(found)


def test_the_first_week(own_copy: Bake, environment: Path, runner: Runner) -> None:
    project = own_copy(ci_provider="none")
    config, models = project.source / "config.toml", project.source / "models.py"

    # Monday: the first model, better than no model.
    first = runner.command(project, "retrain", "--json")
    assert first["verdict"] == "promoted"
    assert "better than" in first["reason"]

    # Tuesday: a column goes, a feature and an estimator come.
    edit(config, old="\n\n[gate]", new='\ndrop = ["mean area"]\n\n[gate]')
    edit(config, old="estimators = [", new='estimators = ["extra_trees", ')
    edit(project.source / "features.py", old="    return frame\n", new=FEATURE)
    edit(models, old="ESTIMATORS: ", new=ESTIMATOR)
    edit(
        models, old='    "linear": linear,\n', new='    "linear": linear,\n    "extra_trees": extra_trees,\n'
    )
    edit(
        models,
        old="    GradientBoostingClassifier,\n",
        new="    ExtraTreesClassifier,\n    GradientBoostingClassifier,\n",
    )
    (project.path / ".venv").symlink_to(environment.parent)
    for command in (("init", "--quiet"), ("add", "--all")):
        run("git", *command, cwd=project.path)
    run(environment / "pre-commit", "run", "--all-files", cwd=project.path)
    rooms = (
        "data/test_preparation",
        "gate/test_promotion",
        "gate/test_own_metrics",
        "monitoring/test_scoring",
    )
    tests = [f"tests/{name}.py" for name in ("test_features", "test_models", *rooms)]
    runner.python(project, "-m", "pytest", "-q", *tests)

    # Wednesday: tried, then trained; the team decides by hand, and changes its mind.
    tried = runner.command(project, "retrain", "--dry-run", "--json")
    assert Path(tried["report"]).is_file()
    assert len(runner.command(project, "registry", "list", "--json")) == 1
    second = runner.command(project, "retrain", "--json")
    runner.command(project, "registry", "promote", second["version"], "--reason", "without the area")
    assert champion(project, runner) == second["version"]
    runner.command(project, "registry", "rollback", "--reason", "the area was needed")
    assert champion(project, runner) == first["version"]
    assert f"on hold: {second['version']}" in runner.command(project, "registry", "list")

    # Thursday: the schedule does not undo that.
    third = runner.command(project, "retrain", "--json")
    assert third["verdict"] in ("kept", "staging")
    assert champion(project, runner) == first["version"]
    runner.command(project, "registry", "verify")

    # Friday: predictions to hand over, and a look.
    scored = runner.command(project, "score", "--json", SCORE__FORMAT="csv")
    with open(scored["path"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows[:2]] == ["1", "2"]
    assert len(rows) == scored["rows"]
    assert "are held out" in runner.python(project, "notebooks/look.py").stdout
