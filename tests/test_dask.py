"""Scaling out for real: a Dask scheduler and two worker processes, one of which dies; and a cluster for a run."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import Bake, Project, Runner, Server, clean_environment, free_port, run, wait_for

ROWS, BATCH = 1_000_000, 25_000

GENERATE = """
import sys
import numpy as np
import pandas as pd
rows, path = int(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
frame = pd.DataFrame({"usage": rng.normal(size=rows), "age": rng.integers(18, 90, rows).astype(float)})
frame["plan"] = pd.Categorical(rng.choice(["basic", "plus", "pro"], rows))
frame["seen"] = pd.Timestamp("2026-01-01", tz="Europe/Berlin") + pd.to_timedelta(rng.integers(0, 10**6, rows), "s")
frame.loc[::50, "age"] = np.nan
score = 2 * frame["usage"] + (frame["plan"] == "pro") + rng.normal(size=rows)
frame["target"] = np.where(score > 0, "yes", "no")
frame.to_parquet(path)
"""

# What is compared to the last bit: every candidate's score, and where it was computed.
CANDIDATES = """
import json, os
from prefect import flow
from ml_retraining.orchestration import ChosenRunner, fetch, preprocess, split
from ml_retraining.orchestration._retrain import candidate_scores
from ml_retraining.settings import get_settings

@flow(task_runner=ChosenRunner())
def candidates():
    settings = get_settings()
    table = preprocess(fetch(settings.data.source, settings=settings), settings=settings)
    training, _ = split(table, settings=settings)
    return candidate_scores(training, settings=settings)

if __name__ == "__main__":
    print(json.dumps(candidates()))
"""

NOT_IMPORTED = """
import sys
from ml_retraining.flows import retrain
retrain()
found = sorted({name.partition(".")[0] for name in sys.modules} & {"dask", "distributed", "prefect_dask"})
assert not found, found
"""


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler and its workers, by name."""

    address: str
    workers: dict[str, "subprocess.Popen[bytes]"]
    log: Path


@pytest.fixture
def project(own_copy: Bake, extras: Path) -> Project:
    project = own_copy(scale_out="dask")
    for rows, name in ((4_000, "train"), (ROWS, "new")):
        run(extras, "-c", GENERATE, str(rows), project.path / f"{name}.parquet", cwd=project.path)
    (project.path / "candidates.py").write_text(CANDIDATES)
    return project


@pytest.fixture
def dask_runner(extras: Path, server: Server) -> Runner:
    """Run commands where prefect-dask is installed."""
    return Runner(extras.parent, server)


@pytest.fixture
def cluster(project: Project, dask_runner: Runner, tmp_path: Path) -> Iterator[Cluster]:
    """Run a scheduler and two workers on loopback; without nannies, so that a worker that is killed stays dead."""
    port = free_port()
    address, log = f"tcp://127.0.0.1:{port}", tmp_path / "dask.log"
    variables = clean_environment() | dask_runner.variables(project, {})
    dask = str(dask_runner.environment / "dask")
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    commands = {"scheduler": ["scheduler", "--port", str(port)]}
    commands |= {
        name: ["worker", address, "--nthreads", "1", "--no-nanny", "--name", name] for name in ("one", "two")
    }
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with log.open("wb") as output:
        for name, words in commands.items():
            processes[name] = subprocess.Popen(
                [dask, *words, *common], cwd=tmp_path, env=variables, stdout=output, stderr=output
            )
            if name == "scheduler":
                wait_for(lambda: listens(port), trouble=log.read_text)
    try:
        wait_for(lambda: log.read_text().count("Registered to:") == 2, trouble=log.read_text)
        yield Cluster(address, {name: processes[name] for name in ("one", "two")}, log)
    finally:
        for process in reversed(processes.values()):
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def scored(project: Project, facts: dict[str, Any]) -> bytes:
    """Take the file of predictions away, so that the next run writes it anew."""
    path = Path(facts["path"])
    assert [found.name for found in path.parent.iterdir()] == [path.name]  # nothing of the parts is left
    content = path.read_bytes()
    path.unlink()
    return content


def test_workers_compute_what_one_process_does_also_when_one_of_them_is_killed(
    project: Project, dask_runner: Runner, server: Server, cluster: Cluster
) -> None:
    threads = str(max(1, (os.cpu_count() or 1) // 2))  # what each of two candidates has in one process
    settings = {
        "DATA__SOURCE": "train.parquet",
        "ESTIMATORS": '["linear", "hist_gradient_boosting"]',
        "SCORE__BATCH_ROWS": str(BATCH),
    }
    local = settings | {"SCALE_OUT__RUNNER": "threads"}
    remote = settings | {
        "SCALE_OUT__ADDRESS": cluster.address,
        "SCALE_OUT__WORKERS": "2",
        "SCALE_OUT__THREADS": threads,
    }

    alone, together = (
        json.loads(dask_runner.python(project, "candidates.py", **chosen).stdout.splitlines()[-1])
        for chosen in (local, remote)
    )
    assert together == alone
    assert not list((project.path / "data" / "scale_out").iterdir())

    # A cluster on this machine for the time of the run: what is rendered, without any setting.
    settings["ESTIMATORS"] = '["linear"]'
    assert dask_runner.command(project, "retrain", "--json", **settings)["verdict"] == "promoted"
    words = ("score", "--source", "new.parquet", "--json")
    expected = dask_runner.command(project, *words, **local)
    predictions = scored(project, expected)
    assert expected["rows"] == ROWS
    assert dask_runner.command(project, *words, **settings) == expected
    assert scored(project, expected) == predictions

    command = [dask_runner.environment / "python", "-m", f"{project.package}.cli", *words]
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=project.path,
        env=clean_environment() | dask_runner.variables(project, remote),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    output = Path(expected["path"])

    def first_part() -> bool:
        return process.poll() is not None or any(output.parent.glob(".*.parts/*.parquet"))

    wait_for(first_part, trouble=cluster.log.read_text)
    cluster.workers["one"].send_signal(signal.SIGKILL)
    assert not output.exists(), "it was too late to kill a worker midway"
    told, errors = process.communicate(timeout=120)

    assert process.returncode == 0, errors + cluster.log.read_text()
    assert "Traceback" not in errors
    assert json.loads(told) == expected
    assert scored(project, expected) == predictions
    assert cluster.workers["two"].poll() is None


def test_without_the_answer_dask_is_neither_installed_nor_imported(own_copy: Bake, runner: Runner) -> None:
    project = own_copy()
    lock = (project.path / "requirements.lock").read_text()

    assert not [
        line for line in lock.splitlines() if line.startswith(("dask", "distributed", "prefect-dask"))
    ]
    runner.python(project, "-c", NOT_IMPORTED)


def test_dask_that_is_not_installed_is_named_before_anything_runs(own_copy: Bake, runner: Runner) -> None:
    project = own_copy(scale_out="dask")

    said = runner.command(project, "retrain", code=2)

    assert "scale_out" in said
    assert "requirements-extras.lock" in said
