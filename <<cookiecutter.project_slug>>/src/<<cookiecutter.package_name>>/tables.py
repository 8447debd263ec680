"""Read a table from files: CSV in its many dialects, Parquet, JSON lines, any of them compressed."""

import csv
import io
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from .errors import DataError

Format = Literal["csv", "parquet", "jsonl"]
FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")
SEPARATORS = ",;\t|"
_SAMPLE_BYTES = 1 << 16

logger = logging.getLogger(__name__)


class TableError(DataError):
    """A file cannot be read as a table, or does not fit the ones before it."""


def format_of(path: Path | str) -> Format | None:
    """Return the format that a file's name tells, whatever it is compressed with; None for any other file."""
    name = Path(path)
    stem = Path(name.stem) if name.suffix.lower() in COMPRESSED else name
    return FORMATS.get(stem.suffix.lower())


def count_rows(paths: Iterable[Path]) -> int | None:
    """Return the number of rows as far as Parquet tells without reading them, otherwise None."""
    if not all(path.suffix in (".parquet", ".pq") for path in paths):
        return None
    import pyarrow.parquet

    try:
        return sum(pyarrow.parquet.read_metadata(path).num_rows for path in paths)
    except (OSError, ValueError) as error:
        raise TableError(f"{error}: a Parquet file is damaged; write it anew.") from None


def read(paths: Sequence[str]) -> pd.DataFrame:
    """Read files of the same columns into one table, in order.

    Raises:
        TableError: a file is no table, or has other columns than the first.
    """
    frames = [read_file(path) for path in paths]
    if len(frames) == 1:
        return frames[0]
    first = set(frames[0].columns)
    for path, frame in zip(paths[1:], frames[1:], strict=True):
        if difference := sorted(map(str, first ^ set(frame.columns))):
            raise TableError(f"{path} and {paths[0]} differ in their columns: {', '.join(difference)}.")
    return pd.concat(frames, ignore_index=True)


def read_file(path: str) -> pd.DataFrame:
    """Read one file; the format is told by its name, the dialect of CSV by its content.

    Raises:
        TableError: it is empty, truncated, or not what its name says.
    """
    readers = {"csv": _read_csv, "parquet": pd.read_parquet, "jsonl": _read_jsonl, None: _read_csv}
    try:
        return readers[format_of(path)](path)
    except pd.errors.EmptyDataError:
        raise TableError(f"{path} is empty.") from None
    except (OSError, EOFError, ValueError, csv.Error) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise TableError(f"{path} cannot be read: {error.strerror}.") from None
        kind = format_of(path) or "csv"
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TableError(f"{path} cannot be read as {kind}, it may be truncated: {first_line}") from None


def _read_jsonl(path: str) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype_backend="numpy_nullable")


def _read_csv(path: str) -> pd.DataFrame:
    sample = _sample(path)
    encoding = "utf-8-sig"
    try:
        text = sample.decode(encoding, errors="strict")
    except UnicodeDecodeError as error:
        # The sample may end within a character; anything earlier is another encoding.
        if error.start < len(sample) - 4:
            encoding = "cp1252"
        text = sample.decode(encoding, errors="ignore")
    separator = _separator(text)
    _check_header(path, text, separator)
    options: dict[str, Any] = {
        "sep": separator,
        "skipinitialspace": True,
        "na_values": ["?"],
        "low_memory": False,
    }
    try:
        frame = pd.read_csv(path, encoding=encoding, **options)
    except UnicodeDecodeError:
        encoding = "cp1252"
        frame = pd.read_csv(path, encoding=encoding, **options)
    if encoding == "cp1252":
        logger.warning("%s is not UTF-8: read as Windows-1252", path)
    frame.columns = frame.columns.str.strip()
    for name in frame.columns[frame.dtypes == object]:
        # Booleans with gaps come as objects of several types, which nothing downstream can order.
        frame[name] = frame[name].astype("str").where(frame[name].notna())
    return frame


def _sample(path: str) -> bytes:
    opened: IO[bytes]
    with pd.io.common.get_handle(path, "rb", compression="infer", is_text=False) as handles:
        opened = handles.handle  # type: ignore[assignment]
        return opened.read(_SAMPLE_BYTES)


def _separator(text: str) -> str:
    """Return the separator that the first lines agree on; a comma where there is but one column."""
    lines = "\n".join(text.splitlines()[:50])
    try:
        return csv.Sniffer().sniff(lines, delimiters=SEPARATORS).delimiter
    except csv.Error:
        return ","


def _check_header(path: str, text: str, separator: str) -> None:
    header = [name.strip() for name in next(csv.reader(io.StringIO(text), delimiter=separator), [])]
    if repeated := sorted({name for name in header if name and header.count(name) > 1}):
        raise TableError(
            f"{path} has more than one column named {', '.join(repeated)}: rename them at the source."
        )
