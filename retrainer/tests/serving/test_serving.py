"""Predictions over HTTP: equal to those of the project itself, of one whole version, and refused with a reason."""

import io
import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from retrainer import data, monitoring
from retrainer.locations import Location
from retrainer.registry import Registry, Version, open_registry
from retrainer.serving import _app, create_app
from retrainer.serving._log import RequestLog
from retrainer.settings import Settings
from retrainer.training import Model, load_model

from ..conftest import ENV_PREFIX, make_pipeline, now

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"


def promote(settings: Settings, *, seed: int) -> Version:
    """Put a model of half the rows into production."""
    registry = open_registry(settings)
    rows = data.load(data.fetch(settings.data.source, settings=settings)).sample(frac=0.5, random_state=seed)
    learned = data.prepare(rows, settings=settings, code=data.current_code(now()))
    pipeline = make_pipeline("linear", problem_type=settings.problem_type, seed=seed)
    model = Model(pipeline, learned.contract, learned.code)
    pipeline.fit(model.inputs(learned.rows), learned.rows[learned.contract.target])
    before = registry.champion()
    version = registry.stage(
        pipeline, metrics={settings.metric: 0.5}, lineage={}, files=model.files(learned.identities)
    )
    held = registry.decisions()[-1].held if before else ()
    decision = {"verdict": "promoted", "reason": "A test."}
    registry.record(version, decision, expected_champion=before, expected_held=held)
    return version


@pytest.fixture
def rows(settings: Settings) -> pd.DataFrame:
    return pd.read_csv(settings.root / "table.csv").drop(columns="target").head(50)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return open_registry(settings)


@pytest.fixture
def version(settings: Settings) -> Version:
    return promote(settings, seed=1)


