"""A registry in an object store: several machines share it, and it keeps the promises of the one on disk."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import S3, SECRET, TEMPLATE, Bake, Project, Runner, Server
from .test_execution import write_table

pytestmark = pytest.mark.long

BUCKET = "s3://bucket"
URL = f"{BUCKET}/models"


@pytest.fixture
def machine(extras: Path, server: Server, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Run commands with every extra, and with the credentials of the store."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return Runner(extras.parent, server)


class Workers:
    """Each command on a machine that lives for it alone: the wheel, an empty folder, and what settings say."""

    def __init__(self, runner: Runner, project: Project, folder: Path) -> None:
        """Build the project's wheel and unpack it."""
        self.runner, self.project, self.folder = runner, project, folder
        build = ("-m", "hatchling", "build", "-t", "wheel", "-d", folder / "wheels")
        runner.python(project, *build)
        (wheel,) = (folder / "wheels").iterdir()
        zipfile.ZipFile(wheel).extractall(folder / "installed")

    def run(self, *words: str, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command, and remove what its machine kept."""
        root = self.folder / "root"
        root.mkdir()
        places = {"REGISTRY__PATH": URL, "SCORE__FOLDER": f"{BUCKET}/predictions"}
        places |= {"MONITOR__FOLDER": f"{BUCKET}/monitoring", "ROOT": str(root)}
        machine = Project(root, self.project.slug, self.project.package)
        variables = {"PYTHONPATH": str(self.folder / "installed"), "PREFECT_HOME": str(self.folder / "home")}
        module = ("-m", self.project.package) if words[0] != "-c" else ()
        try:
            return self.runner.python(machine, *module, *words, code=code, variables=variables, **places | settings)
        finally:
            shutil.rmtree(root)
            shutil.rmtree(self.folder / "home", ignore_errors=True)

    def champion(self) -> str:
        """Return the version that other code gets, on one more machine."""
        code = f"from {self.project.package} import champion; print(champion().version)"
        return self.run("-c", code).stdout.strip()

    def facts(self, *words: str, **settings: str) -> Any:
        """Run a command that prints JSON."""
        return json.loads(self.run(*words, "--json", **settings).stdout)


def test_workers_that_live_for_one_command_share_models_predictions_and_drift(
    machine: Runner, s3: S3, bake: Bake, tmp_path: Path
) -> None:
    project = bake(data_source=f"{BUCKET}/table.csv", target_column="left", estimator="linear")
    workers = Workers(machine, project, tmp_path)
    learnable: dict[str, Callable[[int], object]] = {"left": lambda row: "yes" if row % 7 in (2, 4, 5, 6) else "no"}
    tables: dict[str, dict[str, Callable[[int], object]]] = {
        "table": {},
        **{f"new-{day}": {"usage": lambda row, day=day: 90 + day + row % 10} for day in (1, 2)},
    }
    for name, changes in tables.items():
        write_table(tmp_path / f"{name}.csv", rows=600, **learnable | changes)
        s3.put(f"{name}.csv", (tmp_path / f"{name}.csv").read_bytes())

    first = workers.facts("retrain")
    kept = workers.facts("retrain")
    better = workers.facts("retrain", ESTIMATORS='["hist_gradient_boosting"]')
    scored = workers.facts("score")
    drifted = [workers.facts("monitor", "--source", f"{BUCKET}/new-{day}.csv") for day in (1, 2)]
    workers.run("registry", "rollback", "--reason", "A test.")
    again = workers.facts("score")

    assert [run["verdict"] for run in (first, kept, better)] == ["promoted", "kept", "promoted"]
    assert first["registry"] == URL
    assert first["report"] == f"{URL}/versions/{first['version']}/report.html"
    assert b"<!doctype html>" in s3.get(f"models/versions/{first['version']}/report.html")[:20].lower()
    assert (scored["version"], scored["rows"]) == (better["version"], 600)
    assert scored["path"].startswith(f"{BUCKET}/predictions/table-")
    predictions = s3.get(scored["path"].removeprefix(f"{BUCKET}/"))
    assert predictions[:4] == predictions[-4:] == b"PAR1"
    assert [window["retrain"] for window in drifted] == [False, True]  # the second knows the first
    assert drifted[1]["report"] == f"{BUCKET}/monitoring/drift.html"
    assert b"usage" in s3.get("monitoring/drift.html")
    assert len(json.loads(s3.get("monitoring/windows.json"))) == 2
    assert again["version"] == workers.champion() == first["version"]
    description = json.loads(s3.get("models/production_metrics.json"))
    assert description["version"] == first["version"]
    assert description["model_path"] == f"{URL}/versions/{first['version']}/model.joblib"
    workers.run("registry", "verify")

    key = f"models/versions/{first['version']}/model.joblib"
    whole = s3.get(key)
    s3.put(key, whole[:-1] + b"!")
    refused = workers.run("score", code=1)
    damaged = workers.run("registry", "verify", code=1)
    s3.put(key, whole)

    for done in (refused, damaged):
        told = done.stdout + done.stderr
        assert f"{URL}/versions/{first['version']}/model.joblib" in told
        assert description["model_sha256"] in told
        assert "Traceback" not in told
        assert SECRET not in told


def test_an_installed_wheel_has_no_folder_of_its_own(machine: Runner, bake: Bake, tmp_path: Path) -> None:
    done = Workers(machine, bake(), tmp_path).run("registry", "list", code=2, ROOT="")
    assert "ML_RETRAINING_ROOT" in done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [("s3://nowhere/models", "s3://nowhere/models"), ("ftp://host/models", "cannot be used")],
    ids=["no such bucket", "no such kind"],
)
def test_a_store_that_is_not_there_is_named(machine: Runner, own_copy: Bake, url: str, said: str) -> None:
    project = own_copy()
    done = machine.python(project, "-m", project.package, "registry", "list", code=1, REGISTRY__PATH=url)
    assert done.stderr.startswith("Error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_error_says_what_to_install(runner: Runner, own_copy: Bake) -> None:
    project = own_copy()
    done = runner.python(project, "-m", project.package, "registry", "list", code=1, REGISTRY__PATH=URL)
    assert "requirements-extras.lock" in done.stderr
    assert "Traceback" not in done.stderr


def test_30_kills_and_8_processes_lose_no_decision(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    benchmark = TEMPLATE / "benchmarks" / "registry_crash.py"
    options = ["--kills", "30", "--processes", "8", "--store", "s3://bucket/crash"]
    done = subprocess.run([sys.executable, str(benchmark), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kills, unlocked = done.stdout.splitlines()
    assert kills.startswith("30 kills")
    assert "0 lost" in kills
    assert unlocked.startswith("8 processes without a lock")
    assert "40 promotions recorded, 0 lost" in unlocked
