"""The holdout: rows that the challenger is not trained on.

Which side a row is on depends on its identity (or its time) alone, never on the rows around it. So a row once held out
stays held out, and the champion of last month meets the challenger of today on rows new to both.
"""

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from ..errors import first_line
from ..settings import ProblemType, SplitSettings, rows_or_time
from ._checks import SplitError, require_columns
from ._identity import Identities, are_known, known_identities, row_identities, shuffled
from ._preparation import Table

logger = logging.getLogger(__name__)

MINIMUM_ROWS = 10  # on either side; with fewer there is nothing to learn, or to measure
MINIMUM_CLASS_ROWS = 5  # of training rows: one for each fold

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


class TimeColumnError(SplitError):
    """The time column holds something other than points in time."""


class TooFewSplitRowsError(SplitError):
    """One side of the split has too few rows."""


class MissingClassError(SplitError):
    """Fewer than two classes have enough rows on both sides."""


@dataclass(frozen=True)
class Split:
    """A table in two parts, and how it was split.

    Attributes:
        train: The training rows, in the order of the table.
        holdout: The holdout rows.
        train_identities: The identities of the training rows, shape (n,).
        holdout_identities: The identities of the holdout rows, shape (m,).
        gap: The rows between the two, which are on neither side; None without a gap.
        gap_identities: The identities of these rows, shape (g,).
        definition: The split for the lineage, JSON-able.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    train_identities: Identities
    holdout_identities: Identities
    definition: dict[str, Any]
    gap: pd.DataFrame | None = None
    gap_identities: Identities | None = None


def split(table: Table, *, settings: SplitSettings, problem_type: ProblemType, holdout: Table | None = None) -> Split:
    """Divide a labelled table into a training part and a holdout.

    - `hash`: a row is held out when its identity, shuffled by the seed, is below the share.
    - `time`: the rows newer than a cutoff are held out. Rows of one time stay together: the cutoff is the one
      between two times that comes nearest to the share. Rows without a time go to training, where no score
      depends on them. With a gap, the newest rows before the cutoff are in neither part.
    - `source`: `holdout` is the holdout. Training rows that are in it too are removed from training.

    Classes without five rows in training and one in the holdout are left out with a warning.

    Args:
        table: The labelled rows.
        settings: The method and its parameters.
        problem_type: Whether the target has classes.
        holdout: The labelled holdout of the method `source`.

    Raises:
        SplitColumnError: a key or time column is missing.
        TimeColumnError: the time column does not contain times.
        TooFewSplitRowsError: a side has fewer than 10 rows.
        MissingClassError: fewer than two classes are on both sides.
    """
    contract, target = table.contract, table.contract.target
    definition: dict[str, Any] = {
        "method": settings.method,
        "identity": list(contract.identity),
        "identity_from": contract.identity_from,
    }
    divide = _split_by_source if settings.method == "source" else _split_by_rows
    train, held, gap = divide(table, holdout, settings, definition)
    without = _count_without_keys(table)
    if without:
        definition["rows_without_keys"] = without
        logger.warning(
            "%d rows have no value in %s, so their content identifies them", without, list(contract.identity)
        )
    if problem_type == "classification":
        rare = _rare_classes(train.rows[target], held.rows[target])
        if rare:
            definition["classes_left_out"] = {str(name): count for name, count in rare.items()}
            _warn_of_rare_classes(rare, target)
            train, held = (side.where(~side.rows[target].isin(rare).to_numpy()) for side in (train, held))
        gap = gap.where(gap.rows[target].isin(train.rows[target].unique()).to_numpy())
    definition["rows"] = {"training": len(train.rows), "holdout": len(held.rows)}
    if settings.method == "time":  # which may divide rows that share an identity
        definition["rows_in_both"] = int(are_known(held.identities, known_identities(train.identities)).sum())
    _check_sides(train.rows, held.rows, settings=settings, problem_type=problem_type, target=target)
    apart = (None, None) if gap.rows.empty else gap
    return Split(train.rows, held.rows, train.identities, held.identities, definition, *apart)


class _Side(NamedTuple):
    """Rows on one side of a split, and their identities."""

    rows: pd.DataFrame
    identities: Identities

    def where(self, mask: np.ndarray) -> "_Side":
        return _Side(self.rows[mask], self.identities[mask])


def _split_by_source(
    table: Table, holdout: Table | None, settings: SplitSettings, definition: dict[str, Any]
) -> tuple[_Side, _Side, _Side]:
    """Return the training side, the holdout and an empty gap, for a holdout with a source of its own."""
    if holdout is None:
        raise SplitError(f"split.method is source, but the holdout of {settings.source!r} was not read.")
    definition["source"] = settings.source
    shared = np.isin(table.identities, holdout.identities)
    definition["rows_removed"] = int(shared.sum())
    if shared.any():
        logger.warning("%d rows of the table are also in the holdout, so training leaves them out", shared.sum())
    whole = _Side(table.rows, table.identities)
    nothing = np.zeros(len(shared), dtype=bool)
    return whole.where(~shared), _Side(holdout.rows, holdout.identities), whole.where(nothing)


def _split_by_rows(
    table: Table, _: Table | None, settings: SplitSettings, definition: dict[str, Any]
) -> tuple[_Side, _Side, _Side]:
    """Return the training side, the holdout and the gap, divided by time or by the rows' identities."""
    definition["share"] = settings.holdout
    if settings.method == "time":
        held_out, between = _hold_out_newest(table.rows, settings, definition)
    else:
        definition["seed"] = settings.seed
        held_out = _hashes_below(shuffled(table.identities, seed=settings.seed), settings.holdout)
        between = np.zeros(len(table.rows), dtype=bool)
    whole = _Side(table.rows, table.identities)
    return whole.where(~(held_out | between)), whole.where(held_out), whole.where(between)


