"""Files as tables: CSV, Parquet and JSON lines, each recognised by what is in the file, not by its name."""

import bz2
import codecs
import contextlib
import csv
import gzip
import io
import itertools
import json
import logging
import lzma
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from ..errors import DataError, first_line
from ._columns import LARGEST_EXACT, MISSING_VALUES, clean_text, nearest_floats

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)
SEPARATORS = ",;\t|"
UTF_8 = "utf-8-sig"  # with or without a byte-order mark
_SAMPLE_BYTES = 256 * 1024
_READ_BYTES = 1024 * 1024
_SAMPLE_RECORDS = 200
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")
_DECIMAL_POINT = re.compile(r"\s*-?\d+\.\d+\s*")

# As it is written, numbers exact to the last bit.
_JSON_OPTIONS: dict[str, Any] = {"dtype": False, "precise_float": True}

Format = Literal["csv", "parquet", "json"]


class TableError(DataError):
    """The file is there, but is no table that can be read."""


class TruncatedTableError(TableError):
    """The file ends too early."""


class EmptyTableError(TableError):
    """The table has no rows."""


class DuplicateColumnsError(TableError):
    """Two columns of the table have the same name."""


class ColumnsDifferError(TableError):
    """The files of one source have different columns."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        separator: Between the fields.
        commas: Columns whose numbers have a decimal comma.
        encoding: Of its text; a byte-order mark is not part of it.
        header: The names of the columns as they are written.
    """

    separator: str
    commas: frozenset[str]
    encoding: str
    header: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names without the spaces around them."""
        return tuple(clean_text(name) for name in self.header)


def count_rows(path: Path) -> int:
    """Return the number of rows, and make sure the file is whole; the table itself is not built.

    Raises:
        TableError: the file cannot be read, or is truncated.
        EmptyTableError: there is nothing in it.
    """
    with _reading(path):
        kind = detect_format(path)
        if kind == "parquet":
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        if kind == "json":
            return _count_json(path)
        return _count_csv(path, detect_dialect(path))


def read(paths: Sequence[Path], *, texts: Collection[str] = ()) -> "pd.DataFrame":
    """Read the files, which must have the same columns, one below the other.

    Columns of a text file are numbers where all their cells are plain numbers, otherwise the text that is written: a
    contract makes sense of it. Separator, decimal sign, encoding and compression of a CSV file are detected, and
    `MISSING_VALUES` are missing. Spaces around column names are removed. `attrs["commas"]` of the frame names the
    columns with decimal commas.

    Args:
        paths: The files.
        texts: Columns that must come as they are written; numbers with leading zeros, and those with more digits
            than float64 holds, do anyway.

    Raises:
        TableError: a file cannot be read, or is truncated.
        DuplicateColumnsError: two columns of a file have the same name.
        ColumnsDifferError: the files have different columns.
        EmptyTableError: there are no rows.
    """
    import pandas as pd

    kinds = []
    for path in paths:
        with _reading(path):
            kinds.append(detect_format(path))
    if set(kinds) == {"parquet"}:
        frame = _read_parquet(paths)
    else:
        frames = []
        for path, kind in zip(paths, kinds, strict=True):
            frames.append(_read_one(path, kind, texts))
            require_same_columns(list(frames[0].columns), list(frames[-1].columns), paths[0], path)
        frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    if not len(frame):
        raise EmptyTableError(f"{_names(paths)} has no rows.")
    return frame


@dataclass(frozen=True)
class Partition:
    """A part of a table that can be read on its own: rows `start` to `stop` of a file, to its end if None."""

    path: Path
    start: int = 0
    stop: int | None = None


def partitions(paths: Sequence[Path], *, rows: int) -> list[Partition]:
    """Cut the files into parts of at most `rows` rows; of CSV and JSON, which have no index, a file is one part.

    Raises:
        TableError: a file cannot be read.
    """
    import pyarrow.parquet as pq

    found = []
    for path in paths:
        with _reading(path):
            if detect_format(path) == "parquet":
                total = int(pq.read_metadata(path).num_rows)
                starts = range(0, total, rows)
                found += [Partition(path, start, min(start + rows, total)) for start in starts]
            else:
                found.append(Partition(path))
    return found


def batches(
    paths: "Sequence[Path | Partition]", *, rows: int, texts: Collection[str] = ()
) -> "Iterator[pd.DataFrame]":
    """Read the files, or partitions, in parts of at most `rows` rows: memory does not grow with the table.

    Other columns of CSV and JSON than `texts` are typed part by part: a contract takes numbers and text for one
    another.

    Args:
        paths: The files.
        rows: Of a part, at most.
        texts: Columns that must come as they are written.

    Raises:
        TableError: a file cannot be read, is truncated, or has other columns than the first.
    """
    first: list[str] | None = None
    wanted = [path if isinstance(path, Partition) else Partition(path) for path in paths]
    for partition in wanted:
        path = partition.path
        with _reading(path):
            for part in _parts(partition, rows, texts):
                part.columns = _column_names(part.columns, path)
                first = first or list(part.columns)
                require_same_columns(first, list(part.columns), wanted[0].path, path)
                yield part


def _parts(partition: Partition, rows: int, texts: Collection[str]) -> "Iterator[pd.DataFrame]":
    import pandas as pd
    import pyarrow.parquet as pq

    path = partition.path
    kind = detect_format(path)
    if kind == "parquet":
        # Without these three a whole row group, a million rows as pandas writes them, is read ahead and kept.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES) as file:
            groups, skipped = _row_groups(file.metadata, partition)
            left = (partition.stop or file.metadata.num_rows) - partition.start
            read = file.iter_batches(batch_size=rows, row_groups=groups, use_threads=False)
            for table in _cut(read, rows, skip=partition.start - skipped, take=left):
                yield _to_pandas(table)
    elif kind == "json" and not _has_lines(path):
        yield _read_json(path)
    elif kind == "json":
        with (
            open_decompressed(path) as stream,
            pd.read_json(stream, lines=True, chunksize=rows, **_JSON_OPTIONS) as parts,
        ):
            yield from parts
    else:
        dialect = detect_dialect(path)
        with (
            open_decompressed(path) as stream,
            pd.read_csv(
                stream, encoding=_encoding(path), chunksize=rows, **_csv_options(dialect, texts)
            ) as parts,
        ):
            for part in parts:
                part.attrs["commas"] = dialect.commas
                yield part


def _row_groups(metadata: Any, partition: Partition) -> tuple[list[int], int]:
    """Return the row groups that hold rows of the partition, and how many rows come before them."""
    groups, before, skipped = [], 0, 0
    for number in range(metadata.num_row_groups):
        after = before + metadata.row_group(number).num_rows
        if after <= partition.start:
            skipped = after
        elif partition.stop is None or before < partition.stop:
            groups.append(number)
        before = after
    return groups, skipped


def _cut(batches: "Iterable[pa.RecordBatch]", rows: int, *, skip: int, take: int) -> "Iterator[pa.Table]":
    """Cut `take` rows after the first `skip` into tables of `rows` rows, however the batches come.

    Predictions may differ in their last bit with the rows predicted together: a part of a table has to be cut where
    the whole is.
    """
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if skip:
            dropped = min(skip, batch.num_rows)
            skip, batch = skip - dropped, batch.slice(dropped)
        batch = batch.slice(0, take)
        take -= batch.num_rows
        while batch.num_rows:
            missing = rows - sum(one.num_rows for one in waiting)
            waiting.append(batch.slice(0, missing))
            batch = batch.slice(missing)
            if sum(one.num_rows for one in waiting) == rows:
                yield pa.Table.from_batches(waiting)
                waiting = []
        if not take:
            break
    if waiting:
        yield pa.Table.from_batches(waiting)


def detect_format(path: Path) -> Format:
    """Tell the format of a file from its first bytes.

    Raises:
        EmptyTableError: the file is empty.
        TableError: it is a web page, UTF-16 text or an archive of several files.
    """
    with path.open("rb") as raw:
        if raw.read(4) == b"PAR1":
            return "parquet"
    with open_decompressed(path) as stream:
        head = stream.read(4096)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise TableError(f"{path} is UTF-16 text. Save it as UTF-8.")
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text:
        raise EmptyTableError(f"{path} is empty.")
    if text[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise TableError(f"{path} is a web page, not a table: is it the right address, without a login?")
    if b"\0" in text:
        raise TableError(f"{path} is neither CSV, Parquet nor JSON lines: it holds binary data.")
    return "json" if text[:1] in b"{[" else "csv"


def open_decompressed(path: Path) -> IO[bytes]:
    """Open a file for reading, uncompressed if its first bytes say gzip, bzip2, xz, Zstandard or zip."""
    with path.open("rb") as raw:
        head = raw.read(6)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path))
    if head.startswith(b"BZh"):
        return bz2.open(path)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(path)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        # A Python stream around Arrow's: the latter has no lines to go through.
        return io.BufferedReader(cast("Any", pa.CompressedInputStream(str(path), "zstd")))
    if head.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(path)
        members = [
            item for item in archive.infolist() if not item.is_dir() and "__MACOSX" not in item.filename
        ]
        if len(members) != 1:
            raise TableError(f"{path} holds {len(members)} files; a zipped table must be the only one.")
        return archive.open(members[0])
    return path.open("rb")


def detect_dialect(path: Path) -> Dialect:
    """Find out how a CSV file is written, from its first records.

    The separator is the one that gives most records as many fields as the header, two at least. A decimal
    comma is only looked for where the separator is another character, column by column.

    Raises:
        TableError: it is no CSV, or has fewer names than fields.
        DuplicateColumnsError: two columns have the same name.
    """
    with open_decompressed(path) as stream:
        sample = stream.read(_SAMPLE_BYTES)
        whole = not stream.read(1)
    encoding, text = _decode(sample)
    lines = text.splitlines(keepends=True)
    if not whole and len(lines) > 1:
        lines.pop()  # cut by the end of the sample

    def records(separator: str) -> list[list[str]]:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        return [record for record in itertools.islice(reader, _SAMPLE_RECORDS) if record]

    def agreement(separator: str) -> tuple[float, int]:
        header, *rest = records(separator)
        if len(header) < 2:
            return 0.0, 0
        return sum(len(record) == len(header) for record in rest) / max(1, len(rest)), len(header)

    try:
        separator = max(SEPARATORS, key=agreement)
        header, *rest = records(separator)
    except csv.Error as error:
        raise TableError(f"{path} cannot be read as CSV: {error}.") from None
    width = len(header)
    if rest and all(len(record) > width and any(map(str.strip, record[width:])) for record in rest):
        raise TableError(
            f"{path} has {width} column names and {len(rest[0])} fields in each row: name every column in the header."
        )
    commas = frozenset(
        clean_text(name)
        for position, name in enumerate(header)
        if separator != ","
        and _has_decimal_commas([record[position] for record in rest if position < len(record)])
    )
    _column_names([name for name in header if name.strip()], path)  # pandas renames duplicates: look before
    return Dialect(separator, commas, encoding, tuple(header))


def _has_decimal_commas(cells: list[str]) -> bool:
    """Tell whether a column's numbers have a decimal comma: one has, and none a decimal point."""
    return any(map(_DECIMAL_COMMA.fullmatch, cells)) and not any(map(_DECIMAL_POINT.fullmatch, cells))


