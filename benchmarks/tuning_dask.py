"""What a search costs on two Dask workers, beside two threads of one process.

    python benchmarks/tuning_dask.py --project folder

in the environment of a project that was rendered with `scale_out=dask`; PREFECT_API_URL may name a server. Runs `tune`
on one table, in turn and round by round, each way as a process that begins a study of its own; then each way with one
worker, which must find the same. Prints what docs/benchmarks/tuning.md has.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RUNNERS = ("threads", "dask")


def tune(project: Path, package: str, *, runner: str, workers: int, trials: int) -> dict[str, Any]:
    """Run a search of its own, and return its facts and seconds."""
    shutil.rmtree(project / "data" / "tuning", ignore_errors=True)
    prefix = package.upper()
    environment = os.environ | {
        "PYTHONPATH": "src",
        f"{prefix}_ESTIMATORS": '["hist_gradient_boosting"]',
        f"{prefix}_SCALE_OUT__RUNNER": runner,
        f"{prefix}_SCALE_OUT__WORKERS": str(workers),
        f"{prefix}_SCALE_OUT__THREADS": "1",
    }
    command = [sys.executable, "-m", package, "tune", "--dry-run", "--json", "--trials", str(trials)]
    began = time.monotonic()
    done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, check=True)
    (facts,) = json.loads(done.stdout)
    found = {"seconds": time.monotonic() - began, "trials": facts["trials"], "parameters": facts["parameters"]}
    print(f"{runner}, {workers}: {found['seconds']:.0f} s, {len(found['trials'])} trials", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Run both ways in turn, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    (package,) = (file.parent.name for file in options.project.glob("src/*/config.toml"))
    seconds: dict[str, list[float]] = {runner: [] for runner in RUNNERS}
    for _ in range(options.rounds):
        for runner in RUNNERS:
            found = tune(options.project, package, runner=runner, workers=2, trials=options.trials)
            seconds[runner].append(found["seconds"])
    alone = []
    for runner in RUNNERS:
        found = tune(options.project, package, runner=runner, workers=1, trials=options.trials)
        alone.append([(trial["score"], trial["parameters"]) for trial in found["trials"]])
    threads, dask = (statistics.median(seconds[runner]) for runner in RUNNERS)
    ratios = sorted(there / here for here, there in zip(seconds["threads"], seconds["dask"], strict=True))
    print(
        f"{options.trials} trials on two Dask workers take {dask:.0f} s, on two threads {threads:.0f} s: a ratio of"
        f" {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} in {options.rounds} rounds). With one"
        f" worker both find {'the same' if alone[0] == alone[1] else 'NOT the same'} in every trial."
    )


if __name__ == "__main__":
    main()
