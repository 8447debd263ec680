"""The registry in MLflow, on a real server: the same decisions as in files, and shown in MLflow's own terms."""

import json
import os
import random
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import SECRET, Bake, Project, Runner, Server, clean_environment, free_port, run, wait_for

# Full MLflow wants an older pyarrow than a render has: the server has an environment of its own.
SERVER_LOCK = Path(__file__).parent / "mlflow-server.lock"

LIFE = """
import hashlib, json, os, sys
import pandas as pd
from ml_retraining import flows, registry, settings

def retrain(estimator):
    os.environ["ML_RETRAINING_ESTIMATORS"] = json.dumps([estimator])
    settings.get_settings.cache_clear()
    return flows.retrain()

runs = [retrain(name) for name in ("linear", "linear", "hist_gradient_boosting")]
better = flows.score()
kept = registry.open_registry(settings.get_settings())
kept.rollback()
worse = flows.score()
names = {version.id: f"version {number}" for number, version in enumerate(kept.versions(), 1)}
told = {
    "runs": [[run["verdict"], run["reason"], run["metrics"]] for run in runs],
    "decisions": [[record.version, record.champion_before, record.champion, record.decision]
                  for record in kept.decisions()],
    "scored": [[facts["version"], facts["rows"], facts["predictions"]] for facts in (better, worse)],
    "predicted": [hashlib.sha256(
        pd.read_parquet(facts["path"]).drop(columns=["model_version"], errors="ignore").to_csv().encode()
    ).hexdigest() for facts in (better, worse)],
    "wrong": [str(problem) for problem in kept.verify()],
}
text = json.dumps(told)
for name, short in names.items():
    text = text.replace(name, short)
print(json.dumps(json.loads(text) | {"imported": "mlflow" in sys.modules}))
"""

LOOK = """
import json, os
import mlflow, mlflow.sklearn
from mlflow.models import Model
from ml_retraining import registry, settings

given = settings.get_settings()
kept = registry.open_registry(given)
champion, client = kept.champion(), mlflow.MlflowClient()
name = given.project
uri = f"models:/{name}@champion"
folder = mlflow.artifacts.download_artifacts(uri)
model = Model.load(folder)
rows = model.load_input_example(folder)
run = client.get_run(client.get_model_version_by_alias(name, "champion").run_id)
print(json.dumps({
    "champion": champion.id,
    "versions": [version.id for version in kept.versions()],
    "decisions": [record.sha256 for record in kept.decisions()],
    "aliases": {alias: client.get_model_version(name, number).tags["version"]
                for alias, number in client.get_registered_model(name).aliases.items()},
    "registered": [version.tags["version"] for version in client.search_model_versions(f"name = '{name}'")],
    "equal": bool((mlflow.sklearn.load_model(uri).predict(rows) == kept.load_model(champion).predict(rows)).all()),
    "inputs": sorted(model.signature.inputs.input_names()),
    "columns": sorted(rows),
    "params": run.data.params,
    "metrics": run.data.metrics,
    "tags": run.data.tags,
    "status": run.info.status,
    "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
    "description": json.loads(kept.store.read("production_metrics.json")),
}))
"""

LOAD = """
from ml_retraining import registry, settings

kept = registry.open_registry(settings.get_settings())
try:
    kept.load_model(kept.champion())
except registry.RegistryError as error:
    print(error)
"""

CHECK = """
import json
from ml_retraining import registry, settings

kept = registry.open_registry(settings.get_settings())
staged = kept.stage({}, metrics={}, lineage={})
run = kept.store.run_of(staged.id)
kept.discard(staged)
print(json.dumps({
    "discarded": kept.store.client.get_run(run).info.status,
    "decisions": [record.sha256 for record in kept.decisions()],
    "versions": [version.sha256 for version in kept.versions()],
    "recorded": [[record.sequence, record.version] for record in kept.decisions()],
    "champion": kept.champion().id,
    "wrong": [str(problem) for problem in kept.verify()],
}))
"""

