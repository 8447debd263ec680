"""What trees make of a time: with the parts that repeat, as the template's encoders have it, and with its seconds.

    pip install --no-deps --target tables islp==0.6.0
    python benchmarks/times.py --tables tables

in a rendered project's environment, for the tables of benchmarks/defaults.py that have times, by time split: RMSE on
each of the last five tenths of the rows, fitted on all before it. "Noise" is the target of the last twentieth before
it, shuffled. Prints the table of docs/benchmarks/times.md.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from package_in_place import import_models, import_package
from sklearn.metrics import root_mean_squared_error
from threadpoolctl import threadpool_limits

ESTIMATORS = ("hist_gradient_boosting", "random_forest")
TENTHS = 10


def bikeshare(folder: Path) -> pd.DataFrame:
    """Return the bikes hired in each hour of a year, with what is known of the weather."""
    table = pd.read_csv(folder / "ISLP/data/Bikeshare.csv")
    table["when"] = pd.Timestamp("2011-01-01") + pd.to_timedelta(24 * (table["day"] - 1) + table["hr"], unit="h")
    return table[["when", "weathersit", "temp", "atemp", "hum", "windspeed"]].assign(target=table["bikers"])


def nyse(folder: Path) -> pd.DataFrame:
    """Return the volume of a stock exchange on 24 years of days, with what is known of the day before."""
    table = pd.read_csv(folder / "ISLP/data/NYSE.csv", parse_dates=["date"])
    before = table[["DJ_return", "log_volume", "log_volatility"]].shift().add_prefix("before_")
    return before.assign(when=table["date"], target=table["log_volume"]).iloc[1:]


def score(table: pd.DataFrame, estimator: str, *, seconds: bool, noise: bool) -> float:
    """Return the mean RMSE on the last tenths, each predicted from the rows before it."""
    table = table.sort_values("when", ignore_index=True)
    if seconds:  # under a name that the encoder does not know for a part of a time
        table["clock"] = (table["when"] - pd.Timestamp("1970-01-01")).dt.total_seconds()
    size, found = len(table) // TENTHS, []
    for tenth in range(TENTHS // 2, TENTHS):
        train, test = table.iloc[: tenth * size].copy(), table.iloc[tenth * size : (tenth + 1) * size]
        if noise:
            last = train.index[-size // 2 :]
            train.loc[last, "target"] = np.random.default_rng(0).permutation(train.loc[last, "target"])
        model = import_models()[estimator]("regression", 0).fit(train.drop(columns="target"), train["target"])
        found.append(root_mean_squared_error(test["target"], model.predict(test.drop(columns="target"))))
    return float(np.mean(found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="where pip put the package")
    options = parser.parse_args()
    import_package()
    print("| table | estimator | parts that repeat | and seconds | the same, after noise | and seconds, after noise |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    with threadpool_limits(limits=1):
        for read in (bikeshare, nyse):
            for estimator in ESTIMATORS:
                scores = [
                    score(read(options.tables), estimator, seconds=seconds, noise=noise)
                    for noise in (False, True)
                    for seconds in (False, True)
                ]
                cells = " | ".join(f"{each:.4g}" for each in scores)
                print(f"| {read.__name__} | {estimator} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
