"""What becomes of a run that is disturbed, for `make deploy` under a supervisor and for a process pool.

    python benchmarks/battery.py serve
    python benchmarks/battery.py pool --only outage

renders the project, starts a Prefect server, something that takes the messages, and the deployment under a loop that
starts it again when it ends. Each disturbance gets a retrain that waits in `label()`. Prints for each one the state the
run ended in, the messages, and the seconds from the disturbance to either: the table of retrainer/docs/operations.md.
With `--python` the project runs in an environment that exists; a heartbeat comes every 90 seconds instead of 180.
"""

import argparse
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

TEMPLATE = Path(__file__).parents[1]
NAME, POOL = "battery", "battery-pool"
HEARTBEAT = 90
SECOND = 120  # in which a second message about the same run would come
TIME_LIMIT = "time limit of 10 s"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
WAITING = """
import os
import re
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def label(frame):
    while (PROJECT / "hold").exists():
        (PROJECT / "held").write_text(str(os.getpid()))
        time.sleep(0.1)
    return frame


def features(frame):
    return frame
"""


class Messages(http.server.BaseHTTPRequestHandler):
    """Takes messages as Slack does, and notes when each came."""

    received: ClassVar[list[tuple[float, str]]] = []

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((time.monotonic(), message["title"].removeprefix(f"{NAME}: ")))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


