"""What a search costs on two Dask workers, beside two threads of one process.

    python benchmarks/tuning_dask.py --project folder

in the environment of a project that was rendered with `scale_out=dask`; PREFECT_API_URL may name a server. Runs `tune`
on one table, in turn and round by round, each way as a process that begins a study of its own. Prints what
docs/benchmarks/tuning.md has.
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

RUNNERS = ("threads", "dask")


def tune(project: Path, package: str, *, runner: str, trials: int) -> float:
    """Run a search of its own, and return its seconds."""
    shutil.rmtree(project / "data" / "tuning", ignore_errors=True)
    prefix = package.upper()
    environment = os.environ | {
        "PYTHONPATH": "src",
        f"{prefix}_ESTIMATORS": '["hist_gradient_boosting"]',
        f"{prefix}_SCALE_OUT__RUNNER": runner,
        f"{prefix}_SCALE_OUT__WORKERS": "2",
    }
    command = [sys.executable, "-m", package, "tune", "--dry-run", "--json", "--trials", str(trials)]
    began = time.monotonic()
    done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, check=True)
    seconds = time.monotonic() - began
    (facts,) = json.loads(done.stdout)
    assert len(facts["trials"]) == trials
    print(f"{runner}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return seconds


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
            seconds[runner].append(tune(options.project, package, runner=runner, trials=options.trials))
    threads, dask = (statistics.median(seconds[runner]) for runner in RUNNERS)
    ratios = sorted(there / here for here, there in zip(seconds["threads"], seconds["dask"], strict=True))
    print(
        f"{options.trials} trials on two Dask workers take {dask:.0f} s, in two threads {threads:.0f} s: a ratio of"
        f" {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} in {options.rounds} rounds)."
    )


if __name__ == "__main__":
    main()
