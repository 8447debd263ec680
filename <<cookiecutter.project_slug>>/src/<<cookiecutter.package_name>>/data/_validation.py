"""What a table must look like, and the error when it does not."""

import difflib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..errors import DataError
from ..settings import ProblemType
from ._kinds import MISSING_VALUES
from ._tables import DuplicateColumnsError

logger = logging.getLogger(__name__)

MINIMUM_ROWS = 20  # half of what a split needs on each side would be less than chance
MANY_VALUES = 20  # a target of more distinct fractions is a number, not a class
MANY_CLASSES = 100  # a target of more distinct whole numbers is one, too
CATEGORIES_KEPT = 100  # of a column, in the schema
NULL_RISE = 0.3  # of the share of missing values, beyond which a column is not what it was
NULL_ROWS = 30  # fewer rows say nothing about a share


class TargetError(DataError):
    """The target column is missing, or cannot be learned."""


class TooFewRowsError(DataError):
    """The table has too few rows to learn from."""


class InfiniteValuesError(DataError):
    """Columns hold infinite values."""


class SchemaError(DataError):
    """The table is not what the model was trained on."""


def check_target(table: pd.DataFrame, *, target: str, problem_type: ProblemType) -> pd.Series:
    """Return the target of the rows that have one, read as the problem type needs it.

    Text loses the spaces around it; numbers kept as text become numbers in a regression, whole numbers kept as floats
    become whole in a classification. Rows without a target are left out and counted.

    Raises:
        DuplicateColumnsError: two columns have the same name.
        TargetError: it is not there, empty, of one class, text where numbers are needed or the reverse, or infinite.
    """
    check_duplicates(table)
    if target not in table.columns:
        names = [str(name) for name in table.columns]
        near = difflib.get_close_matches(target, names, n=3, cutoff=0.5)
        lower = [name for name in names if name.lower() == target.lower()]
        raise TargetError(
            f"The target column {target!r} (data.target) is not in the table. "
            + (
                f"The nearest names: {', '.join(lower or near)}."
                if lower or near
                else f"It has: {', '.join(names[:10])}."
            )
        )
    y = table[target]
    if isinstance(y.dtype, pd.CategoricalDtype):
        y = y.astype(y.cat.categories.dtype)
    if _is_text(y):
        y = y.astype("str").str.strip()
        y = y.mask(y.isin(MISSING_VALUES))
    missing = int(y.isna().sum())
    if missing == len(y) and missing:
        raise TargetError(f"The target column {target!r} (data.target) has no value in any of {len(y)} rows.")
    if missing:
        logger.warning("%d of %d rows are without a value in %r: left out", missing, len(y), target)
        y = y.dropna()
    return _classes(y, target) if problem_type == "classification" else _values(y, target)


def _classes(y: pd.Series, target: str) -> pd.Series:
    distinct = y.nunique()
    advice = "Set problem_type to regression, or make classes of it in label() of features.py."
    if pd.api.types.is_numeric_dtype(y.dtype) and not pd.api.types.is_bool_dtype(y.dtype):
        _require_finite_target(y, target)
        fractions = bool((y % 1 != 0).any())
        if distinct > MANY_CLASSES or (distinct > MANY_VALUES and fractions):
            raise TargetError(
                f"The target column {target!r} looks like regression: it has {distinct} different numbers, such as "
                f"{y.iloc[0]}. {advice}"
            )
        if not fractions:
            y = y.astype("int64")
    elif distinct > MANY_CLASSES and distinct > len(y) / 2:
        raise TargetError(
            f"The target column {target!r} has {distinct} different values in {len(y)} rows, such as {y.iloc[0]!r}: "
            "that is no class. Name another column (data.target)."
        )
    if distinct < 2 and len(y):
        raise TargetError(
            f"The target column {target!r} has one class only, {y.iloc[:1].item()!r}, in all {len(y)} rows: "
            "there is nothing to tell apart."
        )
    return y


def _values(y: pd.Series, target: str) -> pd.Series:
    advice = "Set problem_type to classification, or derive a number in label() of features.py."
    if _is_text(y):
        values = pd.to_numeric(y, errors="coerce")
        if values.isna().any():
            example = y[values.isna()].iloc[0]
            raise TargetError(
                f"The target column {target!r} holds text such as {example!r}, where regression needs numbers. {advice}"
            )
        y = values
    if pd.api.types.is_bool_dtype(y.dtype) or not pd.api.types.is_numeric_dtype(y.dtype):
        raise TargetError(
            f"The target column {target!r} holds {y.dtype} values such as {y.iloc[0]}, where regression needs numbers. "
            f"{advice}"
        )
    _require_finite_target(y, target)
    return y.astype("float64") if not isinstance(y.dtype, np.dtype) else y


def _require_finite_target(y: pd.Series, target: str) -> None:
    infinite = int(np.isinf(y.to_numpy(dtype="float64")).sum())
    if infinite:
        raise TargetError(f"The target column {target!r} is infinite in {infinite} of {len(y)} rows.")


