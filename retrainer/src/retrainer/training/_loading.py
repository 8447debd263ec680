"""Models of the registry, ready to predict; they are loaded only if their digests match."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from .. import data
from ..data import Contract, FeatureCode, Identities, ReadReport
from ..errors import ProjectError, RegistryError
from ..gate import Champion, Predictions, predict
from ..project import Project
from ..registry import Registry, StorageError, Version, changed_packages
from ._model import CONTRACT, EVALUATED_ROWS, FEATURES, TRAINED_ROWS, Model
from ._trial import OtherPackagesError, verify_in_subprocess


class NoContractError(RegistryError):
    """A version was saved before versions had contracts."""


def load_contract(registry: Registry, version: Version) -> Contract:
    """Verify the digest of a version's contract, and return the contract.

    Raises:
        NoContractError: it was saved before versions had contracts.
        RegistryError: it is damaged.
        ContractError: another release wrote it.
    """
    if CONTRACT not in version.files:
        raise NoContractError(
            f"{version.id} was saved before models carried a contract, so how it reads a table is not known. "
            f"{registry.replace_champion}."
        )
    return Contract.from_json(registry.read_file(version, CONTRACT))


def load_model(registry: Registry, version: Version, *, project: Project) -> Model:
    """Verify the files of a version, and return its model.

    A model that was saved with other packages is first tested in a subprocess.

    Raises:
        NoContractError: it was saved before versions had contracts.
        OtherPackagesError: it was saved with other packages, and its predictions differ with the installed ones.
        RegistryError: it is damaged, or cannot be unpickled.
        DataError: its contract or its features.py cannot be used by this release.
    """
    return _load_verified(registry, version, registry.load_model, project)


def load_evaluated_model(registry: Registry, version: Version, *, project: Project) -> Model:
    """Return the evaluated model of a version, which the gate compares: the one in twin.joblib, or the only one.

    Raises:
        RegistryError, DataError: see `load_model`; with other packages, the other model of the version is tried.
    """
    return _load_verified(registry, version, registry.load_evaluated_model, project)


def _load_verified(registry: Registry, version: Version, load: Callable[[Version], Any], project: Project) -> Model:
    contract = load_contract(registry, version)
    source = registry.read_file(version, FEATURES).decode()
    code = FeatureCode(source, project=project, origin=f"features.py of {version.id}")
    if not changed_packages(version.lineage):
        return Model(load(version), contract, code)
    verify_in_subprocess(registry, version, project=project)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator")  # which was just tried
        return Model(load(version), contract, code)


def load_trained_rows(registry: Registry, version: Version) -> Identities:
    """Return the identities of the rows that the model of a version was trained on, sorted, shape (n,)."""
    return _load_identities(registry, version, TRAINED_ROWS)


def load_evaluated_rows(registry: Registry, version: Version) -> Identities:
    """Return the identities of the rows that `load_evaluated_model` was trained on, sorted, shape (n,)."""
    return _load_identities(registry, version, EVALUATED_ROWS if EVALUATED_ROWS in version.files else TRAINED_ROWS)


def _load_identities(registry: Registry, version: Version, name: str) -> Identities:
    rows: Identities = np.load(io.BytesIO(registry.read_file(version, name)))
    return rows


def predict_with_version(
    registry: Registry,
    champion: Version,
    rows: pd.DataFrame,
    *,
    project: Project,
    entities: data.Identities | None = None,
) -> Champion:
    """Predict rows with the champion through its own contract, and find out which of them it was trained on.

    If the champion was refit on all rows, its evaluated model predicts, which was never trained on the holdout. An
    obstacle makes the two models not comparable, and is not an error: a missing or changed column, a model that cannot
    be loaded, or features.py code that fails.

    Args:
        registry: The registry with the champion.
        champion: The version in production.
        rows: n rows, as the challenger's contract read them.
        project: The project, for the metric of the stored score and the code that the champion may import.
        entities: The entity of each row, shape (n,), where all rows of an entity are among the n: if the champion was
            trained on one of them, none is new to it. None for single rows.

    Raises:
        StorageError: the registry cannot be read now.
    """
    stored: dict[str, Any] = {
        "stored_score": champion.metrics.get(project.settings.metric),
        "stored_rows": champion.lineage.get("rows", {}).get("holdout"),
    }
    if not champion.files:
        return Champion(None, obstacle="its description, version.json, is missing or damaged", **stored)
    try:
        if other := task_mismatch(load_contract(registry, champion), project):
            return Champion(None, obstacle=other, **stored)
        model = load_evaluated_model(registry, champion, project=project)
        if changed := data.changed_imports(model.contract.imports, project):
            gone = f"it was trained with {', '.join(changed)}, which has changed since and is not part of the version"
            return Champion(None, obstacle=gone, **stored)
        predictions, identities = _predict_rows(model, rows)
        unseen = _unseen_mask(identities, load_evaluated_rows(registry, champion), entities)
        served = None
        if EVALUATED_ROWS in champion.files:
            refit = load_model(registry, champion, project=project)
            new = _unseen_mask(identities, load_trained_rows(registry, champion), entities)
            served = Champion(_predict_rows(refit, rows)[0], comparable=new) if new.any() else None
    except StorageError:
        raise
    except Exception as error:  # a pickled estimator may fail in any way
        return Champion(None, obstacle=_obstacle(error), **stored)
    return Champion(predictions, comparable=unseen, served=served, **stored)


def _obstacle(error: Exception) -> str:
    """Return why a model cannot predict rows, as a clause."""
    if isinstance(error, NoContractError):
        return "it was saved before models had a contract, so how it reads a table is unknown"
    if isinstance(error, OtherPackagesError):
        return error.obstacle
    if isinstance(error, ProjectError):
        first, *more = (line.strip() for line in str(error).rstrip(".").splitlines())
        first = "this table does not fit it:" if isinstance(error, data.SchemaError) else first
        return " ".join([first, "; ".join(more)]).strip()
    return f"it cannot predict these rows ({type(error).__name__}: {error})"


def task_mismatch(contract: Contract, project: Project) -> str | None:
    """Return how the task of a model differs from the settings (target, problem type); None if it does not."""
    settings = project.settings
    if contract.problem_type != settings.problem_type:
        return f"it was trained for a {contract.problem_type}, and problem_type is {settings.problem_type}"
    if contract.target != settings.data.target:
        return f"it predicts {contract.target!r}, and data.target is {settings.data.target!r}"
    return None


def _predict_rows(model: Model, rows: pd.DataFrame) -> tuple[Predictions, Identities]:
    report = ReadReport()
    read = model.contract.read(rows, report=report, keep_extra=True)
    # By a split by time a name of a month may be new to both models.
    model.contract.check(report, counted="holdout row", unknown=False)
    X = data.inputs(read, contract=model.contract, code=model.code)
    found = predict(model.pipeline, X, problem_type=model.contract.problem_type)
    return found, model.contract.identities(read)


def _unseen_mask(identities: Identities, known: Identities, entities: Identities | None) -> Any:
    unseen = ~data.are_known(identities, known)
    return unseen if entities is None else unseen & ~np.isin(entities, entities[~unseen])