def _decode(sample: bytes) -> tuple[str, str]:
    """Return encoding and text of the beginning of a file, which may end within a character."""
    try:
        return UTF_8, codecs.getincrementaldecoder(UTF_8)().decode(sample)
    except UnicodeDecodeError:
        return _single_byte(sample), sample.decode(_single_byte(sample))


def _single_byte(data: bytes) -> str:
    """Return cp1252, which Western spreadsheets write, or latin-1, which has a character for every byte."""
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _count_csv(path: Path, dialect: Dialect) -> int:
    """Count the records after the header: line ends within quotes belong to their field."""
    rows, quoted, last = -1, False, b""
    with open_decompressed(path) as stream:
        for line in stream:
            if not quoted:
                if line.isspace():
                    continue
                rows += 1
                last = line
            quoted ^= bool(line.count(b'"') & 1)
    if quoted:
        raise TruncatedTableError(f"{path} is truncated: it ends within quotes.")
    if rows > 0 and not last.endswith(b"\n"):
        text = last.decode(dialect.encoding, errors="replace")
        fields = next(csv.reader([text], delimiter=dialect.separator, skipinitialspace=True))
        if len(fields) < len(dialect.columns):
            raise TruncatedTableError(
                f"{path} is truncated: its last line has {len(fields)} of {len(dialect.columns)} fields."
            )
    if rows < 1:
        raise EmptyTableError(f"{path} has a header and no rows." if rows == 0 else f"{path} is empty.")
    return rows