def _is_text(values: pd.Series) -> bool:
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) not in {
            "boolean",
            "integer",
            "floating",
            "decimal",
        }
    return isinstance(values.dtype, pd.StringDtype)


def check_table(table: pd.DataFrame, *, target: str) -> None:
    """Make sure there is something to learn from.

    Raises:
        TooFewRowsError: fewer than 20 rows.
        DataError: there is no column beside the target.
    """
    if len(table) < MINIMUM_ROWS:
        raise TooFewRowsError(
            f"{len(table)} rows with a value in {target!r} are too few to learn from: {MINIMUM_ROWS} at least."
        )
    if len(table.columns) < 2:
        raise DataError(f"The table has no column beside the target {target!r}.")


def check_duplicates(table: pd.DataFrame) -> None:
    """Make sure that each column has a name of its own.

    Raises:
        DuplicateColumnsError: two have not.
    """
    if not table.columns.is_unique:
        twice = sorted(map(str, set(table.columns[table.columns.duplicated()])))
        raise DuplicateColumnsError(f"The table has column {', '.join(map(repr, twice))} more than once.")


def check_finite(table: pd.DataFrame) -> None:
    """Make sure that no number is infinite; missing values are fine.

    Raises:
        InfiniteValuesError: some are; the message counts them by column.
    """
    found = {}
    for name in table.columns:
        values = table[name]
        if values.dtype.kind == "f":
            count = int(np.isinf(values.to_numpy(dtype="float64", na_value=np.nan)).sum())
            if count:
                found[str(name)] = count
    if found:
        said = ", ".join(f"{name!r} ({count} of {len(table)} rows)" for name, count in found.items())
        raise InfiniteValuesError(
            f"Infinite values in column {said}. Replace them in features() of features.py, for example by missing "
            "values."
        )


ColumnKind = Literal["number", "boolean", "date", "text", "other"]


@dataclass(frozen=True)
class ColumnSchema:
    """What a column was in training.

    Attributes:
        kind: Of its values.
        null_share: Share of missing values, 0 to 1.
        minimum: Of numbers and dates (ISO 8601), if there are any.
        maximum: Likewise.
        categories: All values of a text column, if at most 100; otherwise None.
        example: A value, as text.
    """

    kind: ColumnKind
    null_share: float
    minimum: float | str | None = None
    maximum: float | str | None = None
    categories: list[str] | None = None
    example: str | None = None


@dataclass(frozen=True)
class Schema:
    """What the inputs of a model were in training, by column."""

    columns: dict[str, ColumnSchema]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {"columns": {name: asdict(column) for name, column in self.columns.items()}}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Schema":
        """Return the schema of a `to_dict()`."""
        return cls({name: ColumnSchema(**column) for name, column in fields["columns"].items()})


@dataclass(frozen=True)
class SchemaReport:
    """What is new about a table that may nevertheless be scored.

    Attributes:
        new_columns: Names that were not there in training; they are ignored.
        new_categories: Column to value to how many rows have it.
        out_of_range: Column to how many rows lie outside the range of training.
    """

    new_columns: list[str] = field(default_factory=list)
    new_categories: dict[str, dict[str, int]] = field(default_factory=dict)
    out_of_range: dict[str, int] = field(default_factory=dict)


def learn_schema(X: pd.DataFrame) -> Schema:
    """Return what the columns are, for `check` to compare later tables with.

    Args:
        X: The inputs of training, n rows.
    """
    return Schema({str(name): _learn_column(X[name]) for name in X.columns})


def _learn_column(values: pd.Series) -> ColumnSchema:
    kind = _kind(values)
    known = values.dropna()
    null_share = round(1 - len(known) / max(1, len(values)), 6)
    if known.empty:
        return ColumnSchema(kind, null_share)
    example = str(known.iloc[0])
    if kind == "number":
        return ColumnSchema(kind, null_share, _number(known.min()), _number(known.max()), example=example)
    if kind == "date":
        return ColumnSchema(kind, null_share, _moment(known.min()), _moment(known.max()), example=example)
    if kind == "text":
        distinct = {str(value).strip() for value in known.unique()}
        categories = sorted(distinct) if len(distinct) <= CATEGORIES_KEPT else None
        return ColumnSchema(kind, null_share, categories=categories, example=example)
    return ColumnSchema(kind, null_share, example=example)


def _number(value: Any) -> float | None:
    return float(value) if not hasattr(value, "total_seconds") else float(value.total_seconds())


def _moment(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _kind(values: pd.Series) -> ColumnKind:
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "m":
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "date"
    if isinstance(dtype, pd.StringDtype | pd.CategoricalDtype):
        return "text"
    content = pd.api.types.infer_dtype(values, skipna=True)
    kinds: dict[str, ColumnKind] = {
        "string": "text",
        "mixed-integer": "text",
        "mixed": "other",
        "empty": "text",
    }
    kinds |= dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), "number")
    kinds |= {"boolean": "boolean", "date": "date", "datetime": "date"}
    return kinds.get(content, "other")


