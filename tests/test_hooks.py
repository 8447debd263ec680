"""The hooks as functions: which answers they refuse, with what words, and what they leave out."""

import importlib.util
import json
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
        ("package_name", "json", "imports"),
        ("package_name", "sklearn", "imports"),
        ("package_name", "tests", "imports"),
        ("min_improvement", "-0.1", "zero or more"),
        ("min_improvement", "0,005", "a number"),
        ("min_improvement", "1e400", "a number"),
        ("min_improvement", "nan", "a number"),
        ("min_improvement", "٣", "a number"),
        ("timezone", "Berlin", "no IANA time zone"),
        ("timezone", "../UTC", "no IANA time zone"),
        ("slack_block", "Alerts!", "lower-case"),
        ("work_pool", 'pool"', "lower-case"),
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
    ],
)
def test_a_schedule_passes(expression: str) -> None:
    assert list(pre.cron_errors(expression)) == []


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
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, words: str) -> None:
    assert any(words in error for error in pre.cron_errors(expression))


def test_everything_wrong_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"project_slug": "No", "schedule": "never", "timezone": "Mars", "description": ""}
    monkeypatch.setattr(pre, "ANSWERS", json.dumps(GOOD | wrong))

    assert pre.main() == 1
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split()[1] for line in lines) == sorted(wrong)
    assert all(line.startswith("error: ") for line in lines)


def test_nothing_wrong_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pre, "ANSWERS", json.dumps(GOOD))

    assert pre.main() == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("provider", "left"), [("github", True), ("gitlab", False), ("none", False)])
def test_the_folder_of_another_provider_goes(tmp_path: Path, provider: str, left: bool) -> None:
    (tmp_path / ".github" / "workflows").mkdir(parents=True)

    post.remove_excluded({"ci_provider": provider}, tmp_path)

    assert (tmp_path / ".github").exists() == left


def test_the_next_commands_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(post, "ANSWERS", json.dumps(GOOD))

    post.main()

    out = capsys.readouterr().out
    assert [
        line for line in ("cd ml-retraining", "make setup retrain", "make server") if line not in out
    ] == []
