"""What a table must look like, and the error when it does not."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from .errors import DataError
from .settings import ProblemType

MANY_CLASSES = 50  # a numeric target with more values than this is a quantity, not a class
KNOWN_VALUES = 200  # of a category, kept to count new ones
NULLS_RISEN = 0.5  # a column that lost this share of its values since training is broken, not noisy

Kind = Literal["number", "boolean", "datetime", "category"]


class TargetError(DataError):
    """The target column is missing, or does not suit the type of problem."""


class SchemaError(DataError):
    """The columns are not those the model was trained on."""


def check_columns(frame: pd.DataFrame, *, source: str) -> None:
    """Refuse a table without rows, without columns, or with two columns of one name.

    Raises:
        DataError: naming the source, and the columns.
    """
    repeated = sorted(set(frame.columns[frame.columns.duplicated()].map(str)))
    if repeated:
        raise DataError(
            f"{source} has more than one column named {', '.join(repeated)}: rename them at the source."
        )
    if frame.empty:
        raise DataError(
            f"{source} has {len(frame)} rows and {frame.shape[1]} columns: there is nothing to learn from."
        )


def check_target(table: pd.DataFrame, *, target: str, problem_type: ProblemType) -> None:
    """Check that the target is there and fits the type of problem.

    Raises:
        TargetError: it is missing (the nearest names are given), all null, of one class only, a quantity where classes
            are wanted, or text or infinite where a quantity is.
    """
    where = f"The target column {target!r} (data.target)"
    if target not in table.columns:
        names = [str(name) for name in table.columns]
        near = difflib.get_close_matches(target, names, n=3, cutoff=0.4) or names[:5]
        raise TargetError(f"{where} is not in the table. The nearest names are: {', '.join(near)}.")
    values = table[target].dropna()
    if values.empty:
        raise TargetError(f"{where} has no value in any of {len(table)} rows.")
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if problem_type == "regression":
        if not numeric:
            raise TargetError(
                f"{where} holds {values.iloc[0]!r}, no number: set problem_type to classification, or derive a number"
                " in features.label()."
            )
        if infinite := int(np.isinf(values.to_numpy(dtype=float)).sum()):
            raise TargetError(f"{where} is infinite in {infinite} rows: drop them in features.label().")
        return
    classes = values.nunique()
    if classes == 1:
        raise TargetError(
            f"{where} is {values.iloc[0]!r} in every row: a classifier needs two classes at least."
        )
    if numeric and (classes > MANY_CLASSES or (values % 1 != 0).any()):
        raise TargetError(
            f"{where} holds {classes} different numbers, such as {values.iloc[0]}: that is a quantity. Set problem_type"
            " to regression, or derive classes in features.label()."
        )


def check_finite(X: pd.DataFrame) -> None:
    """Refuse infinite values.

    Raises:
        DataError: naming each column and how many of its rows are infinite.
    """
    numbers = X.select_dtypes("floating")
    # A sum is infinite or nan if any term is infinite: one pass without a copy tells which columns to look into.
    suspects = [name for name, total in numbers.sum().items() if not np.isfinite(total)]
    infinite = {
        name: int(np.isinf(numbers[name].to_numpy(dtype=float, na_value=np.nan)).sum()) for name in suspects
    }
    found = ", ".join(f"{name!r} ({count} rows)" for name, count in infinite.items() if count)
    if found:
        raise DataError(f"Infinite values in column {found}: replace them in features.features().")


@dataclass(frozen=True)
class Column:
    """What was learned of a column: its kind, the share of nulls, and for categories the values, if they are few."""

    kind: Kind
    nulls: float
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Schema:
    """The columns a pipeline was trained on, in their order."""

    columns: dict[str, Column]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Schema":
        """Restore a schema from `to_dict`."""
        columns = {
            name: Column(column["kind"], column["nulls"], column["values"] and tuple(column["values"]))
            for name, column in record["columns"].items()
        }
        return cls(columns)


def kind_of(values: pd.Series) -> Kind:
    """Return what a column holds, whatever its dtype's width."""
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    return "datetime" if pd.api.types.is_datetime64_any_dtype(values) else "category"


def learn_schema(X: pd.DataFrame) -> Schema:
    """Learn the contract from the training inputs, shape (n, features)."""
    columns = {}
    for name, values in X.items():
        kind = kind_of(values)
        known = None
        if kind == "category":
            distinct = values.dropna().unique()
            known = tuple(sorted(map(str, distinct))) if len(distinct) <= KNOWN_VALUES else None
        columns[str(name)] = Column(kind, round(float(values.isna().mean()), 6), known)
    return Schema(columns)


def check(X: pd.DataFrame, schema: Schema) -> dict[str, int]:
    """Hold a table against the contract; return how many rows have a value unseen in training, by column.

    New values of a category and new columns are allowed: a pipeline knows what to do with them.

    Raises:
        SchemaError: a column is missing, holds another kind of values, or has lost most of its values.
    """
    if missing := [name for name in schema.columns if name not in X.columns]:
        near = difflib.get_close_matches(missing[0], [str(name) for name in X.columns], n=3)
        hint = f" Near it are: {', '.join(near)}." if near else ""
        raise SchemaError(
            f"The model needs column {', '.join(map(repr, missing))}, which the table has not.{hint}"
        )
    unseen = {}
    for name, expected in schema.columns.items():
        values = X[name]
        nulls = float(values.isna().mean()) if len(values) else 0.0
        if nulls - expected.nulls > NULLS_RISEN:
            raise SchemaError(
                f"Column {name!r} is empty in {nulls:.0%} of the rows; in training it was in {expected.nulls:.0%}."
            )
        present = values.dropna()
        if present.empty:
            continue
        kind = kind_of(present)
        if kind != expected.kind and {kind, expected.kind} != {"number", "boolean"}:
            raise SchemaError(
                f"Column {name!r} holds {kind} values such as {present.iloc[0]!r}; the model was trained on"
                f" {expected.kind} values."
            )
        if expected.values is not None:
            new = int((~present.astype("str").isin(expected.values)).sum())
            unseen |= {name: new} if new else {}
    return unseen
