"""Files as tables: CSV, Parquet and JSON lines, each recognised by what is in the file, not by its name."""

import bz2
import codecs
import contextlib
import csv
import functools
import gzip
import io
import itertools
import json
import logging
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast
from urllib.parse import unquote

from ..errors import DataError, first_line
from ._columns import LARGEST_EXACT, MISSING_VALUES, VALUE_WORDS, clean_text, nearest_floats
from ._numbers import (
    MARKS_ATTRIBUTE,
    OPEN_ATTRIBUTE,
    SIGNS_ATTRIBUTE,
    Signs,
    decimal_signs,
    leaves_sign_open,
    most_common,
    proven_sign,
    sign_of,
    with_points,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)
SEPARATORS = ",;\t|"
UTF_8 = "utf-8-sig"  # with or without a byte-order mark
OTHERWISE_WINDOWS = "otherwise Windows"  # what becomes of bytes that are no UTF-8
_ENCODING_ERRORS = ("strict", OTHERWISE_WINDOWS)  # tried in turn: pandas takes a third longer where it may not fail
DIALECT_ATTRIBUTE = "dialect"  # of a frame: how its file is written, in words
_SAMPLE_BYTES = 256 * 1024
_READ_BYTES = 1024 * 1024
_SAMPLE_RECORDS = 200
_LINES = 10_000  # counted at a time
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_GIVEN_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's first line
_TITLE_LINES = 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_EXCEL = "{} is an Excel workbook. Save its sheet as CSV (UTF-8), or write it as Parquet."
# Signs of other code pages than that of Western Windows, which has no letter for the first, and ³ and ¿ for ł and ż.
_JAPANESE = re.compile(rb"[\x81-\x83\x8d\x8f\x90][\x40-\xfc]")
_POLISH = re.compile(r"[a-z][³¿][a-z]|\bz³(?!\w)")
_CODECS = {"Shift-JIS": "cp932", "Windows-1250": "cp1250"}
_IN_QUOTES = re.compile(rb'(?:[^"]|"")*"(?!")')

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
    """The format of a CSV file.

    Attributes:
        separator: The character between the fields.
        signs: The decimal signs that the first records show; see `decimal_signs`.
        encoding: The encoding of the text, for messages.
        header: The names of the columns as they are written.
        words: Text columns in which a word such as `None` may be a value.
        marks: Words that mean missing numbers.
        unproven: Columns in which every number is like `45.300`, where no column shows the decimal sign.
        skipped: The number of lines before the header.
        line_end: The end of a line; `\\r` in files of old Macs.
    """

    separator: str
    signs: dict[str, str]
    encoding: str
    header: tuple[str, ...]
    words: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    unproven: frozenset[str] = frozenset()
    skipped: int = 0
    line_end: str = "\n"

    def __str__(self) -> str:
        """Return the dialect in words, for the log."""
        sign = ("," if self.signs else ".") if self.unproven else self.signs.get("")
        decimal = f"decimal sign {sign!r}{' (assumed)' if self.unproven else ''}" if sign else "no decimals"
        skipped = f", {self.skipped} lines before the header left out" if self.skipped else ""
        return f"separator {self.separator!r}, {decimal}, encoding {self.encoding}, {len(self.header)} columns{skipped}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names without the spaces around them."""
        return tuple(clean_text(name) for name in self.header)


def count_rows(path: Path) -> int:
    """Return the number of rows, and check that the file is complete, without building the table.

    Raises:
        TableError: the file cannot be read, or is truncated.
        EmptyTableError: the table is empty.
    """
    with _translate_read_errors(path):
        kind = detect_format(path)
        if kind == "parquet":
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        if kind == "json":
            return _count_json(path)
        return _count_csv(path, detect_dialect(path))


