"""Sources over a network: files of any store that fsspec knows, and databases that SQLAlchemy knows.

Each is copied once to `data/snapshots/<source>/<state>`, renamed when complete: a folder that is there is whole.
Credentials come from the environment or the URL; no message, record or log line shows them.
"""

import contextlib
import datetime
import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._parts import LOCK
from ..errors import ConfigurationError, DataError, first_line, named
from ..locations import Location
from ..settings import Settings
from ._columns import nearest_floats
from ._tables import DuplicateColumnsError, EmptyTableError

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection, Engine, Executable

logger = logging.getLogger(__name__)

KEPT_SNAPSHOTS = 3  # of each source; older ones are deleted after a fetch
_CHUNK_ROWS = 50_000
_IN_EXTRAS = frozenset({"s3", "s3a", "gs", "gcs", "http", "https", "abfs", "abfss", "az", "adl", "postgresql"})
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # what goes wrong here, not on the other side
# What stores and web servers say about the state of a file; its size alone would not show every change.
_STATE = (
    *("ETag", "etag", "e_tag", "md5", "md5Hash", "Content-MD5", "content_md5", "Digest", "generation"),
    *("VersionId", "LastModified", "Last-Modified", "last_modified", "updated", "mtime", "modified", "created"),
)
_TABLE_NAME = re.compile(r"(?:([\w$]+)\.)?([\w$]+)")


class SourceError(DataError):
    """The source does not exist or cannot be read, or the query is invalid."""


class SourceUnavailable(SourceError):
    """The network or the other side failed; the same may work later."""


def state(source: Location, *, settings: Settings) -> str | None:
    """Return the state of a remote source, as its server reports it; None if that is not reliable.

    Raises:
        DataError: there is no source, or it cannot be reached.
        ConfigurationError: a package is missing, or the URL is invalid.
    """
    return _sql_state(source, settings) if _is_sql(source) else _files_state(source)


def is_stored(source: Location, its_state: str, *, settings: Settings) -> bool:
    """Return whether this state of the source is in `data/snapshots`."""
    return _snapshot_folder(source, its_state, settings).is_dir()


def copy(source: Location, *, settings: Settings) -> tuple[list[Path], str | None]:
    """Return the source as local files, in order, and its state; a stored state is not fetched again.

    Raises:
        DataError: the source does not exist, is empty, or cannot be read.
        SourceUnavailable: the connection failed, or the source changed during the fetch.
        ConfigurationError: a package is missing, or the URL is invalid.
    """
    before = state(source, settings=settings)
    unique = f"{datetime.datetime.now(datetime.UTC).isoformat()} {os.getpid()}"
    folder = _snapshot_folder(source, before or unique, settings)
    if not folder.is_dir():
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            if _is_sql(source):
                _copy_query(source, temporary, settings)
            else:
                _copy_files(source, temporary)
            if before and state(source, settings=settings) != before:
                raise SourceUnavailable(f"{source} changed while it was fetched.")
            with contextlib.suppress(OSError):  # another run stored the same state meanwhile
                temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    os.utime(folder)
    _prune_snapshots(folder.parent)
    return sorted(path for path in folder.rglob("*") if path.is_file()), before


def _is_sql(source: Location) -> bool:
    from fsspec import available_protocols

    scheme = source.reveal().partition("://")[0].partition("::")[0]
    return scheme not in available_protocols()


def _snapshot_folder(source: Location, its_state: str, settings: Settings) -> Path:
    names = (
        hashlib.sha256(text.encode()).hexdigest()[:16]
        for text in (f"{source.reveal()} {settings.data.query}", its_state)
    )
    return settings.resolve("data").joinpath("snapshots", *names)


def _prune_snapshots(folder: Path) -> None:
    """Delete all but the states used last."""
    states = sorted(
        (state for state in folder.iterdir() if not state.name.startswith(".")),
        key=lambda state: -state.stat().st_mtime,
    )
    for state in states[KEPT_SNAPSHOTS:]:
        shutil.rmtree(state, ignore_errors=True)


