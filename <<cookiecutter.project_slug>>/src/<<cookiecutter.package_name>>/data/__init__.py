"""Tables: from a source to rows that can be learned from or scored.

In:    a source of the settings: `sample`, a path, a glob, a URL or a SQL URL.
Out:   a snapshot (files and their digest), its table, and the training part and holdout of a labelled table.
Never: trains, scores or writes to a source; knows which model is in production.
"""

from ._kinds import DATE_FORMATS, MISSING_VALUES, TRUTH
from ._preparation import FeaturesError, inputs, labelled
from ._snapshots import Snapshot, SourceChangedError, fetch, fingerprint, load, resolve
from ._sources import SourceError, SourceUnavailable
from ._splitting import MissingClassError, Split, SplitError, difference, group_codes, split, times, unseen
from ._tables import DuplicateColumnsError, Partition, TableError, batches, partitions
from ._validation import Schema, SchemaError, TargetError, check, learn_schema

__all__ = [
    "DATE_FORMATS",
    "MISSING_VALUES",
    "TRUTH",
    "DuplicateColumnsError",
    "FeaturesError",
    "MissingClassError",
    "Partition",
    "Schema",
    "SchemaError",
    "Snapshot",
    "SourceChangedError",
    "SourceError",
    "SourceUnavailable",
    "Split",
    "SplitError",
    "TableError",
    "TargetError",
    "batches",
    "check",
    "difference",
    "fetch",
    "fingerprint",
    "group_codes",
    "inputs",
    "labelled",
    "learn_schema",
    "load",
    "partitions",
    "resolve",
    "split",
    "times",
    "unseen",
]
