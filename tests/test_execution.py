"""The commands of a project, one life each: against one real server, in one environment installed from its lock.

What a flow decides is tested in `retrainer/tests`, and that a project's own tests pass in `test_projects`.
"""

import csv
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import SECRET, Bake, Project, Receiver, Runner, Server, postgresql_commands, serving


@pytest.fixture(scope="module")
def server(
    environment: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run a server that keeps its runs in PostgreSQL, as compose.yaml does, where this machine has it."""
    variables = {}
    if postgresql_commands():
        database = request.getfixturevalue("postgresql")
        database.execute("CREATE DATABASE prefect")
        url = f"postgresql+asyncpg://ml:{SECRET}@127.0.0.1:{database.port}/prefect"
        variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = url
    with serving(environment, tmp_path_factory.mktemp("prefect"), **variables) as server:
        yield server


def champion(project: Project) -> dict[str, Any]:
    """Return what the registry says about the model in production."""
    return json.loads((project.path / "models" / "production_metrics.json").read_text())


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below the folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_table(path: Path, *, rows: int = 400, **changes: Callable[[int], object] | None) -> None:
    """Write customers with text, numbers, blanks and a date; the target is `left`, yes or no.

    A change gives a column other values by row, or leaves it out (None).
    """
    chance = random.Random(1)
    columns: dict[str, Callable[[int], object]] = {
        "customer": lambda row: f"C-{row:05}",
        "since": lambda row: f"20{10 + row % 15}-{1 + row % 12:02}-{1 + row % 28:02}",
        "plan": lambda row: ("basic", "plus", "pro")[row % 3],
        "usage": lambda row: "" if row % 17 == 0 else round(chance.gauss(50, 10), 2),
        "calls": lambda row: row % 7,
        "comment": lambda row: "" if row % 5 else ("too expensive, leaving" if row % 7 > 3 else "quite content"),
        "left": lambda row: "yes" if row % 7 + (row % 3 == 2) + chance.random() > 4 else "no",
    }
    columns = {name: make for name, make in (columns | changes).items() if make}
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([make(row) for make in columns.values()] for row in range(rows))


def test_the_life_of_a_model(own_copy: Bake, runner: Runner, receiver: Receiver) -> None:
    project = own_copy(data_source="data/customers.csv", target_column="left", estimator="linear", slack_block="life")
    write_table(project.path / "data/customers.csv", left=lambda row: "yes" if row % 7 in (2, 4, 5, 6) else "no")
    boosting = {"ESTIMATORS": '["hist_gradient_boosting"]'}

    done = runner.python(project, "setup_slack.py", variables={"SLACK_WEBHOOK_URL": receiver.url})
    first = runner.command(project, "retrain", "--json")
    better = runner.command(project, "retrain", "--json", **boosting)
    kept = runner.command(project, "retrain", "--json", **boosting)

    assert "slack-webhook/life" in done.stdout
    assert "a-secret" not in done.stdout + done.stderr
    assert [run["verdict"] for run in (first, better, kept)] == ["promoted", "promoted", "kept"]
    assert better["metrics"]["f1_score"] > first["metrics"]["f1_score"] + 0.1
    production = champion(project)
    assert production["version"] == better["version"] == kept["champion"]
    assert production["f1_score"] == better["metrics"]["f1_score"]
    assert production["promoted_at"].endswith(("Z", "+00:00"))
    assert (project.path / production["model_path"]).is_file()
    assert kept["reason"] in " ".join(runner.command(project, "registry", "explain").split())

    scored = runner.command(project, "score", "--json")
    assert (scored["version"], scored["rows"]) == (better["version"], 400)

    before = files(project.path / "models")
    said = runner.command(project, "retrain", code=1, DATA__SOURCE="gone.csv")
    assert "gone.csv" in said
    assert files(project.path / "models") == before
    titles = [payload["title"] for payload in receiver.payloads]
    assert [title.partition(": ")[2].split(", ")[0] for title in titles[1:]] == [  # without the number of alarms
        f"{first['version']} promoted",
        f"{better['version']} promoted",
        "retrain failed",
    ]
    assert "gone.csv" in receiver.payloads[-1]["message"]
    assert better["version"] in receiver.payloads[-1]["message"]

    runs = runner.server.call("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    assert [run["name"] for run in runs if first["version"][-6:] in run["name"]], "the server remembers it"


def test_the_sample_of_a_regression(own_copy: Bake, runner: Runner) -> None:
    project = own_copy(problem_type="regression", estimator="boosting_or_linear")

    facts = runner.command(project, "retrain", "--json")

    assert facts["verdict"] == "promoted"
    assert {"rmse", "mae", "r2"} <= facts["metrics"].keys()
    assert facts["metrics"]["r2"] > 0.2


COMMANDS = """
from ml_retraining.retrainer.cli import app
registry_app = app["registry"]
names = [name for name in app if not name.startswith("-")]
print(*names, *(f"registry {name}" for name in registry_app if not name.startswith("-")), sep="\\n")
"""


def test_every_command_is_in_the_readme(bake: Bake, runner: Runner) -> None:
    project = bake()
    readme = (project.path / "README.md").read_text()

    commands = runner.python(project, "-B", "-c", COMMANDS).stdout.split("\n")[:-1]

    assert len(commands) > 8
    assert [name for name in commands if f"{name}`" not in readme and f" {name}" not in readme] == []