def _files_state(source: Location) -> str | None:
    with _translate_store_errors(source):
        infos = [info for _, info in _remote_files(source)[1]]
    seen = hashlib.sha256()
    for info in infos:
        said = {name: str(info[name]) for name in _STATE if info.get(name)}
        if not said:
            return None
        seen.update(f"{info['name']} {info.get('size')} {sorted(said.items())}\n".encode())
    return f"remote:{seen.hexdigest()}"


def _remote_files(source: Location) -> tuple[Any, list[tuple[str, dict[str, Any]]]]:
    """Return the file system, and path and description of each file, sorted by path."""
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(source.reveal(), use_listings_cache=False)
    except ImportError as error:
        raise ConfigurationError(_missing_package(source, error)) from None
    files.invalidate_cache()
    web = "http" in files.protocol  # whose addresses hold question marks, and whose folders cannot be recognised
    if "*" in path or (not web and any(mark in path for mark in "?[")):
        found = files.glob(path, detail=True)
    else:
        info = files.info(path)
        found = files.find(path, detail=True) if info["type"] == "directory" else {path: info}
    regular = sorted((name, info) for name, info in found.items() if info["type"] == "file")
    if not regular:
        raise FileNotFoundError
    return files, regular


def _copy_files(source: Location, folder: Path) -> None:
    with _translate_store_errors(source):
        files, found = _remote_files(source)
        for number, (path, info) in enumerate(found):
            name = re.sub(r"[^\w.-]", "_", path.partition("?")[0].rstrip("/").rpartition("/")[2])
            values = [part for part in path.split("/")[:-1] if "=" in part and part != ".."]
            local = (
                folder.joinpath(f"{number:05}-{name}") if not values else folder.joinpath(f"{number:05}", *values, name)
            )
            local.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(path, str(local))
            size = local.stat().st_size
            if info.get("size") is not None and not info.get("partial") and size != info["size"]:
                raise SourceUnavailable(f"{source}: {size} of {info['size']} bytes of {name} arrived.")
            _fsync_file(local)


def _fsync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def _translate_store_errors(source: Location) -> Iterator[None]:
    """Turn what a store raises into errors that name the source and hide its secrets."""
    try:
        yield
    except (ConfigurationError, DataError):
        raise
    except Exception as raised:  # each store has exceptions of its own
        if getattr(raised, "errno", None) in _DISK:
            raise
        error: BaseException = raised
        if isinstance(raised, FileNotFoundError):  # fsspec's for whatever a web server answers: its cause tells more
            error = raised.__cause__ or raised
        said = f"{type(error).__name__}: {source.hide(first_line(error))}"
        status = _http_status(error)
        if isinstance(error, FileNotFoundError) or status in (404, 410):
            raise SourceError(f"The source {source} does not exist.") from None
        refused = status is not None and 400 <= status < 500 and status not in (408, 429)
        if refused or isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
            raise SourceError(f"{source} cannot be read ({said}). Credentials are read from the environment.") from None
        raise SourceUnavailable(f"The source {source} cannot be read now ({said}).") from None


def _http_status(error: BaseException) -> int | None:
    """Return what aiohttp or botocore say the other side answered; None if they say nothing."""
    status = getattr(error, "status", None)
    if isinstance(answer := getattr(error, "response", None), dict):
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None


def _missing_package(source: Location, error: ImportError) -> str:
    scheme = source.reveal().partition("://")[0]
    if scheme.partition("+")[0] in _IN_EXTRAS:
        return f"Reading {scheme}:// needs another package: make setup LOCK={LOCK}"
    return f"Reading {scheme}:// needs another package ({error}): add it to the dependencies in pyproject.toml."


def _sql_state(source: Location, settings: Settings) -> str | None:
    if not settings.data.watermark:
        return None
    from sqlalchemy import text

    with _connect(source, settings) as connection:
        row = connection.execute(text(_escape_colons(settings.data.watermark))).first()
    answer = repr(tuple(row) if row else None)
    return f"watermark:{hashlib.sha256(f'{source.reveal()} {settings.data.query} {answer}'.encode()).hexdigest()}"


