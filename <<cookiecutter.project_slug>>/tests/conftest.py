"""A real Prefect server, a receiver of messages, a project of the tests, and some rows of your table."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from << cookiecutter.package_name >> import project as team_project
from << cookiecutter.package_name >>.retrainer import Project, Range, data
from << cookiecutter.package_name >>.retrainer.errors import DataError

ROWS = 600
CONFIG = """
project = "life"
problem_type = "classification"
estimators = ["plain"]
[data]
source = "table.csv"
target = "target"
[notifications]
block = "slack-webhook/life"
"""
FEATURES = """
def label(frame):
    return frame

def features(frame):
    return frame
"""


@pytest.fixture(scope="session")
def team_table() -> data.Table:
    """Return some rows of your table, as they are read and labelled in training."""
    settings = team_project.settings
    source = data.resolve(settings.data.source, as_of=datetime.now(UTC))
    try:
        table = data.load(data.fetch(source, settings=settings), texts=data.texts_of(settings, None))
    except DataError as error:
        if "CI" in os.environ:
            pytest.fail(
                f"Set {team_project.env_prefix}DATA__SOURCE to a table that CI can read, such as a file of some"
                f" hundred rows in tests/: {error}"
            )
        pytest.skip(f"The project's table cannot be read here: {error}")
    frame = table.sample(min(ROWS, len(table)), random_state=0)  # the first rows may be of one class
    return data.prepare(frame, settings=settings, code=data.current_code(team_project))


def make_table(*, noise: float, seed: int = 0, shift: float = 0) -> pd.DataFrame:
    """Return a table whose target can be learned: the more noise, the less well."""
    rng = np.random.default_rng(seed)
    usage = rng.normal(shift, size=2 * ROWS)
    table = pd.DataFrame({"usage": usage, "plan": rng.choice(["basic", "pro"], size=len(usage))})
    churned = usage + (table["plan"] == "pro") + noise * rng.normal(size=len(usage)) > shift
    return table.assign(target=np.where(churned, "yes", "no"))


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> Project:
    """Return a project with your flows and tasks, and settings, features, estimator and table of the test's own."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    from << cookiecutter.package_name >> import flows, tasks
    from << cookiecutter.package_name >>.retrainer.training import TableCleaner, linear_encoder

    def plain(problem_type: str, seed: int) -> Pipeline:
        return Pipeline([("clean", TableCleaner()), ("encode", linear_encoder(seed)), ("model", LogisticRegression())])

    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "features.py").write_text(FEATURES)
    project = replace(
        team_project,
        folder=tmp_path,
        estimators=lambda: {"plain": plain},
        spaces=lambda problem_type: {"plain": {"model__C": Range(0.01, 100.0, log=True)}},
        metrics=lambda: {},
        overrides={"root": tmp_path},
    )
    for name in [name for name in os.environ if name.startswith(project.env_prefix)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(flows, "this_project", project)
    monkeypatch.setattr(tasks, "this_project", project)
    return project


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one Prefect server for all tests, on a free port; return its API's URL."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    api = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen([*command, "--no-services"], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 300
        while not _answers(api):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The Prefect server did not start:\n{(home / 'server.log').read_text()}")
            time.sleep(0.1)
        yield api
    finally:
        process.terminate()
        process.wait()


def _answers(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def prefect_api(server: str, tmp_path: Path) -> Iterator[str]:
    """Point Prefect at the tests' server, with result storage of the test's own."""
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
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with temporary_settings(values):
        yield server


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def messages(prefect_api: str, life: Project) -> Iterator[list[dict[str, str]]]:
    """Receive what is sent through the notification block of the settings; Apprise posts to `json://` as JSON."""
    from prefect.blocks.notifications import SlackWebhook
    from pydantic import SecretStr

    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    receiver.messages = []  # type: ignore[attr-defined]
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    SlackWebhook(url=SecretStr(f"json://127.0.0.1:{receiver.server_port}/")).save("life", overwrite=True)
    yield receiver.messages  # type: ignore[attr-defined]
    receiver.shutdown()
    receiver.server_close()
