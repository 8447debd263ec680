"""The model in production for other code: loaded once, verified, and replaced when the registry names another one."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ..errors import DataError, ProjectError
from ..gate import Predictions
from ..project import Project
from ..registry import Registry, open_registry
from ._loading import load_model
from ._model import Model

CHECK_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProductionModel:
    """A version that is, or was, in production; its predictions do not change when another one is promoted.

    Attributes:
        version: The id in the registry.
        metrics: The scores on the version's own holdout, by name.
        model: The fitted pipeline with its contract.
    """

    version: str
    metrics: Mapping[str, float]
    model: Model

    def predict(self, rows: pd.DataFrame) -> pd.Series:
        """Return the predicted classes or values, shape (n,), with the index of the rows.

        Args:
            rows: n raw rows of the table, before features(), with or without the target.

        Raises:
            DataError: the rows do not fit the contract of the model, or there are none.
        """
        return pd.Series(self.predictions(rows).labels, index=rows.index, name="prediction")

    def predict_proba(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the probability of each class, shape (n, k), with the index of the rows and a column for each class.

        Args:
            rows: n raw rows of the table, before features(), with or without the target.

        Raises:
            DataError: the rows do not fit the contract of the model, or it gives no probabilities.
        """
        predictions = self.predictions(rows)
        if predictions.probabilities is None:
            raise DataError(f"{self.version} has no probabilities. Use predict().")
        return pd.DataFrame(predictions.probabilities, index=rows.index, columns=predictions.classes)

    def predictions(self, rows: pd.DataFrame) -> Predictions:
        """Return classes and probabilities together, computed once; see `predict`."""
        if not isinstance(rows, pd.DataFrame):
            raise DataError(
                f"Pass the rows as a pandas DataFrame with the table's columns, not as a {type(rows).__name__}."
            )
        if not len(rows):
            raise DataError("There are no rows to predict.")
        return self.model.predict(rows)


class Production:
    """Keeps the model in production loaded; several threads may use it."""

    def __init__(self, registry: Registry, *, project: Project) -> None:
        """Follow the champion of a registry; nothing is loaded yet."""
        self._project = project
        self.trouble: str | None = None
        self._registry = registry
        self._loaded: ProductionModel | None = None
        self._checked = -CHECK_SECONDS
        self._lock = threading.Lock()

    @property
    def loaded(self) -> ProductionModel | None:
        """The model that was loaded last; None before the first."""
        return self._loaded

    def current(self) -> ProductionModel:
        """Return the model in production, asking the registry at most once a second.

        Raises:
            RegistryError: there is no model in production yet, or the first one cannot be loaded.
        """
        with self._lock:
            if self._loaded is None or time.monotonic() >= self._checked + CHECK_SECONDS:
                self._refresh()
            assert self._loaded is not None
            return self._loaded

    def refresh(self) -> None:
        """Read the registry now. If a new champion cannot be loaded, the old one stays; `trouble` has the reason.

        Raises:
            RegistryError: there is no previous one.
        """
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        try:
            champion = self._registry.version("champion")
            if self._loaded is None or champion.id != self._loaded.version:
                model = load_model(self._registry, champion, project=self._project)
                self._loaded = ProductionModel(champion.id, champion.metrics, model)
                logger.info("%s is loaded", champion.id)
            self.trouble = None
        except ProjectError as error:
            if self._loaded is None:
                raise
            if str(error) != self.trouble:
                logger.warning("%s stays in use: %s", self._loaded.version, error)
            self.trouble = str(error)
        self._checked = time.monotonic()


def production_model(project: Project) -> ProductionModel:
    """Return the model in production of a project; it is kept loaded for the next call.

    Raises:
        RegistryError: there is no model in production yet, or it is damaged.
        ConfigurationError: the settings do not say where the registry is.
    """
    with _opening:
        if project.package not in _productions:
            _productions[project.package] = Production(open_registry(project.settings), project=project)
    return _productions[project.package].current()


_opening = threading.Lock()
_productions: dict[str, Production] = {}
