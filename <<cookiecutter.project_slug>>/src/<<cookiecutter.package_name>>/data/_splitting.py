"""The holdout: rows that no model is ever trained on, this time or the next.

Which side a row is on depends on the row alone (its content, its keys or its time), never on the rows around
it. So a row once held out stays held out, and the champion of last month meets the challenger of today on
rows new to both.
"""

import base64
import difflib
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..errors import DataError
from ..settings import ProblemType, SplitSettings

logger = logging.getLogger(__name__)

MINIMUM_ROWS = 10  # on either side; with fewer there is nothing to learn, or to measure
REMEMBERED_ROWS = (
    4096  # of a holdout from a source of its own, to recognise them when that source has changed
)

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]
Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
_FORMAT = 1  # of the definition, and of the hash that it stands for


class SplitError(DataError):
    """The table cannot be split as configured."""


class SplitColumnError(SplitError):
    """A key or time column is not in the table."""


class TimeColumnError(SplitError):
    """The time column holds something other than points in time."""


class TooFewRowsError(SplitError):
    """One side of the split has too few rows."""


class MissingClassError(SplitError):
    """A class stands on one side of the split only."""


@dataclass(frozen=True)
class Split:
    """A table in two parts, and what decided which row went where.

    Attributes:
        train: The rows to learn from, in the order of the table.
        holdout: The rows to be judged on.
        definition: JSON-able; with it `unseen` tells which rows a model of this split was not trained on.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    definition: dict[str, Any]


def split(
    labelled: pd.DataFrame,
    *,
    settings: SplitSettings,
    problem_type: ProblemType,
    target: str,
    holdout_frame: pd.DataFrame | None = None,
) -> Split:
    """Divide a labelled table into a training part and a holdout.

    - `hash`: a row is held out when the hash of its keys, or without keys of all its columns but the target,
      is below the share. Rows whose keys are all missing belong to no known group and are divided by their
      content.
    - `time`: the rows newer than a cutoff are held out. Rows of one time stay together: the cutoff is the one
      between two times that comes nearest to the share. Rows without a time go to training, where no score
      depends on them.
    - `source`: `holdout_frame` is the holdout. Training rows that stand in it too (the same keys, or without
      keys the same content) are removed from training.

    Args:
        labelled: The table, with the target column.
        settings: The method and its parameters.
        problem_type: For classification, both sides must have every class.
        target: The column to predict.
        holdout_frame: The labelled holdout of the `source` method.

    Raises:
        SplitColumnError: a key or time column is missing.
        TimeColumnError: the time column holds no points in time.
        TooFewRowsError: a side has fewer than 10 rows.
        MissingClassError: a class is missing from a side.
    """
    _require(labelled, settings.key_columns, setting="split.key_columns", table="the table")
    columns = [str(name) for name in labelled.columns if name != target]
    definition: dict[str, Any] = {
        "format": _FORMAT,
        "method": settings.method,
        "keys": list(settings.key_columns),
    }
    if settings.method == "time":
        train, holdout = _split_by_time(labelled, settings, definition)
    elif settings.method == "source":
        train, holdout = _split_from_source(labelled, settings, definition, columns, holdout_frame)
    else:
        definition |= {"columns": columns, "share": settings.holdout, "seed": settings.seed}
        hashes, without_keys = _hashes_by(labelled, definition)
        definition["rows_without_keys"] = int(without_keys.sum()) if settings.key_columns else 0
        held_out = _below(hashes, settings.holdout)
        train, holdout = labelled[~held_out], labelled[held_out]
    definition["rows"] = {"training": len(train), "holdout": len(holdout)}
    if lost := definition.get("rows_without_keys"):
        logger.warning(
            "%d rows have no value in %s: divided by their content", lost, list(settings.key_columns)
        )
    _check(train, holdout, settings=settings, problem_type=problem_type, target=target)
    return Split(train, holdout, definition)


def unseen(holdout: pd.DataFrame, definition: Mapping[str, Any] | None) -> Mask:
    """Tell which rows a model was certainly not trained on.

    Args:
        holdout: Rows of today, n of them.
        definition: The split the model was trained under.

    Returns:
        Shape (n,). False where the model may have learnt from the row: its split held it back no more than
        the rest, or can no longer be told, because a column it was made from is gone.
    """
    nothing = np.zeros(len(holdout), dtype=bool)
    if not definition or definition.get("format") != _FORMAT:
        return nothing
    needed = [definition["time_column"]] if definition["method"] == "time" else definition["keys"]
    if not set(needed) <= set(holdout.columns):
        return nothing
    if definition["method"] == "time":
        cutoff = _microseconds(pd.Series([pd.Timestamp(definition["cutoff"])]))[0][0]
        moments, known = _microseconds(holdout[definition["time_column"]])
        return np.asarray(known & (moments > cutoff))
    hashes, without_keys = _hashes_by(holdout, definition)
    # Rows without keys are known by their content: with a column of it gone they cannot be recognised.
    knowable = ~without_keys if set(definition["columns"]) - set(holdout.columns) else ~nothing
    if definition["method"] == "hash":
        return knowable & _below(hashes, definition["share"])
    if _digest(np.unique(hashes)) == definition["digest"]:
        return knowable
    remembered = np.frombuffer(base64.b64decode(definition["remembered"]), dtype="<u8")
    return knowable & np.isin(hashes, remembered)


def difference(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> str:
    """Say in a few words how two definitions differ, for people who read why models are not comparable."""
    if not old:
        return "the champion's split is not recorded"
    names = {"method", "keys", "columns", "share", "seed", "time_column", "source", "digest", "format"}
    said = []
    for name in sorted(names & (set(old) | set(new))):
        before, now = old.get(name), new.get(name)
        if before == now or ((before is None or now is None) and old["method"] != new["method"]):
            continue
        if name == "columns":
            gone, come = (
                sorted(set(before or []) - set(now or [])),
                sorted(set(now or []) - set(before or [])),
            )
            said += [f"columns gone: {', '.join(gone)}"] * bool(gone) + [
                f"columns new: {', '.join(come)}"
            ] * bool(come)
        elif name == "digest":
            said.append("the holdout's source has other rows")
        else:
            said.append(f"{name} {before!r} became {now!r}")
    return "; ".join(said) or "the split is the same"


def group_codes(frame: pd.DataFrame, *, keys: Sequence[str]) -> Hashes | None:
    """Give rows of the same keys the same number, for folds that keep a group together.

    Returns:
        Shape (n,), a row without any key being a group of its own content; None when `keys` is empty.
    """
    if not keys:
        return None
    _require(frame, keys, setting="split.key_columns", table="the table")
    return _hashes_by(frame, {"keys": list(keys), "columns": [str(name) for name in frame.columns]})[0]


def times(frame: pd.DataFrame, *, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return microseconds since 1970 in UTC, shape (n,); rows without a time come before all others.

    Raises:
        SplitColumnError: there is no such column.
        TimeColumnError: the column holds no points in time.
    """
    _require(frame, [column], setting="split.time_column", table="the table")
    values, known = _microseconds(frame[column])
    return np.where(known, values, np.iinfo(np.int64).min)


