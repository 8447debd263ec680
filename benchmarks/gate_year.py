"""A year of weekly retrains by a time split, three weeks of which are bad: what serves, and its error a week later.

`python benchmarks/gate_year.py` prints the table of docs/promotion.md. Each week the newest twelve weeks are split,
trained, compared, fitted once more and recorded by the library's own steps, on the estimator `linear`. In three weeks
something is wrong with the rows that arrive, and they stay in the table until they are twelve weeks old. What serves
predicts the rows of the next week as they truly are.

The same year is run without four rules: that a promotion beats no model also where there is a champion, that a refit is
judged before it serves, that what serves is compared on rows newer than it, and that chance is counted in blocks of
time.
"""

import argparse
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "retrainer" / "tests" / "project" / "src"))

from churn import project as churn
from churn.retrainer import data, pipeline
from churn.retrainer.gate import predict
from churn.retrainer.registry import open_registry
from churn.retrainer.training import Recipe, load_model

ROWS, KEPT, COLUMNS = 100, 12, 5  # rows of a week, weeks in the table, numbers in a row
BAD = {15: "labels shuffled", 28: "units changed", 41: "a column empty"}
BLOCKS = {True: None, False: "1 row"}


def make_weeks(count: int, seed: int) -> list[pd.DataFrame]:
    """Return the weeks as they truly are: what the numbers are worth moves a little each week."""
    rng = np.random.default_rng(seed)
    worth, weeks = rng.normal(size=COLUMNS), []
    for week in range(count):
        worth = worth + 0.05 * rng.normal(size=COLUMNS)
        X = rng.normal(size=(ROWS, COLUMNS))
        table = pd.DataFrame(X, columns=[f"x{number}" for number in range(COLUMNS)])
        start = pd.Timestamp("2026-01-05") + pd.Timedelta(weeks=week)
        table["when"] = pd.date_range(start, periods=ROWS, freq="100min")
        table["target"] = 10 + X @ worth + rng.normal(size=ROWS)
        weeks.append(table)
    return weeks


def spoilt(week: pd.DataFrame, how: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return a week as it arrives."""
    if how == "labels shuffled":
        return week.assign(target=rng.permutation(week["target"]))
    return week.assign(x0=1000 * week["x0"] if how == "units changed" else np.nan)


@dataclass(frozen=True)
class Week:
    """What became of one retrain."""

    verdict: str
    served: str
    error: float


def year(*, rules: bool, weeks: int, seed: int) -> Iterator[Week]:
    """Retrain each week, with or without the rules."""
    true, rng = make_weeks(KEPT + weeks + 1, seed), np.random.default_rng([seed, 1])
    arrived = [
        spoilt(week, BAD[number - KEPT + 1], rng) if number - KEPT + 1 in BAD else week
        for number, week in enumerate(true)
    ]
    names: dict[str, str] = {}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        project = churn.with_settings(
            root=folder,
            problem_type="regression",
            estimators=("linear",),
            data={"source": "table.csv", "target": "target", "drop": ("when",)},
            split={"method": "time", "time_column": "when"},
            gate={"block": BLOCKS[rules]},
        )
        if not rules:
            for change in _without_rules():
                stack.enter_context(change)
        for number in range(weeks):
            table = pd.concat(arrived[number + 1 : number + 1 + KEPT])
            table.to_csv(Path(folder) / "table.csv", index=False)
            verdict = retrain(project)
            registry = open_registry(project.settings)
            champion = registry.champion()
            assert champion is not None
            names.setdefault(champion.id, f"{number + 1}")
            model, ahead = load_model(registry, champion, project=project), true[number + 1 + KEPT]
            X = data.inputs(model.contract.read(ahead), contract=model.contract, code=model.code)
            missed = predict(model.pipeline, X, problem_type="regression").labels - ahead["target"]
            yield Week(verdict, names[champion.id], float(np.sqrt(np.mean(missed**2))))


def _without_rules() -> Iterator[Any]:
    apply_baseline_and_holds = pipeline._comparison.gate.apply_baseline_and_holds

    def first_only(decision: Any, *given: Any, **more: Any) -> Any:
        return apply_baseline_and_holds(decision, *given, **more) if decision.kind == "first" else decision

    gate = pipeline._comparison.gate
    yield patch.object(gate, "apply_baseline_and_holds", first_only)
    yield patch.object(gate, "what_serves", lambda question, champion: (champion, ()))
    yield patch.object(pipeline._training, "_judge_refit", lambda *given, **more: None)


def retrain(project: Any) -> str:
    """Retrain as the flow does; return what was decided."""
    snapshot = data.fetch(project.settings.data.source, settings=project.settings)
    training, gap, holdout = pipeline.split(pipeline.preprocess(snapshot, project=project), project=project)
    recipe = Recipe("linear", None)
    challenger = pipeline.train(training, recipe=recipe, project=project)
    evaluation = pipeline.evaluate(challenger, training, holdout, project=project)
    compared = pipeline.compare_with_production(evaluation, project=project, accept_not_comparable=False)
    refitted = pipeline.refit(compared, gap, recipe=recipe, project=project)
    run = pipeline.Run()
    saved = pipeline.save(compared, refitted, snapshot=snapshot, recipe=recipe, project=project, run=run)
    pipeline.record(saved, compared, project=project, run=run)
    said = compared.decision.verdict
    said += ", refit refused" if refitted and refitted.error else ""
    return said + (", alarm" if compared.decision.alarms else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    with patch.object(pipeline._record.reporting, "sections", lambda facts: []):  # reports are not looked at
        years = [list(year(rules=rules, weeks=options.weeks, seed=options.seed)) for rules in (True, False)]
    print("| week | arrives | with: decided | serves since | RMSE | without: decided | serves since | RMSE |")
    print("|---:|---|---|---:|---:|---|---:|---:|")
    for number, both in enumerate(zip(*years, strict=True), 1):
        cells = [f"{week.verdict} | {week.served} | {week.error:.2f}" for week in both]
        print(f"| {number} | {BAD.get(number, '')} | {' | '.join(cells)} |")
    means = [np.mean([week.error for week in each]) for each in years]
    print(f"\nOn average RMSE {means[0]:.3f} with, {means[1]:.3f} without; {1.0:.3f} is the noise.")


if __name__ == "__main__":
    main()
