"""Batch scoring: a table in, predictions out, in memory that does not grow with the table."""

import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import data, gate
from ..errors import translate_file_errors
from ..files import replacing
from ..training import Model

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Counts:
    """Statistics of the predictions.

    Attributes:
        rows: The number of rows.
        predictions: The number of predictions of each class; empty for a regression.
        total: The sum of the predicted values, for their mean; 0 for classes.
        report: The report of the reading.
    """

    rows: int = 0
    predictions: Counter[str] = field(default_factory=Counter)
    total: float = 0.0
    report: data.ReadReport = field(default_factory=data.ReadReport)

    @property
    def unseen(self) -> dict[str, int]:
        """The number of rows with a new category, by column."""
        return {name: sum(counts.values()) for name, counts in self.report.new_categories.items()}

    def add(self, more: "Counts") -> None:
        """Add the statistics of another batch."""
        self.rows += more.rows
        self.predictions.update(more.predictions)
        self.total += more.total
        self.report.add(more.report)


@dataclass(frozen=True)
class ScoredPart:
    """One scored batch in its own file."""

    path: Path
    counts: Counts


@dataclass
class Scored(Counts):
    """The result of a scoring run.

    Attributes:
        path: The Parquet or CSV file: row identifiers, or `row`, the number in the table; then `prediction`,
            `probability_<class>` for a classifier, `model_version`.
    """

    path: Path = Path()


def output_name(*, source: str, digest: str, version: str, day: datetime.date, format: str = "parquet") -> str:
    """Return the name of the output; scoring the same table again on the same day writes the same file."""
    stem = re.sub(r"\W+", "-", Path(source.partition("?")[0]).stem).strip("-") or "table"
    return f"{stem}-{digest[:8]}-{day}-by-{version}.{format}"


def score_batch(
    model: Model, batch: pd.DataFrame, *, version: str, identifiers: Iterable[str] = ()
) -> tuple["pa.Table", Counts]:
    """Predict one batch.

    Args:
        model: The model in production.
        batch: A part of the table as its files have it, with or without the target.
        version: The id of the version; it is written with each prediction.
        identifiers: Columns to copy unchanged, if the table has them.

    Raises:
        SchemaError: columns are missing.
    """
    import pyarrow as pa

    counts = Counts()
    predictions = model.predict(batch, report=counts.report)
    _count_predictions(counts, predictions)
    return pa.Table.from_pydict(_output_columns(batch, predictions, identifiers, version)), counts


def checked(
    batches: "Iterable[tuple[pa.Table, Counts]]", contract: data.Contract, *, rows: int | None
) -> "Iterator[tuple[pa.Table, Counts]]":
    """Yield the scored batches, and check the whole table as early as possible.

    Args:
        batches: The batches in the order of the table.
        contract: The contract of the model.
        rows: The number of rows of the table, if it is known.

    Raises:
        SchemaError: the table does not fit the champion.
    """
    whole = data.ReadReport()
    for table, counts in batches:
        whole.add(counts.report)
        contract.check(whole, rows=max(rows or 0, whole.rows + 1))
        yield table, counts
    contract.check(whole)


def write(
    batches: "Iterable[tuple[pa.Table, Counts]]", path: Path, *, progress: Callable[[int], None] = lambda rows: None
) -> Scored:
    """Write the scored batches in this order; the file appears when it is complete.

    Rows without an identifier are numbered, from 1 in the order of the table. A path that ends in .csv gets CSV.

    Raises:
        DataError: there are no rows.
        FileError: the disk is full, or does not take the file.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    scored = Scored(path=path)
    with translate_file_errors(path), replacing(path) as partial:
        writer = schema = None
        for table, counts in batches:
            if table.column_names[0] == "prediction":
                numbers = pa.array(range(scored.rows + 1, scored.rows + 1 + len(table)))
                table = table.add_column(0, "row", numbers)
            if path.suffix == ".csv":
                table = table.cast(_without_dictionaries(table.schema))
            schema = schema or table.schema
            kind = pa.csv.CSVWriter if path.suffix == ".csv" else pq.ParquetWriter
            with translate_file_errors(path):
                writer = writer or kind(partial, schema)
                writer.write_table(table.cast(schema))
            scored.add(counts)
            progress(scored.rows)
        if writer is None:
            raise data.SchemaError("There are no rows to score.")
        with translate_file_errors(path):
            writer.close()
    return scored


def _without_dictionaries(schema: "pa.Schema") -> "pa.Schema":
    import pyarrow as pa

    plain = (field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in schema)
    return pa.schema(plain)


def write_parts(batches: "Iterable[tuple[pa.Table, Counts]]", folder: Path, *, name: str) -> list[ScoredPart]:
    """Write each batch to a file of its own; writing the same part again gives the same files."""
    import pyarrow.parquet as pq

    parts = []
    for number, (table, counts) in enumerate(batches):
        path = folder / f"{name}-{number:06d}.parquet"
        with replacing(path) as partial:
            pq.write_table(table, partial)
        parts.append(ScoredPart(path, counts))
    return parts


def read_parts(parts: Iterable[ScoredPart]) -> "Iterator[tuple[pa.Table, Counts]]":
    """Read what `write_parts` wrote, for `write`."""
    import pyarrow.parquet as pq

    for part in parts:
        with pq.ParquetFile(part.path) as file:
            yield file.read(), part.counts
        part.path.unlink()


def _output_columns(
    batch: pd.DataFrame, predictions: gate.Predictions, identifiers: Iterable[str], version: str
) -> dict[str, Any]:
    import pyarrow as pa

    columns: dict[str, Any] = {"prediction": predictions.labels}
    if predictions.probabilities is not None and predictions.classes is not None:
        for position, name in enumerate(predictions.classes):
            columns[f"probability_{name}"] = predictions.probabilities[:, position]
    indices = pa.array(np.zeros(len(batch), dtype=np.int32))
    columns["model_version"] = pa.DictionaryArray.from_arrays(indices, [version])
    carried = {name: _restore_whole_numbers(batch[name]) for name in identifiers if name in batch}
    # A column of the table that is called like one of these gets a name of its own.
    return {(f"table_{name}" if name in columns else name): cells for name, cells in carried.items()} | columns


def _restore_whole_numbers(values: pd.Series) -> "pa.Array":
    """Return an identifier as it is in the file: whole numbers with gaps are not fractions."""
    import pyarrow as pa

    if values.dtype.kind == "f" and not (values.dropna() % 1).any():
        values = values.astype("Int64")
    return pa.array(values, from_pandas=True)


def _count_predictions(scored: Counts, predictions: gate.Predictions) -> None:
    scored.rows += len(predictions.labels)
    if predictions.classes is None and predictions.labels.dtype.kind == "f":
        scored.total += float(predictions.labels.sum())
    else:
        values, counts = np.unique(predictions.labels, return_counts=True)
        scored.predictions.update(dict(zip(map(str, values), counts.tolist(), strict=True)))
