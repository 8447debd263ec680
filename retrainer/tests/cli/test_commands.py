"""Every command that a message or the README names can be typed as it is printed."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from retrainer import cli
from retrainer.errors import shell_command

SOURCE = Path(str(cli.__file__)).parents[1]
README = Path(__file__).parents[3] / "<<cookiecutter.project_slug>>" / "README.md"
SLUG = "(?:<< cookiecutter.project_slug >>|churn)"
NAMES = "|".join(name for name in cli.app if not name.startswith("-"))
# What builds the commands in texts: how many arguments come before the words, and the words that it adds.
BUILDERS = {"shell_command": (1,), "_command": (0,), "command": (0,), "REGISTRY": (0, "registry")}
IN_CODE = re.compile(rf"`((?:{NAMES})(?: [^`\n]+)?)`")
IN_PAGES = re.compile(rf"(?:`|\n    |&& ){SLUG} ((?:{NAMES})(?: [^`\n#]+)?)")


def printed() -> list[str]:
    """Return the commands in the texts of the code, of the README and of docs/, once each."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        found.update(IN_CODE.findall(re.sub(r'"\s*\n\s*f?"', "", code)))  # one text over several lines
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and (found_in := BUILDERS.get(ast.unparse(node.func))) is not None:
                project, *first = found_in
                words = [word.value if isinstance(word, ast.Constant) else "VERSION" for word in node.args[project:]]
                if not any(isinstance(word, ast.Starred) for word in node.args):
                    found.add(shell_command("", *first, *words).strip("` "))
    for path in (README, *SOURCE.glob("docs/*.md")):
        found.update(IN_PAGES.findall(path.read_text(encoding="utf-8")))
    return sorted(found)


@pytest.mark.parametrize("command", printed())
def test_a_command_that_is_printed_can_be_typed(command: str) -> None:
    words = shlex.split(re.sub(r"{[\w.]+}|VERSION", "20261121-060000-aaaaaa", command))

    try:
        cli.app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        pytest.fail(f"`{command}` is printed, and is refused: {error}")


def test_the_commands_are_found() -> None:
    known = {'registry rollback --to VERSION --reason "..."', "retrain --accept-not-comparable", "doctor"}
    assert known <= set(printed())


@pytest.mark.parametrize("option", ["--trials", "--workers"])
def test_a_search_without_trials_or_workers_is_refused(option: str) -> None:
    with pytest.raises(CycloptsError, match="Must be >= 1"):
        cli.app.parse_args(["tune", option, "0"], print_error=False, exit_on_error=False)