def row_hashes(frame: pd.DataFrame, *, columns: Iterable[str], seed: int = 0) -> Hashes:
    """Hash each row's values in `columns`: the same row gives the same hash in any process, order and table.

    Equal values hash alike whatever their dtype: 1, 1.0 and True; text as str, object or category; a point in
    time at any resolution and in any time zone. A missing value adds nothing, so a new column moves no row
    that is without it. Columns are told apart by name, so their order does not matter. Whole numbers beyond
    2**53 hash as their nearest float64; a float32 column hashes differently from a float64 one, because its
    values are different numbers.

    Args:
        frame: n rows.
        columns: The columns to hash; names that are not in the frame are passed over.
        seed: Another seed gives unrelated hashes.

    Returns:
        Shape (n,).
    """
    total = np.full(len(frame), _hash_text([str(seed)])[0], dtype=np.uint64)
    present = {str(name): position for position, name in enumerate(frame.columns)}
    for name in columns:
        if name in present:
            total += _hash_values(frame.iloc[:, present[name]], salt=_hash_text([name])[0])
    return _mix(total)


def _hashes_by(frame: pd.DataFrame, definition: Mapping[str, Any]) -> tuple[Hashes, Mask]:
    """Hash rows by their keys, or by their content where they have none; and tell which rows those are."""
    keys, columns, seed = definition["keys"], definition["columns"], definition.get("seed", 0)
    if not keys:
        return row_hashes(frame, columns=columns, seed=seed), np.ones(len(frame), dtype=bool)
    hashes = row_hashes(frame, columns=keys, seed=seed)
    without_keys = frame[list(keys)].isna().all(axis=1).to_numpy(dtype=bool)
    if without_keys.any():
        hashes[without_keys] = row_hashes(frame[without_keys], columns=columns, seed=seed)
    return hashes, without_keys


