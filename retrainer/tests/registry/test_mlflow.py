"""The registry in MLflow, on a real server: the same decisions as in files, and shown in MLflow's own terms."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from churn import flows
from churn.flows import retrain, score
from mlflow.models import Model
from prefect.blocks.notifications import SlackWebhook
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOCAL_STORAGE_PATH,
    temporary_settings,
)
from pydantic import SecretStr

from retrainer.cli import _app
from retrainer.cli._context import enter
from retrainer.errors import RegistryError
from retrainer.registry import Damaged, Registry, open_files, open_registry, show_study
from retrainer.registry._mlflow_store import MlflowStore
from retrainer.settings import Settings
from retrainer.training import Production

from ..conftest import ENV_PREFIX, PACKAGE, PROJECT, Receiver, forget, load_settings, make_table, now

pytestmark = pytest.mark.long  # the server and two lives of a model take a minute

RACE = """
import json, sys
from PACKAGE import project
from PACKAGE.retrainer import registry

kept = registry.open_registry(project.settings)
versions = [kept.stage({"of": sys.argv[1]}, metrics={"f1_score": 0.5}, lineage={}) for _ in range(3)]
print("ready", flush=True)
sys.stdin.readline()
for version in versions:
    while True:
        try:
            number = kept.record(version, {"verdict": "promoted", "reason": ""}, expected_champion=kept.champion())
            break
        except registry.StaleDecision:
            pass
    print(json.dumps([number, version.id]), flush=True)
"""


@dataclass(frozen=True)
class Tracking:
    """An MLflow server, and the folder of its artifacts."""

    url: str
    artifacts: Path


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """Run an MLflow server on a free port."""
    folder = tmp_path_factory.mktemp("mlflow")
    url, log = f"http://127.0.0.1:{free_port()}", folder / "server.log"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.split(":")[-1]]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=os.environ | quiet, stdout=output, stderr=output, start_new_session=True, cwd=folder
        )
    try:
        wait_until_healthy(url, process, log)
        yield Tracking(url, folder / "artifacts")
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its workers too
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"The MLflow server did not start:\n{log.read_text()}")


@contextmanager
def settings_in(root: Path, kind: str, url: str, **values: str) -> Iterator[Settings]:
    """Use the settings of a project in `root` whose registry is of this kind."""
    values = {
        "ROOT": str(root),
        "PROBLEM_TYPE": "classification",
        "DATA__SOURCE": "table.csv",
        "DATA__TARGET": "target",
        "SCORE__FOLDER": f"scored-{kind}",
        "SCALE_OUT__RUNNER": "threads",
        "REGISTRY__KIND": kind,
        "REGISTRY__TRACKING_URI": url,
        "NOTIFICATIONS__BLOCK": "",
    } | values
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
            patch.delenv(name)
        for name, value in values.items():
            patch.setenv(ENV_PREFIX + name, value)
        forget()
        yield load_settings()
    forget()


@dataclass(frozen=True)
class Lives:
    """A project that did the same with either registry, and what each of them says."""

    root: Path
    facts: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, server: str, tracking: Tracking) -> Lives:
    """Retrain, score and roll back, on the same data, with either registry."""
    root = tmp_path_factory.mktemp("project")
    table = make_table("classification", rows=500)
    table["target"] = [
        "yes" if (usage * age if plan == "pro" else usage) > 0 else "no"
        for usage, age, plan in zip(table["usage"], table["age"] - 50, table["plan"], strict=True)
    ]
    table.to_csv(root / "table.csv", index=False)
    prefect = {
        PREFECT_API_URL: server,
        PREFECT_LOCAL_STORAGE_PATH: root / "results",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(prefect):
        return Lives(root, {kind: live(root, kind, tracking.url) for kind in ("json", "mlflow")})


def live(root: Path, kind: str, url: str) -> dict[str, Any]:
    """Return what happened, with each version named by its number instead of its time."""
    runs = []
    for estimator in ("linear", "linear", "hist_gradient_boosting"):
        with settings_in(root, kind, url, ESTIMATORS=json.dumps([estimator])):
            runs.append(retrain())
    with settings_in(root, kind, url, ESTIMATORS='["linear"]') as settings:
        registry = open_registry(settings)
        better = score()
        registry.rollback()
        worse = score()
        versions = [version.id for version in registry.versions()]
        facts = {
            "runs": [[run["verdict"], run["reason"], run["metrics"]] for run in runs],
            "decisions": [
                [record.version, record.champion_before, record.champion, record.decision]
                for record in registry.decisions()
            ],
            "scored": [[scored["version"], scored["rows"], scored["predictions"]] for scored in (better, worse)],
            "predicted": [
                pd.read_parquet(scored["path"]).drop(columns="model_version").to_csv() for scored in (better, worse)
            ],
            "problems": [str(problem) for problem in registry.verify()],
        }
    text = json.dumps(facts)
    for number, version in enumerate(versions, 1):
        text = text.replace(version, f"version {number}")
    return dict(json.loads(text))


def copy_to_mlflow() -> None:
    """Run the command as it is, in this process."""
    enter(PROJECT, lambda: flows)
    _app._copy_to_mlflow()


@pytest.fixture
def settings(lives: Lives, tracking: Tracking) -> Iterator[Settings]:
    """Use the project's registry in MLflow."""
    with settings_in(lives.root, "mlflow", tracking.url, ESTIMATORS='["linear"]') as settings:
        mlflow.set_tracking_uri(tracking.url)
        yield settings


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return open_registry(settings)


