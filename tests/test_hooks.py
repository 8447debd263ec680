"""The hooks as functions: which answers they refuse, with what words, and what they leave out."""

import importlib.util
import json
import keyword
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import PROMPTS, TEMPLATE


def load(name: str) -> ModuleType:
    """Import a hook as it stands in the template, its answers not yet rendered."""
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pre = load("pre_gen_project")
post = load("post_gen_project")

GOOD = {name: value[0] if isinstance(value, list) else value for name, value in PROMPTS.items()}
GOOD |= {"project_slug": "ml-retraining", "package_name": "ml_retraining"}


def test_good_answers_pass() -> None:
    assert list(pre.errors(GOOD | {"_private": "", "__private": "\n"})) == []


@pytest.mark.parametrize("value", ["customers<#", "a<%raw%>", "<< 6 * 7 >>"])
def test_an_answer_that_was_filled_in_as_a_template_is_refused(value: str) -> None:
    (error,) = pre.mark_errors(PROMPTS | {"data_source": value})

    assert error.startswith(f"data_source is {value!r}")


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize(("value", "words"), [("", "is empty"), (" \t", "is empty"), ("a\nb", "line break")])
def test_no_answer_is_empty_or_has_two_lines(prompt: str, value: str, words: str) -> None:
    found = list(pre.errors(GOOD | {prompt: value}))

    assert any(error.startswith(prompt) and words in error for error in found)


@pytest.mark.parametrize(
    ("prompt", "value", "words"),
    [
        ("project_slug", "Shop", "lower-case"),
        ("project_slug", "7-shop", "a letter first"),
        ("project_slug", "shop--churn", "single dashes"),
        ("project_slug", "shop-", "single dashes"),
        ("project_slug", "../shop", "lower-case"),
        ("project_slug", "a" * 41, "at most 40"),
        ("package_name", "shop-churn", "underscores"),
        ("package_name", "_shop", "a letter first"),
        ("package_name", "b" * 41, "at most 40"),
        ("package_name", "class", "Python's own"),
        ("package_name", "match", "Python's own"),
        ("package_name", "type", "Python's own"),
        ("package_name", "json", "uses"),
        ("package_name", "sklearn", "uses"),
        ("package_name", "scikit_learn", "uses"),
        ("package_name", "tests", "uses"),
        ("package_name", "deploy", "uses"),
        ("package_name", "nul", "Windows"),
        ("project_slug", "click", "uses"),
        ("project_slug", "scikit-learn", "uses"),
        ("project_slug", "ruff", "uses"),
        ("project_slug", "python3", "uses"),
        ("project_slug", "json", "uses"),
        ("project_slug", "true", "uses"),
        ("project_slug", "com1", "Windows"),
        ("project_slug", "con", "Windows"),
        ("project_slug", "\uff53hop", "lower-case"),
        ("project_slug", "shop.", "lower-case"),
        ("package_name", "ﬁsh", "lower-case"),
        ("min_improvement", "00.5", "leading zero"),
        ("min_improvement", ".5", "leading zero"),
        ("min_improvement", "0.", "a number"),
        ("min_improvement", "5", "less than 1"),
        ("min_improvement", "inf", "a number"),
        ("min_improvement", "-0.1", "zero or more"),
        ("min_improvement", "0,005", "a number"),
        ("min_improvement", "1e400", "a number"),
        ("min_improvement", "nan", "a number"),
        ("min_improvement", "٣", "a number"),
        ("timezone", "Berlin", "not a valid IANA time zone"),
        ("timezone", "../UTC", "not a valid IANA time zone"),
        ("slack_block", "Alerts!", "lower-case"),
        ("work_pool", 'pool"', "lower-case"),
        ("work_pool", "p" * 101, "at most 100"),
        ("work_pool", "prefect-pool", "Prefect keeps"),
    ],
)
def test_an_answer_that_would_break_something_is_named(prompt: str, value: str, words: str) -> None:
    (error,) = pre.errors(GOOD | {prompt: value})

    assert error.startswith(prompt)
    assert words in error
    assert value in error


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "*/15 0-6,22 1 jan-mar mon-fri",
        "0 6 * * 1",
        "59 23 31 12 7",
        "0 0 1,15 * SUN",
        "5/10 * * * *",
        "0 0 29 2 *",
        "*/60 6 * * 1",
        "0 0 31 1-2 *",
    ],
)
def test_a_schedule_passes(expression: str) -> None:
    assert list(pre.cron_errors(expression)) == []


