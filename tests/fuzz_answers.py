"""Answers drawn at random: each set is refused with a reason, or renders a project in which everything is right.

A number always draws the same set: `answers(7)` are those of a failure that begins with `7:`.
"""

import contextlib
import functools
import io
import json
import os
import random
import string
import subprocess
import sys
import tomllib
import unittest.mock
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import yaml
from cookiecutter.exceptions import CookiecutterException, FailedHookException
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[1]
CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text())
SEED = 2026

FREE_TEXT = ("project_name", "description", "author_name", "data_source", "target_column")
# Pieces of text, names and numbers, blanks between them.
TEXTS = r"""
    " ' \""" ''' \ \n \u0041 \x ` $ ${ ${HOME} $(touch${IFS}x) ${{x}} {{ }} {% %} { } %s % # // : - &a *a !!x | ?
    @ [ ] , = <b> </script> &amp; <!-- --> < > ~ null true on yes 1e3 0x1F 12:30 é ß İ 🚀 שלום مرحبا 日本 é .. . /
    C:\ ~/ *.csv $@ --- s3://bucket/a postgresql://ml@db/shop postgresql://ml:${PASSWORD}@db/shop https://host/a.csv?b=c
    the team Churn customers Größe 0 007 -1 $$ %%
"""
TEXTS_REFUSED = """
    << >> <% %> <# #> <<x>> <%raw%> postgresql://ml:hunter2@db/shop \u200b \u200d \u202e \ufeff \x7f \x1b[31m \0 \ud800
"""
BREAKS = [" ", "", "\n", "\r", "\t", "\x85", "\xa0", "\u2028"]  # refused too, and no pieces of a split text
NAMES = """
    shop churn x ab sales-2026 zz9 true-north null on off yes no y n nan inf none print list site pkg e2e models data
    gate registry training features flows settings cli errors main init app core utils ml-retraining i18n a-b-c
"""
NAMES_REFUSED = """
    shop--churn shop- -shop Shop 7up con nul com1 test tests click scikit-learn sklearn python pip ruff prefect json
    match class true src deploy setup-slack shop.churn ../shop shop/a façade shop;ls $(ls) shop' 123 \uff16 make a_-b _x
"""
NUMBERS = f"0 0.0 0.005 0.02 0.50 0.999 0.{40 * '0'}1"
NUMBERS_REFUSED = "00.5 0. .5 1 5 1e-3 -0.1 +0.1 0,005 inf nan 1e999 0x1 0_1 1_000 ٣ 0.00٣ 0.1# true '0' 0.1.2"
ZONES = "UTC Europe/Berlin America/Argentina/Buenos_Aires Etc/GMT+5 Asia/Kolkata EST5EDT GMT Asia/Tokyo"
ZONES_REFUSED = "Berlin europe/berlin ../UTC /etc/passwd UTC+2 Mars/Olympus UTC' Europe/ Europe//Berlin"
SCHEDULES_REFUSED = (
    "weekly;@daily;0 6 * *;0 6 * * 1 2026;0 0 31 2 *;0 0 30 2 0-6;0 0 L * *;0 0 * * 1#2;0 6 * * ';60 6 * * 1;"
    "*/0 * * * *;0 0 * * sat-sun;5-1 * * * *;*/٣ * * * *;1.5 * * * *"
)


def answers(number: int) -> dict[str, str]:
    """Draw the set of answers of this number: none, one or some of them such as should be refused."""
    draw = random.Random(f"{SEED}-{number}")
    share = draw.choice((0, 0, 0.05, 0.3))
    drawn = {"project_slug": f"fuzz-{number}"}
    for prompt, value in CONTEXT.items():
        if not prompt.startswith("_") and draw.random() < 0.6:
            choice = draw.choice(value) if isinstance(value, list) else ""
            drawn[prompt] = choice or _answer(prompt, draw, refuse=draw.random() < share)
    if "project_name" in drawn and draw.random() < 0.5:
        del drawn["project_slug"]  # it is made from the name
    return drawn