def _copy_query(source: Location, folder: Path, settings: Settings) -> None:
    """Stream the rows to Parquet files; a file ends where a column turns out wider than it seemed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    writer: pq.ParquetWriter | None = None
    with _connect(source, settings) as connection, contextlib.ExitStack() as stack:
        streamed = connection.execution_options(stream_results=True, max_row_buffer=_CHUNK_ROWS)
        result = streamed.execute(_select_statement(settings.data.query, connection, source))
        names = list(result.keys())
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise DuplicateColumnsError(
                f"The query of {source} gives column {named(twice)} more than once: "
                "name the columns it selects, with `as`."
            )
        for chunk in result.partitions(_CHUNK_ROWS):
            table = pa.table([_chunk_column(values) for values in zip(*chunk, strict=True)], names=names)
            rows += len(chunk)
            if writer is not None:
                with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                    table = table.cast(writer.schema)
            if writer is None or table.schema != writer.schema:
                path = folder / f"{len(list(folder.iterdir())):05}.parquet"
                writer = stack.enter_context(pq.ParquetWriter(path, table.schema))
            writer.write_table(table)
    if not rows:
        raise EmptyTableError(f"{source} has no rows for the query of the settings (data.query, or that of this flow).")
    for path in folder.iterdir():
        _fsync_file(path)


def _chunk_column(values: tuple[Any, ...]) -> "pa.Array":
    """Return one column of a chunk; decimals as floats, what has no type of its own as text."""
    import pyarrow as pa

    try:
        column = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if value is None else str(value) for value in values])
    return nearest_floats(column) if pa.types.is_decimal(column.type) else column


def _select_statement(wanted: str | None, connection: "Connection", source: Location) -> "Executable":
    """Return the query, or one for the whole table of this name, or for the only one there is."""
    from sqlalchemy import inspect, literal_column, select, table, text

    if not wanted:
        names = inspect(connection).get_table_names()
        if len(names) != 1:
            raise ConfigurationError(
                f"Set data.query to the table of {source} that is meant, or to a SELECT. "
                f"It has {len(names)} tables: {', '.join(sorted(names)[:10])}."
            )
        wanted = names[0]
    if match := _TABLE_NAME.fullmatch(wanted.strip()):
        return select(literal_column("*")).select_from(table(match[2], schema=match[1]))
    return text(_escape_colons(wanted))


def _escape_colons(query: str) -> str:
    return query.replace(":", r"\:")  # a colon is the query's own, not a parameter's


@contextlib.contextmanager
def _connect(source: Location, settings: Settings) -> Iterator["Connection"]:
    """Connect to the database, and turn what it raises into errors that name the source and hide its secrets."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

    engine = _engine(source, settings)
    try:
        try:
            opened = engine.connect()
        except SQLAlchemyError:
            raise
        except Exception as error:  # a driver refuses what the URL asks of it in words of its own
            said = f"{type(error).__name__}: {source.hide(first_line(error))}"
            raise SourceError(f"The source {source} cannot be opened ({said}).") from None
        with opened as connection:
            yield connection
    except SQLAlchemyError as error:
        raised = error.orig if isinstance(error, DBAPIError) and error.orig else error
        said = source.hide(first_line(raised))
        if isinstance(error, OperationalError | InterfaceError) and engine.dialect.name != "sqlite":
            raise SourceUnavailable(f"The source {source} cannot be read now: {said}.") from None
        raise SourceError(f"The source {source} (data.query) cannot be read: {said}.") from None
    finally:
        engine.dispose()


def _engine(source: Location, settings: Settings) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        url = make_url(source.reveal())
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            path = settings.resolve(str(url.database))
            if not path.exists():  # SQLite would make an empty one
                raise SourceError(f"The database {path} does not exist.")
            url = url.set(database=str(path))
        return create_engine(url, poolclass=NullPool)
    except (ModuleNotFoundError, ImportError) as error:
        raise ConfigurationError(_missing_package(source, error)) from None
    except (ArgumentError, NoSuchModuleError, ValueError):  # a port that is no number is a ValueError
        raise ConfigurationError(
            f"The source {source} is neither a file store of fsspec nor a database of SQLAlchemy."
        ) from None