@pytest.mark.parametrize("name", [*keyword.kwlist, *keyword.softkwlist])
def test_a_word_of_python_is_no_package(name: str) -> None:
    assert list(pre.package_errors(name))


SECRET_SOURCES = [
    "postgresql://ml:hunter2@db/shop",
    "postgresql+psycopg://ml:h/hunter2#n?t@er2@db:5432/shop",
    "https://:hunter2@host/table.csv",
    "https://hunter2@host/table.csv",
]
OPEN_SOURCES = [
    "postgresql://ml:${DB_PASSWORD}@db/shop",
    "postgresql://ml:${prefect.secret:db-password}@db/shop",
    "https://${TOKEN}@host/table.csv",
    "postgresql://ml@db:5432/shop",
    "https://host:8080/table.csv",
    "s3://bucket/a:b@c.csv",
    "C:/tables/a@b.csv",
    "sample",
]


@pytest.mark.parametrize("source", SECRET_SOURCES)
def test_a_password_is_not_written_into_a_file_that_is_committed(source: str) -> None:
    (error,) = pre.errors(GOOD | {"data_source": source})

    assert error.startswith("data_source holds a password")
    assert "hunter2" not in error


@pytest.mark.parametrize("source", [*OPEN_SOURCES, "https://host:8080/a@b/table.csv"])
def test_a_source_without_a_password_passes(source: str) -> None:
    assert list(pre.errors(GOOD | {"data_source": source})) == []


def test_an_answer_without_a_value_is_empty() -> None:
    assert list(pre.errors(GOOD | {"schedule": None})) == ["schedule is empty."]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("weekly", "five fields"),
        ("@daily", "five fields"),
        ("0 6 * *", "five fields"),
        ("0 6 * * 1 2026", "five fields"),
        ("60 6 * * 1", "'60' is no minute, which is 0 to 59"),
        ("0 24 * * 1", "'24' is no hour"),
        ("0 6 0 * 1", "'0' is no day of the month"),
        ("0 6 * 13 1", "'13' is no month"),
        ("0 6 * * 8", "'8' is no day of the week"),
        ("0 6 * * mon-", "'mon-' is no day of the week"),
        ("30-10 6 * * *", "'30-10' is no minute"),
        ("*/0 6 * * *", "'*/0' is no minute"),
        ("*/ 6 * * *", "'*/' is no minute"),
        ("1,,2 6 * * *", "'' is no minute"),
        ("² 6 * * *", "'²' is no minute"),
        ("1-2-3 6 * * *", "'1-2-3' is no minute"),
        ("*/٣ 6 * * *", "'*/٣' is no minute"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 30 feb *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0 0 31 2 1", "never comes"),
        ("0 0 30-31 2 0-6", "never comes"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, words: str) -> None:
    assert any(words in error for error in pre.cron_errors(expression))


def test_everything_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {"project_slug": "No", "schedule": "never", "timezone": "Mars", "description": ""}
    monkeypatch.setattr(pre, "ANSWERS", json.dumps(GOOD | wrong))
    monkeypatch.setattr(pre, "GIVEN", json.dumps(GOOD))

    assert pre.main() == 1
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split()[1] for line in lines) == sorted(wrong)
    assert all(line.startswith("error: ") for line in lines)


def test_nothing_wrong_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pre, "ANSWERS", json.dumps(GOOD))
    monkeypatch.setattr(pre, "GIVEN", json.dumps(PROMPTS))

    assert pre.main() == 0
    assert capsys.readouterr().err == ""


def test_the_next_commands_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(post, "ANSWERS", json.dumps(GOOD))
    monkeypatch.setattr(post, "ONLY_WITH", {})
    library = tmp_path / post.CARRIED.format(**GOOD)
    library.mkdir(parents=True)
    (library / "__init__.py").touch()

    post.main()

    out = capsys.readouterr().out
    assert [line for line in ("cd ml-retraining", "make setup retrain", "make server") if line not in out] == []