def read(paths: Sequence[Path], *, texts: Collection[str] = ()) -> "pd.DataFrame":
    """Read files with the same columns into one frame.

    Columns of a text file are numbers where all their cells are plain numbers, otherwise the text as written, for a
    contract to read. Separator, decimal sign, encoding and compression of a CSV file are detected, and `MISSING_VALUES`
    are missing; in text columns the contract decides that. Spaces around column names are removed. `attrs` of the frame
    has the decimal signs of the file, see `decimal_signs`. A folder named `name=value` becomes a column.

    Args:
        paths: The files.
        texts: Columns to read as text. Numbers with leading zeros, and numbers with more digits than float64 has, are
            read as text anyway.

    Raises:
        TableError: a file cannot be read, or is truncated.
        DuplicateColumnsError: two columns of a file have the same name.
        ColumnsDifferError: the files have different columns.
        EmptyTableError: there are no rows.
    """
    import pandas as pd

    kinds = []
    for path in paths:
        with _translate_read_errors(path):
            kinds.append(detect_format(path))
    if set(kinds) == {"parquet"}:
        frame = _read_parquet(paths)
    else:
        frames: list[pd.DataFrame] = []
        said: dict[str, None] = {}
        for path, kind in zip(paths, kinds, strict=True):
            frames.append(_read_one(path, kind, texts))
            said[frames[-1].attrs.get(DIALECT_ATTRIBUTE, "")] = None
            require_same_columns(list(frames[0].columns), list(frames[-1].columns), paths[0], path)
        frame = frames[0] if len(frames) == 1 else pd.concat(_unify_decimal_signs(frames), ignore_index=True)
        frame.attrs[DIALECT_ATTRIBUTE] = "; ".join(filter(None, said))
        frame.attrs[OPEN_ATTRIBUTE] = frozenset().union(*(one.attrs.get(OPEN_ATTRIBUTE, ()) for one in frames))
    if not len(frame):
        raise EmptyTableError(f"{_describe_paths(paths)} has no rows.")
    if SIGNS_ATTRIBUTE not in frame.attrs:
        frame.attrs[SIGNS_ATTRIBUTE] = signs = decimal_signs(frame)
        if not signs and not frame.attrs.get(OPEN_ATTRIBUTE):
            texts = frame.iloc[:_SAMPLE_RECORDS].select_dtypes("str")
            found = (name for name in texts if leaves_sign_open(texts[name], "."))
            frame.attrs[OPEN_ATTRIBUTE] = frozenset(map(str, found))
    return frame


def _unify_decimal_signs(frames: "list[pd.DataFrame]") -> "list[pd.DataFrame]":
    """Return frames with the same decimal sign: files of one source may differ in it."""
    signs = [frame.attrs.setdefault(SIGNS_ATTRIBUTE, decimal_signs(frame)) for frame in frames]
    if all(sign == signs[0] for sign in signs):
        return frames
    found: dict[str, str] = {}
    for frame, sign in zip(frames, signs, strict=True):
        for name in frame.columns:
            if sign.get(str(name), sign.get("")) == ",":
                frame[name] = with_points(frame[name])
        found |= dict.fromkeys([*map(str, frame.columns), ""], ".")
    for frame in frames:
        frame.attrs = {SIGNS_ATTRIBUTE: Signs(found)}
    return frames


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
        with _translate_read_errors(path):
            if detect_format(path) == "parquet":
                total = int(pq.read_metadata(path).num_rows)
                starts = range(0, total, rows)
                found += [Partition(path, start, min(start + rows, total)) for start in starts]
            else:
                found.append(Partition(path))
    return found


def batches(paths: "Sequence[Path | Partition]", *, rows: int, texts: Collection[str] = ()) -> "Iterator[pd.DataFrame]":
    """Read the files, or partitions, in parts of at most `rows` rows: memory does not grow with the table.

    Each part of a CSV or JSON file gets its own column types, except for `texts`; a contract accepts numbers as text
    and text as numbers.

    Args:
        paths: The files.
        rows: The maximum number of rows of a part.
        texts: Columns to read as text.

    Raises:
        TableError: a file cannot be read, is truncated, or has other columns than the first.
    """
    first: list[str] | None = None
    wanted = [path if isinstance(path, Partition) else Partition(path) for path in paths]
    for partition in wanted:
        path = partition.path
        with _translate_read_errors(path):
            signs = None
            for part in _read_partition(partition, rows, texts):
                part.columns = _column_names(part.columns, path)
                _add_folder_columns(part, path)
                if signs is None:  # found at the beginning of the file, and kept
                    signs = decimal_signs(_head_of_file(part, partition), part.attrs.get(SIGNS_ATTRIBUTE))
                part.attrs[SIGNS_ATTRIBUTE] = signs
                first = first or list(part.columns)
                require_same_columns(first, list(part.columns), wanted[0].path, path)
                yield part


