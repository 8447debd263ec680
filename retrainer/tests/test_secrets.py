"""A password is planted in every place it can be given; nothing that anybody can read has it."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from churn.flows import monitor, retrain, score
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from retrainer.cli import _doctor as doctor
from retrainer.errors import ProjectError
from retrainer.settings import Settings

from .conftest import PROJECT, Receiver, load_settings, make_table, run_command_line, use

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)

SECRET = "hunter2-is-planted"

Search = Callable[[], list[str]]


@pytest.fixture
def hits(
    settings: Settings,
    receiver: Receiver,
    prefect_api: str,
    server_home: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Search]:
    """Return a function that names what holds the secret, of all that anybody can read."""

    def search() -> list[str]:
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all()
        texts = {"logs": caplog.text, "terminal": "".join(capsys.readouterr())}
        texts["messages"] = str(receiver.payloads)
        for what in ("logs", "artifacts", "flow_runs", "task_runs"):
            texts[f"/{what}"] = httpx.post(f"{prefect_api}/{what}/filter", json={}, timeout=30).text
        found = [name for name, text in texts.items() if SECRET in text]
        with sqlite3.connect(server_home / "prefect.db") as database:
            found += ["Prefect's database"] * any(SECRET in line for line in database.iterdump())
        database.close()
        files = [path for path in settings.root.rglob("*") if path.is_file()]
        return found + [str(path) for path in files if SECRET.encode() in path.read_bytes()]

    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}):
        yield search


@pytest.fixture
def database(settings: Settings) -> Path:
    """Return a SQLite database with the project's table."""
    path = settings.root / "table.db"
    connection = sqlite3.connect(path)
    make_table("classification").to_sql("customers", connection, index=False)
    connection.close()
    return path


@pytest.mark.parametrize("given", ["setting", "variable", "Prefect Secret block"])
def test_a_password_in_a_source_is_nowhere_to_be_read(
    settings: Settings,
    hits: Search,
    database: Path,
    prefect_api: str,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    password = {"setting": SECRET, "variable": "${DB_PASSWORD}"}.get(given, "${prefect.secret:planted}")
    if given == "Prefect Secret block":
        from prefect.blocks.system import Secret

        Secret(value=SECRET).save("planted", overwrite=True)
    source = f"sqlite:///{database}?password={password}"
    use(monkeypatch, DATA__SOURCE=source, DATA__QUERY="customers")

    retrain(), score(), monitor()
    assert [check.found for check in doctor.examine(PROJECT) if check.name == "data source"] == [
        f"{load_settings().data.source}, read again by every run"
    ]
    use(monkeypatch, DATA__QUERY="nothing")
    with pytest.raises(ProjectError):
        retrain()
    database.unlink()
    with pytest.raises(ProjectError, match=r"table\.db"):
        score()
    print(json.dumps([vars(check) for check in doctor.examine(PROJECT)]), load_settings())

    assert hits() == []
    assert httpx.post(f"{prefect_api}/logs/filter", json={}, timeout=30).json(), "there was nothing to search"


@pytest.mark.parametrize(
    "place", ["SPLIT__SOURCE", "SCORE__SOURCE", "MONITOR__SOURCE", "REGISTRY__PATH", "SCORE__FOLDER"]
)
def test_a_password_in_any_other_place_is_nowhere_to_be_read(
    settings: Settings, hits: Search, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    retrain()
    scheme = "s3" if place in ("REGISTRY__PATH", "SCORE__FOLDER") else "nonsense"
    use(
        monkeypatch,
        **{place: f"{scheme}://me:{SECRET}@127.0.0.1:port/x?key={SECRET}", "SPLIT__METHOD": "source"},
    )
    if place != "SPLIT__SOURCE":
        use(monkeypatch, SPLIT__METHOD="hash")

    flow = {"SPLIT__SOURCE": retrain, "REGISTRY__PATH": retrain, "MONITOR__SOURCE": monitor}.get(place, score)
    with pytest.raises(ProjectError):
        flow()
    print(doctor.examine(PROJECT), load_settings())

    assert hits() == []


@pytest.mark.parametrize("flow", ["retrain", "score", "monitor"])
def test_a_password_in_a_parameter_is_refused_before_prefect_sees_it(
    settings: Settings, hits: Search, monkeypatch: pytest.MonkeyPatch, flow: str
) -> None:
    monkeypatch.setattr("sys.argv", ["command", flow, "--source", f"postgresql://me:{SECRET}@host/db"])

    with pytest.raises(SystemExit) as ended:
        run_command_line()

    assert ended.value.code == 2
    assert hits() == []


def test_a_run_started_through_the_api_with_a_password_is_refused_and_its_record_cleaned(
    settings: Settings, hits: Search, receiver: Receiver
) -> None:
    with pytest.raises(ProjectError, match=r"postgresql://me:\*\*\*@host/db .*\$\{NAME\}"):
        retrain(source=f"postgresql://me:{SECRET}@host/db")

    assert "${NAME}" in receiver.payloads[-1]["message"]
    assert hits() == []
