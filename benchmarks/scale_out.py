"""What it costs to cross-validate four candidates side by side: in threads, and on Dask workers.

    python benchmarks/scale_out.py

renders the project with Dask, and runs, in turn and round by round, each as a process: four candidates one after
another with every core, the four in the project's threads, the four on a temporary Dask cluster of one worker a core,
and an empty flow. The candidates are four times the default estimator, whose OpenMP threads are what is hardest to
share cores with. Writes docs/benchmarks/scale_out.md.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import COLUMNS, OUTPUT, Run, Workspace, machine, measure

CANDIDATES = """
import json, sys
from prefect import flow
from ml_retraining import project
from ml_retraining.retrainer.prefect import task_runner
from ml_retraining.retrainer.prefect._parallel import candidate_scores, cross_validate
from ml_retraining.tasks import fetch, preprocess, split

@flow(task_runner=task_runner(project))
def candidates(way):
    settings = project.settings
    snapshot = fetch(settings.data.source, project=project)
    table = preprocess(snapshot, project=project, accept_not_comparable=False)
    training, *_ = split(table, holdout=None, project=project)
    if way != "sequence":
        return [float(scores[0]) for scores in candidate_scores(training, settings.estimators, project=project)]
    return [
        float(cross_validate(training, estimator=name, project=project, threads=None)[0])
        for name in settings.estimators
    ]

if __name__ == "__main__":
    print(json.dumps({"scores": candidates(sys.argv[1])}))
"""
NAMES = {
    "sequence": "one after another, each with every core",
    "threads": "side by side in threads",
    "dask": "on a Dask cluster for the run, started and ended with it",
    "empty": "an empty flow",
}


def main() -> None:
    """Run the comparison and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="scale-out-benchmark-") as folder:
        workspace = Workspace(Path(folder))
        workspace.set_up("scale_out=dask")
        (workspace.folder / "candidates.py").write_text(CANDIDATES)
        server = workspace.start_server()
        try:
            text = compare(workspace, options.rows, options.rounds)
        finally:
            server.terminate()
            server.wait()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "scale_out.md").write_text(text)
    print(text)


def compare(workspace: Workspace, rows: int, rounds: int) -> str:
    """Run every way `rounds` times, in turn, and return the page."""
    table = workspace.generate(rows)
    root = workspace.folder / "root"
    root.mkdir()
    environment = workspace.environment | {
        "ML_RETRAINING_ROOT": str(root),
        "ML_RETRAINING_DATA__SOURCE": str(table),
        "ML_RETRAINING_ESTIMATORS": json.dumps(["hist_gradient_boosting"] * 4),
    }
    runs: dict[str, list[Run]] = {}
    for _ in range(rounds):
        for way in NAMES:
            script = "empty" if way == "empty" else "candidates"
            found = measure(
                [str(workspace.python), str(workspace.folder / f"{script}.py"), way],
                environment=environment | {"ML_RETRAINING_SCALE_OUT__RUNNER": "dask" if way == "dask" else "threads"},
                log=root / "errors.log",
            )
            print(f"{way:<10} {found.seconds:7.2f} s {found.peak_bytes / 1e6:8.0f} MB", file=sys.stderr)
            runs.setdefault(way, []).append(found)
    seconds = {way: statistics.median(run.seconds for run in found) for way, found in runs.items()}
    same = {tuple(run.facts["scores"]) for way, found in runs.items() if way != "empty" for run in found}
    lines = [
        "# What scaling out costs",
        "",
        f"Printed by `python benchmarks/scale_out.py --rows {rows} --rounds {rounds}` on {machine()}: four candidates,"
        f" five folds each, {rows:,} rows, {COLUMNS} columns; medians.",
        "",
        "| four candidates | wall time (s) | peak memory (MB) |",
        "| --- | ---: | ---: |",
    ]
    for way, name in NAMES.items():
        memory = statistics.median(run.peak_bytes for run in runs[way])
        lines.append(f"| {name} | {seconds[way]:.1f} | {memory / 1e6:.0f} |")
    lines += [
        "",
        f"Side by side in threads they take {seconds['threads'] / seconds['sequence']:.2f} times what they take one"
        f" after another; on Dask {seconds['dask'] / seconds['sequence']:.2f} times,"
        f" with one worker for each of the {os.cpu_count()} cores."
        f" Their scores are {'the same' if len(same) == 1 else 'NOT the same'} to the last bit.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