def _answer(prompt: str, draw: random.Random, *, refuse: bool) -> str:
    if prompt in FREE_TEXT:
        pieces = draw.choices(TEXTS.split(), k=draw.choice((1, 2, 3, 6, 60)))
        if refuse:
            pieces = [*pieces[1:], draw.choice([*TEXTS_REFUSED.split(), *BREAKS])]
        return draw.choice(("", " ")).join(pieces)
    if prompt == "schedule":
        return draw.choice(SCHEDULES_REFUSED.split(";")) if refuse else _schedule(draw)
    if prompt == "min_improvement":
        return draw.choice((NUMBERS_REFUSED if refuse else NUMBERS).split())
    if prompt == "timezone":
        return draw.choice((ZONES_REFUSED if refuse else ZONES).split())
    letters = "".join(draw.choices(string.ascii_lowercase, k=draw.randint(1, 40)))
    name = draw.choice(NAMES_REFUSED.split()) if refuse else draw.choice((draw.choice(NAMES.split()), letters))
    return name.replace("-", "_") if prompt == "package_name" else name


def _schedule(draw: random.Random) -> str:
    """Draw five fields of cron, most of them right."""
    bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
    return " ".join(",".join(_parts(draw, low, high)) for low, high in bounds)


def _parts(draw: random.Random, low: int, high: int) -> Iterator[str]:
    for _ in range(draw.choice((1, 1, 1, 2))):
        first, last = sorted(draw.randint(low, high) for _ in range(2))
        words = {12: ["jan", "Feb", "jan-mar"], 7: ["mon", "SUN", "mon-fri"]}.get(high, ["*"])
        span = draw.choice(["*", "*", str(first), f"{first}-{last}", f"{first:02}", *words])
        yield span + draw.choice(["", "", "", f"/{draw.randint(1, high)}"])


@dataclass
class Outcome:
    """What became of the sets of some numbers.

    Attributes:
        refused: Number to the reason.
        rendered: Number to the project's folder.
        wrong: What is neither, a line each.
    """

    refused: dict[int, str] = field(default_factory=dict)
    rendered: dict[int, Path] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def outcome(numbers: Iterable[int], template: Path, folder: Path, python: str | Path) -> Outcome:
    """Render the sets of these numbers below the folder, and check what is rendered.

    Args:
        numbers: Of the sets.
        template: What is rendered.
        folder: Empty, or not there yet.
        python: Of the environment of a rendered project.
    """
    found = Outcome()
    config = folder / "config.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(f"cookiecutters_dir: '{folder}/cloned'\nreplay_dir: '{folder}/replay'\n")
    with _quick(), _heard() as said:
        for number in numbers:
            said.clear()
            place = folder / str(number)
            place.mkdir()
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    path = cookiecutter(
                        *(str(template), None, True, answers(number)),
                        output_dir=str(place),
                        config_file=str(config),
                    )
                found.rendered[number] = Path(path)
            except (CookiecutterException, jinja2.TemplateError, OSError, ValueError) as error:
                reason = "".join(said).strip() or f"{type(error).__name__}: {error}"
                found.refused[number] = reason
                found.wrong += [f"{number}: refused, but left {path}" for path in _left(place, answers(number))]
                if said and not all(line.startswith("error: ") for line in reason.splitlines()):
                    found.wrong.append(f"{number}: refused without a reason: {reason}")
    for number, path in found.rendered.items():
        found.wrong += [f"{number}: {problem}" for problem in _problems(path, answers(number))]
    found.wrong += _problems_of_all(found.rendered, folder, python)
    return found


def _left(place: Path, given: Mapping[str, str]) -> list[Path]:
    """Return what a refusal left, other than the empty parents that cookiecutter makes of a name with slashes."""
    parent = "/" in given.get("project_slug", "")
    return [path for path in place.rglob("*") if path.is_file() or not parent]


