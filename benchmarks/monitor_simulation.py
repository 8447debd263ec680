"""How often monitoring takes a window without drift for one with it, and how often it sees a shift.

    python benchmarks/monitor_simulation.py             # prints the tables of docs/monitoring.md
    python benchmarks/monitor_simulation.py --windows 20

Every window is drawn as the training data were, and compared by what `monitor` calls, with the defaults. Half of the
columns are numbers (normal, and log-normal), half are text with a few common and many rare values; some cells are
missing. Ten rows to a key are alike: text is the same in all of them, numbers differ by a tenth of their spread. By
days, the same holds of the rows of a day, of which a window has 100, and the rows of twenty blocks of time are one, as
by a split by time."""

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
HOLDOUT_ROWS = 2_000
PROFILES = 10  # the training data are drawn anew so often
TOWNS = 1 / np.arange(1, 41)
WAYS = (
    "alone",
    "keys",
    "days",
)  # what the rows are about: themselves, keys of ten, days in twenty blocks of time
DAYS, BLOCKS = 100, 20  # of a window


def alike_in(way: str, rows: int) -> int:
    """Return how many rows are alike."""
    return {"alone": 1, "keys": 10, "days": max(1, rows // DAYS)}[way]


def units_of(way: str, rows: int) -> np.ndarray | None:
    """Return what each row is about, as `monitor` finds it; None if itself."""
    if way == "alone":
        return None
    return np.arange(rows) // 10 if way == "keys" else np.arange(rows) * BLOCKS // rows


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


def drifted(rows: int, columns: int, way: str, *, windows: int, limits: list[float], shift: float = 0.0) -> str:
    """Return the share of windows that count as drifted, by each `monitor.psi`."""
    alike, units = alike_in(way, rows), units_of(way, rows)
    rng, found = np.random.default_rng([rows, columns, WAYS.index(way)]), np.zeros(len(limits))
    for number in range(windows):
        if number % max(1, windows // PROFILES) == 0:
            profile = learn_profile(draw(rng, TRAINING_ROWS, columns, alike))
        X = draw(rng, rows, columns, alike, shift)
        for place in np.argsort(limits):  # what is no drift by one limit is none by a higher
            if not compare_with_profile(profile, X, settings=MonitorSettings(psi=limits[place]), units=units).drifted:
                break
            found[place] += 1
    return " / ".join(f"{share:.1%}" for share in found / windows)


class _Settings:
    monitor, gate = MonitorSettings(), GateSettings()


def worse(rows: int, way: str, *, windows: int, lost: float = 0.0) -> float:
    """Return the share of windows whose accuracy counts as worse, where it is 0.85 less `lost`, as `monitor` does."""
    metric, rng, found = gate.known_metric("accuracy"), np.random.default_rng([rows, WAYS.index(way)]), 0
    alike, units = alike_in(way, rows), units_of(way, rows)
    count = rows if units is None else len(np.unique(units))

    def labelled(count: int, accuracy: float) -> tuple[np.ndarray, gate.Predictions]:
        keys, key = -(-count // alike), np.arange(count) // alike
        y, right = (rng.random(keys) < 0.4)[key], (rng.random(keys) < accuracy)[key]
        labels = np.where(right, y, ~y)
        chance = np.column_stack([~labels, labels]).astype(float)
        return y, gate.Predictions(labels=labels, probabilities=chance, classes=np.array([False, True]))

    for _ in range(windows):
        y, predictions = labelled(HOLDOUT_ROWS, 0.85)
        recorded = float(np.mean(predictions.labels == y))
        y, predictions = labelled(rows, 0.85 - lost)
        found += is_worse(
            gate.change(
                metric,
                now=float(np.mean(predictions.labels == y)),
                recorded=recorded,
                error=gate.standard_error(metric, y, predictions, seed=0, entities=units),
                rows=count,
                recorded_rows=max(2, round(HOLDOUT_ROWS * count / rows)),
            ),
            settings=_Settings,  # type: ignore[arg-type]
        )
    return found / windows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=200, help="so many in each cell")
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 3_000, 30_000], help="of a window")
    parser.add_argument("--columns", type=int, nargs="+", default=[5, 20, 100], help="of the table")
    parser.add_argument("--psi", type=float, nargs="+", default=[MonitorSettings().psi], help="monitor.psi")
    parser.add_argument("--only", choices=("false", "shifts", "scores"), help="one of the three tables")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = {"false": print_false_alarms, "shifts": print_shifts, "scores": print_scores}
    for name, table in tables.items():
        if given.only in (None, name):
            table(given)
            print()


def print_false_alarms(given: argparse.Namespace) -> None:
    """Print how many windows without drift count as drifted."""
    print(f"Windows without drift that count as drifted, of {given.windows}:\n")
    print("| rows | columns | rows alone | ten to a key | days |\n|---:|---:|---:|---:|---:|", flush=True)
    for rows in given.rows:
        for columns in given.columns:
            cells = (drifted(rows, columns, way, windows=given.windows, limits=given.psi) for way in WAYS)
            print(f"| {rows:,} | {columns} | {' | '.join(cells)} |", flush=True)


def print_shifts(given: argparse.Namespace) -> None:
    """Print how many windows count as drifted of which one column is shifted."""
    windows = given.windows // 2
    print(f"Windows in which one of 20 columns is shifted and that count as drifted, of {windows}:\n")
    print("| rows | shift | rows alone | ten to a key | days |\n|---:|---:|---:|---:|---:|", flush=True)
    for rows in given.rows:
        for shift in (0.1, 0.25, 0.5):
            cells = (drifted(rows, 20, way, windows=windows, limits=given.psi, shift=shift) for way in WAYS)
            print(f"| {rows:,} | {shift} | {' | '.join(cells)} |", flush=True)


def print_scores(given: argparse.Namespace) -> None:
    """Print how many windows count as worse, of which the accuracy is so much lower."""
    print(f"Windows whose accuracy counts as worse, of {given.windows}:\n")
    print("| rows | true loss | rows alone | ten to a key | days |\n|---:|---:|---:|---:|---:|", flush=True)
    for rows in given.rows:
        for lost in (0.0, 0.05, 0.1):
            cells = (worse(rows, way, windows=given.windows, lost=lost) for way in WAYS)
            print(f"| {rows:,} | {lost} | {' | '.join(f'{cell:.1%}' for cell in cells)} |", flush=True)


if __name__ == "__main__":
    main()