@pytest.fixture
def client(tracking: Tracking, settings: Settings) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(tracking.url)


def test_the_same_is_decided_and_predicted_with_either_registry(lives: Lives) -> None:
    facts = lives.facts["mlflow"]

    assert [verdict for verdict, *_ in facts["runs"]] == ["promoted", "kept", "promoted"]
    assert [decision["verdict"] for *_, decision in facts["decisions"]][-1] == "rolled_back"
    assert [version for version, *_ in facts["scored"]] == ["version 3", "version 1"]
    assert facts["predicted"][0] != facts["predicted"][1]
    assert facts["problems"] == []
    assert facts == lives.facts["json"]


def test_mlflow_shows_what_was_decided(
    lives: Lives, registry: Registry, settings: Settings, client: mlflow.MlflowClient
) -> None:
    first, second, third = (version.id for version in registry.versions())
    name = settings.project
    aliases = client.get_registered_model(name).aliases.items()
    run = client.get_run(client.get_model_version_by_alias(name, "champion").run_id)
    artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}

    assert {alias: client.get_model_version(name, number).tags["version"] for alias, number in aliases} == {
        "champion": first,
        "challenger": third,
    }
    registered = client.search_model_versions(f"name = '{name}'")
    assert sorted(version.tags["version"] for version in registered) == [first, second, third]
    assert run.info.status == "FINISHED"
    assert run.data.params["estimator"] == "linear"
    assert run.data.tags["verdict"] == "promoted"
    assert run.data.tags["lineage.data.digest"]
    assert run.data.metrics["f1_score"] == lives.facts["json"]["runs"][0][2]["f1_score"]
    assert {"card.md", "model", "report.html", "version.json"} <= artifacts
    assert json.loads(registry.store.read("production_metrics.json"))["version"] == first


def test_a_search_is_a_run_with_a_child_for_each_trial_written_once(tracking: Tracking, tmp_path: Path) -> None:
    facts = {"score": 0.4, "seconds": 1.0, "parameters": {"model__C": 2.0}, "error": ""}
    trials = [
        {"trial": "today", "state": "complete"} | facts | {"parameters": {}},
        {"trial": 3, "state": "complete"} | facts,
        {"trial": 4, "state": "pruned"} | facts | {"score": None},
        {"trial": 5, "state": "failed"} | facts | {"score": None, "seconds": None, "error": "MemoryError: too large"},
    ]
    study = {"study": "c0ffee", "estimator": "linear", "metric": "log_loss"}

    with settings_in(tmp_path, "mlflow", tracking.url) as settings:
        show_study(study | {"trials": trials[:2]}, settings=settings)
        show_study(study | {"trials": trials}, settings=settings)

    client = mlflow.MlflowClient(tracking.url)
    experiment = client.get_experiment_by_name(f"{settings.project}-tuning")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {name: run.info.status for name, run in runs.items()} == {
        "linear": "FINISHED",
        "today": "FINISHED",
        "3": "FINISHED",
        "4": "KILLED",
        "5": "FAILED",
    }
    parents = {run.data.tags.get("mlflow.parentRunId") for name, run in runs.items() if name != "linear"}
    assert parents == {runs["linear"].info.run_id}
    assert runs["3"].data.metrics == {"log_loss": 0.4, "seconds": 1.0}
    assert runs["3"].data.params == {"model__C": "2.0"}
    assert runs["5"].data.tags["error"] == "MemoryError: too large"


def test_mlflow_itself_loads_the_champion(registry: Registry, settings: Settings) -> None:
    uri = f"models:/{settings.project}@champion"
    folder = mlflow.artifacts.download_artifacts(uri)
    model = Model.load(folder)
    rows = model.load_input_example(folder)
    champion = registry.champion()

    assert champion
    predicted = mlflow.sklearn.load_model(uri).predict(rows)
    assert list(predicted) == list(registry.load_model(champion).predict(rows))
    loaded = Production(registry, project=now()).current()
    assert (loaded.version, list(loaded.predict(rows))) == (champion.id, list(predicted))
    assert sorted(model.signature.inputs.input_names()) == sorted(rows) == ["age", "plan", "usage"]


