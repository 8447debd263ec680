"""What a prediction of one row costs: in process, over HTTP, and by MLflow's scoring server with the same model.

    python benchmarks/serving.py

renders the project with HTTP serving and trains it on the sample table. Then, round by round and in turn: the
pipeline's `predict` alone and `champion().predict` in one process; the server of `serve` and that of
`mlflow models serve`, each alone and as its command starts it, asked by one client on loopback, one request after the
other. Writes docs/benchmarks/serving.md.

    python benchmarks/serving.py --hostile 10000

sends requests that must each be refused, 100 MB and wrong tokens among them; then 500 clients that never send all of
their request stay connected, while others are served. Prints the server's memory, how long SIGTERM takes then, and how
many of the served rows are in its log. With `--python` the project runs in an environment that exists.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from retrain import OUTPUT, Workspace, machine

TOKEN = "a token of the benchmark"
WARM_UP = 50
SLOW, SERVED = 500, 100

IN_PROCESS = """
import json, sys, time
import pandas as pd
from ml_retraining import champion
from ml_retraining.retrainer.data import fetch, load
from ml_retraining import project

settings = project.settings
row = load(fetch(settings.data.source, settings=settings)).drop(columns=settings.data.target).head(1)
model = champion()
X = model.model.inputs(row)
if len(sys.argv) > 2:
    import mlflow.sklearn
    pipeline = model.model.pipeline
    signature = mlflow.models.infer_signature(X, pipeline.predict(X))
    kind = "cloudpickle"
    mlflow.sklearn.save_model(pipeline, sys.argv[2], signature=signature, serialization_format=kind)

def seconds(predict):
    for _ in range(50):
        predict()
    found = []
    for _ in range(int(sys.argv[1])):
        start = time.perf_counter()
        predict()
        found.append(time.perf_counter() - start)
    return found

ways = {"predict": lambda: model.model.pipeline.predict(X), "champion": lambda: champion().predict(row)}
print(json.dumps({"row": json.loads(row.to_json(orient="records", double_precision=15))[0]}
    | {name: seconds(predict) for name, predict in ways.items()}))