def _hash_values(values: pd.Series, *, salt: np.uint64) -> Hashes:
    """Hash one column, a missing value to 0."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _take(_hash_values(pd.Series(dtype.categories), salt=salt), values.cat.codes.to_numpy())
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return _hash_numbers(values, salt)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _hash_numbers(_as_float(*_microseconds(values)), salt)
    if (
        isinstance(dtype, pd.StringDtype)
        or (content := pd.api.types.infer_dtype(values, skipna=True)) == "string"
    ):
        codes, texts = pd.factorize(values)
        return _take(_salted(_hash_text(texts), salt), codes)
    if content in {"integer", "floating", "mixed-integer-float", "boolean", "decimal"}:
        return _hash_numbers(values, salt)
    if content in {"datetime", "datetime64", "date"}:
        return _hash_numbers(_as_float(*_microseconds(values)), salt)
    if content == "empty":
        return np.zeros(len(values), dtype=np.uint64)
    return _hash_mixed(values, salt)


def _hash_mixed(values: pd.Series, salt: np.uint64) -> Hashes:
    """Hash a column of several types: its numbers like any numbers, all else as text."""
    missing = values.isna().to_numpy(dtype=bool)
    number = np.fromiter(
        (isinstance(value, bool | int | float | np.number | np.bool_) for value in values), dtype=bool
    )
    hashes = np.zeros(len(values), dtype=np.uint64)
    for rows, kind in ((number & ~missing, float), (~number & ~missing, str)):
        part = pd.Series([kind(value) for value in values[rows]], dtype="float64" if kind is float else "str")
        hashes[rows] = _hash_values(part, salt=salt)
    return hashes


def _hash_numbers(values: "pd.Series | np.ndarray[Any, Any]", salt: np.uint64) -> Hashes:
    series = pd.Series(values, copy=False)
    if series.dtype == object:
        series = series.where(series.notna(), np.nan).astype("float64")
    numbers = series.to_numpy(dtype="float64", na_value=np.nan)
    hashes = _salted((numbers + 0.0).view(np.uint64), salt)  # + 0.0 makes -0.0 the 0.0 it equals
    hashes[np.isnan(numbers)] = 0
    return hashes


def _hash_text(texts: Any) -> Hashes:
    """Hash texts with SipHash under pandas' fixed key."""
    return pd.util.hash_array(np.asarray(texts, dtype=object), categorize=False)


def _salted(bits: Hashes, salt: np.uint64) -> Hashes:
    return _mix(_mix(bits) + salt)


def _take(hashes: Hashes, codes: "np.ndarray[Any, Any]") -> Hashes:
    """Look up one hash for each code, code -1 being a missing value."""
    return np.asarray(np.append(hashes, np.uint64(0))[codes])


