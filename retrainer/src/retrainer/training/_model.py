"""A fitted pipeline with everything that decides what it predicts: its contract and its own features.py."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import data
from ..data import Contract, FeatureCode, Identities, ReadReport
from ..gate import Predictions, predict
from ..project import Project
from ..registry import package_versions

CONTRACT, FEATURES = "contract.json", "features.py"
TRAINED_ROWS, EVALUATED_ROWS = "trained_rows.npy", "twin_rows.npy"


@dataclass(frozen=True)
class Model:
    """A model that predicts raw rows of a table.

    Attributes:
        pipeline: The fitted pipeline.
        contract: The contract that reads the rows.
        code: The features.py that the model was trained with.
    """

    pipeline: Any
    contract: Contract
    code: FeatureCode

    @property
    def left_out(self) -> dict[str, str]:
        """The columns that the steps of the pipeline left out, each with the reason."""
        return {name: why for stage in self.pipeline for name, why in getattr(stage, "left_out_", {}).items()}

    def inputs(self, rows: pd.DataFrame, *, report: ReadReport | None = None) -> pd.DataFrame:
        """Return the inputs of the pipeline for these rows, shape (n, features).

        Args:
            rows: n raw rows of the table, or rows that another contract read.
            report: Counts of what is noticed are added to it; without one the rows are checked here.

        Raises:
            SchemaError: the rows do not fit the contract.
            FeaturesError: `features()` failed.
        """
        whole = ReadReport() if report is None else report
        read = self.contract.read(rows, report=whole)
        if report is None:
            self.contract.check(whole)
        return data.inputs(read, contract=self.contract, code=self.code)

    def predict(self, rows: pd.DataFrame, *, report: ReadReport | None = None) -> Predictions:
        """Predict rows, see `inputs`.

        Raises:
            SchemaError: the rows do not fit the contract.
            FeaturesError: `features()` failed.
        """
        X = self.inputs(rows, report=report)
        return predict(self.pipeline, X, problem_type=self.contract.problem_type)

    def files(self, trained: Identities, *, twin: Identities | None = None) -> dict[str, bytes]:
        """Return the files of a version besides the pipeline.

        Args:
            trained: The identities of the rows that the model was trained on, shape (n,).
            twin: The identities of the training rows of the evaluated model, shape (m,); None if it is the same model.
        """
        files = {
            CONTRACT: self.contract.to_json().encode(),
            FEATURES: self.code.source.encode(),
            TRAINED_ROWS: _npy_bytes(trained),
        }
        return files if twin is None else files | {EVALUATED_ROWS: _npy_bytes(twin)}


def _npy_bytes(identities: Identities) -> bytes:
    rows = io.BytesIO()
    np.save(rows, data.known_identities(identities).astype("<u8"))
    return rows.getvalue()


def code_of_steps(pipeline: Any, project: Project) -> dict[str, str]:
    """Return the SHA-256 of each module of the team that a pipeline's steps come from, by name."""
    return data.local_modules(_step_modules(pipeline), project)


def packages_of_steps(pipeline: Any) -> dict[str, str]:
    """Return the version of each package that a pipeline needs to be loaded, by name."""
    return package_versions(_step_modules(pipeline))


def _step_modules(pipeline: Any) -> set[str]:
    from sklearn.frozen import FrozenEstimator

    steps = [pipeline, *pipeline.get_params(deep=True).values()]
    frozen = [step.estimator for step in steps if isinstance(step, FrozenEstimator)]  # which hides what is in it
    steps += [inner for model in frozen for inner in model.get_params(deep=True).values()]
    return {str(getattr(step if callable(step) else type(step), "__module__", "")) for step in steps}
