"""From a source to a table: `sample`, a file, a folder, a glob, a URL or a SQL URL.

Local files are read where they are. Everything else is copied once to `data/snapshots`, so that a run sees one state
of its source, and an unchanged source is not fetched again.
"""

import datetime
import difflib
import glob
import hashlib
import os
import re
import stat
import string
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, explain, shortened
from ..files import replacing
from ..locations import Location
from ..settings import Settings
from . import _sources, _tables
from ._sources import SourceError

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = "sample"
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".json", ".jsonl", ".ndjson")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_PLACEHOLDER = re.compile(r"as_of(?:\s*([+-])\s*(\d+)\s*(hour|day|week|month|year)s?)?")
_FILES = "files:"  # begins the fingerprint of local files


class SourceChangedError(SourceError):
    """The source changed between the fetch and the reading."""


@dataclass(frozen=True)
class Snapshot:
    """The table as it was fetched; small enough to be cached, and recorded with every version.

    Attributes:
        source: The source, without passwords and keys.
        paths: The local files, in the order of reading.
        digest: The SHA-256 of the file; of several files, the SHA-256 of their digests in order.
        rows: The number of rows in all files.
        fingerprint: A text that changes with the content of the source; None where there is none.
    """

    source: str
    paths: tuple[str, ...]
    digest: str
    rows: int
    fingerprint: str | None


def resolve(source: Location | str, *, as_of: datetime.datetime | None) -> Location:
    """Fill in the dates of a source.

    `trips/{as_of:%Y-%m}.parquet` names the file of the month that `as_of` lies in, `{as_of-1month:%Y-%m}` the one
    before; hours, days, weeks, months and years can be added and subtracted. Write a literal brace twice.

    Args:
        source: The source, as in the settings.
        as_of: The date and time to fill in, in the time zone of the dates; by default now, in UTC.

    Raises:
        ConfigurationError: a placeholder has another form.

    Examples:
        >>> resolve("trips/{as_of-1month:%Y-%m}.parquet", as_of=datetime.datetime(2026, 3, 31))
        Location('trips/2026-02.parquet')
    """
    source = Location(source)
    return source.edited(lambda text: _fill_in_dates(text, as_of, f"source {source}"))


def fill_in_query(query: str | None, *, as_of: datetime.datetime | None) -> str | None:
    """Fill in the dates of a query, as `resolve` does; a query without `{as_of` is not changed.

    Raises:
        ConfigurationError: a placeholder has another form.
    """
    if query is None or "{as_of" not in query:
        return query
    return _fill_in_dates(query, as_of, f"query {shortened(query)!r}")


def _fill_in_dates(text: str, as_of: datetime.datetime | None, where: str) -> str:
    filled, moment = [], as_of or datetime.datetime.now(datetime.UTC)
    try:
        for literal, name, date_format, conversion in string.Formatter().parse(text):
            filled.append(literal)
            if name is not None:
                filled.append(_format_date(name + (conversion or ""), date_format or "", moment))
    except (ValueError, OverflowError) as error:  # pandas' OutOfBoundsDatetime is a ValueError
        raise ConfigurationError(
            f"The dates of the {where} cannot be filled in: {error}. "
            "Write {as_of:%Y-%m-%d} or {as_of-1month:%Y-%m}, and any other brace twice."
        ) from None
    return "".join(filled)


def _format_date(name: str, date_format: str, moment: datetime.datetime) -> str:
    import pandas as pd

    match = _PLACEHOLDER.fullmatch(name.strip())
    if not match:
        raise ValueError(f"{{{name}}} is not known")
    if "%" not in date_format:
        raise ValueError(f"{{{name}}} is without a format")
    sign, amount, unit = match.groups()
    if unit:
        moment = pd.Timestamp(moment) + pd.DateOffset(**{f"{unit}s": int(f"{sign}{amount}")})  # type: ignore[arg-type]
    return moment.strftime(date_format)


def fingerprint(source: Location | str, *, settings: Settings) -> str | None:
    """Return a fingerprint that stays the same while the source does, without reading it.

    It consists of path, size and time of change of local files, of what a store or a web server reports about its files
    (ETag, time of change, size), or of a database's answer to `data.watermark`.

    Returns:
        None where a change could not be noticed or no copy exists yet; the source has to be fetched then.

    Raises:
        SourceError: the source does not exist, or cannot be read.
        SourceUnavailable: it does not answer.
        ConfigurationError: a package is missing, or the URL is invalid.
    """
    source = Location(source)
    if not source.is_url:
        return _local_fingerprint(local_files(source, settings=settings))
    state = _sources.state(source, settings=settings)
    return state if state and _sources.is_stored(source, state, settings=settings) else None


