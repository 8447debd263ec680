"""What one decision costs on a large holdout, in time and memory beyond the data.

In a rendered project's environment: `python benchmarks/decision_cost.py`. Each metric is measured in a
process of its own, so that no peak of memory hides another.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from package_in_place import LIBRARY, import_package


def measure(name: str, rows: int) -> str:
    """Decide about `rows` rows of holdout and return a line of the table: the best time of three."""
    from project.gate import METRICS, Champion, Predictions, Question, decide
    from project.settings import GateSettings

    metric = METRICS[name]
    rng = np.random.default_rng(0)
    if metric.problem_type == "regression":
        y = rng.normal(size=rows)
        models = [Predictions(y + error * rng.normal(size=rows)) for error in (0.50, 0.49)]
    else:
        y = rng.integers(0, 2, rows)
        models = []
        for noise in (1.0, 0.98):
            chance = 1 / (1 + np.exp(-(2 * y - 1 + noise * rng.normal(size=rows))))
            probabilities = np.column_stack([1 - chance, chance])
            models.append(Predictions((chance > 0.5).astype(int), probabilities, np.array([0, 1])))
    settings = {"gate": GateSettings(), "metric": metric}
    few = [model.take(slice(100)) for model in models]
    decide(Question(y[:100], **settings), few[1], Champion(few[0]))  # so that the imports are not counted
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    seconds, busy = [], []
    for _ in range(3):
        started, worked = time.perf_counter(), time.process_time()
        decision = decide(Question(y, **settings), models[1], Champion(models[0]))
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - worked)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before) / 1e6
    return f"| {metric.label} | {decision.method} | {min(seconds):.2f} s | {min(busy):.2f} s | {memory:.0f} MB |"


def main() -> None:
    """Print a Markdown table with a line for each metric."""
    parser = argparse.ArgumentParser(description="What one decision costs on a large holdout.")
    parser.add_argument("--package", type=Path, default=LIBRARY, help="folder of the package (default: the template's)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--metric", help="this one only, in this process")
    options = parser.parse_args()
    import_package(options.package)
    if options.metric:
        print(measure(options.metric, options.rows))
        return
    from project.gate import METRICS

    print(f"| {options.rows:,} holdout rows | method | time | CPU time | memory beyond the data |")
    print("|---|---|---|---|---|", flush=True)
    for name in METRICS:
        arguments = ["--metric", name, "--rows", str(options.rows), "--package", str(options.package)]
        subprocess.run([sys.executable, __file__, *arguments], check=True)


if __name__ == "__main__":
    main()
