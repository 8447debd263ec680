"""What is rendered, running: against one real server, in one environment installed from the render's lock."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import (
    Bake,
    Project,
    Receiver,
    Runner,
    combinations,
)


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
        "comment": lambda row: (
            "" if row % 5 else ("too expensive, leaving" if row % 7 > 3 else "quite content")
        ),
        "left": lambda row: "yes" if row % 7 + (row % 3 == 2) + chance.random() > 4 else "no",
    }
    columns = {name: make for name, make in (columns | changes).items() if make}
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([make(row) for make in columns.values()] for row in range(rows))


def test_the_first_model_is_promoted_the_same_again_is_kept(own_copy: Bake, runner: Runner) -> None:
    project = own_copy()

    first = runner.command(project, "retrain", "--json")
    second = runner.command(project, "retrain", "--json")

    assert (first["verdict"], second["verdict"]) == ("promoted", "kept")
    assert first["reason"] != second["reason"]
    assert str(round(first["metrics"]["f1_score"], 4)) in second["reason"]
    production = champion(project)
    assert production["version"] == first["version"] == second["champion"]
    assert production["f1_score"] == first["metrics"]["f1_score"]
    assert production["promoted_at"].endswith(("Z", "+00:00"))
    assert (project.path / production["model_path"]).is_file()
    listed = runner.command(project, "registry", "list", "--json")
    assert {entry["version"]: entry["verdict"] for entry in listed} == {
        first["version"]: "promoted",
        second["version"]: "kept",
    }
    assert second["reason"] in " ".join(runner.command(project, "registry", "explain").split())
    assert runner.command(project, "registry", "verify", "--json") == []


@pytest.mark.parametrize("answers", combinations("problem_type", "estimator"))
def test_each_estimator_is_promoted_for_either_problem(
    own_copy: Bake, runner: Runner, answers: dict[str, str]
) -> None:
    project = own_copy(**answers)

    facts = runner.command(project, "retrain", "--json")

    assert facts["verdict"] == "promoted"
    shown = runner.command(project, "registry", "show", "--json")
    several = {"boosting_or_linear": ("hist_gradient_boosting", "linear")}
    assert shown["lineage"]["estimator"] in several.get(answers["estimator"], (answers["estimator"],))
    if answers["problem_type"] == "classification":
        assert facts["metrics"]["f1_score"] > 0.9
    else:
        assert {"rmse", "mae", "r2"} <= facts["metrics"].keys()
        assert facts["metrics"]["r2"] > 0.2


def test_a_better_challenger_is_promoted(own_copy: Bake, runner: Runner) -> None:
    project = own_copy(data_source="table.csv", target_column="left", estimator="linear")
    write_table(
        project.path / "table.csv", rows=600, left=lambda row: "yes" if row % 7 in (2, 4, 5, 6) else "no"
    )

    worse = runner.command(project, "retrain", "--json")
    better = runner.command(project, "retrain", "--json", ESTIMATORS='["hist_gradient_boosting"]')

    assert [worse["verdict"], better["verdict"]] == ["promoted", "promoted"]
    assert better["metrics"]["f1_score"] > worse["metrics"]["f1_score"] + 0.1
    assert champion(project)["version"] == better["version"]


@pytest.mark.parametrize("name", ["customers.csv", "data/customers.csv"])
def test_a_table_of_ones_own_needs_two_answers(own_copy: Bake, runner: Runner, name: str) -> None:
    project = own_copy(data_source=name, target_column="left")
    write_table(project.path / name)

    facts = runner.command(project, "retrain", "--json")

    assert facts["verdict"] == "promoted"
    assert facts["metrics"]["f1_score"] > 0.7


def test_a_failing_source_leaves_production_alone_and_tells_the_team(
    own_copy: Bake, runner: Runner, receiver: Receiver
) -> None:
    project = own_copy(slack_block="failing-source")
    runner.python(project, "setup_slack.py", variables={"SLACK_WEBHOOK_URL": receiver.url})
    promoted = runner.command(project, "retrain", "--json")["version"]
    before = files(project.path / "models")

    said = runner.command(project, "retrain", code=1, DATA__SOURCE="gone.csv")

    assert "gone.csv" in said
    assert files(project.path / "models") == before
    test, promotion, failure = receiver.payloads
    assert project.slug in test["title"]
    assert promoted in promotion["title"]
    assert failure["title"] == f"{project.slug}: retrain failed"
    assert "gone.csv" in failure["message"]
    assert promoted in failure["message"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"GATE__MIN_IMPROVEMENT": "-1"}, "gate.min_improvement"),
        ({"GATE__MIN_IMPROVMENT": "0.1"}, "min_improvment"),
        ({"ESTIMATORS": '["hist_gradient_bosting"]'}, "hist_gradient_boosting"),
        ({"GATE__METRIC": "f1_scor"}, "f1_score"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_an_impossible_setting_ends_with_2_and_its_name(
    own_copy: Bake, runner: Runner, settings: dict[str, str], words: str
) -> None:
    project = own_copy()

    assert words in runner.command(project, "retrain", code=2, **settings)
    assert not (project.path / "models" / "production_metrics.json").exists()


def test_a_configuration_that_is_no_toml_ends_with_2_and_its_name(own_copy: Bake, runner: Runner) -> None:
    project = own_copy()
    (project.source / "config.toml").write_text("[data\n")

    assert "config.toml" in runner.command(project, "retrain", code=2)


BAD_TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "target missing": ({"left": None, "Left": lambda row: "no"}, "Left"),
    "target null": ({"left": lambda row: ""}, "left"),
    "single class": ({"left": lambda row: "no"}, "left"),
    "numbers for classes": ({"left": lambda row: row / 7}, "left"),
    "no rows": ({"rows": 0}, "table.csv"),
    "few rows": ({"rows": 3}, "table.csv"),
    "infinite values": ({"usage": lambda row: "inf" if row == 5 else row}, "usage"),
}


@pytest.mark.parametrize(("changes", "words"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_table_that_cannot_be_learned_from_ends_with_1_and_says_why(
    own_copy: Bake, runner: Runner, changes: dict[str, Any], words: str
) -> None:
    project = own_copy(data_source="table.csv", target_column="left")
    write_table(project.path / "table.csv", **changes)

    assert words in runner.command(project, "retrain", code=1)
    assert not (project.path / "models" / "production_metrics.json").exists()


def test_setup_slack_saves_the_block_and_never_shows_the_url(
    own_copy: Bake, runner: Runner, receiver: Receiver
) -> None:
    project = own_copy(slack_block="saved-block")

    done = runner.python(project, "setup_slack.py", variables={"SLACK_WEBHOOK_URL": receiver.url})

    assert "slack-webhook/saved-block" in done.stdout
    assert len(receiver.payloads) == 1
    assert "a-secret" not in done.stdout + done.stderr
    assert runner.server.call("/block_types/slug/slack-webhook/block_documents/name/saved-block")

    runner.python(project, "setup_slack.py", variables={"SLACK_WEBHOOK_URL": receiver.url})
    assert len(receiver.payloads) == 2


@pytest.mark.parametrize("url", ["", "hooks.slack.com/x-secret", "json://127.0.0.1:9/x-secret"])
def test_setup_slack_refuses_what_is_no_webhook_without_showing_it(
    own_copy: Bake, runner: Runner, url: str
) -> None:
    project = own_copy(slack_block="refused-block")

    done = runner.python(project, "setup_slack.py", code=2, variables={"SLACK_WEBHOOK_URL": url})

    assert "URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "x-secret" not in done.stdout + done.stderr


COMMANDS = """
from ml_retraining.retrainer.cli import app
registry_app = app["registry"]
names = [name for name in app if not name.startswith("-")]
print(*names, *(f"registry {name}" for name in registry_app if not name.startswith("-")), sep="\\n")
"""


def test_every_command_is_in_the_readme(own_copy: Bake, runner: Runner) -> None:
    project = own_copy()
    readme = (project.path / "README.md").read_text()

    commands = runner.python(project, "-c", COMMANDS).stdout.split("\n")[:-1]

    assert len(commands) > 8
    assert [name for name in commands if f"{name}`" not in readme and f" {name}" not in readme] == []