def check(X: pd.DataFrame, schema: Schema) -> SchemaReport:
    """Make sure that a model of this schema can take the rows.

    Types may change where the values can still be read as they were (numbers as text, dates as text, yes and no). New
    categories are allowed and counted, and so are values out of range.

    Args:
        X: The rows to score, n of them.
        schema: Of the training rows.

    Raises:
        SchemaError: columns are missing, of another type, or emptier by 30 points or more; every one is named with
            what was expected, what came, and an example.
    """
    problems: list[str] = []
    report = SchemaReport([str(name) for name in X.columns if str(name) not in schema.columns])
    by_name = {str(name): name for name in X.columns}
    for name, expected in schema.columns.items():
        if name not in by_name:
            near = difflib.get_close_matches(name, report.new_columns, n=1)
            hint = f" (is {near[0]!r} its new name?)" if near else ""
            problems.append(f"column {name!r}: expected {_described(expected)}, but it is missing{hint}")
            continue
        values = X[by_name[name]]
        nulls = _missing(values)
        share = float(nulls.mean()) if len(values) else 0.0
        if len(values) >= NULL_ROWS and share >= expected.null_share + NULL_RISE:
            problems.append(
                f"column {name!r}: expected {expected.null_share:.0%} missing values, "
                f"{share:.0%} of {len(values)} rows came without one"
            )
        known = values[~nulls]
        if known.empty:
            continue
        if (wrong := _not_readable(known, expected)) is not None:
            problems.append(
                f"column {name!r}: expected {_described(expected)}, came {_kind(values)} such as {wrong!r}"
            )
            continue
        _note(report, name, known, expected)
    if problems:
        raise SchemaError("The table is not what the model was trained on:\n  " + "\n  ".join(problems))
    if report.new_categories:
        said = ", ".join(
            f"{name} ({sum(counts.values())} rows, such as {next(iter(counts))!r})"
            for name, counts in report.new_categories.items()
        )
        logger.warning("Categories unknown from training, read as missing: %s", said)
    return report


def _described(expected: ColumnSchema) -> str:
    example = f" such as {expected.example!r}" if expected.example is not None else ""
    return f"{expected.kind}{example}"


def _missing(values: pd.Series) -> "pd.Series[bool]":
    if _kind(values) != "text":
        return values.isna()
    tokens = [
        value for value in values.unique() if isinstance(value, str) and value.strip() in MISSING_VALUES
    ]
    return values.isna() | values.isin(tokens)


def _not_readable(known: pd.Series, expected: ColumnSchema) -> str | None:
    """Return a value that cannot be read as it was in training, None if there is none."""
    from ._kinds import DATE_FORMATS, TRUTH

    kind = _kind(known)
    if kind == expected.kind or "other" in (kind, expected.kind) or expected.example is None:
        return None
    if expected.kind == "text":
        if (
            kind == "boolean"
            and set(expected.categories or ())
            and {text.lower() for text in expected.categories or ()} <= TRUTH.keys()
        ):
            return None
        if kind == "date" and _all_readable_dates([expected.example], DATE_FORMATS):
            return None
        if kind == "number" and _reads_as_number(expected):
            return None
        return str(known.iloc[0])
    if {kind, expected.kind} == {"number", "boolean"}:
        return None
    if kind != "text":
        return str(known.iloc[0])
    texts = known.astype("str").str.strip()
    if expected.kind == "number":
        bad = pd.to_numeric(texts, errors="coerce").isna()
    elif expected.kind == "boolean":
        bad = ~texts.str.lower().isin(TRUTH)
    else:
        bad = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).isna()
    return str(texts[bad].iloc[0]) if bad.any() else None


def _reads_as_number(expected: ColumnSchema) -> bool:
    values = expected.categories or [expected.example or ""]
    known = pd.Series([value for value in values if value not in MISSING_VALUES], dtype=object)
    return bool(len(known)) and bool(pd.to_numeric(known, errors="coerce").notna().all())


def _all_readable_dates(values: list[str], formats: tuple[str, ...]) -> bool:
    series = pd.Series(values)
    return any(pd.to_datetime(series, format=one, errors="coerce", utc=True).notna().all() for one in formats)


def _note(report: SchemaReport, name: str, known: pd.Series, expected: ColumnSchema) -> None:
    kind = _kind(known)
    if kind == "text" and expected.kind == "text" and expected.categories is not None:
        new: dict[str, int] = {}
        for value, count in known.value_counts().items():
            text = str(value).strip()
            if count and text not in expected.categories:
                new[text] = new.get(text, 0) + int(count)
        if new:
            report.new_categories[name] = new
    elif kind == expected.kind == "number" and known.dtype.kind != "m":
        outside = int(((known < expected.minimum) | (known > expected.maximum)).sum())
        if outside:
            report.out_of_range[name] = outside