def _read_partition(partition: Partition, rows: int, texts: Collection[str]) -> "Iterator[pd.DataFrame]":
    import pyarrow.parquet as pq

    path = partition.path
    kind = detect_format(path)
    if kind == "parquet":
        # Without these three a whole row group, a million rows as pandas writes them, is read ahead and kept.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES) as file:
            groups, skipped = _row_groups(file.metadata, partition)
            left = (partition.stop or file.metadata.num_rows) - partition.start
            read = file.iter_batches(batch_size=rows, row_groups=groups, use_threads=False)
            for table in _cut_batches(read, rows, skip=partition.start - skipped, take=left):
                yield _to_pandas(table)
    elif kind == "json":
        yield from _json_parts(path, rows)
    else:
        yield from _csv_parts(path, rows, texts)


def _csv_parts(path: Path, rows: int, texts: Collection[str]) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    dialect, done = detect_dialect(path), 0
    for errors in _ENCODING_ERRORS:
        options = _csv_options(dialect, texts) | {"encoding_errors": errors, "chunksize": rows}
        try:
            with _open_csv(path, dialect) as stream, pd.read_csv(stream, **options) as parts:
                for part in itertools.islice(parts, done, None):
                    part.attrs = {SIGNS_ATTRIBUTE: Signs(dialect.signs), DIALECT_ATTRIBUTE: str(dialect)}
                    yield part
                    done += 1
            return
        except UnicodeDecodeError as error:
            _warn_of_encoding(path, error)


def _head_of_file(part: "pd.DataFrame", partition: Partition) -> "pd.DataFrame":
    """Return the first rows of the file, wherever in it the partition lies: they say how the whole is written."""
    import pyarrow.parquet as pq

    if not partition.start:
        return part
    with pq.ParquetFile(partition.path, pre_buffer=False) as file:
        return _to_pandas(next(file.iter_batches(batch_size=_SAMPLE_RECORDS, use_threads=False), None))


def _add_folder_columns(frame: "pd.DataFrame", path: Path) -> None:
    """Add a column for each folder `name=value`, as pyarrow and Spark write them; the file's own columns win."""
    for folder in path.parts[:-1]:
        name, equals, value = folder.partition("=")
        name = clean_text(unquote(name))
        if equals and name and name not in frame.columns:
            text = None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)
            frame[name] = _repeat_text(text, len(frame))


def _repeat_text(text: str | None, rows: int) -> Any:
    import pandas as pd

    return pd.array([text], dtype="str").take([0] * rows)


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


