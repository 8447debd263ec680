"""Versions and decisions, and where they are kept.

In:    a fitted pipeline with its metrics, lineage and files, and what the gate decided about it.
Out:   versions, decisions, and the champion, loaded only when its digest is the recorded one.
Never: decides; a version that a decision names never changes.
"""

from ._lineage import changed_packages, described, git_commit, lineage, package_versions
from ._object_store import ObjectStore
from ._open import open_files, open_registry, open_store, show_study
from ._pickles import unpickled
from ._records import Damaged, Problem, Record, Version
from ._registry import Registry, StaleDecision
from ._store import LocalStore, StorageError, Store

__all__ = [
    "Damaged",
    "LocalStore",
    "ObjectStore",
    "Problem",
    "Record",
    "Registry",
    "StaleDecision",
    "StorageError",
    "Store",
    "Version",
    "changed_packages",
    "described",
    "git_commit",
    "lineage",
    "open_files",
    "open_registry",
    "open_store",
    "package_versions",
    "show_study",
    "unpickled",
]
