"""The console command as it is typed, in this process."""

import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from churn.flows import retrain, score
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from retrainer.cli import _run
from retrainer.errors import ProjectError
from retrainer.prefect import _cancellation, _messages
from retrainer.registry import Registry, open_registry
from retrainer.settings import Settings

from ..conftest import PACKAGE, Receiver, attached, make_table, plain_source, run_command_line, use

# What is typed and printed is the same for either type of problem.
pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prefect_api: str) -> Run:
    """Return a function that runs a command line and gives exit code, standard output and standard error."""
    monkeypatch.setattr(_messages, "SECONDS", 60.0)  # a busy machine is not what is tested

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["command", *words])
        capsys.readouterr()
        try:
            run_command_line()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return call


def test_the_life_of_two_champions(settings: Settings, run: Run, receiver: Receiver) -> None:
    code, output, _ = run("retrain", "--json")
    first = json.loads(output)
    assert (code, first["verdict"]) == (0, "promoted")
    predictions = score()["path"]
    before = Path(predictions).read_bytes()

    registry = open_registry(settings)
    second = registry.stage(
        registry.load_model(registry.champion()),
        metrics=first["metrics"],
        lineage=registry.champion().lineage,
    )
    registry.record(second, {"verdict": "promoted", "reason": "By hand."}, expected_champion=first["version"])
    receiver.payloads.clear()

    assert [entry["now"] for entry in json.loads(run("registry", "list", "--json")[1])] == [["champion"], []]
    assert run("registry", "verify")[0] == 0
    code, output, _ = run("registry", "rollback", "--reason", "it is worse")

    assert code == 0
    assert first["version"] in output
    assert receiver.payloads[-1]["title"] == f"{settings.project}: rolled back to {first['version']}"
    assert json.loads(run("registry", "show", "--json")[1])["id"] == first["version"]
    assert Path(score()["path"]).read_bytes() == before


def test_people_decide_by_hand_and_it_is_recorded_shown_and_told(
    settings: Settings, run: Run, receiver: Receiver
) -> None:
    registry, (first, second) = open_registry(settings), (retrain()["version"], retrain()["version"])
    receiver.payloads.clear()

    assert run("registry", "hold", first, "--reason", "no")[0] == 1
    assert run("registry", "promote", second, "--reason", "it is what was agreed")[0] == 0
    assert registry.champion().id == second
    assert "\nThe gate did not promote it: no difference" in receiver.payloads[-1]["message"]
    assert "not promoted, then promoted by hand" in run("registry", "list")[1]
    assert [one["verdict"] for one in json.loads(run("registry", "list", "--json")[1])] == ["promoted"] * 2
    assert run("registry", "rollback", "--reason", "it answers slowly")[0] == 0
    listed = json.loads(run("registry", "list", "--json")[1])
    assert {entry["version"]: entry["now"] for entry in listed} == {second: ["on hold"], first: ["champion"]}
    assert f"on hold: {second} (it answers slowly)" in run("registry", "list")[1]
    told = run("registry", "explain", second)[1]
    assert re.match(rf"{second} rolled back by .+ on .+, decision 4 of .+ \(it answers slowly\)\.\n", told)
    assert re.search(r"^promoted by hand by .+ on .+, decision 3 of ", told, re.MULTILINE)
    assert "(it is what was agreed).\n  The gate, decision 2: Not promoted: no difference" in told
    assert f"registry release {second}" in told
    assert run("registry", "release", second, "--reason", "it was the network")[0] == 0
    assert run("registry", "hold", second, "--reason", "or not")[0] == 0
    assert [payload["title"].removeprefix(f"{settings.project}: ") for payload in receiver.payloads] == [
        f"{second} promoted by hand",
        f"rolled back to {first}",
        f"{second} is no longer on hold",
        f"{second} is on hold",
    ]
    assert run("registry", "verify")[0] == 0


