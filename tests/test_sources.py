"""Every kind of source for real: a PostgreSQL server, an S3 server, SQLite, HTTP, a glob, compressed CSV."""

import functools
import gzip
import http.server
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import S3, SECRET, Bake, PostgreSQL, Project, free_port, run

ROWS = 500

FETCH = """
import dataclasses, json, sys
from ml_retraining import project
from ml_retraining.retrainer import data, errors
given = project.settings
try:
    seen = data.fingerprint(given.data.source, settings=given)
    snapshot = data.fetch(given.data.source, settings=given)
    table = data.prepare(data.load(snapshot), settings=given, code=data.current_code(project)).rows
    told = {"stored": seen is not None, "rows": len(table), "columns": sorted(table)}
    told |= {"types": {name: str(kind) for name, kind in table.dtypes.items()}}
    print(json.dumps(told | dataclasses.asdict(snapshot)))
except errors.ProjectError as error:
    print(json.dumps({"error": str(error), "may_pass": isinstance(error, data.SourceUnavailable)}))
"""

Fetch = Callable[..., dict[str, Any]]


def rows() -> list[tuple[float, str, str]]:
    return [(row / 8, ("basic", "plus", "pro")[row % 3], "yes" if row % 5 > 2 else "no") for row in range(ROWS)]


def as_csv(separator: str = ",") -> bytes:
    lines = [separator.join(map(str, row)) for row in [("usage", "plan", "target"), *rows()]]
    return "\n".join([*lines, ""]).encode()


@pytest.fixture
def project(own_copy: Bake) -> Project:
    return own_copy()


@pytest.fixture
def fetch(project: Project, extras: Path) -> Fetch:
    """Fetch and read a source as the flow does; return what the record of the fetch and the table say."""

    def fetch(source: str, *, variables: Mapping[str, str] | None = None, **settings: str) -> dict[str, Any]:
        own = {f"ML_RETRAINING_DATA__{name.upper()}": value for name, value in settings.items()}
        own |= {"ML_RETRAINING_DATA__SOURCE": source, "PYTHONPATH": str(project.path / "src")}
        done = run(extras, "-c", FETCH, cwd=project.path, environment=own | dict(variables or {}))
        assert SECRET not in done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    return fetch


def test_compressed_csv_of_several_files(project: Project, fetch: Fetch) -> None:
    folder = project.path / "data"
    folder.mkdir(exist_ok=True)
    for month in (1, 2):
        (folder / f"{month}.csv.gz").write_bytes(gzip.compress(as_csv(";")))

    told = fetch("data/*.csv.gz")

    assert told["rows"] == 2 * ROWS
    assert told["columns"] == ["plan", "target", "usage"]
    assert [Path(path).name for path in told["paths"]] == ["1.csv.gz", "2.csv.gz"]


def test_sqlite(project: Project, fetch: Fetch) -> None:
    with sqlite3.connect(project.path / "shop.db") as connection:
        connection.execute("CREATE TABLE customers (usage REAL, plan TEXT, target TEXT)")
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows())
    connection.close()

    told = fetch("sqlite:///shop.db", query="SELECT * FROM customers WHERE plan != 'pro'")

    assert told["rows"] == sum(plan != "pro" for _, plan, _ in rows())


@pytest.fixture
def website(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    folder = tmp_path / "website"
    folder.mkdir()
    (folder / "customers.csv").write_bytes(as_csv())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_http(website: str, fetch: Fetch) -> None:
    assert fetch(f"{website}/customers.csv?token={SECRET}")["rows"] == ROWS
    missing = fetch(f"{website}/nobody.csv?token={SECRET}")
    assert "nobody.csv" in missing["error"]
    assert not missing["may_pass"]


def test_nobody_listens_may_pass(fetch: Fetch) -> None:
    told = fetch(f"http://127.0.0.1:{free_port()}/customers.csv?token={SECRET}")

    assert told["may_pass"]


def test_s3(s3: S3, fetch: Fetch) -> None:
    environment = s3.environment
    for month in (1, 2):
        s3.put(f"months/{month}.csv", as_csv())

    first = fetch("s3://bucket/months/*.csv", variables=environment)
    again = fetch("s3://bucket/months/", variables=environment | {"AWS_DEFAULT_REGION": "eu-west-1"})
    unchanged = fetch("s3://bucket/months/*.csv", variables=environment)
    s3.put("months/2.csv", as_csv().replace(b"basic", b"BASIC"))  # of the same size
    changed = fetch("s3://bucket/months/*.csv", variables=environment)
    missing = fetch("s3://bucket/nothing.csv", variables=environment)

    assert first.get("rows") == again.get("rows") == 2 * ROWS, (first, again)
    assert (first["stored"], unchanged["stored"], changed["stored"]) == (False, True, False)
    assert first["digest"] == unchanged["digest"] != changed["digest"]
    assert "s3://bucket/nothing.csv" in missing["error"]
    assert not missing["may_pass"]


def test_postgresql(postgresql: PostgreSQL, fetch: Fetch) -> None:
    postgresql.execute(
        f"""CREATE SCHEMA shop;
        CREATE TABLE shop.customers AS SELECT i AS seen, (i / 8.0)::numeric(10, 3) AS usage, i % 2 = 0 AS vip,
            CASE WHEN i % 9 = 0 THEN NULL ELSE i % 4 END AS calls, now()::timestamptz AS since,
            CASE WHEN i % 5 > 2 THEN 'yes' ELSE 'no' END AS target FROM generate_series(1, {ROWS}) AS i;"""
    )
    source = f"postgresql+psycopg://ml:{SECRET}@127.0.0.1:{postgresql.port}/postgres"
    watermark = {"query": "shop.customers", "watermark": "SELECT max(seen) FROM shop.customers"}

    first = fetch(source, **watermark)
    unchanged = fetch(source, **watermark)
    postgresql.execute(
        "INSERT INTO shop.customers SELECT seen + 1000, usage, vip, calls, since, target FROM shop.customers"
    )
    changed = fetch(source, **watermark)
    queried = fetch(source, query="SELECT target, usage::text || ':x' AS code FROM shop.customers")

    assert first["rows"] == ROWS
    assert first["types"]["usage"] == "float64"
    assert first["types"]["since"].startswith("datetime64")
    assert (first["stored"], unchanged["stored"], changed["stored"]) == (False, True, False)
    assert first["digest"] == unchanged["digest"]
    assert changed["rows"] == queried["rows"] == 2 * ROWS


@pytest.mark.parametrize(
    ("database", "query", "part", "may_pass"),
    [
        ("postgres", "nothing", "nothing", False),
        ("postgres", "SELEC 1", "SELEC", False),
        ("postgres", "SELECT 1 AS target WHERE false", "no rows", False),
        ("nowhere", "customers", "nowhere", True),  # whatever a connection fails of
    ],
)
def test_postgresql_says_what_is_wrong(
    postgresql: PostgreSQL,
    fetch: Fetch,
    database: str,
    query: str,
    part: str,
    may_pass: bool,
) -> None:
    told = fetch(f"postgresql+psycopg://ml:{SECRET}@127.0.0.1:{postgresql.port}/{database}", query=query)

    assert part in told["error"]
    assert "127.0.0.1" in told["error"]
    assert told["may_pass"] == may_pass