def _count_without_keys(table: Table) -> int:
    identity = list(table.contract.identifiers)
    return int(table.rows[identity].isna().all(axis=1).sum()) if identity else 0


def _rare_classes(train: pd.Series, holdout: pd.Series) -> dict[Any, int]:
    """Return the classes with too few rows to be learned and judged, to their rows; none if too few would remain."""
    learned, judged = train.value_counts(), holdout.value_counts()
    enough = {name for name, count in learned.items() if count >= MINIMUM_CLASS_ROWS} & set(judged.index)
    rare = {*learned.index, *judged.index} - enough
    return {name: int(learned.get(name, 0) + judged.get(name, 0)) for name in rare} if len(enough) > 1 else {}


def _warn_of_rare_classes(rare: dict[Any, int], target: str) -> None:
    named = ", ".join(f"{name!r} ({count} rows)" for name, count in sorted(rare.items(), key=str))
    logger.warning(
        "Classes of %r with too few rows to train and score are left out: %s. Merge them in label() of features.py, "
        "or add rows.",
        target,
        named,
    )


def group_codes(frame: pd.DataFrame, *, keys: Sequence[str]) -> Identities | None:
    """Return a number for each row, equal for rows with the same keys.

    Returns:
        Shape (n,); a row without any key is identified by its content. None when `keys` is empty.

    Examples:
        >>> first, second, other = group_codes(pd.DataFrame({"customer": ["a", "a", "b"]}), keys=["customer"])
        >>> bool(first == second), bool(first == other)
        (True, False)
    """
    if not keys:
        return None
    require_columns(frame, keys, setting="split.key_columns", table="the table")
    return row_identities(frame, columns=keys, otherwise=[str(name) for name in frame.columns])


