"""By how much the same fit differs with one core and with two: the seed decides, but not the order of sums.

`python benchmarks/cores.py` fits each estimator of the template on a table of scikit-learn's in two processes, one of
which may use one thread, and prints the largest difference of a probability.
"""

import os
import subprocess
import sys

import numpy as np
from package_in_place import import_models, import_package
from sklearn.datasets import load_breast_cancer

NAMES = ("hist_gradient_boosting", "random_forest", "linear")


def probabilities(name: str) -> None:
    """Write the probabilities of a fit to standard output."""
    import_package()
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
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
