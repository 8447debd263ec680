"""What batch scoring costs: memory at 500 thousand and 5 million rows, and its pace beside `pipeline.predict`.

    python benchmarks/scoring.py

renders the project, trains it on 100,000 rows of 20 columns, and runs, in turn and round by round, each as a process:
`score` on both tables, an empty flow, and a script that holds the large table in memory and times `predict` alone.
The pace of `score` is rows over its wall time less the empty flow's, reading and writing included. Writes
docs/benchmarks/scoring.md.
"""

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import COLUMNS, OUTPUT, Run, Workspace, machine, measure

SIZES = (500_000, 5_000_000)
TRAINING_ROWS = 100_000

PREDICT = """
import json, sys, time
import joblib
import pandas as pd
from pathlib import Path
table, registry = sys.argv[1], Path(sys.argv[2])
model = joblib.load(registry.parent / json.loads((registry / "production_metrics.json").read_text())["model_path"])
X = pd.read_parquet(table).drop(columns="target")
start = time.perf_counter()
model.predict(X)
print(json.dumps({"seconds": time.perf_counter() - start}))
"""


def main() -> None:
    """Run the comparison and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="scoring-benchmark-") as folder:
        workspace = Workspace(Path(folder))
        workspace.set_up()
        (workspace.folder / "predict.py").write_text(PREDICT)
        server = workspace.start_server()
        try:
            text = compare(workspace, options.rounds)
        finally:
            server.terminate()
            server.wait()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "scoring.md").write_text(text)
    print(text)


def compare(workspace: Workspace, rounds: int) -> str:
    """Run every way `rounds` times, in turn, and return the page."""
    tables = {rows: workspace.generate(rows) for rows in (TRAINING_ROWS, *SIZES)}
    root = workspace.folder / "root"
    root.mkdir()
    environment = workspace.environment | {"ML_RETRAINING_ROOT": str(root)}
    command = [str(workspace.python), "-m", "ml_retraining"]

    def run(*words: str) -> Run:
        found = measure([*words], environment=environment, log=root / "errors.log")
        print(f"{words[-1]:<60} {found.seconds:7.2f} s {found.peak_bytes / 1e6:8.0f} MB", file=sys.stderr)
        return found

    run(*command, "retrain", "--json", "--source", str(tables[TRAINING_ROWS]))
    runs: dict[int | str, list[Run]] = {}
    for _ in range(rounds):
        for rows in SIZES:
            runs.setdefault(rows, []).append(run(*command, "score", "--json", "--source", str(tables[rows])))
        runs.setdefault("empty", []).append(run(str(workspace.python), str(workspace.folder / "empty.py")))
        arguments = [str(tables[SIZES[-1]]), str(root / "models")]
        runs.setdefault("predict", []).append(
            run(str(workspace.python), str(workspace.folder / "predict.py"), *arguments)
        )
    paces = [
        one.facts["seconds"] / (score.seconds - empty.seconds)
        for one, score, empty in zip(runs["predict"], runs[SIZES[-1]], runs["empty"], strict=True)
    ]
    small, large = (statistics.median(run.peak_bytes for run in runs[rows]) for rows in SIZES)
    lines = [
        "# What scoring costs",
        "",
        f"Printed by `python benchmarks/scoring.py --rounds {rounds}` on {machine()}, {COLUMNS} columns; medians.",
        "",
        "| what | wall time (s) | peak memory (MB) |",
        "| --- | ---: | ---: |",
    ]
    names = {rows: f"`score`, {rows:,} rows" for rows in SIZES}
    names |= {"empty": "an empty flow", "predict": f"a script that holds the {SIZES[-1]:,} rows in memory"}
    for key, name in names.items():
        seconds = statistics.median(run.seconds for run in runs[key])
        memory = statistics.median(run.peak_bytes for run in runs[key])
        lines.append(f"| {name} | {seconds:.1f} | {memory / 1e6:.0f} |")
    lines += [
        "",
        f"Ten times the rows take {large / small:.2f} times the memory. `score` reads, checks, predicts and writes at"
        f" {statistics.median(paces):.0%} of the pace of `pipeline.predict` alone on the same rows in memory.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
