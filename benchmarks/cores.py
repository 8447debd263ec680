"""By how much the same fit differs with one core and with two: the seed decides, but not the order of sums.

`python benchmarks/cores.py` fits each estimator of the template on 4,000 rows of numbers and text in two processes, one
of which may use one thread, and prints the largest difference of a probability on 4,000 others.
"""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
from package_in_place import import_models, import_package
from sklearn.datasets import make_classification

NAMES = ("hist_gradient_boosting", "random_forest", "linear")


def probabilities(name: str) -> None:
    """Write the probabilities of a fit to standard output."""
    import_package()
    X, y = make_classification(8_000, 20, n_informative=12, flip_y=0.1, random_state=0)
    X = pd.DataFrame(X).add_prefix("x")
    X["town"] = pd.qcut(X["x0"] + X["x1"], 40).cat.codes.map("town {}".format)
    X["street"] = pd.qcut(X["x2"], 900).cat.codes.map("street {}".format)
    model = import_models()[name]("classification", 0).fit(X[::2], y[::2])
    sys.stdout.buffer.write(model.predict_proba(X[1::2])[:, 1].tobytes())


def main() -> None:
    """Print a line for each estimator."""
    for name in NAMES:
        found = [
            np.frombuffer(
                subprocess.run(
                    [sys.executable, __file__, name],
                    check=True,
                    stdout=subprocess.PIPE,
                    env=os.environ | {"OMP_NUM_THREADS": threads, "LOKY_MAX_CPU_COUNT": threads},
                ).stdout
            )
            for threads in ("1", "2")
        ]
        print(f"{name}: {np.abs(found[0] - found[1]).max():.1g}", flush=True)


if __name__ == "__main__":
    probabilities(sys.argv[1]) if len(sys.argv) > 1 else main()