def fetch(source: Location | str, *, settings: Settings) -> Snapshot:
    """Fetch the source as local files, and return a snapshot that describes them.

    Raises:
        SourceError: the source does not exist, or cannot be read.
        SourceUnavailable: the source does not answer, or changed during the fetch.
        TableError: the table is incomplete or damaged.
        ConfigurationError: a package is missing, or the URL is invalid.
    """
    source = Location(source)
    state: str | None
    if source.is_url:
        paths, state = _sources.copy(source, settings=settings)
    else:
        paths = local_files(source, settings=settings)
        state = _local_fingerprint(paths)
    return Snapshot(
        source=str(source),
        paths=tuple(map(str, paths)),
        digest=_hash_files(paths),
        rows=sum(map(_tables.count_rows, paths)),
        fingerprint=state,
    )


def load(snapshot: Snapshot, *, texts: Collection[str] = ()) -> "pd.DataFrame":
    """Read the table of a snapshot, all files in one frame.

    Args:
        snapshot: The snapshot that `fetch` returned.
        texts: Columns to read as text; see `Contract.texts`.

    Raises:
        SourceChangedError: a file is no longer the one that was fetched.
        TableError: a file is no table, or the files differ in their columns.
    """
    paths = [Path(path) for path in snapshot.paths]
    state = snapshot.fingerprint or ""
    if state.startswith(_FILES) and _local_fingerprint(paths) != state:
        raise SourceChangedError(f"The source {snapshot.source} changed while it was read. Run this again.")
    return _tables.read(paths, texts=texts)


def head(source: Location | str, *, settings: Settings, rows: int) -> "pd.DataFrame | None":
    """Return the first rows of a local source; None if it would have to be fetched first.

    Raises:
        DataError: the source does not exist, or is not a table.
        ConfigurationError: a package is missing, or the URL is invalid.
    """
    source = Location(source)
    if source.is_url and fingerprint(source, settings=settings) is None:
        return None
    paths = _sources.copy(source, settings=settings)[0] if source.is_url else None
    return next(_tables.batches(paths or local_files(source, settings=settings), rows=rows), None)


def local_files(source: Location | str, *, settings: Settings) -> list[Path]:
    """Return the files of a local source, sorted: one file, or those of a folder or a glob.

    From a folder and its subfolders, files named like tables (`.csv`, `.parquet`, `.jsonl.gz`, …) are taken. Hidden
    names, and names that begin with an underscore, are skipped.

    Raises:
        SourceError: there is none; the message has the nearest names.
    """
    name = Location(source).reveal()
    if name == SAMPLE:
        return [_write_sample(settings)]
    path = settings.resolve(name.removeprefix("file://"))
    try:
        return _require_existing(path)
    except OSError as error:
        raise SourceError(f"The source cannot be read. {explain(error, path)}") from None


def _require_existing(path: Path) -> list[Path]:
    if stat.S_ISDIR(_file_mode(path)):
        found = sorted(file for file in _files_below(path) if _is_table(file.relative_to(path)))
        if not found:
            raise SourceError(f"The folder {path} holds no table: none of {', '.join(SUFFIXES)}.")
        return found
    if _file_mode(path):
        return [path]
    matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    if files := [file for file in matches if file.is_file()]:
        return files
    raise SourceError(f"The source {shortened(str(path))} does not exist.{_suggest_names(path)}")


def _file_mode(path: Path) -> int:
    """Return the mode of a file or folder, 0 where there is none; OSError where that cannot be seen."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield every file; a folder that cannot be read is an OSError, not an empty one."""

    def fail(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=fail, followlinks=True):
        yield from (Path(place, name) for name in names if Path(place, name).is_file())


def _is_table(path: Path) -> bool:
    name = path.name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return name.endswith(SUFFIXES) and not any(part.startswith((".", "_")) for part in path.parts)


def _suggest_names(path: Path) -> str:
    folder = path.parent
    if glob.has_magic(str(folder)):
        return ""
    if not folder.is_dir():
        return f" Nor does the folder {folder}."
    near = difflib.get_close_matches(path.name, [item.name for item in folder.iterdir()], n=3)
    return f" The nearest names in {folder}: {', '.join(near)}." if near else ""


def _local_fingerprint(paths: Iterable[Path]) -> str:
    seen = hashlib.sha256()
    for path in paths:
        try:
            facts = path.stat()
        except OSError:
            raise SourceError(f"The source {path} no longer exists.") from None
        seen.update(f"{path}:{facts.st_size}:{facts.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return _FILES + seen.hexdigest()


def _hash_files(paths: list[Path]) -> str:
    digests = []
    for path in paths:
        try:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise SourceError(f"The source cannot be read. {explain(error, path)}") from None
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _write_sample(settings: Settings) -> Path:
    """Return the sample's file, written once: the breast cancer or diabetes data that come with scikit-learn."""
    path = settings.resolve("data") / f"sample-{settings.problem_type}.csv"
    if path.exists():
        return path
    from sklearn import datasets

    classification = settings.problem_type == "classification"
    bunch = (datasets.load_breast_cancer if classification else datasets.load_diabetes)(as_frame=True)
    frame = bunch.frame
    if classification:
        frame["target"] = frame["target"].map(dict(enumerate(map(str, bunch.target_names))))
    with replacing(path) as temporary:
        frame.rename(columns={"target": settings.data.target}).to_csv(temporary, index=False, encoding="utf-8")
    return path
