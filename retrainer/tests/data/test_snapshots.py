"""Sources, from a file with nothing unusual about it to a database; each as it would be met outside."""

import bz2
import datetime
import gzip
import hashlib
import http.server
import json
import lzma
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrainer.data import SourceUnavailable, _snapshots, _tables, fill_in_query
from retrainer.data._sources import SourceError
from retrainer.errors import ConfigurationError
from retrainer.settings import Settings

from ..conftest import load_settings

TABLE = pd.DataFrame({"size": [1.5, 2.0, None, 4.25], "colour": ["red", "blue", "red", None], "target": [0, 1, 1, 0]})
CSV = TABLE.to_csv(index=False)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Settings]:
    """Return settings of a project in a folder of its own, with the data settings given."""

    def make(source: str = "sample", *, problem_type: str = "classification", **values: Any) -> Settings:
        return load_settings(
            root=tmp_path, problem_type=problem_type, data={"source": source, "target": "target"} | values
        )

    return make


def read(settings: Settings) -> pd.DataFrame:
    return _snapshots.load(_snapshots.fetch(settings.data.source, settings=settings))


def assert_same(frame: pd.DataFrame, expected: pd.DataFrame = TABLE) -> None:
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)


@pytest.mark.parametrize(("problem_type", "rows"), [("classification", 569), ("regression", 442)])
def test_the_sample_is_written_once_with_the_target_as_it_is_called(
    project: Callable[..., Settings], problem_type: str, rows: int
) -> None:
    settings = project(problem_type=problem_type, target="outcome")

    first, second = (_snapshots.fetch("sample", settings=settings) for _ in range(2))

    assert first == second
    assert first.rows == len(_snapshots.load(first)) == rows
    assert "outcome" in _snapshots.load(first)
    assert [path.name for path in (settings.root / "data").iterdir()] == [f"sample-{problem_type}.csv"]