def _cut_batches(batches: "Iterable[pa.RecordBatch]", rows: int, *, skip: int, take: int) -> "Iterator[pa.Table]":
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
    """Return the format of a file, detected from its first bytes.

    Raises:
        EmptyTableError: the file is empty.
        TableError: it is a web page, a workbook or an archive of several files.
    """
    with path.open("rb") as raw:
        if raw.read(4) == b"PAR1":
            return "parquet"
    with open_decompressed(path) as stream:
        head = stream.read(4096)
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text:
        raise EmptyTableError(f"{path} is empty.")
    if text[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise TableError(f"{path} is a web page, not a table. Check the address and the login.")
    if b"\0" in text:
        raise TableError(f"{path} is neither CSV, Parquet nor JSON lines: it holds binary data.")
    return "json" if text[:1] in b"{[" else "csv"


def open_decompressed(path: Path) -> IO[bytes]:
    """Open a file for reading, uncompressed if its first bytes say gzip, bzip2, xz, Zstandard or zip."""
    with path.open("rb") as raw:
        head = raw.read(8)
    if head.startswith(_UTF_16):  # Excel's "Unicode text"
        return io.BytesIO(path.read_text("utf-16").encode())
    if head == _OLD_EXCEL:
        raise TableError(_EXCEL.format(path))
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
        if "[Content_Types].xml" in archive.namelist():
            raise TableError(_EXCEL.format(path))
        members = [
            item
            for item in archive.infolist()
            if not item.is_dir()
            and not any(part.startswith(".") or part == "__MACOSX" for part in Path(item.filename).parts)
        ]
        if len(members) != 1:
            raise TableError(f"{path} holds {len(members)} files; a zipped table must be the only one.")
        return archive.open(members[0])
    return path.open("rb")


def detect_dialect(path: Path) -> Dialect:
    """Detect how a CSV file is written, once until the file changes; see `_detect_dialect`."""
    facts = path.stat()
    return _detect_dialect(path, facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _detect_dialect(path: Path, size: int, changed: int) -> Dialect:
    """Find out how a CSV file is written, from its first records.

    The separator is the one that gives most records as many fields as the header, two at least, unless a first line
    `sep=;` names it. Lines of a title before the header are left out.

    Raises:
        TableError: it is no CSV, or has fewer names than fields.
        DuplicateColumnsError: two columns have the same name.
    """
    with open_decompressed(path) as stream:
        sample = stream.read(_SAMPLE_BYTES)
        whole = not stream.read(1)
    encoding, text = _decode(sample)
    lines = list(io.StringIO(text, newline=""))
    if not whole and len(lines) > 1:
        lines.pop()  # cut by the end of the sample
    given = _GIVEN_SEPARATOR.fullmatch(lines[0])
    skipped = int(given is not None)
    try:
        separator = given[1] if given else max(SEPARATORS, key=lambda sign: _field_agreement(lines, sign))
        skipped += _title_lines(lines[skipped:])
        if skipped and not given:
            separator = max(SEPARATORS, key=lambda sign: _field_agreement(lines[skipped:], sign))
        header, *rest = _parse_records(lines[skipped:], separator)
    except csv.Error as error:
        raise TableError(f"{path} cannot be read as CSV: {error}.") from None
    except ValueError:
        raise EmptyTableError(f"{path} has no header.") from None
    width = len(header)
    if rest and all(len(record) > width and any(map(str.strip, record[width:])) for record in rest):
        raise TableError(
            f"{path} has {width} column names and {len(rest[0])} fields in each row: name every column in the header."
        )
    _column_names([name for name in header if name.strip()], path)  # pandas renames duplicates: look before
    formats = _detect_column_formats(header, rest, separator)
    line_end = "\r" if "\r" in text and "\n" not in text else "\n"
    return Dialect(separator, encoding=encoding, header=tuple(header), skipped=skipped, line_end=line_end, **formats)


def _parse_records(lines: list[str], separator: str) -> list[list[str]]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    return [record for record in itertools.islice(reader, _SAMPLE_RECORDS) if record]


def _field_agreement(lines: list[str], separator: str) -> tuple[float, int]:
    """Return the share of records with as many fields as the header, and how many these are."""
    header, *rest = _parse_records(lines, separator) or [[]]
    if len(header) < 2:
        return 0.0, 0
    return sum(len(record) == len(header) for record in rest) / max(1, len(rest)), len(header)


def _title_lines(lines: list[str]) -> int:
    """Return how many lines come before the header: of one text each, above a table of several columns."""
    whole = max(SEPARATORS, key=lambda sign: _field_agreement(lines, sign))
    first = (_parse_records(lines, whole) or [[]])[0]
    if _field_agreement(lines, whole)[0] >= 0.5 and sum(1 for cell in first if cell.strip()) > 1:
        return 0
    found: list[tuple[float, int, int]] = []
    for separator in SEPARATORS:
        filled = [
            sum(1 for cell in record if cell.strip())
            for record in csv.reader(lines[:_TITLE_LINES], delimiter=separator, skipinitialspace=True)
        ]
        start = next((number for number, cells in enumerate(filled) if cells > 1), 0)
        if not start or len(filled) < start + 2:
            continue
        header = _parse_records(lines[start:], separator)[0]
        named = all(cell.strip() and sign_of(cell.strip()) is None for cell in header)
        if named and (agreement := _field_agreement(lines[start:], separator))[0] >= 0.9:
            found.append((*agreement, start))
    return max(found)[2] if found else 0


def _detect_column_formats(header: list[str], rest: list[list[str]], separator: str) -> dict[str, Any]:
    """Return the decimal signs that the records show, those they leave open, columns of text, and missing words."""
    signs: dict[str, str] = {}
    likely: dict[str, str] = {}
    words, marks, unproven = set(), set(), set()
    for position, raw in enumerate(header):
        name = clean_text(raw) or f"Unnamed: {position}"
        cells = [record[position].strip() for record in rest if position < len(record)]
        known = [cell for cell in cells if cell not in MISSING_VALUES]
        sign, votes = proven_sign(Counter(known))
        if votes[None] > len(known) / 2:
            words.add(name)
            continue
        marks |= {cell for cell in cells if cell and cell in MISSING_VALUES} if known else set()
        if sign:
            signs[name] = sign
        elif separator == ";" and any("," in cell for cell in known):
            likely[name] = ","  # where commas are the separator of no one, they are decimal signs
        if not sign and leaves_sign_open(known, likely.get(name, ".")):
            unproven.add(name)
    if signs:
        signs[""] = most_common(signs.values())
    return {
        "signs": signs or likely,
        "words": frozenset(words),
        "marks": frozenset(marks),
        "unproven": frozenset() if signs else frozenset(unproven),
    }


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are not UTF-8 as cp1252, which Western spreadsheets write, or latin-1, which has every byte."""
    assert isinstance(error, UnicodeDecodeError)
    found = error.object[error.start : error.end]
    try:
        return found.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return found.decode("latin-1"), error.end


def _warn_of_encoding(path: Path, error: UnicodeDecodeError) -> None:
    logger.warning(
        "%s is not UTF-8, so other bytes are read as Windows-1252. Save it as UTF-8 if letters are wrong", path
    )


codecs.register_error(OTHERWISE_WINDOWS, _as_windows)


def _decode(sample: bytes) -> tuple[str, str]:
    """Return encoding and text of the beginning of a file, which may end within a character."""
    with contextlib.suppress(UnicodeDecodeError):
        return "UTF-8", codecs.getincrementaldecoder(UTF_8)().decode(sample)
    if _JAPANESE.search(sample):
        with contextlib.suppress(UnicodeDecodeError):
            return "Shift-JIS", codecs.getincrementaldecoder("cp932")().decode(sample)
    text = codecs.getincrementaldecoder(UTF_8)(OTHERWISE_WINDOWS).decode(sample)
    if _POLISH.search(text):
        return "Windows-1250", sample.decode("cp1250", errors="replace")
    return "Windows-1252", text


def _count_csv(path: Path, dialect: Dialect) -> int:
    """Count the records after the header: line ends within quotes belong to their field."""
    rows, quoted, last = -1, False, b""
    opening = re.compile(rb'(?:\A|%s) *"' % re.escape(dialect.separator.encode()))
    with _open_csv(path, dialect) as stream:
        found = itertools.islice(stream, dialect.skipped, None)
        while lines := list(itertools.islice(found, _LINES)):
            if not quoted and b'"' not in b"".join(lines):  # most files, and without a look at each line
                rows += len(lines) - sum(map(bytes.isspace, lines))
                last = next((line for line in reversed(lines) if not line.isspace()), last)
                continue
            for line in lines:
                if not quoted:
                    if line.isspace():
                        continue
                    rows += 1
                    last = line
                marks = line.count(b'"')
                if marks and (quoted or marks & 1 or _may_stay_open(line, opening)):
                    quoted = _ends_quoted(line, quoted, opening)
    if quoted:
        raise TruncatedTableError(f"{path} is truncated: it ends within quotes.")
    if rows > 0 and not last.endswith((b"\n", b"\r")):
        text = last.decode("utf-8", errors="replace")
        fields = next(csv.reader([text], delimiter=dialect.separator, skipinitialspace=True))
        if len(fields) < len(dialect.columns):
            raise TruncatedTableError(
                f"{path} is truncated: its last line has {len(fields)} of {len(dialect.columns)} fields."
            )
    if rows < 1:
        raise EmptyTableError(f"{path} has a header and no rows." if rows == 0 else f"{path} is empty.")
    return rows


def _open_csv(path: Path, dialect: Dialect) -> IO[bytes]:
    """Open a CSV file; its lines end as everybody's do."""
    stream = open_decompressed(path)
    if dialect.line_end != "\r":
        return stream
    with stream:
        return io.BytesIO(stream.read().replace(b"\r", b"\n"))


def _may_stay_open(line: bytes, opening: re.Pattern[bytes]) -> bool:
    """Return whether the last quote of a line opens a field, as it may beside an inch mark."""
    last = line.rfind(b'"')
    found = opening.search(line, max(0, last - 2), last + 1)
    return found is not None and line[last + 1 : last + 2] not in (b"", b"\n", b"\r")


def _ends_quoted(line: bytes, quoted: bool, opening: re.Pattern[bytes]) -> bool:
    """Return whether a line ends within quotes: they count at the start of a field only, as for every CSV reader."""
    place = 0
    while True:
        if not quoted:
            found = opening.search(line, place)
            if not found:
                return False
            place = found.end()
        closing = _IN_QUOTES.match(line, place)
        if not closing:
            return True
        place, quoted = closing.end(), False


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
    with _translate_read_errors(path):
        frame: pd.DataFrame = _read_csv(path, texts) if kind == "csv" else next(_json_parts(path, None))
    frame.columns = _column_names(frame.columns, path)
    _add_folder_columns(frame, path)
    return frame


def _read_csv(path: Path, texts: Collection[str]) -> "pd.DataFrame":
    import pandas as pd

    dialect = detect_dialect(path)

    def read(dialect: Dialect, **options: Any) -> pd.DataFrame:
        for errors in _ENCODING_ERRORS:
            try:
                with _open_csv(path, dialect) as stream:
                    given = _csv_options(dialect, texts) | {"encoding_errors": errors} | options
                    table: pd.DataFrame = pd.read_csv(stream, **given)
                    break
            except UnicodeDecodeError as error:
                _warn_of_encoding(path, error)
        return table

    frame = read(dialect)
    signs = decimal_signs(frame, dialect.signs)
    if signs.keys() - dialect.signs.keys() - {""}:
        dialect = replace(dialect, unproven=frozenset())
    if signs.get("") == "," and dialect.signs.get("") is None:  # proven late in the file
        frame = read(replace(dialect, signs=signs))
    said = str(replace(dialect, signs=signs))
    frame.attrs = {SIGNS_ATTRIBUTE: signs, MARKS_ATTRIBUTE: dialect.marks, DIALECT_ATTRIBUTE: said}
    frame.attrs[OPEN_ATTRIBUTE] = dialect.unproven
    if doubtful := _doubtful_numbers(frame, path, dialect):
        written = read(dialect, dtype="str", usecols=doubtful)
        digits = written.apply(lambda cells: cells.str.fullmatch(r"\s*(0\d[\d.]*|[-+]?\d{16,})\s*").any())
        for name in written.columns[digits]:
            frame[name] = written[name]
    return frame


def _doubtful_numbers(frame: "pd.DataFrame", path: Path, dialect: Dialect) -> list[str]:
    """Return the columns whose numbers may lose a part: leading zeros, too many digits."""
    numbers = frame.select_dtypes("number")
    if _has_leading_zeros(path, dialect):
        return list(numbers.columns)
    return _beyond_float_precision(frame)


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


def _csv_options(dialect: Dialect, texts: Collection[str]) -> dict[str, Any]:
    missing = {}
    for position, name in enumerate(map(str.lstrip, dialect.header)):
        is_text = clean_text(name) in texts or clean_text(name) in dialect.words
        missing[name or f"Unnamed: {position}"] = MISSING_VALUES - VALUE_WORDS if is_text else MISSING_VALUES
    file_sign = dialect.signs.get("", ".")
    return {
        "encoding": _CODECS.get(dialect.encoding, "utf-8"),
        "sep": dialect.separator,
        "decimal": file_sign,
        "dtype": {
            name: "str"
            for name in map(str.lstrip, dialect.header)
            if clean_text(name) in texts or dialect.signs.get(clean_text(name), file_sign) != file_sign
        },
        "na_values": missing,
        "keep_default_na": False,
        "skipinitialspace": True,
        "skiprows": dialect.skipped,
        "index_col": False,  # else a separator at the end of each row turns the first column into the index
        "low_memory": False,  # else a column's type may differ between chunks
    }


def _json_parts(path: Path, rows: int | None) -> "Iterator[pd.DataFrame]":
    """Read a JSON file in parts of at most `rows` lines; an array of records is one part."""
    import pandas as pd

    lines = _has_lines(path)
    with open_decompressed(path) as stream:
        while text := b"".join(itertools.islice(stream, rows if lines else None)):
            frame = pd.read_json(io.BytesIO(text), lines=lines, **_JSON_OPTIONS)
            if doubtful := _beyond_float_precision(frame):
                records = (
                    [json.loads(line) for line in text.splitlines() if line.strip()] if lines else json.loads(text)
                )
                for name in doubtful:
                    cells = [record.get(name) for record in records]
                    if all(isinstance(cell, int | None) for cell in cells):
                        frame[name] = pd.Series(cells, dtype="object").map(str, na_action="ignore").astype("str")
            yield frame


def _beyond_float_precision(frame: "pd.DataFrame") -> list[str]:
    """Return the columns with numbers of which float64 does not hold every digit."""
    numbers = frame.select_dtypes("number")
    return [str(name) for name in numbers if numbers[name].abs().max() > LARGEST_EXACT]


def _read_parquet(paths: Sequence[Path]) -> "pd.DataFrame":
    """Read Parquet files; Arrow's memory is given back column by column, so the table is there only once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables: list[pa.Table] = []
    for path in paths:
        # No read-ahead: it would hold the file's bytes beside the table.
        with _translate_read_errors(path), pq.ParquetFile(path, pre_buffer=False) as file:
            table = file.read()
        table = _append_folder_columns(table.rename_columns(_column_names(table.column_names, path)), path)
        if tables:
            require_same_columns(tables[0].column_names, table.column_names, paths[0], path)
            table = table.select(tables[0].column_names)
        tables.append(table)
    table = tables[0] if len(tables) == 1 else _concatenate(tables, paths)
    del tables
    return _to_pandas(table)


def _append_folder_columns(table: "pa.Table", path: Path) -> "pa.Table":
    import pandas as pd
    import pyarrow as pa

    folders = pd.DataFrame(index=range(1))
    _add_folder_columns(folders, path)
    for name in folders.columns:
        if name not in table.column_names:
            column = pa.array(folders[name].take([0] * len(table)), pa.string(), from_pandas=True)
            table = table.append_column(name, column)
    return table


def _to_pandas(table: "pa.Table") -> "pd.DataFrame":
    """Hand a table over column by column; the Arrow table is of no use afterwards."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for position, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(position, field.name, nearest_floats(table.column(position)))
        elif pa.types.is_int64(field.type) or pa.types.is_uint64(field.type):
            column = table.column(position)
            ends = pc.min_max(column).as_py() if column.null_count else {"min": None}
            if ends["min"] is not None and max(-ends["min"], ends["max"]) > LARGEST_EXACT:
                # A gap turns whole numbers into floats, which do not hold all their digits.
                table = table.set_column(position, field.name, column.cast(pa.string()))
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
                both = pa.unify_schemas([pa.schema([ours]), pa.schema([theirs])], promote_options="permissive").field(0)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                logger.warning("%r is %s in %s, %s before: read as text", ours.name, theirs.type, path, ours.type)
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
    """Raise an error that names the columns that differ between two files."""
    if set(ours) == set(theirs):
        return
    missing = {path: sorted(set(ours) - set(theirs)), first: sorted(set(theirs) - set(ours))}
    parts = [f"{file} is without {', '.join(map(repr, names[:5]))}" for file, names in missing.items() if names]
    raise ColumnsDifferError(f"The files of the source have different columns: {'; '.join(parts)}.")


@contextlib.contextmanager
def _translate_read_errors(path: Path) -> Iterator[None]:
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
        raise TableError(f"{path} cannot be read by this user.") from None
    except pd.errors.EmptyDataError:
        raise EmptyTableError(f"{path} is empty.") from None
    except pd.errors.ParserError as error:
        raise TableError(
            f"{path} cannot be read: {first_line(error)}. Remove lines that are no row, such as a title or a note."
        ) from None
    except (ValueError, csv.Error, zipfile.BadZipFile, lzma.LZMAError, gzip.BadGzipFile, pa.ArrowException) as error:
        raise TableError(f"{path} cannot be read: {first_line(error)}") from None


def _describe_paths(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
