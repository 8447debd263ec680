"""Tables: from a source to rows for training or scoring.

In:    a source of the settings: `sample`, a path, a glob, a URL or a SQL URL.
Out:   a snapshot (files and their digest), its table, the contract that says what its columns are, labelled rows with
       their identities, and the training part and holdout of them.
Never: trains, scores or writes to a source; knows which model is in production.
"""

from ._checks import InfiniteValuesError, SplitError, TargetError, require_columns
from ._columns import as_numbers, clean_text, is_identifier_name, is_number_identifier, kind_of
from ._contract import Contract, ContractError, ReadReport, SchemaError, describe_unread, texts_of
from ._expectations import DataTestError, failed_tests, run_tests
from ._feature_code import FeatureCode, FeaturesError, changed_imports, current_code, local_modules
from ._identity import Identities, are_known, known_identities
from ._numbers import looks_like_sums
from ._preparation import Table, check_features, describe_reading, inputs, label, prepare, prepare_like, require_target
from ._snapshots import Snapshot, SourceChangedError, fetch, fill_in_query, fingerprint, head, load, resolve
from ._sources import SourceError, SourceUnavailable
from ._splitting import MissingClassError, Split, group_codes, split, times
from ._tables import DuplicateColumnsError, Partition, TableError, batches, partitions

__all__ = [
    "Contract",
    "ContractError",
    "DataTestError",
    "DuplicateColumnsError",
    "FeatureCode",
    "FeaturesError",
    "Identities",
    "InfiniteValuesError",
    "MissingClassError",
    "Partition",
    "ReadReport",
    "SchemaError",
    "Snapshot",
    "SourceChangedError",
    "SourceError",
    "SourceUnavailable",
    "Split",
    "SplitError",
    "Table",
    "TableError",
    "TargetError",
    "are_known",
    "as_numbers",
    "batches",
    "changed_imports",
    "check_features",
    "clean_text",
    "current_code",
    "describe_reading",
    "describe_unread",
    "failed_tests",
    "fetch",
    "fill_in_query",
    "fingerprint",
    "group_codes",
    "head",
    "inputs",
    "is_identifier_name",
    "is_number_identifier",
    "kind_of",
    "known_identities",
    "label",
    "load",
    "local_modules",
    "looks_like_sums",
    "partitions",
    "prepare",
    "prepare_like",
    "require_columns",
    "require_target",
    "resolve",
    "run_tests",
    "split",
    "texts_of",
    "times",
]
