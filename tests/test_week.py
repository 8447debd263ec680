"""The first week with a project, as its README tells it: each step changes what is the team's, and all stays green."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import AUTHOR, Bake, Runner, clean_environment, commit_all, git, run

pytestmark = pytest.mark.long

# Who comes often and uses little, or the other way round, stays: a line sees half of it.
VISITS = """
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
usage, visits = rng.normal(size=(2, 2000))
stays = usage + 3 * usage * visits + 0.5 * rng.normal(size=2000) > 0
table = {"usage": usage, "visits": visits, "called": rng.integers(0, 5, 2000), "stays": np.where(stays, "yes", "no")}
pd.DataFrame(table).to_csv("data/visits.csv", index=False)
"""
FEATURE = '    return frame.assign(both=frame["usage"] * frame["visits"])\n'
ESTIMATOR = '''def extra_trees(problem_type, seed):
    """Return a hundred random trees."""
    model = ExtraTreesClassifier(100, random_state=seed)
    return Pipeline([("clean", TableCleaner()), ("encode", linear_encoder(seed)), ("model", model)])


ESTIMATORS: '''
METRIC = '''def cost(truth, predictions, rows):
    """Return what each wrong answer costs: as much as the customer comes."""
    return np.where(predictions.labels == truth, 0, 1 + rows["visits"].abs())


METRICS: dict[str, OwnMetric] = {"cost": OwnMetric(cost, greater_is_better=False, relative=True, columns=("visits",))}
'''


def edit(path: Path, old: str, new: str) -> None:
    """Replace the last place of a text."""
    head, found, tail = path.read_text(encoding="utf-8").rpartition(old)
    assert found, f"{path.name} has no {old!r}"
    path.write_text(head + new + tail, encoding="utf-8")


def test_the_first_week(own_copy: Bake, runner: Runner) -> None:
    answers = {"data_source": "data/visits.csv", "target_column": "stays", "estimator": "linear"}
    project = own_copy(ci_provider="none", **answers)
    config, models, metrics = (project.source / name for name in ("config.toml", "models.py", "metrics.py"))
    commands = project.path / ".venv" / "bin"
    variables = AUTHOR | runner.server.environment

    def command(*words: str, **settings: str) -> Any:
        own = {f"{project.package.upper()}_{name}": value for name, value in settings.items()}
        done = run(commands / project.slug, *words, cwd=project.path, environment=variables | own)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    def champion() -> str:
        (found,) = [one["version"] for one in command("registry", "list", "--json") if "champion" in one["now"]]
        return str(found)

    def lock() -> tuple[str, str]:
        """Return what doctor says of the environment, and the command that repairs it."""
        done = subprocess.run(
            [commands / project.slug, "doctor", "--json"],
            cwd=project.path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            check=False,
        )
        (check,) = [check for check in json.loads(done.stdout) if check["name"] == "lock"]
        return check["severity"], check["command"]

    # Monday: the first model is better than no model. Nothing is left for git.
    (project.path / "data").mkdir()
    runner.python(project, "-c", VISITS)
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    commit_all(project.path, "Begin")
    make = ("make", f"PYTHON={sys.executable}")
    run(*make, "setup", "retrain", cwd=project.path, environment=variables, timeout=900)
    first = champion()
    assert "Better than" in command("registry", "explain")
    shown = command("registry", "show", "--json")
    assert shown["lineage"]["git_commit"] == git(project.path, "rev-parse", "HEAD").strip()
    assert git(project.path, "status", "--porcelain") == ""

    # Tuesday: a column goes; a feature, an estimator and a metric come, and every test of the project still passes.
    edit(config, old="[data]\n", new='[data]\ndrop = ["called"]\n')
    edit(config, old="[gate]\n", new='[gate]\nmetric = "cost"\n')
    edit(config, old="estimators = [", new='estimators = ["extra_trees", ')
    edit(project.source / "features.py", old="    return frame\n", new=FEATURE)
    edit(models, old="ESTIMATORS: ", new=ESTIMATOR)
    edit(models, old='    "linear": linear,\n', new='    "linear": linear,\n    "extra_trees": extra_trees,\n')
    edit(
        models,
        old="    GradientBoostingClassifier,\n",
        new="    ExtraTreesClassifier,\n    GradientBoostingClassifier,\n",
    )
    imports = "from .retrainer import OwnMetric\n"
    edit(metrics, old=imports, new=f"import numpy as np\n\n{imports}")
    edit(metrics, old="METRICS: dict[str, OwnMetric] = {}", new=f"\n{METRIC.rstrip()}")
    run(*make, "check", "test", cwd=project.path, environment=AUTHOR, timeout=1200)

    # Wednesday: tried, then trained, which promotes it; the team changes its mind.
    tried = command("retrain", "--dry-run", "--json")
    assert Path(tried["report"]).is_file()
    assert len(command("registry", "list", "--json")) == 1
    second = command("retrain", "--json")
    assert (tried["verdict"], second["verdict"]) == ("promoted", "promoted"), second["reason"]
    assert "cost (decides the promotion)" in command("registry", "compare", first)
    command("registry", "rollback", "--reason", "it answers slowly")
    assert champion() == first
    assert f"on hold: {second['version']} (it answers slowly)" in command("registry", "list")

    # Thursday: the schedule does not undo that, a person does.
    third = command("retrain", "--json")
    assert third["verdict"] == "staging", third["reason"]
    assert champion() == first
    command("registry", "promote", second["version"], "--reason", "the machine is faster now")
    assert champion() == second["version"]
    command("registry", "verify")

    # Friday: an environment that lost a package is repaired; predictions to hand over, a look, and a commit.
    run("uv", "pip", "uninstall", "--quiet", "--python", commands / "python", "iniconfig", cwd=project.path)
    severity, repair = lock()
    assert severity == "error"
    run("sh", "-c", repair, cwd=project.path, environment={"PYTHON": sys.executable})
    assert lock() == ("ok", "")
    scored = command("score", "--json", SCORE__FORMAT="csv")
    assert scored["version"] == second["version"]
    with open(scored["path"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows[:2]] == ["1", "2"]
    assert len(rows) == scored["rows"]
    looked = run(commands / "python", "notebooks/look.py", cwd=project.path, environment=variables)
    assert "are held out" in looked.stdout
    git(project.path, "add", "--all")
    run(commands / "pre-commit", "run", "--all-files", cwd=project.path, environment=AUTHOR)


def test_pip_alone_sets_a_project_up(own_copy: Bake) -> None:
    project = own_copy()

    quick = {"PIP_NO_COMPILE": "1"}  # half the time
    run("make", f"PYTHON={sys.executable}", "UV=", "setup", cwd=project.path, environment=quick, timeout=1800)

    listed = run(project.path / ".venv" / "bin" / project.slug, "registry", "list", cwd=project.path)
    assert "no version" in listed.stdout
