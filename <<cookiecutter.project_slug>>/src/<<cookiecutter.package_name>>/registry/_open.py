"""Which registry and store the settings ask for."""

from typing import TYPE_CHECKING

from ._registry import Registry
from ._store import LocalStore, Store

if TYPE_CHECKING:
    from ..settings import Settings


def open_registry(settings: "Settings") -> Registry:
    """Return the registry of the settings, caught up with a process that died."""
    if settings.registry.kind == "mlflow":
        from ._mlflow_registry import MlflowRegistry
        from ._mlflow_store import MlflowStore

        store = MlflowStore(settings.registry.tracking_uri, project=settings.project)
        registry: Registry = MlflowRegistry(store, metric=settings.metric)
    else:
        registry = open_files(settings)
    registry.catch_up()
    return registry


def open_files(settings: "Settings") -> Registry:
    """Return the registry that is files, in a folder or an object store, whichever kind the settings use."""
    store: Store
    if settings.registry.path.is_url:
        from ._object_store import ObjectStore

        store = ObjectStore(settings.registry.path)
    else:
        store = LocalStore(settings.resolve(settings.registry.path), base=settings.root)
    return Registry(store, metric=settings.metric)


def copy_files_to_mlflow(settings: "Settings") -> tuple[str, int, int]:
    """Copy the registry's files into MLflow; return the place, and how many versions and decisions it holds."""
    from ._mlflow_registry import MlflowRegistry, copy
    from ._mlflow_store import MlflowStore

    store = MlflowStore(settings.registry.tracking_uri, project=settings.project)
    versions, decisions = copy(open_files(settings), MlflowRegistry(store, metric=settings.metric))
    return store.where(""), versions, decisions