def test_a_local_file_is_used_in_place(project: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(CSV)

    snapshot = _snapshots.fetch("table.csv", settings=project("table.csv"))

    assert snapshot.paths == (str(tmp_path / "table.csv"),)
    assert snapshot.digest == hashlib.sha256(CSV.encode()).hexdigest()
    assert snapshot.rows == 4
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_changed_file_has_another_fingerprint_even_at_the_same_size(
    project: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = project("table.csv")
    (tmp_path / "table.csv").write_text(CSV)
    before = _snapshots.fingerprint("table.csv", settings=settings)
    snapshot = _snapshots.fetch("table.csv", settings=settings)
    assert _snapshots.fingerprint("table.csv", settings=settings) == before

    (tmp_path / "table.csv").write_text(CSV.replace("red", "tan"))

    assert _snapshots.fingerprint("table.csv", settings=settings) != before
    with pytest.raises(_snapshots.SourceChangedError, match=r"table\.csv"):
        _snapshots.load(snapshot)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_compression_is_found_out_whatever_the_name(
    project: Callable[..., Settings], tmp_path: Path, compression: str
) -> None:
    (tmp_path / "export").write_bytes(COMPRESSORS[compression](CSV.encode()))

    assert_same(read(project("export")))
    assert _snapshots.fetch("export", settings=project("export")).rows == 4


def test_a_zipped_table_is_read_an_archive_of_several_refused(project: Callable[..., Settings], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("inner.csv", CSV)
        for name in (".DS_Store", "__MACOSX/._inner.csv", "._inner.csv"):
            archive.writestr(name, b"\0")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)

    assert_same(read(project("one.zip")))
    with pytest.raises(_tables.TableError, match=r"two\.zip holds 2 files"):
        read(project("two.zip"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "size;colour;target\n1,5;red;0\n2,0;blue;1\n;red;1\n4,25;;0\n", id="semicolons and decimal commas"
        ),
        pytest.param("size;colour;target\n1.5;red;0\n2.0;blue;1\n;red;1\n4.25;;0\n", id="semicolons"),
        pytest.param("size\tcolour\ttarget\n1.5\tred\t0\n2.0\tblue\t1\n\tred\t1\n4.25\t\t0\n", id="tabs"),
        pytest.param("size|colour|target\n1.5|red|0\n2|blue|1\n|red|1\n4.25||0", id="bars, no last line end"),
        pytest.param(" size, colour , target\n1.5, red, 0\n2.0, blue, 1\n?, red, 1\n4.25, ?, 0\n", id="spaces and ?"),
        pytest.param("size,colour,target\n1.5,red,0\n2.0,blue,1\nNA,red,1\n4.25,n/a,0\n", id="NA"),
        pytest.param('"size","colour","target"\r\n1.5,red,0\r\n2.0,blue,1\r\n,red,1\r\n4.25,,0\r\n', id="quotes, CRLF"),
        pytest.param("\ufeffsize,colour,target\n1.5,red,0\n2.0,blue,1\n,red,1\n4.25,,0\n", id="byte-order mark"),
        pytest.param("size,colour,target,\n1.5,red,0,\n2.0,blue,1,\n,red,1,\n4.25,,0,\n", id="separator at the end"),
        pytest.param("size,colour,target\n1.5,red,0,\n2.0,blue,1,\n,red,1,\n4.25,,0,\n", id="only below the header"),
        pytest.param("size,colour,target\n1.5,red,0\n\n2.0,blue,1\n,red,1\n4.25,,0\n\n\n", id="blank lines"),
    ],
)
def test_csv_in_its_dialects(project: Callable[..., Settings], tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_bytes(text.encode())

    frame = read(project("table.csv"))

    # Whether n/a is a word or a missing value is for the contract to say.
    assert_same(frame[list(TABLE.columns)].replace({"colour": {"n/a": np.nan}}))
    assert _snapshots.fetch("table.csv", settings=project("table.csv")).rows == 4


@pytest.mark.parametrize("position", [3, 60_000], ids=["in the sample", "beyond the sample"])
def test_text_that_is_not_utf_8_is_read_and_said(
    project: Callable[..., Settings], tmp_path: Path, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["plain"] * 70_000
    names[position] = "café"
    (tmp_path / "table.csv").write_bytes("\n".join(["name,target", *(f"{name},1" for name in names)]).encode("latin-1"))

    assert read(project("table.csv"))["name"][position] == "café"
    assert "table.csv is not UTF-8, so other bytes are read as Windows-1252" in caplog.text


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_parts_make_the_whole(project: Callable[..., Settings], tmp_path: Path, kind: str) -> None:
    table = pd.concat([TABLE] * 5, ignore_index=True)
    for path in (tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"):
        if kind == "json":
            table.to_json(path, orient="records", lines=True)
        else:
            getattr(table, f"to_{kind}")(path, index=False)
    snapshot = _snapshots.fetch(f"*.{kind}", settings=project(f"*.{kind}"))

    parts = list(_tables.batches([Path(path) for path in snapshot.paths], rows=8))

    assert [len(part) for part in parts] == [8, 8, 4] * 2
    assert_same(pd.concat(parts, ignore_index=True), _snapshots.load(snapshot))


def test_line_ends_within_quotes_are_no_rows(project: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('note,target\n"two\nlines",1\n"said ""hello""\n",0\nplain,1\n')

    snapshot = _snapshots.fetch("table.csv", settings=project("table.csv"))

    assert snapshot.rows == len(_snapshots.load(snapshot)) == 3


@pytest.mark.parametrize("lines", [True, False])
def test_json_by_lines_or_as_one_list(project: Callable[..., Settings], tmp_path: Path, lines: bool) -> None:
    TABLE.to_json(tmp_path / "table.json", orient="records", lines=lines)

    assert_same(read(project("table.json")))
    assert _snapshots.fetch("table.json", settings=project("table.json")).rows == 4


def test_parquet_keeps_types_and_a_saved_index_becomes_a_column(
    project: Callable[..., Settings], tmp_path: Path
) -> None:
    frame = TABLE.assign(
        when=pd.date_range("2026-01-31", periods=4),
        kind=pd.Categorical(["a", "b", "a", "b"]),
        day=[datetime.date(2026, 1, day) for day in range(1, 5)],
    )
    frame.index = pd.Index([10, 11, 12, 13], name="number")
    frame.to_parquet(tmp_path / "table.parquet")

    got = read(project("table.parquet"))

    assert list(got.columns) == [*frame.columns, "number"]
    assert list(got.index) == [0, 1, 2, 3]
    assert got.dtypes["when"].kind == got.dtypes["day"].kind == "M"
    assert got["kind"].dtype == "category"
    assert got["colour"].dtype == "str"


def test_an_index_without_a_name_is_no_column(project: Callable[..., Settings], tmp_path: Path) -> None:
    TABLE[TABLE["target"] == 1].to_parquet(tmp_path / "table.parquet")

    assert list(read(project("table.parquet")).columns) == list(TABLE.columns)


def test_a_folder_and_a_glob_are_read_in_sorted_order(project: Callable[..., Settings], tmp_path: Path) -> None:
    for month in (2, 1):
        TABLE.assign(month=month).to_parquet(tmp_path / f"m-{month}.parquet")
    (tmp_path / ".hidden.parquet").write_bytes(b"no table")
    (tmp_path / "README.md").write_text("no table")

    for source in (".", "m-*.parquet"):
        snapshot = _snapshots.fetch(source, settings=project(source))
        assert snapshot.rows == 8
        assert list(_snapshots.load(snapshot)["month"]) == [1] * 4 + [2] * 4


def test_types_that_hold_each_other_are_joined_others_read_as_text(
    project: Callable[..., Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    months = [
        {"whole": pa.array([1, 2]), "nothing": pa.nulls(2), "code": pa.array([7, 8])},
        {"code": pa.array(["A", "B"]), "whole": pa.array([0.5, None]), "nothing": pa.array(["x", "y"])},
    ]
    for number, columns in enumerate(months):
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")

    frame = read(project("*.parquet"))

    np.testing.assert_array_equal(frame["whole"], [1, 2, 0.5, np.nan])
    assert list(frame["nothing"][2:]) == ["x", "y"]
    assert list(frame["code"]) == ["7", "8", "A", "B"]
    assert "'code' is string" in caplog.text


def test_files_of_different_columns_are_refused(project: Callable[..., Settings], tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "a.csv", index=False)
    TABLE.rename(columns={"colour": "color"}).to_csv(tmp_path / "b.csv", index=False)

    with pytest.raises(_tables.ColumnsDifferError, match=r"b\.csv is without 'colour'.*a\.csv is without 'color'"):
        read(project("*.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n \n", "is empty", id="blank"),
        pytest.param(b"a,b,target\n", "has a header and no rows", id="header only"),
        pytest.param(b"a,b,target\n1,2,0\n1,2", "truncated.*2 of 3 fields", id="truncated CSV"),
        pytest.param(b'a,b,target\n1,2,0\n1,"2', "truncated.*within quotes", id="truncated in quotes"),
        pytest.param(gzip.compress(CSV.encode())[:-9], "truncated", id="truncated gzip"),
        pytest.param(b"PAR1" + bytes(100), "truncated", id="truncated Parquet"),
        pytest.param(b'{"a": 1}\n{"a": ', "cannot be read", id="truncated JSON"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(50), "binary", id="a picture"),
        pytest.param(b"<!DOCTYPE html><html>log in</html>", "web page", id="a web page"),
        pytest.param(b"a,b,c\n1,2,3\n1,2,3,4,5\n", "line 3", id="too many fields"),
        pytest.param(b"a,b\n1,2,3\n2,4,5\n", "2 column names and 3 fields", id="row names without a name"),
        pytest.param(b"a,b, a\n1,2,3\n", "'a'.*more than once|more than once.*'a'", id="duplicate columns"),
    ],
)
def test_what_is_no_table_is_refused_by_name(
    project: Callable[..., Settings], tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "table.csv").write_bytes(content)

    with pytest.raises(_tables.TableError, match=rf"(?s)table\.csv.*({message})"):
        read(project("table.csv"))


@pytest.mark.parametrize("header", ["a,b,a", "a,b,a ", ' "a",b,a'])
def test_duplicate_names_are_refused_in_parts_too(tmp_path: Path, header: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"{header}\n1,2,3\n")

    with pytest.raises(_tables.DuplicateColumnsError, match="'a'"):
        list(_tables.batches([table], rows=8))


def test_a_missing_source_has_the_nearest_names(project: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(CSV)
    (tmp_path / "empty").mkdir()

    for source, message in {
        "tabel.csv": r"tabel\.csv .*does not exist.*table\.csv",
        "nowhere/table.csv": "Nor does the folder",
        "*.parquet": "does not exist",
        "empty": "holds no table",
    }.items():
        with pytest.raises(SourceError, match=message):
            _snapshots.fetch(source, settings=project(source))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("table.csv", "table.csv"),
        ("{as_of:%Y-%m}.parquet", "2026-03.parquet"),
        ("{as_of-1month:%Y-%m}.parquet", "2026-02.parquet"),
        ("{as_of + 1 month:%Y/%m/%d}", "2026/04/30"),
        ("{as_of-1day:%d}-{as_of+2weeks:%d}-{as_of-1year:%Y}", "30-14-2025"),
        ("a{{b}}-{as_of:%H}", "a{b}-23"),
    ],
)
def test_dates_in_the_source(source: str, expected: str) -> None:
    assert str(_snapshots.resolve(source, as_of=datetime.datetime(2026, 3, 31, 23, 30))) == expected


@pytest.mark.parametrize(
    "source", ["{date:%Y}", "{as_of}", "{as_of:month}", "{as_of-1moon:%Y}", "{as_of:%Y", "{0}", "a}"]
)
def test_a_date_that_is_none_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError, match="as_of-1month"):
        _snapshots.resolve(source, as_of=None)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Keep a database of one table of 120,000 rows: three chunks, whose types differ."""
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("create table orders (id integer, amount real, note text, target integer)")
    rows = ((n, None if n < 60_000 else n / 2, "late" if n > 110_000 else None, n % 2) for n in range(120_000))
    connection.executemany("insert into orders values (?, ?, ?, ?)", rows)
    connection.commit()
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "query",
    [
        None,
        "orders",
        "main.orders",
        "select *, 'at :noon' as at from orders where note is null or note = 'late'",
    ],
)
def test_a_database_is_streamed(project: Callable[..., Settings], shop: sqlite3.Connection, query: str | None) -> None:
    frame = read(project("sqlite:///shop.db", query=query))

    assert len(frame) == 120_000
    assert frame["amount"].isna().sum() == 60_000
    assert frame["amount"].iloc[-1] == 119_999 / 2
    assert frame["note"].iloc[-1] == "late"
    assert frame["id"].dtype == "int64"


def test_a_watermark_tells_whether_to_read_a_database_again(
    project: Callable[..., Settings], shop: sqlite3.Connection
) -> None:
    without = project("sqlite:///shop.db")
    _snapshots.fetch("sqlite:///shop.db", settings=without)
    assert _snapshots.fingerprint("sqlite:///shop.db", settings=without) is None

    settings = project("sqlite:///shop.db", watermark="select max(id) from orders")
    assert _snapshots.fingerprint("sqlite:///shop.db", settings=settings) is None
    first = _snapshots.fetch("sqlite:///shop.db", settings=settings)
    assert _snapshots.fingerprint("sqlite:///shop.db", settings=settings) == first.fingerprint
    shop.execute("update orders set note = 'unseen' where id = 1")
    shop.commit()
    assert _snapshots.fetch("sqlite:///shop.db", settings=settings) == first
    shop.execute("insert into orders values (200000, 1, 'new', 1)")
    shop.commit()
    assert _snapshots.fingerprint("sqlite:///shop.db", settings=settings) is None
    assert _snapshots.fetch("sqlite:///shop.db", settings=settings).rows == first.rows + 1


def test_only_the_last_states_of_a_source_are_kept(project: Callable[..., Settings], shop: sqlite3.Connection) -> None:
    settings = project("sqlite:///shop.db", query="select * from orders limit 5")
    for _ in range(5):
        _snapshots.fetch("sqlite:///shop.db", settings=settings)

    (source,) = (settings.root / "data" / "snapshots").iterdir()
    assert len(list(source.iterdir())) == 3


@pytest.mark.parametrize(
    ("source", "query", "message"),
    [
        ("sqlite:///shp.db", None, r"shp\.db .*does not exist"),
        ("sqlite:///shop.db", "ordres", "no such table"),
        ("sqlite:///shop.db", "selec 1", "syntax error"),
        ("sqlite:///shop.db", "select * from orders where id < 0", "has no rows"),
        ("sqlite:///shop.db", "select a.*, b.* from orders a join orders b using (id)", "more than once"),
    ],
)
def test_a_database_that_gives_no_table_is_named(
    project: Callable[..., Settings], shop: sqlite3.Connection, source: str, query: str | None, message: str
) -> None:
    with pytest.raises((SourceError, _tables.TableError), match=message):
        _snapshots.fetch(source, settings=project(source, query=query))
    assert not list((project().root / "data" / "snapshots").rglob("*.parquet"))


def test_without_a_query_the_tables_of_a_database_are_named(
    project: Callable[..., Settings], shop: sqlite3.Connection
) -> None:
    shop.execute("create table customers (id integer)")
    with pytest.raises(ConfigurationError, match=r"data\.query.*customers, orders"):
        _snapshots.fetch("sqlite:///shop.db", settings=project("sqlite:///shop.db"))


@pytest.mark.parametrize("source", ["nosuch://host/table", "s5://bucket/table.csv", "postgresql+nosuch://host/db"])
def test_a_url_that_nothing_knows_is_a_configuration_error(project: Callable[..., Settings], source: str) -> None:
    with pytest.raises(ConfigurationError, match=source.partition("://")[0].partition("+")[0]):
        _snapshots.fetch(source, settings=project(source))


def test_no_secret_of_a_url_is_shown(project: Callable[..., Settings]) -> None:
    """Port 9 of this machine, where nothing listens."""
    source = "postgresql+psycopg://reader:hunter2@127.0.0.1:9/shop?sslkey=hunter2"
    with pytest.raises((SourceError, ConfigurationError)) as caught:
        _snapshots.fetch(source, settings=project(source))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


class _Store(http.server.ThreadingHTTPServer):
    """A web server of one file, which counts how often it is got."""

    def __init__(self) -> None:
        self.content, self.etag, self.gets, self.cut = CSV.encode(), '"1"', 0, 0
        self.changing = False
        super().__init__(("127.0.0.1", 0), _StoreHandler)

    @property
    def source(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/table.csv?token=hunter2"


class _StoreHandler(http.server.BaseHTTPRequestHandler):
    server: _Store

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self.server.gets += "Range" not in self.headers
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        found = self.path == "/table.csv?token=hunter2"
        self.send_response(200 if found else 403 if "refused" in self.path else 404)
        self.send_header("Content-Length", str(len(self.server.content) if found else 0))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()
        if body and found:
            self.wfile.write(self.server.content[: len(self.server.content) - self.server.cut])
            self.close_connection = True
            if self.server.changing:
                self.server.etag = '"3"'

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def store() -> Iterator[_Store]:
    """Run a web server on a free port."""
    pytest.importorskip("aiohttp", reason="the extra `http` is not installed")
    with _Store() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_unchanged_address_is_fetched_once_a_changed_one_again(
    project: Callable[..., Settings], store: _Store
) -> None:
    settings = project(store.source)
    first, again = (_snapshots.fetch(store.source, settings=settings) for _ in range(2))
    gets = store.gets
    store.content, store.etag = CSV.replace("red", "tan").encode(), '"2"'
    changed = _snapshots.fetch(store.source, settings=settings)

    assert first == again
    assert gets == 1
    assert first.fingerprint != changed.fingerprint
    assert "tan" in set(_snapshots.load(changed)["colour"])
    assert "hunter2" not in json.dumps([first.source, *first.paths])
    assert first.digest == hashlib.sha256(CSV.encode()).hexdigest()


def test_a_server_that_says_nothing_about_its_state_is_asked_every_time(
    project: Callable[..., Settings], store: _Store
) -> None:
    store.etag = ""
    for _ in range(2):
        _snapshots.fetch(store.source, settings=project(store.source))

    assert store.gets == 2
    assert _snapshots.fingerprint(store.source, settings=project(store.source)) is None


def test_what_changes_during_the_download_is_not_kept(project: Callable[..., Settings], store: _Store) -> None:
    store.changing = True
    with pytest.raises(SourceUnavailable, match="changed while it was fetched"):
        _snapshots.fetch(store.source, settings=project(store.source))

    assert not list((project().root / "data" / "snapshots").rglob("*table*"))


def test_half_a_download_is_never_read(project: Callable[..., Settings], store: _Store) -> None:
    store.cut = 10
    with pytest.raises(SourceUnavailable) as caught:
        _snapshots.fetch(store.source, settings=project(store.source))

    assert "hunter2" not in str(caught.value)
    assert not list((project().root / "data" / "snapshots").rglob("*table*"))


def test_what_a_server_refuses_is_not_tried_again(project: Callable[..., Settings], store: _Store) -> None:
    for path, message in {"missing.csv": "does not exist", "refused.csv": "cannot be read"}.items():
        source = store.source.replace("table.csv", path)
        with pytest.raises(SourceError, match=message) as caught:
            _snapshots.fetch(source, settings=project(source))
        assert not isinstance(caught.value, SourceUnavailable)
        assert "hunter2" not in str(caught.value)


def test_dates_of_a_query_are_filled_in_and_other_braces_stay() -> None:
    moment = datetime.datetime(2026, 11, 10, tzinfo=datetime.UTC)
    query = "SELECT * FROM t WHERE day > '{as_of-7days:%Y-%m-%d}'"

    assert fill_in_query(query, as_of=moment) == "SELECT * FROM t WHERE day > '2026-11-03'"
    assert fill_in_query("SELECT '{}'", as_of=moment) == "SELECT '{}'"
    assert fill_in_query(None, as_of=moment) is None
    with pytest.raises(ConfigurationError, match="dates of the query"):
        fill_in_query("SELECT {as_of-7lots:%Y}", as_of=moment)
