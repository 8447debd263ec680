"""Scaling out for real: a Dask scheduler and two worker processes, one of which dies; and a cluster for a run."""

import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from churn import flows, models
from churn.tasks import fetch, preprocess, split
from prefect import Flow, flow

import retrainer
from retrainer.cli import _doctor as doctor
from retrainer.prefect import task_runner
from retrainer.prefect._dask_workers import NoWorkersError
from retrainer.prefect._parallel import candidate_scores
from retrainer.settings import Settings

from ..conftest import ENV_PREFIX, PACKAGE, PROJECT, _OneLibrary, forget, now

ROWS, BATCH = 400_000, 10_000
SECONDS = 1800  # seven processes that import the project: on a machine with other work the first minutes are for that
# Workers and commands are other processes: there too the project carries the library that is tested.
ONE_LIBRARY = f"""
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

{inspect.getsource(_OneLibrary)}
sys.meta_path.insert(0, _OneLibrary())
"""

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler and its workers, by name."""

    address: str
    workers: dict[str, "subprocess.Popen[bytes]"]
    log: Path


def make_table(rows: int) -> pd.DataFrame:
    """Return a table with a category, a time with a zone and blanks, which a worker must read as they are."""
    rng = np.random.default_rng(0)
    seconds = pd.to_timedelta(rng.integers(0, 10**6, rows), "s")
    frame = pd.DataFrame(
        {
            "usage": rng.normal(size=rows),
            "age": rng.integers(18, 90, rows).astype(float),
            "plan": pd.Categorical(rng.choice(["basic", "plus", "pro"], rows)),
            "seen": pd.Timestamp("2026-01-01", tz="Europe/Berlin") + seconds,
        }
    )
    frame.loc[::50, "age"] = np.nan
    outcome = 2 * frame["usage"] + (frame["plan"] == "pro") + rng.normal(size=rows)
    return frame.assign(target=np.where(outcome > 0, "yes", "no"))


@pytest.fixture
def use(settings: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what changes settings, for this process and those that it starts."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    start = settings.root / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(ONE_LIBRARY)
    library, tests = Path(retrainer.__file__).parents[1], Path(__file__).parents[2]
    folders = (start, library, PROJECT.folder.parent, tests)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    make_table(4_000).to_parquet(settings.root / "train.parquet")
    make_table(ROWS).to_parquet(settings.root / "new.parquet")

    def use(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(ENV_PREFIX + name, value)
        forget()

    use(DATA__SOURCE="train.parquet", SCORE__BATCH_ROWS=str(BATCH), NOTIFICATIONS__BLOCK="")
    return use


@pytest.fixture
def cluster(use: Callable[..., None], tmp_path: Path) -> Iterator[Cluster]:
    """Run a scheduler and two workers on loopback; without nannies, so that a worker that is killed stays dead."""
    port = free_port()
    address, log = f"tcp://127.0.0.1:{port}", tmp_path / "dask.log"
    dask, common = [sys.executable, "-m", "dask"], ["--host", "127.0.0.1", "--no-dashboard"]
    commands = {"scheduler": ["scheduler", "--port", str(port)]}
    commands |= {name: ["worker", address, "--nthreads", "1", "--no-nanny", "--name", name] for name in ("one", "two")}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with log.open("wb") as output:
        for name, words in commands.items():
            processes[name] = subprocess.Popen([*dask, *words, *common], cwd=tmp_path, stdout=output, stderr=output)
            if name == "scheduler":
                wait_for(lambda: listens(port), log)
    try:
        wait_for(lambda: log.read_text().count("Registered to:") == 2, log)
        yield Cluster(address, {name: processes[name] for name in ("one", "two")}, log)
    finally:
        for process in reversed(processes.values()):
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not what():
        if time.monotonic() > deadline:
            pytest.fail(f"waited too long\n{log.read_text()}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@flow
def scored_candidates() -> list[float]:
    """Return the score of each candidate, which is compared to the last bit."""
    project = now()
    snapshot = fetch(project.settings.data.source, project=project)
    table = preprocess(snapshot, project=project, accept_not_comparable=False)
    training, *_ = split(table, holdout=None, project=project)
    scores = candidate_scores(training, project.settings.estimators, project=project)
    return [float(each[0]) for each in scores]


def run(flow: Flow[..., Any], **parameters: Any) -> Any:
    """Run a flow where the settings say now; those of the project took their task runner when they were imported."""
    return flow.with_options(task_runner=task_runner(now()))(**parameters)


def candidates() -> list[float]:
    """Score the candidates in a process of its own, with the server's address in its environment, as commands have it.

    Here a fixture sets it for one thread. Dask's own, which unpickles the results, would start a server.
    """
    code = "from tests.prefect.test_dask import run, scored_candidates; print(run(scored_candidates))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    scores: list[float] = json.loads(done.stdout.splitlines()[-1])
    return scores


def retrain() -> dict[str, Any]:
    recorded: dict[str, Any] = run(flows.retrain)
    return recorded


def score(**parameters: Any) -> dict[str, Any]:
    scored: dict[str, Any] = run(flows.score, **parameters)
    return scored


def taken(path: str) -> bytes:
    """Return the predictions, and remove them, so that the next run writes them again."""
    file = Path(path)
    assert [found.name for found in file.parent.iterdir()] == [file.name]
    content = file.read_bytes()
    file.unlink()
    return content


def on(cluster: Cluster) -> dict[str, str]:
    """Return the settings of work on the two workers."""
    return {
        "SCALE_OUT__RUNNER": "dask",
        "SCALE_OUT__ADDRESS": cluster.address,
        "SCALE_OUT__WORKERS": "2",
        # What each of two candidates has in one process.
        "SCALE_OUT__THREADS": str(max(1, (os.cpu_count() or 1) // 2)),
    }


@pytest.mark.long
def test_a_search_on_workers_is_that_of_one_process_and_outlives_one_of_them(
    settings: Settings, use: Callable[..., None], cluster: Cluster
) -> None:
    studies = settings.root / "data" / "tuning"

    def trials(found: list[dict[str, Any]]) -> list[Any]:
        shutil.rmtree(studies)
        return [[trial["state"], trial["score"], trial["parameters"]] for trial in found[0]["trials"]]

    use(ESTIMATORS='["linear"]')
    alone = trials(flows.tune(trials=3, workers=1, dry_run=True))
    use(**on(cluster) | {"SCALE_OUT__THREADS": str(os.cpu_count() or 1)})  # what the only trial has in one process
    assert trials(flows.tune(trials=3, workers=1, dry_run=True)) == alone

    process = subprocess.Popen(
        [sys.executable, "-m", PACKAGE, "tune", "--trials", "20", "--dry-run", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ended = '"values":['  # of a trial, in the journal
    wait_for(
        lambda: process.poll() is not None or any(ended in file.read_text() for file in studies.glob("*.journal")),
        cluster.log,
    )
    cluster.workers["one"].send_signal(signal.SIGKILL)
    assert process.poll() is None, f"it was too late to kill a worker midway: {process.communicate()}"
    printed, errors = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, errors + cluster.log.read_text()
    found = trials(json.loads(printed))
    assert len(found) == 20
    assert len({str(parameters) for *_, parameters in found}) == 20, "no trial is counted twice"
    assert "failed" not in [state for state, *_ in found]


@pytest.mark.long
def test_workers_compute_what_one_process_does_also_when_one_of_them_is_killed(
    settings: Settings, use: Callable[..., None], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = on(cluster)
    names = ("linear", "hist_gradient_boosting")
    # The workers are other processes, which know the team's estimators and not those of the tests.
    monkeypatch.setattr(models, "ESTIMATORS", {name: getattr(models, name) for name in names})
    use(ESTIMATORS=json.dumps(names))
    alone = candidates()
    use(**remote)
    assert candidates() == alone
    assert not list((settings.root / "data" / "scale_out").iterdir())

    use(ESTIMATORS='["linear"]', SCALE_OUT__RUNNER="threads")
    assert retrain()["verdict"] == "promoted"
    expected = score(source="new.parquet")
    predictions = taken(expected["path"])
    assert expected["rows"] == ROWS

    use(**remote)
    output = Path(expected["path"])
    process = subprocess.Popen(
        [sys.executable, "-m", PACKAGE, "score", "--source", "new.parquet", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shared = settings.root / "data" / "scale_out"
    wait_for(lambda: process.poll() is not None or any(shared.glob("parts-*/*.parquet")), cluster.log)
    cluster.workers["one"].send_signal(signal.SIGKILL)
    assert not output.exists(), "it was too late to kill a worker midway"
    printed, errors = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, errors + cluster.log.read_text()
    assert "Traceback" not in errors
    assert json.loads(printed) == expected
    assert taken(expected["path"]) == predictions
    assert not list(shared.iterdir())
    assert cluster.workers["two"].poll() is None


@pytest.mark.long
def test_a_scheduler_that_is_away_or_has_no_workers_is_named_with_the_command_that_helps(
    settings: Settings, use: Callable[..., None], cluster: Cluster
) -> None:
    def found() -> tuple[str, str]:
        (check,) = [check for check in doctor.examine(PROJECT) if check.name == "scale-out"]
        return check.severity, check.command

    use(SCALE_OUT__RUNNER="dask", SCALE_OUT__ADDRESS=cluster.address)
    assert found() == ("ok", "")
    retrain()
    for worker in cluster.workers.values():
        worker.kill()
        worker.wait()
    wait_for(lambda: found()[0] == "error", cluster.log)
    began = time.monotonic()
    with pytest.raises(NoWorkersError, match="has no workers"):
        score()
    use(ESTIMATORS='["linear", "hist_gradient_boosting"]')
    with pytest.raises(NoWorkersError, match="has no workers"):
        retrain()
    assert time.monotonic() - began < 60

    command = found()[1]
    assert command == f"dask worker {cluster.address} --nworkers auto --nthreads 1"
    with printed(command, cluster.log):
        wait_for(lambda: found()[0] == "ok", cluster.log)

    use(SCALE_OUT__ADDRESS=f"tcp://127.0.0.1:{free_port()}")
    severity, command = found()
    assert severity == "error"
    with printed(command, cluster.log):
        wait_for(lambda: found()[1].startswith("dask worker"), cluster.log)


@contextmanager
def printed(command: str, log: Path) -> Iterator[None]:
    """Run a command that doctor printed, on loopback."""
    words = [sys.executable, "-m", *command.split(), "--host", "127.0.0.1", "--no-dashboard"]
    with log.open("ab") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_cluster_of_the_run_does_the_same(settings: Settings, use: Callable[..., None]) -> None:
    use(ESTIMATORS='["linear"]')
    assert retrain()["verdict"] == "promoted"
    expected = score()
    predictions = taken(expected["path"])

    use(SCALE_OUT__RUNNER="dask")

    assert score() == expected
    assert taken(expected["path"]) == predictions
