"""The body of a request as rows: JSON, CSV or Parquet; refused, with column and reason, where they do not fit."""

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import data
from ..errors import DataError

FILES = {"text/csv": ".csv", "application/vnd.apache.parquet": ".parquet"}
JSON = "application/json"
_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_BATCH = 64  # rows of a Parquet body that are decoded at a time, to count their bytes
_EXAMPLES = 20  # problems that are named; a wrong file may have one in each cell


class RefusedError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: The HTTP status, 4xx.
        problems: The problems, each with `reason`, and with `column` and `row` (from 0) where they are known.
    """

    def __init__(self, status: int, problems: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is sent to the client."""
        self.status, self.problems = status, list(problems)
        super().__init__(f"{status}: {self.problems}")


def read_rows(
    body: bytes, content_type: str, contract: data.Contract, *, max_rows: int, max_bytes: int
) -> pd.DataFrame:
    """Return the rows of a body, unread by a contract.

    Args:
        body: The body as it was sent.
        content_type: The content type without parameters; empty means JSON.
        contract: The contract of the model that will predict them.
        max_rows: The maximum number of rows.
        max_bytes: The maximum size of the decompressed table, in bytes.

    Raises:
        RefusedError: the rows cannot be read, are too many or too large, or lack columns.
    """
    if content_type in ("", JSON):
        frame = _from_json(body, contract, max_rows)
    elif content_type in FILES:
        if FILES[content_type] == ".parquet":
            _check_parquet(body, max_rows=max_rows, max_bytes=max_bytes)
        frame = _from_file(body, FILES[content_type], contract, max_rows)
    else:
        known = ", ".join([JSON, *FILES])
        raise RefusedError(415, [{"reason": f"the body is {content_type!r}, not one of {known}"}])
    if not len(frame):
        raise RefusedError(422, [{"reason": "there are no rows"}])
    names = dict.fromkeys(frame.columns.tolist())
    unknown = [
        {"column": str(name), "reason": "not known to the model"} for name in names if name not in contract.columns
    ]
    missing = [{"column": name, "reason": "missing"} for name in contract.inputs if name not in names]
    if unknown or missing:
        raise RefusedError(422, [*missing, *unknown][:_EXAMPLES])
    return frame


def unread_cells(report: data.ReadReport, contract: data.Contract) -> list[dict[str, Any]]:
    """Return the cells that do not match the contract, the first of each column."""
    return [
        {
            "column": name,
            "row": unread.row - 1,
            "reason": f"expected {contract.columns[name].kind}, not {unread.example!r}",
        }
        for name, unread in report.unread.items()
    ]


