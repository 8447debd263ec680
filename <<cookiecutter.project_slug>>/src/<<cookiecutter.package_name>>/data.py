"""From a source to a table: `sample`, a file, a folder, a glob, a URL or a SQL URL.

Local files are read where they are. Everything else is streamed once into data/snapshots, so that a run sees one state
of its source, and an unchanged source is not fetched again.
"""

import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from . import sources, tables
from .errors import ConfigurationError, DataError
from .lineage import redact
from .settings import Settings

SNAPSHOTS = Path("data/snapshots")
SNAPSHOTS_KEPT = 3  # of one source: the runs that may still be reading an older one
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_AS_OF = re.compile(r"as_of(?:(?P<number>[+-]\d+)(?P<unit>day|week|month|year)s?)?:(?P<format>[^{}]+)")


class SourceError(DataError):
    """The source is missing, or holds no files that can be read as a table."""


@dataclass(frozen=True)
class Snapshot:
    """The table as it was fetched; small enough to be recorded with every version.

    Attributes:
        source: Where it came from, without passwords.
        paths: The files that hold it now, in order.
        digest: SHA-256 of their content.
        rows: How many, where that can be told without reading it all.
        fingerprint: What the source looked like from outside; None where that cannot be told.
    """

    source: str
    paths: tuple[str, ...]
    digest: str
    rows: int | None
    fingerprint: str | None


def resolve(source: str, *, as_of: datetime | None) -> str:
    """Fill in the dates of a source.

    `trips/{as_of:%Y-%m}.parquet` names the month of `as_of`, `{as_of-1month:%Y-%m}` the month before it; days, weeks,
    months and years can be added and taken away.

    Raises:
        ConfigurationError: braces hold anything else.
    """

    def replace(match: re.Match[str]) -> str:
        spelt = _AS_OF.fullmatch(match[1])
        if not spelt:
            raise ConfigurationError(
                f"The source {redact(source)} holds {match[0]}: a date is written {{as_of:%Y-%m}} or"
                " {as_of-1month:%Y-%m}."
            )
        moment = pd.Timestamp(as_of or datetime.now())
        if spelt["number"]:
            moment += pd.DateOffset(**{f"{spelt['unit']}s": int(spelt["number"])})
        return moment.strftime(spelt["format"])

    return _PLACEHOLDER.sub(replace, source)


def fingerprint(source: str, *, settings: Settings) -> str | None:
    """Return what an unchanged source keeps the same: sizes and times of files, ETags, or a query's watermark.

    None where a change could not be seen (a query without `data.watermark`, a server without ETags), or where a copy
    is to be made first: the source has to be fetched then.

    Raises:
        SourceError: the source is missing.
        SourceUnavailable: it does not answer.
    """
    if _is_local(source):
        return _local_fingerprint(_local_files(source, settings))
    state = sources.state(source, settings=settings.data)
    return state if state and _snapshot_folder(source, state, settings).exists() else None


def fetch(source: str, *, settings: Settings) -> Snapshot:
    """Bring the table within reach.

    Raises:
        SourceError: the source is missing, or is no table.
        SourceUnavailable: it does not answer.
    """
    if _is_local(source):
        paths = _local_files(source, settings)
        state: str | None = _local_fingerprint(paths)
    else:
        state = sources.state(source, settings=settings.data)
        folder = _snapshot_folder(source, state or os.urandom(8).hex(), settings)
        if not folder.exists():
            with _aside(folder) as partial:
                sources.copy(source, partial, settings=settings.data)
            _forget_older(folder)
        paths = sorted(folder.iterdir())
    return Snapshot(redact(source), tuple(map(str, paths)), _digest(paths), tables.count_rows(paths), state)


def load(snapshot: Snapshot) -> pd.DataFrame:
    """Read the table, its files one after another.

    Raises:
        TableError: a file is no table, or the files differ in their columns.
    """
    return tables.read(snapshot.paths)


def _is_local(source: str) -> bool:
    return "://" not in source


def _local_files(source: str, settings: Settings) -> list[Path]:
    if source == "sample":
        return [_sample(settings)]
    path = settings.resolve(source)
    if path.is_file():
        return [path]
    pattern = str(path / "**" / "*") if path.is_dir() else str(path)
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    files = [file for file in found if file.is_file() and tables.format_of(file)]
    if not files:
        what = "holds no table" if path.is_dir() else "does not exist"
        near = ", ".join(sorted(other.name for other in path.parent.glob("*") if tables.format_of(other))[:5])
        beside = f" Beside it are: {near}." if near else ""
        raise SourceError(
            f"The source {path} (data.source) {what}; tables end in {', '.join(tables.FORMATS)}.{beside}"
        )
    return files


def _sample(settings: Settings) -> Path:
    """Write the table that scikit-learn ships to a file, once: breast cancer, or the progress of diabetes."""
    path = settings.root / "data" / f"sample-{settings.problem_type}.csv"
    if not path.exists():
        from sklearn import datasets

        classes = settings.problem_type == "classification"
        bunch = (
            datasets.load_breast_cancer(as_frame=True) if classes else datasets.load_diabetes(as_frame=True)
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".partial", delete=False) as partial:
            bunch.frame.rename(columns={"target": settings.data.target}).to_csv(partial, index=False)
        os.replace(partial.name, path)
    return path


def _local_fingerprint(paths: list[Path]) -> str:
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _digest(paths: list[Path]) -> str:
    """Return the SHA-256 of a file, or of the digests of several."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _snapshot_folder(source: str, state: str, settings: Settings) -> Path:
    names = [
        hashlib.sha256(text.encode()).hexdigest()[:16] for text in (f"{source} {settings.data.query}", state)
    ]
    return settings.root / SNAPSHOTS / "-".join(names)


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Give a folder to write to that becomes `folder` at the end, or disappears on an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        yield partial
        if not folder.exists():
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _forget_older(folder: Path) -> None:
    same_source = folder.parent.glob(f"{folder.name.partition('-')[0]}-*")
    for older in sorted(same_source, key=lambda path: path.stat().st_mtime)[:-SNAPSHOTS_KEPT]:
        shutil.rmtree(older, ignore_errors=True)