def _problems(project: Path, given: Mapping[str, str]) -> Iterator[str]:
    """Read every file of data and every module as its reader does; ask make what it would do."""
    readers = {".toml": tomllib.loads, ".yaml": yaml.safe_load, ".yml": yaml.safe_load, ".json": json.loads}
    readers |= {".ipynb": json.loads, ".py": _compiled}
    for path in sorted(project.rglob("*")):
        if path.is_file() and (read := readers.get(path.suffix)):
            try:
                found = read(path.read_text(encoding="utf-8"))
                if path.name == "config.toml" and "src" in path.parts:
                    yield from _changed(found["data"], given)
            except (ValueError, SyntaxError, yaml.YAMLError) as error:
                yield f"{path.relative_to(project)} cannot be read: {error}"
    dry = subprocess.run(["make", "-n", "retrain"], cwd=project, capture_output=True, text=True)
    if dry.returncode or f".venv/bin/{project.name} retrain" not in dry.stdout:
        yield f"make -n retrain: {dry.stdout}{dry.stderr}"


def _changed(data: Mapping[str, str], given: Mapping[str, str]) -> Iterator[str]:
    for key, prompt in (("source", "data_source"), ("target", "target_column")):
        if data[key] != given.get(prompt, CONTEXT[prompt]):
            yield f"{prompt} became {data[key]!r}"


@functools.cache
def _compiled(source: str) -> None:
    compile(source, "module", "exec", dont_inherit=True)


READ = """
import datetime, importlib, json, sys
from pathlib import Path

from cronsim import CronSim
from hatchling.metadata.core import ProjectMetadata
from hatchling.metadata.spec import get_core_metadata_constructors
from hatchling.plugin.manager import PluginManager
from packaging.metadata import Metadata
from prefect._vendor.croniter import croniter
from prefect.client.schemas.schedules import CronSchedule

now = datetime.datetime.now()
for number, folder in json.load(sys.stdin).items():
    (package,) = (path.name for path in Path(folder, "src").iterdir() if path.is_dir())
    sys.path.insert(0, f"{folder}/src")
    try:
        metadata = ProjectMetadata(folder, PluginManager())
        metadata.validate_fields()
        for write in get_core_metadata_constructors().values():
            Metadata.from_email(write(metadata))
        schedule = importlib.import_module(package).project.settings.schedule
        CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
        next(CronSim(schedule.cron, now))
        croniter(schedule.cron, now).get_next()
    except Exception as error:
        print(f"{number}: {type(error).__name__}: {error}".splitlines()[0])
    sys.path.pop(0)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
"""


def _problems_of_all(rendered: Mapping[int, Path], folder: Path, python: str | Path) -> Iterator[str]:
    """Have ruff, hatchling, the settings and the parsers of schedules read all projects, one process each."""
    for words in (
        ["check", "--output-format", "concise"],
        ["format", "--check", "--output-format", "concise"],
    ):
        ruff = subprocess.run(["ruff", *words, "--no-cache", folder], capture_output=True, text=True)
        if ruff.returncode:
            yield f"ruff {words[0]}: {ruff.stdout}{ruff.stderr}"
    folders = json.dumps({number: str(path) for number, path in rendered.items()})
    environment = {name: value for name, value in os.environ.items() if "__" not in name and name != "PYTHONPATH"}
    read = subprocess.run([python, "-c", READ], input=folders, capture_output=True, text=True, env=environment)
    yield from read.stdout.splitlines()
    if read.returncode:
        yield read.stderr


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect what the hooks print to stderr."""
    said: list[str] = []

    def run_script(script: str, cwd: Path | str = ".") -> None:
        done = subprocess.run([sys.executable, script], cwd=cwd, capture_output=True, text=True)
        said.append(done.stderr)
        if done.returncode:
            raise FailedHookException("the hook refused")

    loud = unittest.mock.patch("cookiecutter.hooks.logger.exception")
    with loud, unittest.mock.patch("cookiecutter.hooks.run_script", run_script):
        yield said


@contextlib.contextmanager
def _quick() -> Iterator[None]:
    """Compile each file of the template once; cookiecutter does it for every project."""
    compiled: dict[tuple[object, ...], object] = {}
    compile_anew = jinja2.Environment.compile

    def compile_once(self: jinja2.Environment, source: str, name: str | None = None, *rest: object) -> object:
        key = (source, name, *rest)
        if key not in compiled:
            compiled[key] = compile_anew(self, source, name, *rest)
        return compiled[key]

    with unittest.mock.patch("jinja2.Environment.compile", compile_once):
        yield
