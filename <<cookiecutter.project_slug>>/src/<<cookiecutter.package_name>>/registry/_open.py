"""Which registry and store the settings ask for."""

from importlib import import_module
from typing import TYPE_CHECKING

from ._registry import Registry
from ._store import LocalStore, Store

if TYPE_CHECKING:
    from ..settings import Settings


def open_registry(settings: "Settings") -> Registry:
    """Return the registry of the settings, caught up with a process that died.

    Any kind but files is the module `_<kind>_registry` of an optional part.
    """
    kind = settings.registry.kind
    registry: Registry = (
        open_files(settings)
        if kind == "json"
        else import_module(f"._{kind}_registry", __package__).open_registry(settings)
    )
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
