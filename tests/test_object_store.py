"""A registry in an object store: several machines share it, and it keeps the promises of the one on disk."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import S3, SECRET, TEMPLATE, Bake, Project, Runner, Server

URL = "s3://bucket/models"


@pytest.fixture
def machine(extras: Path, server: Server, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Run commands with every extra, and with the credentials of the store."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return Runner(extras.parent, server)


def test_another_machine_scores_with_the_champion_that_a_first_one_promoted(
    machine: Runner, s3: S3, own_copy: Bake, tmp_path: Path
) -> None:
    first = own_copy()
    second = Project(tmp_path / "elsewhere", first.slug, first.package)
    shutil.copytree(first.path, second.path)
    shared = {"REGISTRY__PATH": URL, "SCORE__FOLDER": "s3://bucket/predictions"}

    promoted = machine.command(first, "retrain", "--json", **shared)
    kept = machine.command(first, "retrain", "--json", **shared)
    listed = machine.command(second, "registry", "list", "--json", **shared)
    scored = machine.command(second, "score", "--json", **shared)
    predictions = s3.get(scored["path"].removeprefix("s3://bucket/"))
    again = machine.command(first, "score", "--json", **shared)
    description = json.loads(s3.get("models/production_metrics.json"))

    assert (promoted["verdict"], kept["verdict"]) == ("promoted", "kept")
    assert promoted["registry"] == URL
    assert promoted["report"] == f"{URL}/versions/{promoted['version']}/report.html"
    assert b"<!doctype html>" in s3.get(f"models/versions/{promoted['version']}/report.html")[:20].lower()
    assert [fact["now"] for fact in listed] == [[], ["champion"]]
    assert (scored["version"], scored["rows"]) == (promoted["version"], 569)
    assert scored["path"].startswith("s3://bucket/predictions/sample-")
    assert predictions[:4] == predictions[-4:] == b"PAR1"
    assert again == scored
    assert s3.get(scored["path"].removeprefix("s3://bucket/")) == predictions
    assert not (first.path / "models").exists()
    assert not list(tmp_path.rglob("predictions/*.parquet"))
    assert description["version"] == promoted["version"]
    assert description["model_path"] == f"{URL}/versions/{promoted['version']}/model.joblib"
    machine.command(second, "registry", "verify", **shared)

    key = f"models/versions/{promoted['version']}/model.joblib"
    whole = s3.get(key)
    s3.put(key, whole[:-1] + b"!")
    refused = machine.python(second, "-m", f"{second.package}.cli", "score", code=1, **shared)
    damaged = machine.python(second, "-m", f"{second.package}.cli", "registry", "verify", code=1, **shared)
    s3.put(key, whole)
    machine.command(second, "registry", "verify", **shared)

    for done in (refused, damaged):
        told = done.stdout + done.stderr
        assert f"{URL}/versions/{promoted['version']}/model.joblib" in told
        assert description["model_sha256"] in told
        assert "Traceback" not in told
        assert SECRET not in told


@pytest.mark.parametrize(
    ("url", "said"),
    [("s3://nowhere/models", "s3://nowhere/models"), ("ftp://host/models", "cannot be used")],
    ids=["no such bucket", "no such kind"],
)
def test_a_store_that_is_not_there_is_named(machine: Runner, own_copy: Bake, url: str, said: str) -> None:
    project = own_copy()
    done = machine.python(
        project, "-m", f"{project.package}.cli", "registry", "list", code=1, REGISTRY__PATH=url
    )
    assert done.stderr.startswith("Error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_error_says_what_to_install(runner: Runner, own_copy: Bake) -> None:
    project = own_copy()
    done = runner.python(
        project, "-m", f"{project.package}.cli", "registry", "list", code=1, REGISTRY__PATH=URL
    )
    assert "requirements-extras.lock" in done.stderr
    assert "Traceback" not in done.stderr


def test_60_kills_and_8_processes_lose_no_decision(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    benchmark = TEMPLATE / "benchmarks" / "registry_crash.py"
    options = ["--kills", "60", "--processes", "8", "--store", "s3://bucket/crash"]
    done = subprocess.run(
        [sys.executable, str(benchmark), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kills, unlocked = done.stdout.splitlines()
    assert kills.startswith("60 kills")
    assert "0 lost" in kills
    assert unlocked.startswith("8 processes without a lock")
    assert "40 promotions recorded, 0 lost" in unlocked