def test_any_two_versions_are_compared_on_the_holdout_of_today_and_nothing_is_recorded(
    settings: Settings, run: Run, tmp_path: Path
) -> None:
    first, second = retrain()["version"], retrain()["version"]
    make_table(settings.problem_type, seed=5).to_csv(settings.root / "table.csv", index=False)
    before, page = open_registry(settings).decisions(), tmp_path / "compared.html"

    facts = json.loads(run("registry", "compare", second, first, "--json")[1])
    text = run("registry", "compare", second, "--output", str(page))[1]

    assert (facts["kind"], facts["improvement"]) == ("tie", 0.0)
    assert facts["compared_rows"] == facts["holdout_rows"] > 50  # all rows are new to both
    assert facts["scores"]["challenger"] == facts["scores"]["champion"]
    assert f"With {first} as champion and {second} as challenger, the gate would keep {first}: no difference" in text
    assert "weighted F1 (decides the promotion)" in text
    assert f"{facts['scores']['champion']['f1_score']:.4f}" in text
    assert "Not better" in page.read_text(encoding="utf-8")
    assert "nothing was recorded" in page.read_text(encoding="utf-8")
    assert open_registry(settings).decisions() == before
    assert len(open_registry(settings).versions()) == 2


def test_a_reader_that_has_seen_enough_gets_no_traceback(settings: Settings, tmp_path: Path) -> None:
    command = f"{sys.executable} -m {PACKAGE} registry list --json | true"
    environment = os.environ | {"PYTHONPATH": str(plain_source(tmp_path / "plain"))}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)

    assert done.stderr == ""


def test_list_says_that_there_is_nothing_yet(settings: Settings, run: Run) -> None:
    code, output, _ = run("registry", "list")

    assert code == 0
    assert "no version yet" in output
    assert json.loads(run("registry", "list", "--json")[1]) == []


