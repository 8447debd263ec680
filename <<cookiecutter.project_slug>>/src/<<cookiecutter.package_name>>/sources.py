"""Sources that are not local files: any URL that fsspec knows, and databases through SQLAlchemy.

Credentials come from the environment, as each library documents it, or from the SQL URL; messages never show them.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import tables
from .errors import ConfigurationError, DataError
from .lineage import redact
from .settings import DataSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

CHUNK_ROWS = 100_000
EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
}
EXTRAS |= {"http": "http", "https": "http", "postgresql": "postgresql"}
_SQL = re.compile(
    r"(postgresql|mysql|mariadb|sqlite|oracle|mssql|duckdb|snowflake|bigquery|redshift)(\+\w+)?://"
)


class SourceUnavailable(DataError):
    """The source does not answer; it may later."""


class RemoteSourceError(DataError):
    """The source answers, and has no such table."""


def is_sql(source: str) -> bool:
    """Tell whether the source is a database."""
    return bool(_SQL.match(source))


def state(source: str, *, settings: DataSettings) -> str | None:
    """Return what changes when the source does: ETags, sizes and times, or the query's watermark; None if unknown.

    Raises:
        SourceUnavailable: the source does not answer.
        RemoteSourceError: there is no such table.
    """
    if is_sql(source):
        if not settings.watermark:
            return None
        with _connection(source) as connection:
            import sqlalchemy

            value = connection.execute(sqlalchemy.text(settings.watermark)).scalar()
        return hashlib.sha256(f"{redact(source)} {settings.query} {value!r}".encode()).hexdigest()
    system, names = _remote_files(source)
    facts = []
    for name in names:
        info = system.info(name)
        marks = [
            info.get(key) for key in ("ETag", "etag", "mtime", "LastModified", "last_modified", "md5Hash")
        ]
        if not any(marks):
            return None
        facts.append((name, info.get("size"), *map(str, marks)))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def copy(source: str, folder: Path, *, settings: DataSettings) -> None:
    """Stream the source into files in `folder`, never holding all of it.

    Raises:
        SourceUnavailable: the source does not answer.
        RemoteSourceError: there is no such table.
    """
    if is_sql(source):
        _copy_query(source, folder / "rows.parquet", settings=settings)
        return
    system, names = _remote_files(source)
    for number, name in enumerate(names):
        file_name = Path(name.partition("?")[0]).name
        with _explained(source):
            system.get_file(name, str(folder / f"{number:05}-{file_name}"))


def _remote_files(source: str) -> tuple[Any, list[str]]:
    import fsspec

    protocol = source.partition("://")[0].partition("+")[0]
    try:
        with _explained(source):
            system, path = fsspec.core.url_to_fs(source)
            names = system.glob(path) if any(mark in path for mark in "*[") else [path]
            if names == [path] and system.isdir(path):
                names = system.find(path)
            names = sorted(name for name in names if len(names) == 1 or tables.format_of(name))
            if not names or not system.exists(names[0]):
                raise RemoteSourceError(
                    f"The source {redact(source)} (data.source) does not exist, or holds no table."
                )
            return system, names
    except (ImportError, ValueError) as error:
        extra = EXTRAS.get(protocol)
        hint = (
            f"install it with the extra `{extra}` (see pyproject.toml)"
            if extra
            else "no installed library knows it"
        )
        raise ConfigurationError(
            f"The source {redact(source)} needs support for {protocol}://: {hint}."
        ) from error


def _copy_query(source: str, path: Path, *, settings: DataSettings) -> None:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    import sqlalchemy

    if not settings.query:
        raise ConfigurationError("A database is a source with data.query: the name of a table, or a SELECT.")
    writer = None
    with _connection(source) as connection:
        query = sqlalchemy.text(_as_select(settings.query, connection.engine))
        streamed = connection.execution_options(stream_results=True, max_row_buffer=CHUNK_ROWS)
        for chunk in pd.read_sql(query, streamed, chunksize=CHUNK_ROWS, dtype_backend="numpy_nullable"):
            table = pa.Table.from_pandas(chunk, preserve_index=False)
            if writer is None:
                # A column without a value so far has no type: as text it is cleaned like any other.
                known = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
                writer = pq.ParquetWriter(path, pa.schema(known))
            writer.write_table(table.cast(writer.schema))
    if writer is None:
        raise RemoteSourceError(f"The query (data.query) on {redact(source)} gave no rows.")
    writer.close()


def _as_select(query: str, engine: "Engine") -> str:
    if re.fullmatch(r"\w+(\.\w+)?", query):
        quote = engine.dialect.identifier_preparer.quote
        return f"SELECT * FROM {'.'.join(quote(part) for part in query.split('.'))}"
    return query


@contextmanager
def _connection(source: str) -> "Iterator[Connection]":
    import sqlalchemy
    from sqlalchemy import exc

    where = redact(source)
    try:
        engine = sqlalchemy.create_engine(source)
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
        extra = EXTRAS.get(source.partition("://")[0].partition("+")[0])
        hint = f": install it with the extra `{extra}`" if extra else ""
        raise ConfigurationError(
            f"{where} (data.source) needs a driver that is missing{hint}. {error}"
        ) from None
    try:
        with engine.connect() as connection:
            yield connection
    except exc.OperationalError as error:
        kind = RemoteSourceError if engine.dialect.name == "sqlite" else SourceUnavailable
        raise kind(f"{where} (data.source): {_first_line(error)}") from None
    except exc.SQLAlchemyError as error:
        raise RemoteSourceError(f"{where} (data.source, data.query): {_first_line(error)}") from None
    finally:
        engine.dispose()


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turn what file systems raise into the two errors of this module."""
    where = redact(source)
    try:
        yield
    except FileNotFoundError:
        raise RemoteSourceError(f"The source {where} (data.source) does not exist.") from None
    except PermissionError as error:
        raise RemoteSourceError(
            f"The source {where} (data.source) refuses access: {_first_line(error)}"
        ) from None
    except (OSError, TimeoutError) as error:
        raise SourceUnavailable(
            f"The source {where} (data.source) does not answer: {type(error).__name__}."
        ) from None


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return redact(next(iter(str(cause).strip().splitlines()), type(error).__name__))
