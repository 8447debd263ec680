"""From the loaded table to the training inputs: contract, label, features, and their checks."""

import difflib
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..errors import ConfigurationError, named
from ..settings import Settings
from . import _checks
from ._columns import kind_of
from ._contract import Contract, ReadReport, identity_of, learn_columns
from ._feature_code import FeatureCode, FeaturesError
from ._identity import Identities
from ._tables import DIALECT_ATTRIBUTE

logger = logging.getLogger(__name__)

_CHECKED_ROWS = 10_000  # shuffled, to see whether features() looks at one row at a time


@dataclass(frozen=True)
class Table:
    """The labelled rows.

    Attributes:
        rows: n labelled rows: the columns as the contract reads them, and the target.
        identities: The identity of each row, shape (n,).
        contract: The learned columns.
        code: The features.py that labelled them.
        report: The report of the reading.
        notes: Sentences about the reading, for the report of the run.
        alarms: Sentences about what a person should check.
    """

    rows: pd.DataFrame
    identities: Identities
    contract: Contract
    code: FeatureCode
    report: ReadReport
    notes: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


def prepare(frame: pd.DataFrame, *, settings: Settings, code: FeatureCode, prior: Contract | None = None) -> Table:
    """Learn the contract of a table, and label its rows.

    Args:
        frame: The table as loaded.
        settings: Target, problem type, keys and tolerance are used.
        code: The code whose `label()` is called.
        prior: The contract of the model in production; see `learn_columns`.

    Raises:
        FeaturesError: features.py cannot be used.
        DataError: see `check_target` and `check_table`.
        ConfigurationError: data.drop or data.keep has a name that is nearly a column's.
    """
    target = settings.data.target
    columns, read, report = learn_columns(
        frame, tolerance=settings.data.tolerance, prior=prior, target=target, how=settings.data.read
    )
    words = columns[target].words if target in columns else ()
    rows = label(read, settings=settings, code=code, words=words)
    content = tuple(str(name) for name in rows.columns if name in columns and name != target)
    inputs = tuple(name for name in content if name not in settings.data.drop)
    _log_changed_columns(inputs, columns, settings=settings, prior=prior)
    split = settings.split
    identity, identity_from = identity_of(
        rows,
        columns,
        names=content,
        keys=split.key_columns,
        time_column=split.time_column if split.method == "time" else None,
        prior=prior,
    )
    contract = Contract(
        columns=columns,
        inputs=inputs,
        target=target,
        problem_type=settings.problem_type,
        identity=identity,
        identity_from=identity_from,
        content=() if content == inputs else content,
        tolerance=settings.data.tolerance,
        features_sha256=code.sha256,
        decimal=settings.data.read.decimal,
        imports=code.imports,
    )
    notes = describe_reading(frame, contract)
    logger.info("%s", " ".join(notes) or "The table has types of its own.")
    return Table(rows, identities_of(rows, contract), contract, code, report, notes, tuple(report.guesses))


def describe_reading(frame: pd.DataFrame, contract: Contract) -> tuple[str, ...]:
    """Describe how the text of a loaded table was read: separator, decimal sign, order of day and month."""
    texts = [column for name, column in contract.columns.items() if name in frame and kind_of(frame[name]) == "text"]
    formats = [column.date_format[:2] for column in texts if column.kind == "date"]
    days = {"%d": "day first", "%m": "month first"}
    found = [frame.attrs.get(DIALECT_ATTRIBUTE), *dict.fromkeys(days[form] for form in formats if form in days)]
    return (f"The table was read with {', '.join(filter(None, found))}.",) if any(found) else ()


def _log_changed_columns(
    inputs: tuple[str, ...], columns: Iterable[str], *, settings: Settings, prior: Contract | None
) -> None:
    """Say which columns go into the model now and did not into the one in production, and the other way round."""
    for setting, chosen in (("data.drop", settings.data.drop), ("data.keep", settings.data.keep)):
        if unknown := [name for name in chosen if name not in columns]:
            _refuse_misspelled(setting, unknown, columns)
            logger.warning("%s names %s, which is not in the table.", setting, named(unknown))
    if prior is None:
        return
    for which, names in (
        ("no longer gets", [name for name in prior.inputs if name not in inputs]),
        ("gets in addition", [name for name in inputs if name not in prior.inputs]),
    ):
        if names:
            logger.warning("Changed since the champion: features() %s: %s.", which, named(names))


def _refuse_misspelled(setting: str, unknown: list[str], columns: Iterable[str]) -> None:
    """Raise an error for a name that is nearly a column's: a leak that is to be left out would stay."""
    for name in unknown:
        if near := difflib.get_close_matches(name, columns, n=1, cutoff=0.75):
            raise ConfigurationError(f"{setting} names {name!r}, which is not in the table. Did you mean {near[0]!r}?")


def prepare_like(frame: pd.DataFrame, table: Table, *, settings: Settings) -> Table:
    """Read and label another table through the contract of the first, for a holdout of its own.

    Raises:
        SchemaError: it does not fit the contract.
        DataError: see `check_target` and `check_table`.
    """
    report = ReadReport()
    read = table.contract.read(frame, report=report, keep_extra=True)
    table.contract.check(report)
    rows = label(read, settings=settings, code=table.code, words=table.contract.target_words)
    return replace(table, rows=rows, identities=identities_of(rows, table.contract), report=report)


