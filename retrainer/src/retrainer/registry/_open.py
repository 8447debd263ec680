"""Which registry and store the settings ask for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..locations import Location
from ._registry import Registry
from ._store import FileStore, LocalStore

if TYPE_CHECKING:
    from ..settings import Settings


def open_registry(settings: "Settings") -> Registry:
    """Return the registry of the settings, after completing what a killed process left unfinished.

    Raises:
        RegistryError: it cannot be reached or read.
    """
    if settings.registry.kind == "mlflow":
        from ._mlflow_registry import open_registry as open_mlflow

        registry: Registry = open_mlflow(settings)
    else:
        registry = open_files(settings)
    registry.catch_up()
    return registry


def open_files(settings: "Settings") -> Registry:
    """Return the registry of files, in a folder or an object store, whatever kind the settings name."""
    store = open_store(settings.registry.path, settings=settings)
    return Registry(store, metric=settings.metric, project=settings.project)


def open_store(place: Location, *, settings: "Settings") -> FileStore:
    """Return the store at a place of the settings: a folder, or an object store where it is a URL."""
    if place.is_url:
        from ._object_store import ObjectStore

        return ObjectStore(place)
    return LocalStore(settings.resolve(place), base=settings.root)


def show_study(study: Mapping[str, Any], *, settings: "Settings") -> None:
    """Show a search and its trials in MLflow if the registry is there; otherwise do nothing.

    Args:
        study: The facts of the search: `study`, `estimator`, `metric` and `trials`.
        settings: The settings of the project.

    Raises:
        RegistryError: MLflow cannot be reached.
    """
    if settings.registry.kind == "mlflow":
        from ._mlflow_study import show

        show(study, settings=settings)