def _mix(bits: Hashes) -> Hashes:
    """Spread every bit over all 64: the finaliser of SplitMix64 (Steele, Lea and Flood 2014, OOPSLA)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ np.right_shift(bits, np.uint64(shift))) * np.uint64(factor)
    return bits ^ np.right_shift(bits, np.uint64(31))


def _below(hashes: Hashes, share: float) -> Mask:
    return hashes < np.uint64(round(share * 2**53) * 2**11)


def _microseconds(values: pd.Series) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Mask]:
    """Return microseconds since 1970 in UTC, and which rows have a time at all.

    One unit for every resolution, so that the same moment is the same number; it cuts nanoseconds short.
    """
    moments = pd.to_datetime(values, utc=True, format=None if values.dtype.kind == "M" else "ISO8601")
    known = moments.notna().to_numpy(dtype=bool)
    return moments.dt.tz_convert(None).to_numpy().astype("datetime64[us]").view(np.int64), known


def _as_float(moments: "np.ndarray[Any, Any]", known: Mask) -> "np.ndarray[Any, Any]":
    return np.where(known, moments.astype(np.float64), np.nan)


def _split_by_time(
    labelled: pd.DataFrame, settings: SplitSettings, definition: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    column = str(settings.time_column)
    _require(labelled, [column], setting="split.time_column", table="the table")
    _require_times(labelled[column], column)
    moments, known = _microseconds(labelled[column])
    instants, counts = np.unique(moments[known], return_counts=True)
    if len(instants) < 2:
        raise TooFewRowsError(
            f"Column {column!r} (split.time_column) has {len(instants)} different times in {len(labelled)} "
            "rows; a split by time needs two at least. Name another column, or set split.method to hash."
        )
    newer = 1 - np.cumsum(counts)[:-1] / known.sum()
    cutoff = instants[np.argmin(np.abs(newer - settings.holdout))]
    held_out = known & (moments > cutoff)
    definition |= {
        "time_column": column,
        "share": settings.holdout,
        "cutoff": pd.Timestamp(int(cutoff), unit="us", tz="UTC").isoformat(),
        "rows_without_time": int((~known).sum()),
    }
    if not known.all():
        logger.warning("%d rows have no value in %r: they go to training", (~known).sum(), column)
    return labelled[~held_out], labelled[held_out]


def _split_from_source(
    labelled: pd.DataFrame,
    settings: SplitSettings,
    definition: dict[str, Any],
    columns: list[str],
    holdout: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if holdout is None:
        raise SplitError(f"split.method is source, but the holdout of {settings.source!r} was not read.")
    _require(
        holdout,
        [*settings.key_columns, *columns],
        setting="split.source",
        table=f"the holdout {settings.source}",
    )
    definition |= {"columns": columns, "source": settings.source}
    ours, _ = _hashes_by(labelled, definition)
    theirs, without_keys = _hashes_by(holdout, definition)
    shared = np.isin(ours, theirs)
    distinct = np.unique(theirs)
    definition |= {
        "digest": _digest(distinct),
        "remembered": base64.b64encode(distinct[:REMEMBERED_ROWS].astype("<u8").tobytes()).decode("ascii"),
        "rows_without_keys": int(without_keys.sum()) if settings.key_columns else 0,
        "rows_removed": int(shared.sum()),
    }
    if shared.any():
        logger.warning("%d rows of the table stand in the holdout too: removed from training", shared.sum())
    return labelled[~shared], holdout


def _digest(hashes: Hashes) -> str:
    return hashlib.sha256(hashes.astype("<u8").tobytes()).hexdigest()


def _require(frame: pd.DataFrame, names: Iterable[str], *, setting: str, table: str) -> None:
    known = [str(name) for name in frame.columns]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known[:5]
            raise SplitColumnError(
                f"Column {name!r} ({setting}) is not in {table}. The nearest names are: {', '.join(near)}."
            )


def _require_times(values: pd.Series, column: str) -> None:
    advice = (
        "Convert it in features.label(), for example with pd.to_datetime(…, unit='s') for seconds since 1970."
    )
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        raise TimeColumnError(
            f"Column {column!r} (split.time_column) holds {values.dtype} values, not times. {advice}"
        )
    try:
        _microseconds(values)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise TimeColumnError(
            f"Column {column!r} (split.time_column) does not hold times that can be read: {reason}. {advice}"
        ) from None


def _check(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    *,
    settings: SplitSettings,
    problem_type: ProblemType,
    target: str,
) -> None:
    advice: dict[Literal["hash", "time", "source"], str] = {
        "hash": f"change split.holdout (now {settings.holdout}) or split.seed, or bring more rows",
        "time": f"change split.holdout (now {settings.holdout}), or bring more rows",
        "source": f"bring more rows to the table, or to split.source ({settings.source})",
    }
    hint = advice[settings.method]
    for name, part in (("training", train), ("holdout", holdout)):
        if len(part) < MINIMUM_ROWS:
            by = f" and split.key_columns {list(settings.key_columns)}" if settings.key_columns else ""
            raise TooFewRowsError(
                f"The {name} part has {len(part)} of {len(train) + len(holdout)} rows and needs "
                f"{MINIMUM_ROWS} or more, with split.method {settings.method}{by}: {hint}."
            )
    if problem_type == "classification":
        classes = {"training": set(train[target].dropna()), "holdout": set(holdout[target].dropna())}
        for name, other in (("training", "holdout"), ("holdout", "training")):
            if missing := sorted(map(str, classes[other] - classes[name])):
                raise MissingClassError(
                    f"Class {', '.join(missing)} of column {target!r} has no row in the {name} part: "
                    f"{hint}, or leave out or merge rare classes in features.label()."
                )
