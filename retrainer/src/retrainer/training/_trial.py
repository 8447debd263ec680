"""A model that was saved with other packages is tried in a process of its own before it is used.

scikit-learn promises nothing for a pickle of another version: it may fail to load, end the process, or load and predict
something else. So a version contains example rows, with the predictions at the time of saving.
"""

import importlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data import Contract, FeatureCode, ReadReport
from ..errors import RegistryError
from ..gate import Predictions
from ..project import Project
from ..registry import Registry, Version, changed_packages, described, unpickled
from ._model import CONTRACT, FEATURES, Model

ROWS, PREDICTED = "examples.parquet", "examples.json"
MODEL, HERE = "model.joblib", "here.json"
COUNT = 100
TOLERANCE = 1e-6  # of a probability, or of the size of a predicted value: the order of a sum, not another model
SECONDS = 600.0

logger = logging.getLogger(__name__)

_tried: set[str] = set()  # seals of the versions that this process found to predict what they did


class OtherPackagesError(RegistryError):
    """A model was saved with other packages, and its predictions differ with the installed ones.

    Attributes:
        obstacle: The reason, as a clause about the model.
    """

    def __init__(self, version: Version, obstacle: str, *, otherwise: str) -> None:
        """Name the version, the obstacle, and what to do in place of installing other packages."""
        self.obstacle = obstacle
        super().__init__(
            f"{version.id} cannot be used here: {obstacle}. Install what it was saved with, or {otherwise}."
        )


def example_files(model: Model, rows: pd.DataFrame) -> dict[str, bytes]:
    """Return the files of a version with example rows and what the model predicts for them.

    Args:
        model: The fitted model.
        rows: n rows, as the contract read them; at most `COUNT` are taken, evenly.
    """
    taken = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(COUNT, len(rows))).round().astype(int))]
    examples = model.contract.read(taken.reset_index(drop=True))
    table = io.BytesIO()
    examples.to_parquet(table)
    return {ROWS: table.getvalue(), PREDICTED: _to_json(_predict_unchecked(model, examples))}


def verify_in_subprocess(registry: Registry, version: Version, *, project: Project) -> None:
    """Load a model in a subprocess and predict its example rows; once in each process.

    Raises:
        OtherPackagesError: it cannot be loaded, predicts something else, or has no example rows.
        RegistryError: one of its files is damaged.
    """
    if version.sha256 in _tried:
        return
    saved = f"was saved with {described(changed_packages(version.lineage))}"
    if trouble := _find_difference(registry, version, project):
        raise OtherPackagesError(version, f"it {saved}, and {trouble}", otherwise=registry.replace_champion)
    _tried.add(version.sha256)
    logger.info("%s %s, and predicts its example rows here as it did there", version.id, saved)


def predict_examples(folder: str, package: str) -> None:
    """Load the model in a folder, and write its predictions of the example rows; the new process runs this."""
    here = Path(folder)
    contract = Contract.from_json((here / CONTRACT).read_bytes())
    project: Project = importlib.import_module(package).project
    code = FeatureCode((here / FEATURES).read_text(encoding="utf-8"), project=project)
    with (here / MODEL).open("rb") as file:
        model = Model(unpickled(file), contract, code)
    (here / HERE).write_bytes(_to_json(_predict_unchecked(model, pd.read_parquet(here / ROWS))))


def _find_difference(registry: Registry, version: Version, project: Project) -> str | None:
    """Return what is wrong with a model in this environment, None if nothing is."""
    if not {ROWS, PREDICTED} <= version.files.keys():
        return "has no example rows to check its predictions with"
    with tempfile.TemporaryDirectory() as folder:
        for name in (MODEL, CONTRACT, FEATURES, ROWS):
            (Path(folder) / name).write_bytes(registry.read_file(version, name))
        code = f"from {__name__} import predict_examples; predict_examples({folder!r}, {project.package!r})"
        try:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"did not predict its example rows within {SECONDS:g} s"
        if done.returncode < 0:
            return f"ends the process that loads it (signal {-done.returncode})"
        if done.returncode:
            last = done.stderr.strip().splitlines() or ["no message"]
            return f"cannot be loaded: {last[-1].rstrip('.')}"
        found = _from_json((Path(folder) / HERE).read_bytes())
    return difference(_from_json(registry.read_file(version, PREDICTED)), found)


def difference(recorded: Predictions, found: Predictions) -> str | None:
    """Return how two predictions of the same n rows differ; None if only by rounding.

    Labels may differ where two classes are equally probable, apart from rounding.
    """
    other = np.asarray(recorded.labels) != np.asarray(found.labels)
    if recorded.probabilities is not None and found.probabilities is not None:
        if recorded.probabilities.shape != found.probabilities.shape:
            return "predicts other classes than before"
        two = np.sort(recorded.probabilities, axis=1)[:, -2:]
        tied = two[:, -1] - two[:, 0] <= TOLERANCE
        same = np.abs(recorded.probabilities - found.probabilities).max(axis=1) <= TOLERANCE
        other = (other & ~tied) | ~same
    elif recorded.classes is None:
        size = np.abs(recorded.labels)
        other = ~(np.abs(recorded.labels - found.labels) <= TOLERANCE * np.maximum(size, np.median(size)))
    return f"predicts {other.sum()} of its {len(other)} example rows differently" if other.any() else None


def _predict_unchecked(model: Model, examples: pd.DataFrame) -> Predictions:
    """Predict without a check of the rows as a table: they are too few for one, and were checked in training."""
    return model.predict(examples, report=ReadReport())


def _to_json(predictions: Predictions) -> bytes:
    content = {
        name: None if values is None else np.asarray(values).tolist() for name, values in vars(predictions).items()
    }
    return json.dumps(content).encode()


def _from_json(content: bytes) -> Predictions:
    values = json.loads(content)
    arrays: dict[str, Any] = {name: None if value is None else np.asarray(value) for name, value in values.items()}
    return Predictions(**arrays)
