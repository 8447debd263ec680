"""A location shows where something is, never its secrets; and opens what it names."""

import pickle

import pytest

from retrainer.errors import ConfigurationError
from retrainer.locations import Location
from retrainer.settings import Settings

from .conftest import ENV_PREFIX, load_settings

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@host/db?sslmode=on", "postgresql://me:***@host/db?sslmode=on"),
        ("postgresql://me:a/hunter2#b?c@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:a@hunter2@host/db", "postgresql://me:***@host/db"),
        ("postgresql:/me:hunter2@host/db", "postgresql:/me:***@host/db"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dhunter2", "mssql+pyodbc:///?odbc_connect=***"),
        ("https://hunter2@host/table.csv", "https://***@host/table.csv"),
        ("https://hunter2:x-oauth-basic@host/table.csv", "https://***@host/table.csv"),
        ("https://host/table.csv?code=hunter2&month=3", "https://host/table.csv?code=***&month=3"),
        ("https://host/table.csv?hunter2", "https://host/table.csv?***"),
        ("https://host/table.csv#key=hunter2", "https://host/table.csv#key=***"),
        ("s3://bucket/a.csv?X-Amz-Signature=hunter2;a=1", "s3://bucket/a.csv?X-Amz-Signature=***;a=***"),
        ("zip://a.csv::https://me:hunter2@host/a.zip", "zip://a.csv::https://***@host/a.zip"),
        ("sftp://me:hunter2@host:22/{as_of:%H:%M}@a.csv", "sftp://me:***@a.csv"),
    ],
)
def test_a_secret_is_in_nothing_that_is_shown(text: str, shown: str) -> None:
    location = Location(text)

    assert str(location) == f"{location}" == shown
    assert SECRET not in repr(location) + repr([location])
    assert location.has_secret
    assert location.reveal() == pickle.loads(pickle.dumps(location)).reveal() == text


@pytest.mark.parametrize(
    "text",
    [
        "sample",
        "data/*.csv",
        "a@b:c.csv",
        "s3://bucket/a@b.csv",
        "abfs://container@account.dfs.core.windows.net/table.parquet",
        "postgresql://me@host:5432/db?sslmode=require",
        "postgresql://me:${PASSWORD}@host/db",
        "https://host/{as_of:%Y-%m}.csv?period={as_of-1month:%Y-%m}",
        "sqlite:///folder/a:b@c.db",
    ],
)
def test_what_is_no_secret_is_shown_as_it_stands(text: str) -> None:
    assert str(Location(text)) == text
    assert not Location(text).has_secret


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("postgresql://me:${PASSWORD}@host/db", "postgresql://me:a%2Fb%40%23%3Fc@host/db"),
        ("https://host/a.csv?token=${PASSWORD}", "https://host/a.csv?token=a%2Fb%40%23%3Fc"),
        ("data/${PASSWORD}.csv", "data/a/b@#?c.csv"),
    ],
)
def test_a_variable_of_the_environment_is_filled_in_where_it_is_used_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, text: str, opened: str
) -> None:
    monkeypatch.setenv("PASSWORD", "a/b@#?c")

    location = Location(text)

    assert location.reveal() == opened
    assert str(location) == text
    assert "a/b@#?c" not in location.hide(f"cannot log in with a/b@#?c at {opened}")


def test_a_variable_may_hold_the_whole_location(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@host/db")

    location = Location("${DATABASE_URL}")

    assert location.is_url
    assert location.reveal() == "postgresql://me:hunter2@host/db"
    assert SECRET not in location.hide(f"cannot log in with hunter2 at {location.reveal()}") + str(location)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSWORD", raising=False)

    with pytest.raises(ConfigurationError, match="PASSWORD, which is not set"):
        Location("postgresql://me:${PASSWORD}@host/db").reveal()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgresql://me:hunter2%21@host/db", "login failed: hunter2!"),
        ("postgresql://me:hunter2%21@host/db", "could not parse postgresql://me:hunter2%21@host/db"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3D{hunter2}", "the password hunter2 is wrong"),
        ("https://host/a.csv?token=hunter2", "GET /a.csv?token=hunter2 gave 403"),
    ],
)
def test_the_words_of_a_driver_are_repeated_without_the_secret(text: str, words: str) -> None:
    assert SECRET not in Location(text).hide(words)


def test_settings_show_no_secret_however_they_are_printed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://me:{SECRET}@host/db"
    names = ("DATA__SOURCE", "SPLIT__SOURCE", "SCORE__SOURCE", "MONITOR__SOURCE", "REGISTRY__PATH")
    for name in (*names, "SCORE__FOLDER"):
        monkeypatch.setenv(ENV_PREFIX + name, url)

    found = load_settings()

    assert found.data.source.reveal() == url
    shown = repr(found) + str(found) + found.model_dump_json() + str(found.model_dump())
    assert SECRET not in shown
    monkeypatch.setenv(f"{ENV_PREFIX}DATA__SOURCES", url)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert SECRET not in str(refused.value)