def label(frame: pd.DataFrame, *, settings: Settings, code: FeatureCode, words: Collection[str] = ()) -> pd.DataFrame:
    """Return the labelled rows, with a usable target column.

    Calls `label()` of features.py, drops rows without a target, and reads the target as the problem type needs it.

    Args:
        frame: The table, as a contract read it.
        settings: Target and problem type are used.
        code: The code whose `label()` is called.
        words: Words for missing values that are classes; see `Column.words`.

    Raises:
        FeaturesError: `label()` failed.
        DataError: see `check_target` and `check_table`.
    """
    target = settings.data.target
    rows = code.label(frame).reset_index(drop=True)
    y = _checks.check_target(rows, target=target, problem_type=settings.problem_type, words=words)
    if len(y) < len(rows):
        rows = rows.loc[y.index]
    _checks.check_table(rows, target=target)
    return rows if y.equals(rows[target]) and y.dtype == rows[target].dtype else rows.assign(**{target: y})


def require_target(head: pd.DataFrame, *, settings: Settings, code: FeatureCode) -> None:
    """Check that the first rows of a table have the target, or get it from `label()`.

    Raises:
        FeaturesError: `label()` failed.
        TargetError: the target is missing.
    """
    if settings.data.target not in head.columns:
        _, read, _ = learn_columns(head, tolerance=settings.data.tolerance)
        _checks.require_target(code.label(read), target=settings.data.target)


def identities_of(rows: pd.DataFrame, contract: Contract) -> Identities:
    """Return the identity of each row, shape (n,), and check that the columns for it exist.

    Raises:
        SplitColumnError: a key column is not in the table.
    """
    _checks.require_columns(rows, contract.identity, setting="split.key_columns", table="the table")
    return contract.identities(rows)


def check_features(rows: pd.DataFrame, X: pd.DataFrame, *, contract: Contract, code: FeatureCode) -> None:
    """Check that the features of a row depend only on that row and on files of the version.

    Args:
        rows: n rows that the contract read.
        X: The features of the rows, shape (n, features).
        contract: The contract that names the inputs.
        code: The code whose `features()` is called.

    Raises:
        FeaturesError: Single rows, or half of the rows in another order, have other features; or the code opens a file.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    given = rows[list(contract.inputs)]
    with code.opened_files():
        for chosen in (order[: min(len(rows) // 2, _CHECKED_ROWS)], *order[:3, None]):
            again = code.features(given.iloc[chosen].reset_index(drop=True))
            if unlike := _differing_columns(X.iloc[chosen].reset_index(drop=True), again):
                raise FeaturesError(
                    f"features() in {code.origin} gives a row other values when other rows are around it, in "
                    f"{named(unlike)}. It must look at one row at a time and keep their order: a mean, a rank "
                    "or codes that are learned from a table belong into a step of the pipeline (models.py)."
                )
    if code.files:
        raise FeaturesError(
            f"{code.origin} opens {named(sorted(code.files))}, which no version holds: an edit would change "
            "what the model in production predicts. Write what is in it into features.py or a module that it imports, "
            "join it to the table (data.query), or let a step of the pipeline (models.py) read it in fit()."
        )


def _differing_columns(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Return the columns that differ by more than rounding."""
    if list(ours.columns) != list(theirs.columns):
        return sorted(map(str, {*ours.columns} ^ {*theirs.columns})) or ["the order of the columns"]
    numbers = [name for name in ours.columns if _is_number(ours[name]) and _is_number(theirs[name])]
    one, other = (frame[numbers].to_numpy(dtype="float64", na_value=np.nan) for frame in (ours, theirs))
    largest = np.max(np.abs(one), axis=0, initial=0.0, where=np.isfinite(one))
    same = np.isclose(one, other, rtol=1e-6, atol=1e-9 * largest, equal_nan=True).all(axis=0)
    unlike = [str(name) for name, alike in zip(numbers, same, strict=True) if not alike]
    for name in ours.columns.difference(numbers, sort=False):
        texts = [frame[name].astype("object").map(str).mask(frame[name].isna(), "") for frame in (ours, theirs)]
        if (texts[0] != texts[1]).any():
            unlike.append(str(name))
    return unlike


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and values.dtype.kind != "c"


def inputs(rows: pd.DataFrame, *, contract: Contract, code: FeatureCode) -> pd.DataFrame:
    """Return the inputs of the pipeline: `features()` of the rows, one row for each.

    Args:
        rows: Rows that the contract read; other columns are ignored.
        contract: The contract that names the inputs.
        code: The code whose `features()` is called.

    Raises:
        FeaturesError: `features()` failed, changed the number of rows, made the target, or returned no columns.
        InfiniteValuesError: a column holds infinite values.
    """
    names = contract.input_index
    X = code.features(rows.copy(deep=False) if rows.columns.equals(names) else rows[names])
    if contract.target in X.columns:
        raise FeaturesError(f"features() in {code.origin} returned the target column {contract.target!r}.")
    _checks.check_duplicates(X)
    _checks.check_finite(X)
    return X
