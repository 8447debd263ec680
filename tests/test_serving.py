"""Predictions over HTTP by the real command: under load, while the model in production changes, and to its end."""

import http.client
import json
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from .conftest import Bake, Runner, clean_environment, free_port, wait_for
from .test_execution import write_table

pytestmark = pytest.mark.long

SWITCHES = 8
CLIENTS = 2

# Makes a second version of the champion, puts the two into production in turn, and waits for each to be served.
SWITCH = """
import json, sys, time, urllib.request
from served.retrainer.registry import open_registry
from served import project

registry = open_registry(project.settings)
first = registry.champion()
files = {name: registry.read_file(first, name) for name in first.files if name != "model.joblib"}
second = registry.stage(registry.load_model(first), metrics=first.metrics, lineage=first.lineage, files=files)
registry.record(second, {"verdict": "promoted", "reason": "A test."}, expected_champion=first)
for number in range(int(sys.argv[2])):
    wanted = (first.id, second.id)[number % 2]
    registry.rollback(wanted)
    began = time.monotonic()
    while json.load(urllib.request.urlopen(sys.argv[1] + "/ready"))["version"] != wanted:
        assert time.monotonic() < began + 60, "not served after a minute"
        time.sleep(0.05)
print(json.dumps([first.id, second.id]))
"""


class Client(threading.Thread):
    """Asks for the same prediction again and again, and keeps what comes back."""

    def __init__(self, port: int, body: str) -> None:
        super().__init__(daemon=True)
        self.port, self.body = port, body
        self.stop = threading.Event()
        self.answers: list[tuple[int, str]] = []
        self.error: Exception | None = None

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            while not self.stop.is_set():
                connection.request("POST", "/predict", self.body, {"content-type": "application/json"})
                answer = connection.getresponse()
                self.answers.append((answer.status, answer.read().decode()))
        except Exception as error:
            self.error = error


def test_switches_under_load_fail_no_request(own_copy: Bake, runner: Runner, tmp_path: Path) -> None:
    names = {"project_slug": "served", "package_name": "served", "serving": "http", "estimator": "linear"}
    project = own_copy(**names, data_source="table.csv", target_column="left")
    write_table(project.path / "table.csv")
    runner.command(project, "retrain", "--json")
    port = free_port()
    log = tmp_path / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [runner.environment / "python", "-m", "served", "serve"],
            cwd=project.path,
            env=clean_environment() | runner.variables(project, {"SERVING__PORT": str(port)}),
            stdout=output,
            stderr=output,
        )
    row = {
        "customer": "C-1",
        "since": "2015-03-01",
        "plan": "pro",
        "usage": 51.5,
        "calls": 6,
        "comment": None,
    }
    clients = [Client(port, json.dumps(row)) for _ in range(CLIENTS)]

    def ready() -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False

    try:
        wait_for(ready, trouble=log.read_text)
        for client in clients:
            client.start()
        done = runner.python(project, "-c", SWITCH, f"http://127.0.0.1:{port}", str(SWITCHES))
        time.sleep(0.1)
        for client in clients:
            client.stop.set()
            client.join(60)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    finally:
        process.kill()

    versions = set(json.loads(done.stdout.splitlines()[-1]))
    answers = [answer for client in clients for answer in client.answers]
    print(f"{len(answers)} requests during {SWITCHES} switches")
    assert [client.error for client in clients] == [None] * CLIENTS
    assert {status for status, _ in answers} == {200}
    bodies = [json.loads(body) for _, body in answers]
    assert {body["version"] for body in bodies} == versions
    assert len({json.dumps(body["probabilities"]) for body in bodies}) == 1, "the two are one pipeline"
    assert code in (0, -signal.SIGTERM), log.read_text()  # uvicorn ends, and dies of the signal then
    assert "Traceback" not in log.read_text()
