"""How often monitoring takes a window without drift for one with it, and how often it sees a shift.

    python benchmarks/monitor_simulation.py             # prints the tables of docs/monitoring.md
    python benchmarks/monitor_simulation.py --windows 20

Every window is drawn as the training data were, and compared by what `monitor` calls, with the defaults. Half of the
columns are numbers (normal, and log-normal), half are text with a few common and many rare values; some cells are
missing. Ten rows to a key are alike: text is the same in all of them, numbers differ by a tenth of their spread."""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "retrainer" / "src"))

from retrainer.monitoring import compare_with_profile, is_worse, learn_profile
from retrainer.settings import GateSettings, MonitorSettings

from retrainer import gate

TRAINING_ROWS = 10_000
PROFILES = 10  # the training data are drawn anew so often
TOWNS = 1 / np.arange(1, 41)


def draw(rng: np.random.Generator, rows: int, columns: int, alike: int, shift: float = 0.0) -> pd.DataFrame:
    """Return a table whose rows are `alike` to a key; the first column is shifted by so many standard deviations."""
    keys, key = -(-rows // alike), np.arange(rows) // alike
    names = np.array([f"town {number}" for number in range(len(TOWNS))], dtype=object)
    table = {}
    for number in range(columns):
        if number % 2:
            codes = rng.choice(len(TOWNS), size=keys, p=TOWNS / TOWNS.sum())
            values = pd.Categorical.from_codes(codes[key], categories=names)
        else:
            values = rng.normal(size=keys)[key] + (0.1 * rng.normal(size=rows) if alike > 1 else 0)
            values = np.exp(values) if number % 4 == 2 else values + (shift if number == 0 else 0)
            values = np.where((rng.random(keys) < 0.05)[key], np.nan, values)
        table[f"c{number}"] = values
    return pd.DataFrame(table)


def drifted(rows: int, columns: int, alike: int, *, windows: int, shift: float = 0.0) -> float:
    """Return the share of windows that count as drifted."""
    rng, found = np.random.default_rng([rows, columns, alike]), 0
    for number in range(windows):
        if number % max(1, windows // PROFILES) == 0:
            profile = learn_profile(draw(rng, TRAINING_ROWS, columns, alike))
        units = np.arange(rows) // alike if alike > 1 else None
        X = draw(rng, rows, columns, alike, shift)
        found += compare_with_profile(profile, X, settings=MonitorSettings(), units=units).drifted is True
    return found / windows


class _Settings:
    monitor, gate = MonitorSettings(), GateSettings()


def worse(rows: int, alike: int, *, windows: int, lost: float = 0.0) -> float:
    """Return the share of windows whose accuracy counts as worse, where it is 0.85 less `lost`, as `monitor` does."""
    metric, rng, found = gate.known_metric("accuracy"), np.random.default_rng([rows, alike]), 0

    def labelled(count: int, accuracy: float) -> tuple[np.ndarray, gate.Predictions]:
        keys, key = -(-count // alike), np.arange(count) // alike
        y, right = (rng.random(keys) < 0.4)[key], (rng.random(keys) < accuracy)[key]
        labels = np.where(right, y, ~y)
        chance = np.column_stack([~labels, labels]).astype(float)
        return y, gate.Predictions(labels=labels, probabilities=chance, classes=np.array([False, True]))

    for _ in range(windows):
        y, predictions = labelled(2_000, 0.85)
        recorded = float(np.mean(predictions.labels == y))
        y, predictions = labelled(rows, 0.85 - lost)
        units = np.arange(rows) // alike
        found += is_worse(
            gate.change(
                metric,
                now=float(np.mean(predictions.labels == y)),
                recorded=recorded,
                error=gate.standard_error(metric, y, predictions, seed=0, entities=units),
                rows=rows // alike,
                recorded_rows=2_000 // alike,
            ),
            settings=_Settings,  # type: ignore[arg-type]
        )
    return found / windows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--windows", type=int, default=200, help="so many in each cell")
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 3_000, 30_000], help="of a window")
    parser.add_argument("--columns", type=int, nargs="+", default=[5, 20, 100], help="of the table")
    given = parser.parse_args()
    windows = given.windows
    warnings.simplefilter("ignore")
    print(f"Windows without drift that count as drifted, of {windows}:\n")
    print("| rows | columns | rows alone | ten to a key |\n|---:|---:|---:|---:|", flush=True)
    for rows in given.rows:
        for columns in given.columns:
            cells = (f"{drifted(rows, columns, alike, windows=windows):.1%}" for alike in (1, 10))
            print(f"| {rows:,} | {columns} | {' | '.join(cells)} |", flush=True)
    print(f"\nWindows in which one of 20 columns is shifted and that count as drifted, of {windows // 2}:\n")
    print("| rows | shift | rows alone | ten to a key |\n|---:|---:|---:|---:|", flush=True)
    for rows in given.rows:
        for shift in (0.1, 0.25, 0.5):
            cells = (
                f"{drifted(rows, 20, alike, windows=windows // 2, shift=shift):.0%}" for alike in (1, 10)
            )
            print(f"| {rows:,} | {shift} | {' | '.join(cells)} |", flush=True)
    print(f"\nWindows whose accuracy counts as worse, of {windows}:\n")
    print("| rows | true loss | rows alone | ten to a key |\n|---:|---:|---:|---:|", flush=True)
    for rows in given.rows:
        for lost in (0.0, 0.05, 0.1):
            cells = (f"{worse(rows, alike, windows=windows, lost=lost):.1%}" for alike in (1, 10))
            print(f"| {rows:,} | {lost} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