def test_list_shows_whole_versions_in_a_narrow_terminal(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = retrain()["version"]
    monkeypatch.setenv("COLUMNS", "40")

    output = run("registry", "list")[1]

    assert re.search(rf"{version} +\S.*promoted.*champion", output)
    assert "…" not in output


def test_explain_gives_the_reason_and_every_criterion(settings: Settings, run: Run) -> None:
    first, second = retrain(), retrain()

    latest = f"{second['version']}, the latest decision: {second['reason']}"
    assert run("registry", "explain")[1].startswith(latest)
    assert run("registry", "show")[1].startswith(f"{first['version']}, in production, trained ")
    text = run("registry", "explain", first["version"], "--markdown")[1]
    assert text.splitlines()[:3] == [f"### {first['version']}", "", first["reason"]]
    assert all(line.startswith("- ") for line in text.splitlines()[4:])
    record = json.loads(run("registry", "explain", "--json")[1])
    assert "improvement" in {criterion["name"] for criterion in record["decision"]["criteria"]}


def tamper(settings: Settings, version: str) -> str:
    """Change a bit of a version's model, and return the SHA-256 that was recorded of it."""
    model = settings.root / "models" / "versions" / version / "model.joblib"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.chmod(0o644)
    model.write_bytes(content)
    return str(open_registry(settings).version(version).files["model.joblib"]["sha256"])


def test_a_tampered_model_is_refused_with_both_digests(settings: Settings, run: Run, receiver: Receiver) -> None:
    recorded = tamper(settings, retrain()["version"])

    code, _, error = run("score")

    assert code == 1
    assert "model.joblib" in error
    assert recorded in error
    assert "Traceback" not in error
    assert receiver.payloads[-1]["title"] == f"{settings.project}: score failed"
    assert run("registry", "verify")[0] == 1


def test_a_tampered_champion_is_not_compared_and_may_be_replaced(
    settings: Settings, run: Run, receiver: Receiver
) -> None:
    recorded = tamper(settings, retrain()["version"])

    facts = json.loads(run("retrain", "--json")[1])
    accepted = json.loads(run("retrain", "--accept-not-comparable", "--json")[1])

    assert facts["verdict"] == "kept"
    assert recorded in facts["reason"]
    assert "--accept-not-comparable" in facts["reason"]
    assert (accepted["verdict"], accepted["champion"]) == ("promoted", accepted["version"])


def test_bad_settings_end_with_2_and_are_named(settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, SCHEDULE__CRON="61 * * * *")

    code, _, error = run("retrain")

    assert code == 2
    assert "schedule" in error
    assert "61 * * * *" in error


def test_a_server_that_is_away_is_named(settings: Settings, tmp_path: Path) -> None:
    environment = os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_HOME": str(tmp_path)}
    environment |= {"PYTHONPATH": str(plain_source(tmp_path / "plain"))}
    command = [sys.executable, "-m", PACKAGE, "retrain"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "Failed to reach API at http://127.0.0.1:9/api" in done.stderr
    assert "make server" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("lost_at", "champions"), [("before", 0), ("after", 1)])
def test_a_server_that_is_lost_during_a_run_is_named(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch, lost_at: str, champions: int
) -> None:
    answer: Callable[..., httpx.Response] = httpx.HTTPTransport.handle_request
    record = Registry.record

    def refuse(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    def lose(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refuse)
        return record(*args, **options) if lost_at == "after" else _cancellation.refuse_if_cancelled()

    monkeypatch.setattr(_cancellation, "PATIENCE", 0.0)
    monkeypatch.setattr(Registry, "record", lose)
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        code, output, error = run("retrain")
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)

    assert code == 1
    assert "The Prefect server stopped answering during the run (ConnectError at 127.0.0.1:" in error
    assert "Traceback" not in error + output
    assert len(open_registry(settings).decisions()) == champions


def test_a_missing_source_ends_with_1_and_is_named(settings: Settings, run: Run) -> None:
    code, _, error = run("retrain", "--source", "nowhere.csv")

    assert code == 1
    assert "nowhere.csv" in error


def test_a_failure_is_said_once_on_the_console(settings: Settings) -> None:
    said = "Finished in state Failed('no table')", "Encountered exception during execution: no table"
    message = "The message was: churn: retrain failed"
    kept = "Finished in state Completed()", "no table"

    def shown(text: str, error: Exception | None = None) -> bool:
        trace = (type(error), error, None) if error else None
        return _run._is_not_repeated(logging.LogRecord("", logging.ERROR, "", 1, text, None, trace))

    assert [shown(text) for text in (*said, message, *kept)] == [False, False, False, True, True]
    assert shown(said[1], ZeroDivisionError("a bug, whose traceback is needed"))


def test_what_a_person_should_look_at_is_in_the_terminal_the_decision_the_report_and_the_message(
    settings: Settings, run: Run, receiver: Receiver
) -> None:
    table = make_table(settings.problem_type)
    table.assign(leak=table["target"]).to_csv(settings.root / "table.csv", index=False)

    assert "alarm          Column 'leak' by itself" in run("retrain")[1]

    assert "Alarm: Column 'leak' by itself" in run("registry", "explain")[1]
    registry = open_registry(settings)
    version = registry.version("champion")
    for name in ("report.html", "card.md"):
        page = attached(registry, version, name)
        assert "Alarms" in page
        assert "leak" in page
    assert "Alarm: Column 'leak' by itself" in receiver.payloads[-1]["message"]


def test_a_retrain_of_another_source_says_so_in_its_lineage(settings: Settings, run: Run) -> None:
    make_table(settings.problem_type, seed=3).to_csv(settings.root / "other.csv", index=False)

    facts = json.loads(run("retrain", "--source", "other.csv", "--json")[1])

    assert open_registry(settings).version(facts["version"]).lineage["data"]["source"] == "other.csv"


@pytest.mark.parametrize("words", [(), ("registry",), ("retrain", "--help"), ("registry", "rollback", "--help")])
def test_help_needs_no_settings(
    settings: Settings, run: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, PROBLEM_TYPE="nonsense")

    assert run(*words)[0] == 0


@pytest.mark.long
def test_without_a_server_the_run_is_recorded_by_one_that_starts_lean(settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "prefect"
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", PACKAGE, "retrain", "--json"]
    environment = mine | {"PREFECT_HOME": str(home), "PREFECT_LOGGING_SERVER_LEVEL": "INFO"}
    environment |= {"PYTHONPATH": str(plain_source(tmp_path / "plain"))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert "triggers" not in done.stderr.lower()
    assert "telemetry" not in done.stderr.lower()
    with sqlite3.connect(home / "prefect.db") as database:
        states = database.execute("SELECT state_type FROM flow_run").fetchall()
        steps = {name.rpartition("-")[0] for (name,) in database.execute("SELECT name FROM task_run")}
        logs = database.execute("SELECT count(*) FROM log").fetchone()[0]
    assert states == [("COMPLETED",)]
    assert {"fetch", "train", "promote"} <= steps
    assert logs > 10


def test_a_server_of_the_run_that_does_not_start_in_time_is_an_error_in_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late() -> None:
        raise RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server.")

    monkeypatch.setattr(_run, "current_flows", lambda: SimpleNamespace(retrain=late))

    with pytest.raises(ProjectError, match=r"server\. The machine may be busy. Run this again"):
        _run.run("retrain")
