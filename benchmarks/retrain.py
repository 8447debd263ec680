"""What the orchestration costs: `retrain` of a render beside other ways to do the same job, as whole processes.

    python benchmarks/retrain.py --rows 10000 100000 1000000 --rounds 3

renders the project, sets it up from its lock, starts a Prefect server on a free loopback port and runs, in turn and
round by round:

- `plain`: a script of the same scikit-learn steps, without Prefect;
- `tutorial`: the flow that tutorials show, frames handed from task to task with `cache_policy=INPUTS`;
- `render`: the rendered project's `retrain`;
- `empty`: a flow that imports pandas and scikit-learn and does nothing, the least that Prefect costs.

All read one Parquet file of 20 columns, fit the same estimator on four fifths of it and score the rest. Wall time is
the process's, memory the peak of the summed resident memory of the process and its children, sampled twenty times a
second. Writes docs/benchmarks/retrain.md and retrain.svg beside it.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

TEMPLATE = Path(__file__).resolve().parents[1]
OUTPUT = TEMPLATE / "docs" / "benchmarks"
COLUMNS = 20

GENERATE = """
import sys
import pandas as pd
from sklearn.datasets import make_classification
rows, columns, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
X, y = make_classification(rows, columns, n_informative=10, n_redundant=4, flip_y=0.02, random_state=0)
frame = pd.DataFrame(X, columns=[f"x{number}" for number in range(columns)])
frame["target"] = y
frame.to_parquet(path)
"""

STEPS = """
import json
import sys
import joblib
import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

ESTIMATORS = {
    "hist_gradient_boosting": lambda: HistGradientBoostingClassifier(
        max_iter=200, max_leaf_nodes=48, max_features=0.7, l2_regularization=3, early_stopping=True, random_state=0
    ),
    "gradient_boosting": lambda: GradientBoostingClassifier(
        n_estimators=200, max_depth=5, learning_rate=0.1, subsample=0.8, random_state=0
    ),
}
path, estimator, folder = sys.argv[1:]
"""

PLAIN = (
    STEPS
    + """
frame = pd.read_parquet(path)
X, y = frame.drop(columns="target"), frame["target"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
model = ESTIMATORS[estimator]().fit(X_train, y_train)
score = f1_score(y_test, model.predict(X_test), average="weighted")
joblib.dump(model, f"{folder}/plain.joblib")
print(json.dumps({"f1_score": score}))
"""
)

TUTORIAL = (
    STEPS
    + """
from prefect import flow, task
from prefect.cache_policies import INPUTS

@task(retries=3, retry_delay_seconds=10, cache_policy=INPUTS)
def fetch_data(path):
    return pd.read_parquet(path)

@task(cache_policy=INPUTS)
def preprocess(frame):
    X, y = frame.drop(columns="target"), frame["target"]
    return train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)

@task(retries=2, cache_policy=INPUTS)
def train(X_train, y_train, estimator):
    return ESTIMATORS[estimator]().fit(X_train, y_train)

@task(cache_policy=INPUTS)
def evaluate(model, X_test, y_test):
    return {"f1_score": f1_score(y_test, model.predict(X_test), average="weighted")}

@flow
def retrain(path, estimator, folder):
    X_train, X_test, y_train, y_test = preprocess(fetch_data(path))
    model = train(X_train, y_train, estimator)
    metrics = evaluate(model, X_test, y_test)
    joblib.dump(model, f"{folder}/tutorial.joblib")
    return metrics

print(json.dumps(retrain(path, estimator, folder)))
"""
)

EMPTY = """
import pandas, sklearn
from prefect import flow

@flow
def empty():
    return None