def times(frame: pd.DataFrame, *, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return microseconds since 1970 in UTC, shape (n,); rows without a time get the smallest number.

    Raises:
        SplitColumnError: the column does not exist.
        TimeColumnError: the column does not contain times.
    """
    require_columns(frame, [column], setting="split.time_column", table="the table")
    values, known = _microseconds(frame[column])
    return np.where(known, values, np.iinfo(np.int64).min)


def _hashes_below(hashes: Identities, share: float) -> Mask:
    return hashes < np.uint64(round(share * 2**53) * 2**11)


def _microseconds(values: pd.Series) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Mask]:
    """Return microseconds since 1970 in UTC, and which rows have a time at all.

    One unit for every resolution, so that the same moment is the same number; it cuts nanoseconds short.
    """
    moments = pd.to_datetime(values, utc=True, format=None if values.dtype.kind == "M" else "ISO8601")
    known = moments.notna().to_numpy(dtype=bool)
    return moments.dt.tz_convert(None).to_numpy().astype("datetime64[us]").view(np.int64), known


def _hold_out_newest(labelled: pd.DataFrame, settings: SplitSettings, definition: dict[str, Any]) -> tuple[Mask, Mask]:
    """Return which rows are held out, and which are in the gap before them."""
    column = str(settings.time_column)
    require_columns(labelled, [column], setting="split.time_column", table="the table")
    require_times(labelled[column], column, setting="split.time_column")
    moments, known = _microseconds(labelled[column])
    instants, counts = np.unique(moments[known], return_counts=True)
    if len(instants) < 2:
        raise TooFewSplitRowsError(
            f"Column {column!r} (split.time_column) has {len(instants)} different times in {len(labelled)} "
            "rows; a split by time needs two at least. Name another column, or set split.method to hash."
        )
    newer = 1 - np.cumsum(counts)[:-1] / known.sum()
    nearest = int(np.argmin(np.abs(newer - settings.holdout)))
    cutoff, first = instants[nearest : nearest + 2]
    held_out = known & (moments > cutoff)
    definition |= {
        "time_column": column,
        "cutoff": pd.Timestamp(int(cutoff), unit="us", tz="UTC").isoformat(),
        "rows_without_time": int((~known).sum()),
    }
    if not known.all():
        logger.warning("%d rows have no value in %r, so they are training rows", (~known).sum(), column)
    between = np.zeros(len(labelled), dtype=bool)
    if settings.gap is not None:
        before = np.sort(moments[known & ~held_out])
        count, span = rows_or_time(settings.gap)
        since = before[max(0, len(before) - count)] if count else cutoff + 1
        since = min(since, first - span // datetime.timedelta(microseconds=1) + 1)
        between = known & ~held_out & (moments >= since)
        definition |= {"gap": settings.gap, "rows_in_gap": int(between.sum())}
    return np.asarray(held_out), np.asarray(between)


def require_times(values: pd.Series, column: str, *, setting: str) -> None:
    """Check that a column of the settings contains times.

    Raises:
        TimeColumnError: the column contains something else.
    """
    advice = "Convert it in features.label(), for example with pd.to_datetime(…, unit='s') for seconds since 1970."
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        raise TimeColumnError(f"Column {column!r} ({setting}) holds {values.dtype} values, not times. {advice}")
    try:
        _microseconds(values)
    except (ValueError, TypeError) as error:
        raise TimeColumnError(
            f"Column {column!r} ({setting}) does not hold times that can be read: {first_line(error)}. {advice}"
        ) from None


def _check_sides(
    train: pd.DataFrame, holdout: pd.DataFrame, *, settings: SplitSettings, problem_type: ProblemType, target: str
) -> None:
    gap = f" or split.gap (now {settings.gap})" if settings.gap else ""
    advice: dict[Literal["hash", "time", "source"], str] = {
        "hash": f"change split.holdout (now {settings.holdout}) or split.seed, or add rows",
        "time": f"change split.holdout (now {settings.holdout}){gap}, or add rows",
        "source": f"add rows to the table, or to split.source ({settings.source})",
    }
    hint = advice[settings.method]
    for name, part in (("training", train), ("holdout", holdout)):
        if len(part) < MINIMUM_ROWS:
            by = f" and split.key_columns {list(settings.key_columns)}" if settings.key_columns else ""
            raise TooFewSplitRowsError(
                f"The {name} part has {len(part)} of {len(train) + len(holdout)} rows and needs "
                f"{MINIMUM_ROWS} or more, with split.method {settings.method}{by}: {hint}."
            )
    if problem_type == "classification" and len(set(train[target].unique()) & set(holdout[target].unique())) < 2:
        raise MissingClassError(
            f"Fewer than two classes of column {target!r} have rows in both the training part and the holdout: "
            f"{hint}, or merge rare classes in label() of features.py."
        )
