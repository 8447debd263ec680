"""Answers meant to break something: each renders a project that holds, or is refused with the reason."""

import json
import tomllib
from pathlib import Path

import pytest
from cookiecutter.exceptions import CookiecutterException
from jinja2 import TemplateError

from .conftest import Bake, render, run
from .test_hooks import GOOD, pre

FREE_TEXT = ("project_name", "description", "author_name", "data_source", "target_column")
HOSTILE = {
    "double quotes": 'the "best" one',
    "single quotes": "the team's own",
    "triple quotes": '"""',
    "triple single quotes": "'''",
    "quote at the end": 'ends with "',
    "backslashes": r"C:\new\table\x41",
    "backslash at the end": "ends with \\",
    "code": '"; import os #',
    "GitHub expression": "${{ secrets.TOKEN }}",
    "Jinja expression": "{{ x }} {% raw %}",
    "bash": "$(touch x) `touch x` ${HOME}",
    "make": "$(shell touch x) $@",
    "Markdown": "# *not* [a](link) | table",
    "YAML": "a: b # - c, &d *e",
    "TOML": "[section] key = 1",
    "80 characters": "x y " * 20,
    "emoji": "🚀 schnell",
    "right to left": "שלום",
    "accents": "Ætna Größe",
    "percent": "100 %s {0} {name}",
    "surrounding blanks": "  a  ",
}
UNPRINTABLE = {
    "line break": "first\nsecond",
    "code on a line of its own": '")\nimport os\n#',
    "carriage return": "first\rsecond",
    "tab": "first\tsecond",
    "blanks": "  ",
    "escape sequence": "\x1b[31mred",
    "right-to-left override": "\u202eabc",
}
MARKS = {"undefined": "<< x >>", "not closed": "<< x", "block": "<% raw %>"}


@pytest.mark.parametrize("text", [value for value in HOSTILE.values() if "\n" not in value], ids=lambda text: text[:12])
def test_a_hostile_text_renders_a_project_that_holds(bake: Bake, environment: Path, text: str) -> None:
    project = bake(project_slug="hostile", package_name="hostile", **dict.fromkeys(FREE_TEXT, text))

    metadata = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["description"] == text
    assert metadata["authors"] == [{"name": text}]
    config = tomllib.loads((project.source / "config.toml").read_text(encoding="utf-8"))
    assert config["data"] == {"source": text, "target": text}
    show = "import json, hostile; print(json.dumps(hostile.project.settings.data.target))"
    path = {"PYTHONPATH": str(project.path / "src")}
    shown = run(environment / "python", "-c", show, cwd=project.path, environment=path).stdout
    assert json.loads(shown) == text.strip()
    run(environment / "ruff", "check", "--no-cache", ".", cwd=project.path)
    run(environment / "ruff", "format", "--no-cache", "--check", ".", cwd=project.path)


def refusal(bake: Bake, capfd: pytest.CaptureFixture[str], **answers: str) -> str:
    """Return what is printed when the template refuses the answers; nothing must be left behind."""
    capfd.readouterr()
    with pytest.raises((CookiecutterException, TemplateError)):
        bake(**answers)
    return capfd.readouterr().err


@pytest.mark.parametrize("prompt", FREE_TEXT)
@pytest.mark.parametrize("text", UNPRINTABLE.values(), ids=UNPRINTABLE.keys())
def test_what_fits_on_no_line_is_refused_with_the_reason(
    bake: Bake, capfd: pytest.CaptureFixture[str], prompt: str, text: str
) -> None:
    names = {"project_slug": "hostile", "package_name": "hostile"}

    said = refusal(bake, capfd, **names | {prompt: text})

    assert f"error: {prompt} " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", MARKS.values(), ids=MARKS.keys())
def test_marks_of_the_template_in_an_answer_are_refused(
    bake: Bake, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    assert "Traceback" not in refusal(bake, capfd, description=text)


@pytest.mark.parametrize("text", [*HOSTILE.values(), *UNPRINTABLE.values()], ids=[*HOSTILE, *UNPRINTABLE])
@pytest.mark.parametrize(
    "prompt",
    ["project_slug", "package_name", "min_improvement", "schedule", "timezone", "slack_block", "work_pool"],
)
def test_a_name_or_number_is_never_free_text(text: str, prompt: str) -> None:
    errors = list(pre.errors(GOOD | {prompt: text}))

    assert any(error.startswith(prompt) for error in errors)


def test_refused_answers_leave_no_project(template: Path, cookiecutter_config: Path, tmp_path: Path) -> None:
    with pytest.raises(CookiecutterException):
        render(template, tmp_path, cookiecutter_config, {"project_slug": "refused", "schedule": "never"})

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "slug", "package"),
    [
        ("Churn: what's next?", "churn-what-s-next", "churn_what_s_next"),
        ("Größe & Ætna", "grosse-aetna", "grosse_aetna"),
        ('"; import os #', "import-os", "import_os"),
        ("../../etc", "etc", "etc"),
        ("🚀", "ml-project", "ml_project"),
    ],
)
def test_names_are_derived_from_any_project_name(bake: Bake, name: str, slug: str, package: str) -> None:
    project = bake(project_name=name)

    assert (project.slug, project.package) == (slug, package)


@pytest.mark.parametrize("name", ["x" * 80, "2026 sales", "json"])
def test_a_project_name_that_gives_no_usable_name_is_refused(
    bake: Bake, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    said = refusal(bake, capfd, project_name=name)

    assert "error: p" in said
    assert "Traceback" not in said