empty()
print("{}")
"""


@dataclass(frozen=True)
class Run:
    """One process, as seen from outside: seconds, bytes, and the facts it printed as JSON."""

    seconds: float
    peak_bytes: int
    facts: dict[str, Any]

    @property
    def f1_score(self) -> float | None:
        """The score among the facts."""
        return self.facts.get("f1_score", self.facts.get("metrics", {}).get("f1_score"))


class Workspace:
    """A render with its environment, a server, and the scripts it is compared with."""

    def __init__(self, folder: Path, python: str | None = None) -> None:
        self.folder, self.ready = folder, bool(python)
        self.project = folder / "ml-retraining"
        self.python = Path(python) if python else self.project / ".venv" / "bin" / "python"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "ML_RETRAINING_", "PYTHON"))
        }

    def set_up(self, *more_answers: str) -> None:
        """Render the project, and install its lock where no environment was given."""
        answers = [
            *more_answers,
            "project_name=ML Retraining",
            "project_slug=ml-retraining",
            "package_name=ml_retraining",
        ]
        command = ["cookiecutter", "--no-input", "-o", str(self.folder), str(TEMPLATE), *answers]
        self._call([sys.executable, "-m", *command])
        if self.ready:
            self.environment["PYTHONPATH"] = str(self.project / "src")
        else:
            self._call(["make", "-C", str(self.project), "setup", f"PYTHON={sys.executable}"])
        for name, text in {
            "plain": PLAIN,
            "tutorial": TUTORIAL,
            "empty": EMPTY,
            "generate": GENERATE,
        }.items():
            (self.folder / f"{name}.py").write_text(text)

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")

    def start_server(self) -> "subprocess.Popen[bytes]":
        """Start a Prefect server on a free port and wait until it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        api = f"http://127.0.0.1:{port}/api"
        self.environment |= {
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        command = [
            str(self.python),
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        log = (self.folder / "server.log").open("w")
        server = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        while server.poll() is None:
            try:
                urllib.request.urlopen(f"{api}/health", timeout=1).close()
                return server
            except OSError:
                time.sleep(0.1)
        sys.exit(f"The server did not start:\n{(self.folder / 'server.log').read_text()}")

    def generate(self, rows: int) -> Path:
        """Write the table of `rows` rows and return its path."""
        path = self.folder / f"{rows}.parquet"
        self._call([str(self.python), str(self.folder / "generate.py"), str(rows), str(COLUMNS), str(path)])
        return path

    def run(self, way: str, table: Path, estimator: str, number: int) -> Run:
        """Run one way of retraining as a process of its own, with nothing cached by the runs before."""
        home = self.folder / f"run-{number}"
        home.mkdir()
        environment = self.environment | {"PREFECT_LOCAL_STORAGE_PATH": str(home / "results")}
        command = [str(self.python), str(self.folder / f"{way}.py"), str(table), estimator, str(home)]
        if way == "render":
            command = [str(self.python), "-m", "ml_retraining", "retrain", "--json"]
            environment |= {
                "ML_RETRAINING_ROOT": str(home),
                "ML_RETRAINING_DATA__SOURCE": str(table),
                "ML_RETRAINING_ESTIMATORS": json.dumps([estimator]),
            }
        return measure(command, environment=environment, log=home / "errors.log")


def measure(command: list[str], *, environment: dict[str, str], log: Path) -> Run:
    """Run `command`; its wall time, and the peak of the resident memory of it and its children.

    Raises:
        SystemExit: the command failed; its output is printed.
    """
    with log.open("w") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        peak = [0]
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
        watcher.start()
        output, _ = process.communicate()
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{output}{log.read_text()}")
    facts = json.loads(output[output.rindex("\n{") if "\n{" in output else 0 :])
    return Run(seconds, peak[0], facts)


def _watch(pid: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.05):
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            peak[0] = max(peak[0], sum(member.memory_info().rss for member in family))
        except psutil.NoSuchProcess:
            continue


WAYS = ("plain", "tutorial", "render", "empty")


def main() -> None:
    """Run the comparison and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--tutorial-estimator-rows",
        type=int,
        default=100_000,
        help="Compare the default estimator with the tutorial's at this size, once; 0 leaves it out.",
    )
    parser.add_argument(
        "--largest",
        type=int,
        default=10_000_000,
        help="Retrain the render at this size too, once and alone; 0 leaves it out.",
    )
    options = parser.parse_args()

    with TemporaryDirectory(prefix="retrain-benchmark-") as folder:
        workspace = Workspace(Path(folder))
        workspace.set_up()
        server = workspace.start_server()
        try:
            results = compare(workspace, options.rows, options.rounds)
            estimators = {}
            if options.tutorial_estimator_rows:
                estimators = compare_estimators(workspace, options.tutorial_estimator_rows)
            largest = None
            if options.largest:
                table = workspace.generate(options.largest)
                largest = workspace.run("render", table, "hist_gradient_boosting", 20_000)
        finally:
            server.terminate()
            server.wait()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/retrain.py --rows {' '.join(map(str, options.rows))} --rounds {options.rounds}"
    text = as_markdown(results, estimators, options.tutorial_estimator_rows, command)
    if largest:
        text += growth(results, options.largest, largest)
    (OUTPUT / "retrain.md").write_text(text)
    plot(results, OUTPUT / "retrain.svg")
    print(text)


def compare(workspace: Workspace, sizes: list[int], rounds: int) -> dict[tuple[int, str], list[Run]]:
    """Run every way `rounds` times at every size, in turn, after one run of each that does not count."""
    results: dict[tuple[int, str], list[Run]] = {}
    number = 0
    for rows in sizes:
        table = workspace.generate(rows)
        for turn in range(rounds + (rows == min(sizes))):
            for way in WAYS:
                number += 1
                run = workspace.run(way, table, "hist_gradient_boosting", number)
                print(
                    f"{rows:>10,} {way:<9} {run.seconds:7.2f} s {run.peak_bytes / 1e6:8.0f} MB",
                    file=sys.stderr,
                )
                if turn or rows != min(sizes):
                    results.setdefault((rows, way), []).append(run)
    return results


def compare_estimators(workspace: Workspace, rows: int) -> dict[str, Run]:
    """Retrain the render once with the default estimator and once with the one that tutorials use."""
    table = workspace.generate(rows)
    names = ("hist_gradient_boosting", "gradient_boosting")
    return {name: workspace.run("render", table, name, 10_000 + turn) for turn, name in enumerate(names)}


def machine() -> str:
    """Name what the figures were measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def as_markdown(
    results: dict[tuple[int, str], list[Run]], estimators: dict[str, Run], estimator_rows: int, command: str
) -> str:
    """Return the page: medians, and each way's ratio to the plain script, taken round by round."""
    lines = [
        "# What a retrain costs",
        "",
        f"Printed by `{command}` on {machine()}. Medians; the ratios are medians of the ratios within a round.",
        "",
        "![Wall time and memory by rows](retrain.svg)",
        "",
        "| rows | way | wall time (s) | to plain + empty | peak memory (MB) | to plain | F1 |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (rows, way), runs in results.items():
        plain, empty = results[rows, "plain"], results[rows, "empty"]
        seconds = statistics.median(run.seconds for run in runs)
        memory = statistics.median(run.peak_bytes for run in runs)
        time_ratio = statistics.median(
            run.seconds / (a.seconds + b.seconds) for run, a, b in zip(runs, plain, empty, strict=True)
        )
        memory_ratio = statistics.median(run.peak_bytes / a.peak_bytes for run, a in zip(runs, plain, strict=True))
        score = f"{runs[-1].f1_score:.4f}" if runs[-1].f1_score else ""
        lines.append(
            f"| {rows:,} | {way} | {seconds:.2f} | {time_ratio:.2f}"
            f" | {memory / 1e6:.0f} | {memory_ratio:.2f} | {score} |"
        )
    if estimators:
        default, tutorial = estimators["hist_gradient_boosting"], estimators["gradient_boosting"]
        lines += [
            "",
            f"The render with the default estimator and with the tutorials' one, {estimator_rows:,} rows, once:",
            "",
            "| estimator | wall time (s) | F1 |",
            "| --- | ---: | ---: |",
            *(f"| `{name}` | {run.seconds:.1f} | {run.f1_score:.4f} |" for name, run in estimators.items()),
            "",
            f"The default is {tutorial.seconds / default.seconds:.1f} times as fast.",
        ]
    return "\n".join(lines) + "\n"


def growth(results: dict[tuple[int, str], list[Run]], rows: int, largest: Run) -> str:
    """Return how the render's time and memory grow up to the largest size."""
    runs = {size: found for (size, way), found in results.items() if way == "render"} | {rows: [largest]}
    lines = [
        "",
        "The render at every size; the largest once:",
        "",
        "| rows | wall time (s) | peak memory (MB) | F1 |",
    ]
    lines.append("| ---: | ---: | ---: | ---: |")
    for size, found in sorted(runs.items()):
        seconds = statistics.median(run.seconds for run in found)
        memory = statistics.median(run.peak_bytes for run in found)
        lines.append(f"| {size:,} | {seconds:.1f} | {memory / 1e6:.0f} | {found[-1].f1_score:.4f} |")
    return "\n".join(lines) + "\n"


def plot(results: dict[tuple[int, str], list[Run]], path: Path) -> None:
    """Draw wall time and memory over rows, a line for each way."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, label, value in zip(
        figure.subplots(1, 2),
        ("wall time (s)", "peak memory (MB)"),
        (lambda run: run.seconds, lambda run: run.peak_bytes / 1e6),
        strict=True,
    ):
        for way in WAYS:
            points = [
                (rows, statistics.median(map(value, runs))) for (rows, name), runs in results.items() if name == way
            ]
            axes.plot(*zip(*points, strict=True), marker="o", label=way)
        axes.set(xscale="log", yscale="log", xlabel="rows", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