def _count_json(path: Path) -> int:
    lines = _has_lines(path)
    with open_decompressed(path) as stream:
        return sum(not line.isspace() for line in stream) if lines else len(json.load(stream))


def _has_lines(path: Path) -> bool:
    """Return whether each line of a JSON file is a record; else the whole is one array."""
    with open_decompressed(path) as stream:
        return stream.read(64).lstrip()[:1] == b"{"


def _read_one(path: Path, kind: Format, texts: Collection[str]) -> "pd.DataFrame":
    if kind == "parquet":
        return _read_parquet([path])
    with _reading(path):
        frame: pd.DataFrame = _read_csv(path, texts) if kind == "csv" else _read_json(path)
    frame.columns = _column_names(frame.columns, path)
    return frame


def _read_csv(path: Path, texts: Collection[str]) -> "pd.DataFrame":
    import pandas as pd

    dialect = detect_dialect(path)
    encoding = _encoding(path)
    with open_decompressed(path) as stream:
        frame: pd.DataFrame = pd.read_csv(stream, encoding=encoding, **_csv_options(dialect, texts))
    frame.attrs["commas"] = dialect.commas
    if doubtful := _doubtful_numbers(frame, path, dialect):
        with open_decompressed(path) as stream:
            options = _csv_options(dialect, ()) | {"dtype": "str", "usecols": doubtful}
            written: pd.DataFrame = pd.read_csv(stream, encoding=encoding, **options)
        digits = written.apply(lambda cells: cells.str.fullmatch(r"\s*(0\d[\d.]*|[-+]?\d{16,})\s*").any())
        for name in written.columns[digits]:
            frame[name] = written[name]
    return frame