"""


class Ways:
    """The render, its model in both formats, and the servers."""

    def __init__(self, folder: Path, requests: int, python: str | None) -> None:
        self.workspace = Workspace(folder, python)
        self.workspace.set_up("serving=http", "tracking=mlflow")
        self.requests = requests
        self.environment = self.workspace.environment | {
            "ML_RETRAINING_REGISTRY__KIND": "json",
            "ML_RETRAINING_SERVING__TOKEN": TOKEN,
            "ML_RETRAINING_SERVING__LOG": "requests",
            "PREFECT_HOME": str(folder / "prefect"),
            "PATH": f"{self.workspace.python.parent}{os.pathsep}{os.environ['PATH']}",  # as if activated
        }
        self.python("-m", "ml_retraining", "retrain", "--json")
        self.row = self.in_process(1)["row"]

    def python(self, *words: str) -> str:
        """Run the render's Python; return what it prints."""
        command = [str(self.workspace.python), *words]
        done = subprocess.run(command, env=self.environment, cwd=self.workspace.project, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def in_process(self, requests: int, *words: str) -> dict[str, Any]:
        """Return the row, and the seconds of each prediction without a server."""
        self.environment["OMP_NUM_THREADS"] = "1"  # as `serve` sets it
        found: dict[str, Any] = json.loads(self.python("-c", IN_PROCESS, str(requests), *words))
        del self.environment["OMP_NUM_THREADS"]
        return found

    @contextmanager
    def server(self, kind: str) -> Iterator[tuple[psutil.Process, int]]:
        """Run the server of `serve` or MLflow's; yield its process and port once it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        model = str(self.workspace.folder / "mlflow")
        words = {
            "serve": ["-m", "ml_retraining", "serve"],
            "mlflow": [
                "-m",
                "mlflow",
                "models",
                "serve",
                "-m",
                model,
                "--env-manager",
                "local",
                "-p",
                str(port),
            ],
        }[kind]
        log = self.workspace.folder / f"{kind}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [str(self.workspace.python), *words],
                env=self.environment | {"ML_RETRAINING_SERVING__PORT": str(port)},
                cwd=self.workspace.project,
                stdout=output,
                stderr=output,
                start_new_session=True,  # MLflow's command starts its server as a process of its own
            )
        try:
            deadline = time.monotonic() + 120
            while not _alive(port, "/ready" if kind == "serve" else "/ping"):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{kind} does not answer:\n{log.read_text()}")
                time.sleep(0.1)
            yield psutil.Process(process.pid), port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()

    def over_http(self, kind: str) -> tuple[list[float], float]:
        """Return the seconds of each request to a server, and its memory in MiB afterwards."""
        path, body = {
            "serve": ("/predict", self.row),
            "mlflow": ("/invocations", {"dataframe_records": [self.row]}),
        }[kind]
        headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
        content = json.dumps(body).encode()
        with self.server(kind) as (process, port):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            found = []
            for _ in range(WARM_UP + self.requests):
                start = time.perf_counter()
                connection.request("POST", path, content, headers)
                answer = connection.getresponse()
                text = answer.read()
                found.append(time.perf_counter() - start)
                if answer.status != 200:
                    sys.exit(f"{kind}: {answer.status} {text!r}")
            return found[WARM_UP:], _memory(process)


def _alive(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _memory(process: psutil.Process) -> float:
    return float(sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])) / 2**20


def compare(ways: Ways, rounds: int) -> str:
    """Measure every way `rounds` times, in turn, and return the page."""
    ways.in_process(1, str(ways.workspace.folder / "mlflow"))
    seconds: dict[str, list[float]] = {"predict": [], "champion": [], "serve": [], "mlflow": []}
    memory: dict[str, list[float]] = {"serve": [], "mlflow": []}
    for _ in range(rounds):
        found = ways.in_process(ways.requests)
        for name in ("predict", "champion"):
            seconds[name] += found[name]
        for kind in ("serve", "mlflow"):
            times, used = ways.over_http(kind)
            seconds[kind] += times
            memory[kind].append(used)
    names = {
        "predict": "`pipeline.predict` alone, in process",
        "champion": "`champion().predict`, in process: contract, checks, features",
        "serve": "`serve`, over HTTP",
        "mlflow": "`mlflow models serve`, over HTTP: signature, labels alone",
    }
    lines = [
        "# What a prediction of one row costs",
        "",
        f"Printed by `python benchmarks/serving.py --rounds {rounds} --requests {ways.requests}` on {machine()}: the"
        " sample table (30 numbers) and the default estimator, one client, one request after the other.",
        "",
        "| way | p50 (ms) | p99 (ms) | memory (MiB) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for way, name in names.items():
        cuts = statistics.quantiles(seconds[way], n=100)
        used = f"{statistics.median(memory[way]):.0f}" if way in memory else ""
        lines.append(f"| {name} | {cuts[49] * 1e3:.1f} | {cuts[98] * 1e3:.1f} | {used} |")
    return "\n".join(lines) + "\n"


def hostile(ways: Ways, requests: int) -> str:
    """Send requests that must each be refused; return what was answered, and the memory of the server."""
    rng = random.Random(0)
    answered: Counter[int] = Counter()
    before = 0.0
    with ways.server("serve") as (process, port):
        for number in range(requests):
            if number == requests // 10:
                before = _memory(process)
            body, headers = _hostile_request(rng, ways.row, huge=number % 1000 == 999)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            with suppress(ConnectionError):  # it answers before the end of a body that is too large
                connection.request("POST", "/predict", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            connection.close()
            if not 400 <= answer.status < 500 or not json.loads(text)["detail"][0]["reason"]:
                sys.exit(f"{answer.status} {text[:500]!r}\n{body[:500]!r}")
            answered[answer.status] += 1
        after = _memory(process)
        assert _alive(port, "/ready")
        said = slow(ways, process, port)
    counts = ", ".join(f"{count} times {status}" for status, count in sorted(answered.items()))
    memory = f"memory {before:.0f} MiB after a tenth, {after:.0f} MiB at the end"
    return f"{requests} hostile requests: {counts}; {memory}\n{said}\n"


def slow(ways: Ways, process: psutil.Process, port: int) -> str:
    """Serve rows while slow clients are connected, and stop; return what was seen."""
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    body = json.dumps(ways.row).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    clients, largest = [], 0.0
    for number in range(SLOW):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(f"{head}Content-Length: 9000000\r\n\r\n[".encode() if number % 2 else head[:40].encode())
        clients.append(client)
        if number % (SLOW // SERVED) == 0:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/predict", body, headers)
            assert connection.getresponse().status == 200
            connection.close()
            largest = max(largest, _memory(process))
    started = time.perf_counter()
    process.terminate()
    process.wait(timeout=60)
    seconds = time.perf_counter() - started
    logged = int(ways.python("-c", "import pandas; print(len(pandas.read_parquet('requests')))"))
    return (
        f"{SLOW} slow clients beside {SERVED} requests: memory {largest:.0f} MiB at most; SIGTERM ended the process"
        f" after {seconds:.1f} s; {logged} of {SERVED} served rows are in its log"
    )


def _hostile_request(rng: random.Random, row: dict[str, Any], *, huge: bool) -> tuple[bytes, dict[str, str]]:
    """Return a body and headers, wrong in one way at least."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    if huge:
        return b" " * 100_000_000, headers
    name = rng.choice(list(row))
    values: list[Any] = [
        "much",
        [],
        {},
        True,
        [[1]],
        "1e",
        10**400,
        "\x00",
        "é" * 999,
        float("nan"),
        float("inf"),
    ]
    kind = rng.randrange(8)
    body: Any = row | {name: rng.choice(values)}
    if kind == 0:
        body = {key: value for key, value in row.items() if key != name}
    elif kind == 1:
        body = row | {f"{name} too many": 1}
    elif kind == 2:
        body = rng.choice([1, "row", None, [], [1], {"rows": []}, [row, {}], {"rows": [[row]]}])
    content = json.dumps(body).encode()
    if kind == 3:
        content = content[: rng.randrange(1, len(content) - 1)]
    elif kind == 4:
        at = rng.randrange(len(content))
        content = content[:at] + b"\xff" + content[at + 1 :]
    elif kind == 5:
        headers["authorization"] = rng.choice(["Bearer wrong", "Basic x", "", f"Bearer {TOKEN}x"])
    elif kind == 6:
        headers["content-type"] = rng.choice(["image/png", "text/csv", "application/vnd.apache.parquet", "text/html"])
        content = rng.randbytes(rng.randrange(1, 2000))
    return content, headers


def main() -> None:
    """Run the comparison and write the page, or the hostile requests and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--hostile", type=int, default=0)
    parser.add_argument("--python", help="of an environment that has the project's packages")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="serving-benchmark-") as folder:
        ways = Ways(Path(folder), options.requests, options.python)
        text = hostile(ways, options.hostile) if options.hostile else compare(ways, options.rounds)
    if not options.hostile:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        (OUTPUT / "serving.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