RACE = """
import json, sys
from ml_retraining import registry, settings

kept = registry.open_registry(settings.get_settings())
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
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> None:
        """Wait until it answers."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return True
            except OSError:
                return False

        wait_for(answers, trouble=self.log.read_text)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """Start an MLflow server on a free port, in an environment of its own."""
    folder = tmp_path_factory.mktemp("mlflow")
    python = folder / ".venv" / "bin" / "python"
    run("uv", "venv", "--quiet", "--python", sys.executable, folder / ".venv", cwd=folder)
    install = ("uv", "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", SERVER_LOCK)
    run(*install, cwd=folder, timeout=600)
    port, log = free_port(), folder / "server.log"
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", folder / "artifacts"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env=clean_environment() | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
        )
    try:
        yield Tracking(f"http://127.0.0.1:{port}", folder / "artifacts", process, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its workers too
        process.wait()


@pytest.fixture(scope="module")
def mlflow_runner(extras: Path, server: Server) -> Runner:
    return Runner(extras.parent, server)


@pytest.fixture(scope="module")
def settings_of(tracking: Tracking) -> Callable[[str], dict[str, str]]:
    """Return the settings of either kind of registry."""

    def settings_of(kind: str) -> dict[str, str]:
        return {"REGISTRY__KIND": kind, "REGISTRY__TRACKING_URI": tracking.url, "NOTIFICATIONS__BLOCK": ""}

    return settings_of


Settings = Callable[[str], dict[str, str]]


@dataclass(frozen=True)
class Lives:
    """A project whose life was lived in both registries, and what was told of it."""

    project: Project
    told: dict[str, Any]


@pytest.fixture(scope="module")
def lives(
    tmp_path_factory: pytest.TempPathFactory,
    bake: Bake,
    mlflow_runner: Runner,
    settings_of: Settings,
    tracking: Tracking,
) -> Lives:
    """Live the whole life on the same data in either registry."""
    folder = tmp_path_factory.mktemp("lives") / "project"
    run("cp", "-R", bake().path, folder, cwd=folder.parent)
    project = Project(folder, bake().slug, bake().package)
    chance = random.Random(1)
    lines = [(chance.gauss(0, 1), chance.gauss(0, 1), chance.choice(["basic", "pro"])) for _ in range(500)]
    table = [f"{a},{b},{plan},{'yes' if (a * b > 0) ^ (plan == 'pro') else 'no'}" for a, b, plan in lines]
    (folder / "table.csv").write_text("\n".join(["a,b,plan,target", *table, ""]))
    told = {}
    for kind in ("json", "mlflow"):
        if kind == "mlflow":
            tracking.wait()  # it starts while the first life is lived
        settings = settings_of(kind) | {"DATA__SOURCE": "table.csv", "SCORE__FOLDER": f"scored-{kind}"}
        told[kind] = json.loads(mlflow_runner.python(project, "-c", LIFE, **settings).stdout)
    return Lives(project, told)


@pytest.fixture(scope="module")
def looked(lives: Lives, mlflow_runner: Runner, settings_of: Settings, tracking: Tracking) -> dict[str, Any]:
    """Look at the registry with MLflow's own client."""
    return look(lives.project, mlflow_runner, settings_of("mlflow"), tracking)


def look(
    project: Project, runner: Runner, settings: dict[str, str], tracking: Tracking, code: str = LOOK
) -> dict[str, Any]:
    variables = {"MLFLOW_TRACKING_URI": tracking.url}
    found: dict[str, Any] = json.loads(
        runner.python(project, "-c", code, variables=variables, **settings).stdout.splitlines()[-1]
    )
    return found


@pytest.mark.parametrize("kind", ["json", "mlflow"])
def test_the_whole_life_is_the_same_in_either_registry(lives: Lives, kind: str) -> None:
    told = lives.told[kind]

    assert [verdict for verdict, *_ in told["runs"]] == ["promoted", "kept", "promoted"]
    assert [decision["verdict"] for *_, decision in told["decisions"]][-1] == "rolled_back"
    assert [version for version, *_ in told["scored"]] == ["version 3", "version 1"]
    assert told["predicted"][0] != told["predicted"][1]
    assert told["wrong"] == []
    assert told["imported"] == (kind == "mlflow")
    other = lives.told["json"]
    for what in ("runs", "decisions", "scored", "predicted"):
        assert told[what] == other[what], what


def test_a_project_without_mlflow_neither_installs_nor_needs_it(
    bake: Bake, own_copy: Bake, runner: Runner
) -> None:
    assert "mlflow" not in (bake().path / "requirements.lock").read_text()
    project = own_copy(tracking="mlflow")

    told = runner.command(project, "registry", "list", code=2)

    assert "install the extra" in told


def test_mlflow_shows_what_was_decided(lives: Lives, looked: dict[str, Any]) -> None:
    first, second, third = looked["versions"]

    assert looked["aliases"] == {"champion": first, "challenger": third}
    assert sorted(looked["registered"]) == [first, second, third]
    assert looked["status"] == "FINISHED"
    assert looked["params"]["estimator"] == "linear"
    assert looked["tags"]["verdict"] == "promoted"
    assert looked["tags"]["lineage.data.digest"]
    assert looked["metrics"]["f1_score"] == lives.told["json"]["runs"][0][2]["f1_score"]
    assert {"card.md", "model", "report.html", "version.json"} <= set(looked["artifacts"])
    assert looked["description"]["version"] == first


def test_mlflow_itself_loads_the_champion(looked: dict[str, Any]) -> None:
    assert looked["equal"]
    assert looked["inputs"] == looked["columns"] == ["a", "b", "plan"]


def test_a_changed_model_is_refused(
    lives: Lives, mlflow_runner: Runner, settings_of: Settings, tracking: Tracking, looked: dict[str, Any]
) -> None:
    (model,) = (
        path
        for path in tracking.artifacts.rglob("model.joblib")
        if looked["champion"] in (path.parents[1] / "version.json").read_text()
    )
    sound = model.read_bytes()
    model.write_bytes(sound[:-1] + b"!")
    try:
        said = mlflow_runner.python(lives.project, "-c", LOAD, **settings_of("mlflow")).stdout
        verified = mlflow_runner.python(
            *(lives.project, "-m", "ml_retraining.cli", "registry", "verify"), code=1, **settings_of("mlflow")
        ).stdout
    finally:
        model.write_bytes(sound)

    recorded = looked["description"]["model_sha256"]
    for text in (said, verified):
        assert "model.joblib was changed: its SHA-256 is" in text
        assert f"recorded was {recorded}" in text
    assert "1 errors" in verified


def test_of_two_processes_that_decide_at_once_none_loses_a_decision(
    lives: Lives, mlflow_runner: Runner, settings_of: Settings
) -> None:
    settings = settings_of("mlflow") | {"PROJECT": "raced"}
    processes = [
        subprocess.Popen(
            [mlflow_runner.environment / "python", "-c", RACE, name],
            env=clean_environment() | mlflow_runner.variables(lives.project, settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=lives.project.path,
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
    recorded = [
        json.loads(line) for process in processes for line in process.communicate(timeout=60)[0].splitlines()
    ]

    found = json.loads(mlflow_runner.python(lives.project, "-c", CHECK, **settings).stdout)

    assert sorted(number for number, _ in recorded) == [1, 2, 3, 4, 5, 6]
    assert found["recorded"] == sorted(recorded)
    assert found["champion"] == max(recorded)[1]
    assert found["wrong"] == []
    assert found["discarded"] == "FAILED"


def test_a_server_that_is_down_is_named_without_its_password(lives: Lives, mlflow_runner: Runner) -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = {"REGISTRY__KIND": "mlflow", "REGISTRY__TRACKING_URI": f"http://ml:{SECRET}@{address}"}

    said = mlflow_runner.command(lives.project, "registry", "list", code=1, **settings)

    assert f"MLflow at http://ml:***@{address} could not" in said
    assert "See that the server runs" in said
    assert SECRET not in said


def test_a_registry_of_files_is_copied_with_its_decisions(
    lives: Lives, mlflow_runner: Runner, settings_of: Settings
) -> None:
    files = settings_of("json") | {"PROJECT": "copied"}
    copy = settings_of("mlflow") | {"PROJECT": "copied"}

    first = mlflow_runner.command(lives.project, "registry", "copy-to-mlflow", **files)
    again = mlflow_runner.command(lives.project, "registry", "copy-to-mlflow", **files)
    refused = mlflow_runner.command(
        lives.project, "registry", "copy-to-mlflow", code=1, **settings_of("json")
    )

    assert "3 versions, 4 decisions" in first
    assert "0 versions, 0 decisions" in again
    assert "a copy needs an empty registry" in refused
    kept = json.loads(mlflow_runner.python(lives.project, "-c", CHECK, **copy).stdout)
    for what, pattern in (("decisions", "decisions/*.json"), ("versions", "versions/*/version.json")):
        files_of = sorted((lives.project.path / "models").glob(pattern))
        assert kept[what] == [json.loads(path.read_text())["sha256"] for path in files_of]
    assert kept["wrong"] == []