def _doubtful_numbers(frame: "pd.DataFrame", path: Path, dialect: Dialect) -> list[str]:
    """Return the columns whose numbers may not be all that is written: leading zeros, too many digits."""
    numbers = frame.select_dtypes("number")
    if _has_leading_zeros(path, dialect):
        return list(numbers.columns)
    return [str(name) for name in numbers if numbers[name].abs().max() > LARGEST_EXACT]


def _has_leading_zeros(path: Path, dialect: Dialect) -> bool:
    """Return whether a cell may begin with 0 and another digit; a search a byte string, which is quick."""
    starts = [mark.encode() for mark in (dialect.separator, "\n", '"', " ")]
    patterns = [re.compile(re.escape(start) + rb"0[0-9]") for start in starts]
    tail = b""
    with open_decompressed(path) as stream:
        while block := stream.read(_READ_BYTES):
            block = tail + block
            if any(pattern.search(block) for pattern in patterns):
                return True
            tail = block[-2:]
    return False


def _encoding(path: Path) -> str:
    """Return the encoding of a whole file: bytes that are not UTF-8 may come late."""
    decoder = codecs.getincrementaldecoder(UTF_8)()
    try:
        with open_decompressed(path) as stream:
            while block := stream.read(_SAMPLE_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        with open_decompressed(path) as stream:
            encoding = _single_byte(stream.read())
        logger.warning("%s is not UTF-8: read as %s", path, encoding)
        return encoding
    return UTF_8


def _csv_options(dialect: Dialect, texts: Collection[str]) -> dict[str, Any]:
    return {
        "sep": dialect.separator,
        "decimal": "," if dialect.commas else ".",
        "dtype": {name: "str" for name in map(str.lstrip, dialect.header) if clean_text(name) in texts},
        "na_values": sorted(MISSING_VALUES),
        "skipinitialspace": True,
        "index_col": False,  # else a separator at the end of each row makes the first column the index
        "low_memory": False,  # else a column's type may differ between chunks
    }


def _read_json(path: Path) -> "pd.DataFrame":
    import pandas as pd

    with open_decompressed(path) as stream:
        return pd.read_json(stream, lines=_has_lines(path), **_JSON_OPTIONS)


def _read_parquet(paths: Sequence[Path]) -> "pd.DataFrame":
    """Read Parquet files; Arrow's memory is given back column by column, so the table is there only once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables: list[pa.Table] = []
    for path in paths:
        # No read-ahead: it would hold the file's bytes beside the table.
        with _reading(path), pq.ParquetFile(path, pre_buffer=False) as file:
            table = file.read()
        table = table.rename_columns(_column_names(table.column_names, path))
        if tables:
            require_same_columns(tables[0].column_names, table.column_names, paths[0], path)
            table = table.select(tables[0].column_names)
        tables.append(table)
    table = tables[0] if len(tables) == 1 else _concatenate(tables, paths)
    del tables
    return _to_pandas(table)


def _to_pandas(table: "pa.Table") -> "pd.DataFrame":
    """Hand a table over column by column; the Arrow table is of no use afterwards."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(position, field.name, nearest_floats(table.column(position)))
    # An index that pandas saved is a column like any other if it has a name, otherwise it says nothing.
    unnamed = [name for name in table.column_names if _UNNAMED_INDEX.fullmatch(name)]
    table = table.drop_columns(unnamed).replace_schema_metadata(None)
    frame: pd.DataFrame = table.to_pandas(self_destruct=True, split_blocks=True, date_as_object=False)
    return frame


def _concatenate(tables: "list[pa.Table]", paths: Sequence[Path]) -> "pa.Table":
    import pyarrow as pa

    schema = tables[0].schema.remove_metadata()
    for table, path in zip(tables[1:], paths[1:], strict=True):
        for position, theirs in enumerate(table.schema):
            ours = schema.field(position)
            try:
                both = pa.unify_schemas(
                    [pa.schema([ours]), pa.schema([theirs])], promote_options="permissive"
                ).field(0)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                logger.warning(
                    "%r is %s in %s, %s before: read as text", ours.name, theirs.type, path, ours.type
                )
                both = pa.field(ours.name, pa.string())
            schema = schema.set(position, both)
    return pa.concat_tables([table.cast(schema) for table in tables])


def _column_names(names: Any, path: Path) -> list[str]:
    """Return the names as text without spaces around them, none of them twice."""
    clean = [clean_text(str(name)) for name in names]
    if twice := sorted({name for name in clean if clean.count(name) > 1}):
        raise DuplicateColumnsError(
            f"{path} has {len(twice)} column name(s) more than once: {', '.join(map(repr, twice[:5]))}. "
            "Rename or remove them at the source."
        )
    return clean


def require_same_columns(ours: list[str], theirs: list[str], first: Path, path: Path) -> None:
    """Raise an error that names what one file has and the other has not."""
    if set(ours) == set(theirs):
        return
    missing = {path: sorted(set(ours) - set(theirs)), first: sorted(set(theirs) - set(ours))}
    parts = [
        f"{file} is without {', '.join(map(repr, names[:5]))}" for file, names in missing.items() if names
    ]
    raise ColumnsDifferError(f"The files of the source have different columns: {'; '.join(parts)}.")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what the libraries raise about a broken file into an error that names the file."""
    import pandas as pd
    import pyarrow as pa

    try:
        yield
    except DataError:
        raise
    except (EOFError, pa.ArrowInvalid) as error:
        said = str(error)
        with path.open("rb") as raw:
            parquet = raw.read(4) == b"PAR1"
        if isinstance(error, EOFError) or (parquet and "magic bytes" in said):
            raise TruncatedTableError(f"{path} is truncated: {first_line(error)}") from None
        raise TableError(f"{path} cannot be read: {first_line(error)}") from None
    except PermissionError:
        raise TableError(f"{path} may not be read by this user.") from None
    except pd.errors.EmptyDataError:
        raise EmptyTableError(f"{path} is empty.") from None
    except (
        ValueError,
        csv.Error,
        zipfile.BadZipFile,
        lzma.LZMAError,
        gzip.BadGzipFile,
        pa.ArrowException,
    ) as error:
        raise TableError(f"{path} cannot be read: {first_line(error)}") from None


def _names(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