def test_a_changed_model_is_refused(registry: Registry, tracking: Tracking) -> None:
    champion = registry.champion()
    assert champion
    (model,) = (
        path
        for path in tracking.artifacts.rglob("model.joblib")
        if champion.id in (path.parents[1] / "version.json").read_text()
    )
    content = model.read_bytes()
    model.write_bytes(content[:-1] + b"!")
    try:
        with pytest.raises(Damaged, match=r"model\.joblib was changed: its SHA-256 is .*recorded was"):
            registry.load_model(champion)
        problems = [str(problem) for problem in registry.verify() if problem.severity == "error"]
    finally:
        model.write_bytes(content)

    assert len(problems) == 1
    assert "model.joblib was changed: its SHA-256 is" in problems[0]


def test_of_two_processes_that_decide_at_once_none_loses_a_decision(lives: Lives, tracking: Tracking) -> None:
    with settings_in(lives.root, "mlflow", tracking.url, PROJECT="raced") as settings:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", RACE.replace("PACKAGE", PACKAGE), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=lives.root,
                env=os.environ | {"PYTHONPATH": str(PROJECT.folder.parent)},
            )
            for name in "ab"
        ]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        output = [process.communicate(timeout=60)[0] for process in processes]
        recorded = [json.loads(line) for lines in output for line in lines.splitlines()]
        registry = open_registry(settings)
        champion = registry.champion()

        assert sorted(number for number, _ in recorded) == [1, 2, 3, 4, 5, 6]
        assert [[record.sequence, record.version] for record in registry.decisions()] == sorted(recorded)
        assert champion
        assert champion.id == max(recorded)[1]
        assert [str(problem) for problem in registry.verify()] == []


def test_the_run_of_a_discarded_version_is_marked_as_failed(registry: Registry) -> None:
    assert isinstance(registry.store, MlflowStore)
    staged = registry.stage({}, metrics={}, lineage={})
    run = registry.store.run_of(staged.id)
    assert run
    registry.discard(staged)

    assert registry.store.client.get_run(run).info.status == "FAILED"
    assert staged.id not in [version.id for version in registry.versions()]


def test_a_server_that_is_down_is_named_without_its_password(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with (
        settings_in(tmp_path, "mlflow", f"http://ml:hunter2@{address}", ESTIMATORS='["linear"]') as settings,
        pytest.raises(
            RegistryError, match=r"MLflow at http://\*\*\*@.* could not .*Check that the server runs"
        ) as said,
    ):
        open_registry(settings).versions()

    assert address in str(said.value)
    assert "hunter2" not in str(said.value)


def test_a_server_that_is_down_is_notified(prefect_api: str, tmp_path: Path) -> None:
    make_table("classification").to_csv(tmp_path / "table.csv", index=False)
    receiver, dead = Receiver(), f"http://ml:hunter2@127.0.0.1:{free_port()}"
    block = SlackWebhook(url=SecretStr(f"json://127.0.0.1:{receiver.server_port}"))
    block.save("mlflow-is-down", overwrite=True)
    with (
        settings_in(
            tmp_path,
            "mlflow",
            dead,
            ESTIMATORS='["linear"]',
            NOTIFICATIONS__BLOCK="slack-webhook/mlflow-is-down",
        ) as settings,
        pytest.raises(RegistryError),
    ):
        retrain()
    receiver.stop()

    (payload,) = receiver.payloads
    assert payload["title"] == f"{settings.project}: retrain failed"
    assert "Check that the server runs" in payload["message"]
    assert "hunter2" not in payload["message"]


def test_a_registry_of_files_is_copied_with_its_decisions(
    lives: Lives, tracking: Tracking, capsys: pytest.CaptureFixture[str]
) -> None:
    with settings_in(lives.root, "json", tracking.url, PROJECT="copied") as settings:
        files = open_files(settings)
        copy_to_mlflow()
        copy_to_mlflow()
    with settings_in(lives.root, "mlflow", tracking.url, PROJECT="copied") as settings:
        copied = open_registry(settings)
    with (
        settings_in(lives.root, "json", tracking.url),
        pytest.raises(RegistryError, match="needs an empty registry"),
    ):
        copy_to_mlflow()

    first, again = capsys.readouterr().out.splitlines()
    assert "3 versions, 4 decisions" in first
    assert "0 versions, 0 decisions" in again
    assert [record.sha256 for record in copied.decisions()] == [record.sha256 for record in files.decisions()]
    assert [version.sha256 for version in copied.versions()] == [version.sha256 for version in files.versions()]
    assert copied.verify() == []
