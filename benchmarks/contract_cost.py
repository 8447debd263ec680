"""What a contract costs: reading, identities of rows, the look-up of unseen ones, and the bytes it adds to a version.

    python benchmarks/contract_cost.py --rows 1000000 --columns 20

Prints processor seconds, of which other load on the machine takes little away, beside those of pandas alone.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from package_in_place import import_package


def measured(what: str, function: Callable[[], Any]) -> Any:
    """Run, and print what it took."""
    before = time.process_time()
    result = function()
    print(f"| {what} | {time.process_time() - before:.2f} |", flush=True)
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    options = parser.parse_args()
    import_package()
    from project.data import Snapshot, are_known, current_code, known_identities, load, prepare, split
    from project.settings import DataSettings, SplitSettings

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.normal(size=(options.rows, options.columns)),
        columns=[f"c{number}" for number in range(options.columns)],
    )
    frame["target"] = np.where(frame["c0"] + rng.normal(size=options.rows) > 0, "yes", "no")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        frame.to_parquet(path, index=False)
        del frame
        settings: Any = SimpleNamespace(  # config.toml of the template is not rendered
            problem_type="classification",
            data=DataSettings(source=str(path), target="target"),
            split=SplitSettings(),
        )
        snapshot = Snapshot(str(path), (str(path),), "", options.rows, None)
        code = current_code()
        print(f"{options.rows:,} rows, {options.columns} columns, Parquet\n\n| step | processor s |\n| --- | --- |")
        measured("pandas.read_parquet alone", lambda: pd.read_parquet(path))
        table = measured("read", lambda: load(snapshot))
        prepared = measured("contract, label and identities", lambda: prepare(table, settings=settings, code=code))
        sides = measured("split", lambda: split(prepared, settings=settings.split, problem_type="classification"))
        contract = prepared.contract

        def look_up() -> object:
            known = known_identities(sides.train_identities)
            return are_known(contract.identities(contract.read(sides.holdout)), known)

        measured("the champion reads the holdout and looks up its rows", look_up)
        sizes = {
            "contract.json": len(contract.to_json()),
            "features.py": len(code.source),
            "trained_rows.npy": known_identities(sides.train_identities).nbytes + 128,
        }
    print("\n| file of a version | bytes |\n| --- | --- |")
    for name, size in sizes.items():
        print(f"| {name} | {size:,} |")
    print(f"\n{sum(sizes.values()) / len(sides.train):.2f} bytes a training row")


if __name__ == "__main__":
    main()