@pytest.fixture
def client(settings: Settings, version: Version, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of an application that looks for another champion twenty times a second."""
    monkeypatch.setattr(_app, "REFRESH_SECONDS", 0.05)
    with TestClient(create_app(now())) as client:
        yield client


def as_json(rows: pd.DataFrame) -> Any:
    """Return rows as clients send them: null where a value is missing."""
    return json.loads(rows.to_json(orient="records", double_precision=15))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in the background."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited 30 s in vain"
        time.sleep(0.01)


def test_every_way_gives_the_same_predictions(
    settings: Settings, registry: Registry, version: Version, client: TestClient, rows: pd.DataFrame
) -> None:
    model = load_model(registry, version, project=now())
    table, _ = monitoring.score_batch(model, rows, version=version.id)
    expected = table.column("prediction").to_pylist()
    parquet = io.BytesIO()
    rows.to_parquet(parquet, index=False)

    answers = [
        client.post("/predict", json=as_json(rows)),
        client.post("/predict", json={"rows": as_json(rows)}),
        client.post("/predict", content=rows.to_csv(index=False), headers={"content-type": CSV}),
        client.post("/predict", content=parquet.getvalue(), headers={"content-type": PARQUET}),
    ]

    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.json()["version"] == version.id
        assert answer.json()["predictions"] == expected
        if settings.problem_type == "classification":
            shares = [row["yes"] for row in answer.json()["probabilities"]]
            assert shares == table.column("probability_yes").to_pylist()
        else:
            assert "probabilities" not in answer.json()
    one = client.post("/predict", json=as_json(rows.head(1))[0])
    assert np.allclose(
        [row == expected[0] for row in one.json()["predictions"]]
        if settings.problem_type == "classification"
        else np.array(one.json()["predictions"]) / expected[0],
        1,
        rtol=1e-12,
    )


classification = pytest.mark.parametrize("settings", ["classification"], indirect=True)

ROW = {"usage": 0.5, "age": 30, "plan": "pro"}
REFUSED = {
    "no JSON": (b"{", 400, None, "not JSON"),
    "NaN": (b'{"usage": NaN, "age": 1, "plan": "pro"}', 400, None, "missing value is null"),
    "deep": (b"[" * 100_000, 400, None, "not JSON"),
    "not UTF-8": (b'"\xff"', 400, None, "not JSON"),
    "a number": (b"1", 422, None, "expected an object"),
    "no rows": (b"[]", 422, None, "no rows"),
    "a column missing": ({"usage": 1, "plan": "pro"}, 422, "age", "missing"),
    "a column too many": (ROW | {"colour": "red"}, 422, "colour", "not known"),
    "a word for a number": (ROW | {"usage": "much"}, 422, "usage", "expected number, not 'much'"),
    "a truth for a number": (ROW | {"usage": True}, 422, "usage", "expected number"),
    "a list": (ROW | {"usage": [1]}, 422, "usage", "expected number"),
    "an object": (ROW | {"plan": {"a": 1}}, 422, "plan", "expected text"),
    "too large a number": (b'{"usage": 1e999, "age": 1, "plan": "pro"}', 422, "usage", "expected number"),
    "far too large": (b'{"usage": 1' + b"0" * 999 + b', "age": 1, "plan": "a"}', 422, "usage", "expected"),
    "rows that are none": ({"rows": 5}, 422, None, "expected an object"),
    "infinite text": (ROW | {"usage": "-inf"}, 422, "usage", "expected a finite number"),
    "other columns": ([ROW, {"usage": 1}], 422, "age", "in some rows only"),
}


@classification
@pytest.mark.parametrize(("body", "status", "column", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused_with_column_and_reason(
    client: TestClient, body: Any, status: int, column: str | None, reason: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body)

    answer = client.post("/predict", content=content, headers={"content-type": "application/json"})

    assert answer.status_code == status, answer.text
    problem = answer.json()["detail"][0]
    assert problem.get("column") == column
    assert reason in problem["reason"]
    assert client.post("/predict", json=ROW).status_code == 200


@classification
def test_files_that_do_not_fit_are_refused(client: TestClient) -> None:
    def post(content: bytes, kind: str) -> tuple[int, str]:
        answer = client.post("/predict", content=content, headers={"content-type": kind})
        return answer.status_code, answer.text

    status, said = post(b"usage,age,plan\n0.5,old,pro\n", CSV)
    assert status == 422
    assert json.loads(said)["detail"][0] == {
        "column": "age",
        "row": 0,
        "reason": "expected number, not 'old'",
    }
    status, said = post(b"usage,age,plan\n0.5,3,pro\n1e400,3,pro\n", CSV)
    assert (status, json.loads(said)["detail"]) == (
        422,
        [{"column": "usage", "row": 1, "reason": "expected a finite number"}],
    )
    assert post(b"", CSV)[0] == 422
    assert post(b"\x00\x01\x02", PARQUET)[0] == 422
    assert post(b"\x1f\x8b\x08", CSV)[0] == 415
    assert post(b"usage", "image/png")[0] == 415
    assert "/tmp" not in post(b'usage,age\n"1,2\n', CSV)[1]


@classification
def test_limits_of_body_and_rows(
    settings: Settings, version: Version, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MAX_BYTES": "4000", "MAX_ROWS": "10"}.items():
        monkeypatch.setenv(f"{ENV_PREFIX}SERVING__{name}", value)
    parquet = io.BytesIO()
    rows.to_parquet(parquet, index=False)
    with TestClient(create_app(now())) as client:
        assert client.post("/predict", json=as_json(rows.head(10))).status_code == 200
        for content, kind, limit in (
            (json.dumps(as_json(rows.head(11))), "application/json", "max_rows"),
            (rows.head(11).to_csv(index=False), CSV, "max_rows"),
            (
                parquet.getvalue()[:4000] if len(parquet.getvalue()) > 4000 else parquet.getvalue(),
                PARQUET,
                "",
            ),
            (" " * 4001, "application/json", "max_bytes"),
            (iter([b" " * 3000] * 9), "application/json", "max_bytes"),
        ):
            answer = client.post("/predict", content=content, headers={"content-type": kind})
            assert answer.status_code == 413 or not limit, answer.text
            assert limit in answer.text


@classification
@pytest.mark.parametrize("as_categories", [True, False])
@pytest.mark.parametrize("kind", ["text", "list"])
def test_a_small_body_with_a_large_table_is_refused_before_it_is_decoded(
    client: TestClient, kind: str, as_categories: bool
) -> None:
    count = 9000
    repeated = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), ["x" * 100_000])
    lists = pa.ListArray.from_arrays([0, *[20_000_000] * count], pa.nulls(20_000_000, pa.int8()))
    columns = {
        "usage": np.zeros(count),
        "age": np.zeros(count),
        "plan": repeated if kind == "text" else lists,
    }
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body, store_schema=as_categories)
    assert len(body.getvalue()) < 1_000_000
    columns.clear()
    del repeated, lists
    peak = pa.default_memory_pool().max_memory()

    answer = client.post("/predict", content=body.getvalue(), headers={"content-type": PARQUET})

    assert answer.status_code == 413, answer.text[:1000]
    assert "decompressed (serving.max_bytes)" in answer.text
    assert pa.default_memory_pool().max_memory() - peak < 100_000_000


@pytest.mark.parametrize(
    ("host", "token", "warned"),
    [
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("0.0.0.0", "secret", False),
        ("127.0.0.1", "", False),
        ("localhost", "", False),
    ],
)
@classification
def test_serving_to_others_without_a_token_is_warned_of(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    host: str,
    token: str,
    warned: bool,
) -> None:
    monkeypatch.setattr(_app.uvicorn, "run", lambda *_, **__: None)
    monkeypatch.setenv(f"{ENV_PREFIX}SERVING__HOST", host)
    monkeypatch.setenv(f"{ENV_PREFIX}SERVING__TOKEN", token)

    _app.run(now())

    assert (f"{ENV_PREFIX}SERVING__TOKEN" in caplog.text) == warned


@classification
def test_1000_hostile_requests_are_each_a_4xx_and_harm_nothing(client: TestClient) -> None:
    rng = random.Random(0)
    values: list[Any] = [
        None,
        "x",
        "",
        [],
        {},
        True,
        -1,
        2**70,
        1e308,
        "1e999",
        "NaN",
        "\x00",
        "é" * 999,
        [[]],
    ]
    ends = set()
    for _ in range(1000):
        row = {
            name: rng.choice([*values, ROW[name]])
            for name in rng.sample([*ROW, "other"], rng.randint(1, 3))
            if name in ROW
        } | ({"other": 1} if rng.random() < 0.3 else {})
        body = json.dumps(rng.choice([row, [row, ROW], {"rows": row}, [row] * 3])).encode()
        if rng.random() < 0.3:
            at = rng.randrange(len(body))
            body = body[:at] + bytes([rng.randrange(256)]) + body[at + rng.randint(0, 4) :]
        kind = rng.choice(["application/json"] * 4 + [CSV, PARQUET, "", "text/plain"])
        answer = client.post("/predict", content=body, headers={"content-type": kind})
        ends.add(answer.status_code)
        assert answer.status_code == 200 or (400 <= answer.status_code < 500 and answer.json()["detail"]), body
    assert {400, 415, 422} <= ends
    assert client.post("/predict", json=ROW).status_code == 200


@classification
def test_promotion_and_rollback_are_served(
    settings: Settings, registry: Registry, version: Version, client: TestClient
) -> None:
    def served() -> str:
        answer = client.post("/predict", json=ROW)
        assert answer.status_code == 200
        return str(answer.json()["version"])

    assert served() == version.id
    second = promote(settings, seed=2)
    until(lambda: served() == second.id)
    registry.rollback()
    until(lambda: served() == version.id)

    third = promote(settings, seed=3)
    until(lambda: served() == third.id)


@classification
def test_without_a_model_that_can_be_loaded_the_server_waits_and_says_why(
    settings: Settings, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_app, "REFRESH_SECONDS", 0.05)
    file = settings.root / "models" / "versions" / version.id / "model.joblib"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with TestClient(create_app(now())) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == client.post("/predict", json=ROW).status_code == 503
        assert version.id in client.get("/ready").json()["detail"][0]["reason"]
        file.write_bytes(whole)
        until(lambda: client.get("/ready").status_code == 200)


@classification
def test_a_champion_that_cannot_be_loaded_leaves_the_one_before_and_says_so(
    settings: Settings, version: Version, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Callable[..., Any] = Registry.load_model

    def damaged(self: Registry, found: Version) -> Any:
        file = settings.root / "models" / "versions" / found.id / "model.joblib"
        file.write_bytes(file.read_bytes()[:-1])
        return load(self, found)

    monkeypatch.setattr(Registry, "load_model", damaged)
    second = promote(settings, seed=2)
    until(lambda: bool(client.get("/ready").json()["trouble"]))

    assert second.id in client.get("/ready").json()["trouble"]
    assert client.post("/predict", json=ROW).json()["version"] == version.id
    assert "champion_not_loaded 1.0" in client.get("/metrics").text


@classification
def test_the_model_its_metrics_and_the_schema(settings: Settings, version: Version, client: TestClient) -> None:
    client.post("/predict", json=[ROW, ROW])
    client.post("/predict", json={})

    model = client.get("/model").json()
    assert (model["version"], model["metrics"]) == (version.id, {settings.metric: 0.5})
    assert (model["decision"]["verdict"], model["decision"]["reason"]) == ("promoted", "A test.")
    assert model["trouble"] is None

    metrics = client.get("/metrics").text
    assert 'requests_total{path="/predict",status="200"} 1.0' in metrics
    assert 'requests_total{path="/predict",status="422"} 1.0' in metrics
    assert f'predicted_rows_total{{version="{version.id}"}} 2.0' in metrics

    schema = client.get("/openapi.json").json()
    row = schema["components"]["schemas"]["Row"]
    assert list(row["properties"]) == ["usage", "age", "plan"] == row["required"]
    assert "number" in row["properties"]["usage"]["type"]
    assert set(schema["paths"]["/predict"]["post"]["requestBody"]["content"]) == {
        "application/json",
        CSV,
        PARQUET,
    }


@classification
def test_with_a_token_only_who_sends_it_is_answered(
    settings: Settings, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}SERVING__TOKEN", "a-secret-of-clients")
    protected = now()
    assert "a-secret-of-clients" not in repr(protected) + repr(protected.settings)
    with TestClient(create_app(protected)) as client:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic a-secret-of-clients"},
        ):
            for path in ("/model", "/metrics", "/openapi.json"):
                assert client.get(path, headers=headers).status_code == 401
            assert client.post("/predict", json=ROW, headers=headers).status_code == 401
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
        allowed = {"authorization": "Bearer a-secret-of-clients"}
        assert client.post("/predict", json=ROW, headers=allowed).status_code == 200


@classification
def test_names_of_columns_are_as_a_file_may_have_them(client: TestClient) -> None:
    padded = {f" {name} ": value for name, value in ROW.items()}

    answer = client.post("/predict", json=[padded, padded])

    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == client.post("/predict", json=[ROW, ROW]).json()["predictions"]


class Later(ThreadPoolExecutor):
    """Runs nothing before it is told to."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def submit(self, function: Any) -> Any:  # type: ignore[override]
        self.due.append(function)


@classification
def test_rows_that_come_while_a_file_is_written_wait_for_the_next(
    settings: Settings, tmp_path: Path, rows: pd.DataFrame
) -> None:
    folder = tmp_path / "log"
    log = RequestLog(Location(str(folder)), settings=settings, rows=40)
    log._writer = later = Later()
    due = []
    for number in range(8):
        log.add(rows.head(20), pd.Series(["no"] * 20), version="v")
        due.append(len(later.due))
        if number == 4:
            later.due[0]()

    assert due == [0, 1, 1, 1, 1, 1, 2, 2]
    (file,) = folder.glob("*.parquet")
    assert pq.read_metadata(file).num_rows == 100


@classification
def test_requests_are_kept_as_a_table_that_monitor_reads(
    settings: Settings,
    version: Version,
    rows: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    registry: Registry,
) -> None:
    for name, value in {"LOG": "requests", "LOG_ROWS": "40"}.items():
        monkeypatch.setenv(f"{ENV_PREFIX}SERVING__{name}", value)
    folder: Path = settings.root / "requests"
    with TestClient(create_app(now())) as client:
        answer = client.post("/predict", json=as_json(rows))
        until(lambda: folder.exists() and len(list(folder.glob("*.parquet"))) == 1)
        client.post("/predict", content=rows.to_csv(index=False), headers={"content-type": CSV})
        client.post("/predict", json={})
    kept = pd.concat([pq.read_table(path).to_pandas() for path in sorted(folder.glob("*.parquet"))])

    assert len(kept) == 100
    assert set(kept["model_version"]) == {version.id}
    assert kept["prediction"].head(50).tolist() == answer.json()["predictions"]
    model = load_model(registry, version, project=now())
    texts = model.contract.texts
    read = data.load(data.fetch(Location("requests"), settings=settings), texts=texts)
    assert model.predict(read).labels.tolist() == answer.json()["predictions"] * 2
