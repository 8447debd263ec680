"""A real Prefect server, a real receiver of messages, and a project folder of its own for each test."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest


class _OneLibrary(MetaPathFinder, Loader):
    """Let the project under test carry the library that is tested, so that both names mean the same classes."""

    copy = "churn.retrainer"

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if f"{name}.".startswith(f"{self.copy}.") else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module("retrainer" + spec.name.removeprefix(self.copy))
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own


sys.meta_path.insert(0, _OneLibrary())

from churn import project as PROJECT  # noqa: E402

from retrainer import Project, data, pipeline  # noqa: E402
from retrainer.registry import Registry, Version  # noqa: E402
from retrainer.settings import Settings  # noqa: E402
from retrainer.training import Recipe  # noqa: E402

ROWS = 600
CONFIG_FILE, ENV_PREFIX, PACKAGE = PROJECT.config_file, PROJECT.env_prefix, PROJECT.package


def make_table(problem_type: str, *, noise: float = 0.3, rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Return a table with numbers, text and blanks whose target can be learned; more noise, less well."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "usage": rng.normal(size=rows).round(6),
            "age": rng.integers(18, 90, size=rows).astype(float),
            "plan": rng.choice(["basic", "plus", "pro"], size=rows),
        }
    )
    score = 2 * table["usage"] + (table["plan"] == "pro") + noise * rng.normal(size=rows)
    table.loc[rng.choice(rows, size=rows // 20, replace=False), "age"] = np.nan
    table["target"] = np.where(score > 0, "yes", "no") if problem_type == "classification" else 100 * score
    return table


@pytest.fixture(params=["classification", "regression"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a project in `tmp_path` whose table is `table.csv`, for either type of problem."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    values = {
        "ROOT": str(tmp_path),
        "PROBLEM_TYPE": request.param,
        "ESTIMATORS": '["linear"]',
        "DATA__SOURCE": "table.csv",
        "DATA__TARGET": "target",
    }
    for name, value in values.items():
        monkeypatch.setenv(ENV_PREFIX + name, value)
    make_table(request.param).to_csv(tmp_path / "table.csv", index=False)
    forget()
    yield load_settings()
    forget()


@pytest.fixture
def project(settings: Settings) -> Project:
    """Return the project under test with these settings."""
    return PROJECT.with_settings()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings of the project under test, as they are now."""
    return PROJECT.with_settings(**overrides).settings


def make_pipeline(name: str, *, problem_type: str, seed: int, keep: tuple[str, ...] = ()) -> Any:
    """Return an unfitted pipeline of the project under test, whatever its settings are."""
    pipeline = PROJECT.estimators()[name](problem_type, seed)
    return pipeline.set_params(clean__keep=keep) if keep else pipeline


def plain_source(folder: Path) -> Path:
    """Copy the project under test, for commands in other processes; return what to import it from."""
    copy = folder / "src" / PACKAGE
    shutil.copytree(PROJECT.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy.parent


def attached(registry: Registry, version: Version, name: str) -> str:
    """Return the text of a file that was put beside a version, such as its report."""
    return registry.store.read(f"versions/{version.id}/{name}").decode()


def run_command_line() -> None:
    """Run the command that `sys.argv` says."""
    from churn import flows

    from retrainer import cli

    cli.main(PROJECT, flows=lambda: flows)


def retrain_steps(table: pd.DataFrame, project: Project) -> tuple[pipeline.GateResult, pipeline.Refit | None]:
    """Retrain on a table by the steps of the flow, without Prefect; return what was decided, and what serves."""
    table.to_csv(project.settings.root / "table.csv", index=False)
    snapshot = data.fetch(project.settings.data.source, settings=project.settings)
    training, gap, holdout = pipeline.split(pipeline.preprocess(snapshot, project=project), project=project)
    recipe, run = Recipe(project.settings.estimators[0]), pipeline.Run()
    challenger = pipeline.train(training, recipe=recipe, project=project)
    evaluation = pipeline.evaluate(challenger, training, holdout, project=project)
    compared = pipeline.compare_with_production(evaluation, project=project, accept_not_comparable=False)
    refitted = pipeline.refit(compared, gap, recipe=recipe, project=project)
    saved = pipeline.save(compared, refitted, snapshot=snapshot, recipe=recipe, project=project, run=run)
    pipeline.record(saved, compared, project=project, run=run)
    return compared, refitted


def now() -> Project:
    """Return the project under test with its settings as they are now."""
    return PROJECT.with_settings()


def forget() -> None:
    """Let the project under test read its settings anew."""
    vars(PROJECT).pop("settings", None)


def use(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Change settings, such as `DATA__SOURCE`, for this process and those that it starts."""
    for name, value in values.items():
        monkeypatch.setenv(ENV_PREFIX + name, value)
    forget()


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw none: pictures take most of a small retrain's time, and tests/reporting draws them all."""
    from retrainer.reporting import _document, _pictures

    monkeypatch.setattr(_pictures, "draw", lambda title, *_, **__: _document.Picture(title, "<svg></svg>"))


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the session's Prefect server, with its database."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def server(server_home: Path) -> Iterator[str]:
    """Run one Prefect server for the whole session on a free port; return its API's URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PREFECT_HOME": str(server_home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    log = server_home / "server.log"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    command.append("--no-services")  # schedules and late runs are the template's tests
    with log.open("w") as output:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=output, stderr=output)
    try:
        _wait_until_healthy(environment["PREFECT_API_URL"], process, log)
        yield environment["PREFECT_API_URL"]
        _send_what_is_left()
    finally:
        process.terminate()
        process.wait()


def _wait_until_healthy(api: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{api}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"The Prefect server did not start:\n{log.read_text()}")


def _send_what_is_left() -> None:
    """Let this process's events and logs reach the server while it is there: later it would try for a minute."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all()
    APILogWorker.drain_all()


@pytest.fixture
def prefect_api(server: str, tmp_path: Path) -> Iterator[str]:
    """Point Prefect in this process at the session's server, with result storage of its own, without its logs."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOCAL_STORAGE_PATH,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    values = {
        PREFECT_API_URL: server,
        PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # each flow would wait for the end of its second
        PREFECT_LOGGING_TO_API_ENABLED: False,  # a sixth of a run's time; test_secrets.py reads them there
    }
    with temporary_settings(values):
        yield server


class Receiver(http.server.ThreadingHTTPServer):
    """An HTTP server that keeps the JSON payloads posted to it and answers with `status`, while it `answers`."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, str]] = []
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port; a second time is no harm."""
        self.answers.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.payloads.append(json.loads(body))
        self.server.answers.wait()
        with suppress(ConnectionError):  # nobody waits for ever
            self.send_response(self.server.status)
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def receiver(prefect_api: str, settings: Settings) -> Iterator[Receiver]:
    """Receive the messages of the notification block that the settings name."""
    from prefect.blocks.notifications import SlackWebhook
    from pydantic import SecretStr

    server = Receiver()
    block = SlackWebhook(url=SecretStr(f"json://127.0.0.1:{server.server_port}/hidden-token"))
    block.save(str(settings.notifications.block).removeprefix("slack-webhook/"), overwrite=True)
    yield server
    server.stop()