class Life:
    """A project with its server, its messages, and a supervised process that serves its deployments."""

    def __init__(self, folder: Path, mode: str, python: str | None) -> None:
        self.folder, self.mode, self.path = folder, mode, folder / NAME
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Messages)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        answers = [f"project_slug={NAME}", f"package_name={NAME}", f"work_pool={POOL}", "schedule=0 6 1 1 *"]
        words = ["cookiecutter", TEMPLATE, "--no-input", "--default-config", "--output-dir", folder, *answers]
        subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL)
        if not python:
            subprocess.run(["make", "setup"], cwd=self.path, check=True)
        self.bin = Path(python).parent if python else self.path / ".venv" / "bin"
        self.environment = os.environ | {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.path / "src"),
            "OMP_NUM_THREADS": "1",
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
            "SLACK_WEBHOOK_URL": f"json://127.0.0.1:{receiver.server_port}/token",
            f"{NAME.upper()}_ESTIMATORS": '["linear"]',
            f"{NAME.upper()}_NOTIFICATIONS__KEPT": "true",
        }
        (self.path / "src" / NAME / "features.py").write_text(WAITING)
        self.process: subprocess.Popen[bytes] | None = None
        self.server: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def start(self) -> None:
        """Start the server and the supervised process, and promote a champion."""
        self.start_server()
        self.run("setup_slack.py")
        if self.mode == "pool":
            self.run("-m", "prefect", "work-pool", "create", "--type", "process", POOL)
            self.deploy()
        threading.Thread(target=self.supervise, daemon=True).start()
        self.release()
        run = self.start_run()
        until(lambda: self.state(run)["type"] in ENDED, 900)

    def popen(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a process of the project in a session of its own."""
        with (self.folder / "log").open("a") as log:
            command = [str(self.bin / "python"), *words]
            return subprocess.Popen(
                command, cwd=self.path, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def run(self, *words: str) -> None:
        if code := self.popen(*words).wait():
            raise SystemExit(f"{words} ended with {code}\n{(self.folder / 'log').read_text()[-3000:]}")

    def start_server(self) -> None:
        self.server = self.popen("-m", "prefect", "server", "start", "--port", str(self.port))
        until(lambda: self.call("/health") is True, 900)

    def lose_server(self, seconds: float) -> None:
        assert self.server
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()
        time.sleep(seconds)
        self.start_server()

    def deploy(self) -> None:
        """Register the deployments again, as somebody who deploys does while a run is going on."""
        if self.mode == "pool":
            self.run("-m", "prefect", "--no-prompt", "deploy", "--all")
        else:
            again = self.popen("deploy.py")
            time.sleep(45)
            again.terminate()
            again.wait()

    def supervise(self) -> None:
        """Start what serves the deployments, and again whenever it ends."""
        words = ("deploy.py",) if self.mode == "serve" else ("-m", "prefect", "worker", "start", "--pool", POOL)
        while not self.stopping:
            self.process = self.popen(*words)
            self.process.wait()
            time.sleep(2)

    def call(self, path: str, content: Any = None) -> Any:
        """Ask the server; None while it does not answer or has no such thing."""
        data = None if content is None else json.dumps(content).encode()
        url = self.environment["PREFECT_API_URL"] + path
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with suppress(OSError, urllib.error.HTTPError), urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def start_run(self) -> str:
        """Start a retrain once something is there to run it."""
        path = f"/deployments/name/retrain/{NAME}"
        found = until(lambda: (it := self.call(path)) and it["status"] == "READY" and it, 900)
        made = until(lambda: self.call(f"/deployments/{found['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}}))
        return str(made["id"])

    def held_run(self) -> str:
        """Start a retrain, and return it when it waits in its middle and the server has heard from it."""
        (self.path / "held").unlink(missing_ok=True)
        (self.path / "hold").touch()
        run = self.start_run()
        until((self.path / "held").exists, 900)
        wanted = {
            "event": {"name": ["prefect.flow-run.heartbeat"]},
            "resource": {"id": [f"prefect.flow-run.{run}"]},
        }
        until(lambda: (self.call("/events/filter", {"filter": wanted}) or {}).get("events"), 900)
        return run

    def release(self) -> None:
        (self.path / "hold").unlink(missing_ok=True)

    def cancel(self, run: str) -> None:
        state = {"type": "CANCELLING", "name": "Cancelling", "message": "by hand"}
        until(lambda: self.call(f"/flow_runs/{run}/set_state", {"state": state}))

    def state(self, run: str) -> dict[str, Any]:
        return (self.call(f"/flow_runs/{run}") or {}).get("state") or {"type": "", "name": "", "message": ""}

    def kill(self, number: int, *, run: bool, process: bool) -> None:
        if process and self.process:
            self.process.send_signal(number)
        if run:
            os.kill(int((self.path / "held").read_text()), number)

    def group(self, number: int) -> None:
        """Send a signal as a terminal does, to the process and the runs of its group."""
        assert self.process
        os.killpg(self.process.pid, number)

    def tell_at_the_end(self) -> None:
        """Stop the process as soon as the decision of a run is recorded."""
        decisions = self.path / "models" / "decisions"
        before = len(list(decisions.iterdir()))
        self.release()
        until(lambda: len(list(decisions.iterdir())) > before, 900)
        self.kill(signal.SIGTERM, run=False, process=True)


def until(what: Callable[[], Any], seconds: float = 120) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing after {seconds:g} seconds")
        time.sleep(0.2)
    return found


def outage(seconds: float, *, cancel: str = "", hangs: bool = False) -> Callable[[Life, str], None]:
    def happen(life: Life, run: str) -> None:
        if cancel == "before":
            life.cancel(run)
        life.lose_server(seconds)
        if cancel == "after":
            life.cancel(run)
        if not hangs:
            life.release()

    return happen


def shorten_the_time_limit(life: Life) -> None:
    """Deploy with a time limit of 10 seconds."""
    life.environment[f"{NAME.upper()}_SCHEDULE__TIME_LIMIT"] = "10"
    before = life.process
    life.kill(signal.SIGTERM, run=False, process=True)
    until(lambda: life.process is not before)
    if life.mode == "pool":
        life.deploy()


def deployed_again_and_killed(life: Life, run: str) -> None:
    life.deploy()
    life.group(signal.SIGKILL)
    with suppress(ProcessLookupError):
        life.kill(signal.SIGKILL, run=True, process=False)


DISTURBANCES: dict[str, Callable[[Life, str], Any]] = {
    "kill -9 of the run": lambda life, run: life.kill(signal.SIGKILL, run=True, process=False),
    "SIGTERM to the process": lambda life, run: life.kill(signal.SIGTERM, run=False, process=True),
    "Ctrl-C": lambda life, run: life.group(signal.SIGINT),
    "SIGTERM when the decision is recorded": lambda life, run: life.tell_at_the_end(),
    "cancelled": lambda life, run: life.cancel(run),
    "another is due": lambda life, run: (life.start_run(), time.sleep(30), life.release()),
    "outage of 20 s": outage(20),
    "outage of 75 s": outage(75),
    "outage of 180 s": outage(180),
    "cancelled right before an outage of 75 s": outage(75, cancel="before"),
    "cancelled after an outage of 75 s, goes on": outage(75, cancel="after"),
    "cancelled after an outage of 75 s, hangs": outage(75, cancel="after", hangs=True),
    "kill -9 of run and process": lambda life, run: life.kill(signal.SIGKILL, run=True, process=True),
    "deployed again, then kill -9 of both": deployed_again_and_killed,
    TIME_LIMIT: lambda life, run: None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["serve", "pool"])
    parser.add_argument("--only", default="", help="disturbances whose name this regular expression finds")
    parser.add_argument("--python", help="of an environment that has the project's packages")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts this with `&` has it ignored
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        life = Life(Path(folder), options.mode, options.python)
        try:
            life.start()
            print("| disturbance | the run ends as | after | messages |\n| --- | --- | --- | --- |", flush=True)
            for name, disturb in DISTURBANCES.items():
                if re.search(options.only, name):
                    print(observed(life, name, disturb), flush=True)
        finally:
            life.stopping = True
            for process in (life.process, life.server):
                with suppress(ProcessLookupError, AttributeError):
                    os.killpg(process.pid, signal.SIGKILL)


def observed(life: Life, name: str, disturb: Callable[[Life, str], Any]) -> str:
    """Disturb a run; return the line of the table."""
    try:
        if name == TIME_LIMIT:
            shorten_the_time_limit(life)
        run = life.held_run()
        Messages.received.clear()
        began = time.monotonic()
        disturb(life, run)
        over = time.monotonic()
        until(lambda: life.state(run)["type"] in ENDED, 600)
        ended = time.monotonic()
        with suppress(TimeoutError):
            until(lambda: Messages.received, 1200)
        time.sleep(SECOND)  # for what comes after the first message, and the state that is set last
        state = life.state(run)
        told = "; ".join(f"{title} ({at - began:.0f} s)" for at, title in Messages.received)
        after = f"{ended - began:.0f} s (disturbed for {over - began:.0f})"
        return f"| {name} | {state['name']}: {state['message']} | {after} | {told or 'none'} |"
    except (TimeoutError, OSError) as error:
        return f"| {name} | {type(error).__name__}: {error} | | |"
    finally:
        life.release()


if __name__ == "__main__":
    sys.exit(main())