def infinite_cells(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first cell of each column that is infinite."""
    problems = []
    for name, cells in rows.items():
        infinite = np.isinf(pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
        if infinite.any():
            problems.append(
                {"column": str(name), "row": int(np.argmax(infinite)), "reason": "expected a finite number"}
            )
    return problems[:_EXAMPLES]


def _from_json(body: bytes, contract: data.Contract, limit: int) -> pd.DataFrame:
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, [{"reason": f"the body is not JSON: {error}"}]) from None
    if isinstance(content, dict) and "rows" in content and "rows" not in contract.columns:
        content = content["rows"]
    rows = [content] if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RefusedError(422, [{"reason": 'expected an object, a list of objects, or {"rows": [...]}'}])
    _require_row_limit(len(rows), limit)
    if rows and not rows[0].keys() <= contract.columns.keys():  # as they are read from a file
        rows = [{data.clean_text(name): value for name, value in row.items()} for row in rows]
    problems: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            name = min(map(str, row.keys() ^ rows[0].keys()))
            problems.append(
                {"row": number, "column": name, "reason": "in some rows only; give null where a value is missing"}
            )
            break
    columns: dict[str, Any] = {}
    for name in rows[0] if rows and not problems else ():
        kind = contract.columns[name].kind if name in contract.columns else "other"
        check = _CHECKS.get(kind, _any_scalar)
        values = [row[name] for row in rows]
        for number, value in enumerate(values):
            if value is not None and not check(value):
                problems.append(
                    {"row": number, "column": name, "reason": f"expected {kind}, not {_shorten_value(value)}"}
                )
                break
        columns[name] = values
    if problems:
        raise RefusedError(422, problems[:_EXAMPLES])
    parts = {name: _column_of_values(values, contract, name) for name, values in columns.items()}
    if parts.keys() == set(contract.inputs) and all(isinstance(cells, np.ndarray) for cells in parts.values()):
        block = np.stack([parts[name] for name in contract.inputs], axis=1)  # a frame of columns takes longer
        return pd.DataFrame(block, columns=contract.input_index)
    return pd.DataFrame(parts)


def _column_of_values(values: list[Any], contract: data.Contract, name: str) -> Any:
    kind = contract.columns[name].kind if name in contract.columns else "other"
    if kind == "number" and all(value is None or type(value) in (int, float) for value in values):
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    return pd.Series(values, dtype=object)


def _from_file(body: bytes, suffix: str, contract: data.Contract, limit: int) -> pd.DataFrame:
    if body.startswith(_COMPRESSED):  # a few bytes of it can stand for any number
        raise RefusedError(415, [{"reason": "the body is compressed: send it as it is"}])
    if suffix == ".csv" and body.lstrip()[:1] in (b"{", b"["):
        raise RefusedError(422, [{"reason": f"the body is JSON: send it as {JSON}"}])
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(body)
        file.flush()
        path = Path(file.name)
        rows = 0
        parts = []
        try:
            for batch in data.batches([path], rows=limit, texts=contract.texts):
                rows += len(batch)
                _require_row_limit(rows, limit)
                parts.append(batch)
        except DataError as error:
            said = str(error).replace(str(path), "the body").replace(path.name, "the body")
            raise RefusedError(422, [{"reason": said}]) from None
    if not parts:
        raise RefusedError(422, [{"reason": "there are no rows"}])
    frame = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    nested = [name for name in frame if name in contract.columns and _is_nested(frame[name], contract, name)]
    if nested:
        raise RefusedError(
            422, [{"column": name, "reason": f"expected {contract.columns[name].kind}"} for name in nested]
        )
    return frame


def _is_nested(values: pd.Series, contract: data.Contract, name: str) -> bool:
    return data.kind_of(values) == "other" and contract.columns[name].kind != "other"


def _check_parquet(body: bytes, *, max_rows: int, max_bytes: int) -> None:
    """Refuse a table with too many rows or bytes: a small body can hold a value once and repeat it in every row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        _require_row_limit(file.metadata.num_rows, max_rows)
        encoded = _encoded_bytes(file.metadata)
        _require_byte_limit(encoded, max_bytes)
        # No value is larger than all of the file, so a batch has at most eight times the limit in memory.
        rows = min(_BATCH, max(1, 8 * max_bytes // max(encoded, 1)))
        decoded = 0
        for batch in file.iter_batches(batch_size=rows, use_threads=False):
            for column in batch.columns:
                plain = column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
                decoded += plain.nbytes
                _require_byte_limit(decoded, max_bytes)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(422, [{"reason": f"the body is not Parquet: {error}"}]) from None


def _encoded_bytes(metadata: Any) -> int:
    """Return the size of a Parquet file without its compression; of a column of lists, at least a byte an item."""
    chunks = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    return sum(max(chunk.total_uncompressed_size, chunk.num_values) for chunk in chunks)


def _require_byte_limit(size: int, limit: int) -> None:
    if size > limit:
        reason = f"the table is larger than {limit:,} bytes when it is decompressed (serving.max_bytes)"
        raise RefusedError(413, [{"reason": f"{reason}: send fewer rows at a time"}])


def _require_row_limit(rows: int, limit: int) -> None:
    if rows > limit:
        raise RefusedError(413, [{"reason": f"more than {limit:,} rows (serving.max_rows): send fewer at a time"}])


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON; a missing value is null")


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return True  # the contract reads it, as from a CSV file
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (type(value) is int and abs(value) < 2**63)


def _any_scalar(value: Any) -> bool:
    return isinstance(value, str | bool) or _is_number(value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool | str) or value in (0, 1),
    "date": lambda value: isinstance(value, str),
    "text": _is_text,
}


def _shorten_value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
