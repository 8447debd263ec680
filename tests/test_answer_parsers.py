"""The hook's own parsers beside those that read the answers later: what it lets through, none of them refuses."""

import json
import random
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from .conftest import RENDERED, TEMPLATE, Bake, run
from .fuzz_answers import NUMBERS, NUMBERS_REFUSED
from .taken_names import names, write
from .test_hooks import OPEN_SOURCES, SECRET_SOURCES, pre

# Reads schedules as settings.py and Prefect's server do; prints those that one refuses, or that never come due.
SCHEDULES = """
import datetime, json, sys

from cronsim import CronSim
from prefect._vendor.croniter import croniter
from prefect.client.schemas.schedules import CronSchedule

now = datetime.datetime(2026, 1, 1)
refused = {}
for expression in json.load(sys.stdin):
    try:
        next(CronSim(expression, now))
        CronSchedule(cron=expression)
        croniter(expression, now).get_next()
    except Exception as error:
        refused[expression] = repr(error)
print(json.dumps(refused))
"""
ZONES = """
import json, sys

from prefect.client.schemas.schedules import CronSchedule

for name in json.load(sys.stdin):
    CronSchedule(cron="0 6 * * 1", timezone=name)
"""


def schedules() -> list[str]:
    """Draw schedules of every field alone and of all together, right ones and such as are nearly right."""
    draw = random.Random(2026)
    ends = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
    words = [[], [], [], ["jan", "FEB", "dec"], ["sun", "MON", "sat"]]
    found = []
    for _ in range(3000):
        fields = ["*", "*", "*", "*", "*"]
        for place in draw.choice([(0,), (1,), (2,), (3,), (4,), (2, 3), (2, 3, 4), range(5)]):
            low, high = ends[place]
            numbers = [str(draw.randint(low - (low > 0), high + 1)) for _ in range(2)] + words[place]
            span = draw.choice(
                ["*", draw.choice(numbers), "-".join(draw.choices(numbers, k=2)), f"{low}-{high}", "29", "31"]
            )
            fields[place] = span + draw.choice(
                ["", "", f"/{draw.choice((0, 2, 5, high + 1, 99))}", f",{draw.choice(numbers)}"]
            )
        found.append(" ".join(fields))
    return found


def refused_by_parsers(environment: Path, expressions: list[str]) -> dict[str, str]:
    """Return the schedules that one of the parsers refuses, or that never come due, with the error."""
    command = [environment / "python", "-c", SCHEDULES]
    done = subprocess.run(command, input=json.dumps(expressions), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_schedule_that_passes_is_read_by_both_parsers_and_comes_due(environment: Path) -> None:
    passed = [expression for expression in schedules() if not list(pre.cron_errors(expression))]

    assert len(passed) > 500
    assert refused_by_parsers(environment, passed) == {}


def test_a_schedule_that_is_refused_is_refused_by_a_parser_too(environment: Path) -> None:
    refused = [expression for expression in schedules() if list(pre.cron_errors(expression))]
    bad = refused_by_parsers(environment, refused)

    assert len(refused) > 500
    for expression in set(refused) - bad.keys():  # a day that no such month has, beside every day of the week
        assert expression.endswith(("0-7", "0-7/8")), expression


def test_every_time_zone_that_passes_is_one_of_prefects(environment: Path) -> None:
    known = sorted(pre.zoneinfo.available_timezones())
    passed = [name for name in known if not list(pre.timezone_errors(name))]
    command = [environment / "python", "-c", ZONES]
    done = subprocess.run(command, input=json.dumps(passed), capture_output=True, text=True)

    assert passed == known
    assert done.returncode == 0, done.stderr


def test_a_source_has_a_password_where_the_project_finds_one(bake: Bake, environment: Path) -> None:
    project = bake()
    show = (
        f"import sys; from {project.package}.retrainer.locations import Location;"
        " print(*(Location(source).has_secret for source in sys.argv[1:]))"
    )
    path = {"PYTHONPATH": str(project.path / "src")}
    # -B: the folder is shared, and other tests look at its files.
    command = [environment / "python", "-B", "-c", show, *SECRET_SOURCES, *OPEN_SOURCES]
    shown = run(*command, cwd=project.path, environment=path).stdout.split()

    assert shown == ["True"] * len(SECRET_SOURCES) + ["False"] * len(OPEN_SOURCES)


@pytest.mark.parametrize("text", [*NUMBERS.split(), *NUMBERS_REFUSED.split()])
def test_a_number_that_passes_is_one_of_toml(text: str) -> None:
    if list(pre.improvement_errors(text)):
        return
    assert 0 <= tomllib.loads(f"value = {text}")["value"] < 1


@pytest.mark.parametrize(
    "name", ["null", "on", "off", "yes", "n", "nan", "none", "true", "123", "1e3", "0x1f", "2026-11-21"]
)
def test_a_name_that_passes_is_the_same_text_in_yaml_and_toml(bake: Bake, name: str) -> None:
    answers = {"project_slug": "names", "package_name": "names", "work_pool": "names", "slack_block": "names"}
    answers |= {prompt: name for prompt in answers if not list(pre.CHECKS[prompt](name))}
    project = bake(**answers)
    deployed = yaml.safe_load((project.path / "prefect.yaml").read_text())
    config = tomllib.loads((project.source / "config.toml").read_text())
    metadata = tomllib.loads((project.path / "pyproject.toml").read_text())["project"]

    assert {deployment["work_pool"]["name"] for deployment in deployed["deployments"]} == {answers["work_pool"]}
    assert {tag for deployment in deployed["deployments"] for tag in deployment["tags"]} == {project.slug}
    assert {deployment["name"] for deployment in deployed["deployments"]} == {deployed["name"]} == {project.slug}
    assert config["notifications"]["block"] == f"slack-webhook/{answers['slack_block']}"
    assert metadata["scripts"] == {answers["project_slug"]: f"{answers['package_name']}.__main__:main"}


def test_the_names_of_the_locks_are_those_of_the_hook(extras: Path) -> None:
    found = names(extras, (TEMPLATE / RENDERED).glob("*.lock"))

    assert {"click", "scikit_learn", "sklearn", "ruff"} <= found
    assert found - set(pre.TAKEN.split()) == set(), "make lock writes them"


def test_the_names_of_the_folder_are_those_of_the_hook() -> None:
    """`python deploy.py` and pytest put the project's folder first: a package of such a name would not be found."""
    beside = {path.stem for path in (TEMPLATE / RENDERED).glob("*.py")} | {"src", "tests", "docs"}

    assert beside <= set(pre.OWN.split())


def test_writing_the_names_changes_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = (TEMPLATE / "hooks" / "pre_gen_project.py").read_text()
    copy = tmp_path / "pre_gen_project.py"
    copy.write_text(hook)
    monkeypatch.setattr("tests.taken_names.HOOK", copy)

    write(pre.TAKEN.split())

    assert copy.read_text() == hook
