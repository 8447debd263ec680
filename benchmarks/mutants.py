"""Print the share of small faults in a room of the library that the room's own tests notice.

    python benchmarks/mutants.py --python PYTHON_WITH_MUTMUT --room gate

A fault is a comparison turned round, a sign, a constant, an argument left out; those in texts for people do not count.
mutmut 3 makes them all, and runs the tests that reach each in one process. This draws a sample with a fixed seed.
"""

import argparse
import ast
import difflib
import functools
import itertools
import json
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1] / "retrainer"
# Exit codes of the tests: failed, an error, and the ways to run out of time.
NOTICED = (1, 3, 24, 36, 152, 255, -24, -9)
# What only a share of errors shows takes minutes, and no fault has to wait for it.
SIMULATIONS = "seldom or better_by_twice_the_margin or is_no_better_is_promoted or worse_by_chance"
# Room: what is changed in src/retrainer/, and the tests that have to notice.
ROOMS = {
    "gate": ("gate/*.py", "gate/test_[admoprs]*.py"),
    "registry": ("registry/_[!mo]*.py registry/_open.py", "registry/test_[!m]*.py"),
    "contract": (
        "data/_contract.py data/_columns.py data/_identity.py data/_numbers.py",
        "data/test_[cdi]*.py test_contract*.py test_readings.py",
    ),
}
SETTINGS = """[mutmut]
source_paths=src
only_mutate=
    {changed}
pytest_add_cli_args_test_selection=
    {tests}
pytest_add_cli_args=-p
    no:cacheprovider
    -k
    not ({simulations})
also_copy=tests
do_not_mutate_patterns=
    ^\\s*raise
timeout_multiplier=10
timeout_constant=30
"""


def survivors(library: Path, room: str, python: Path, count: int, seed: int) -> tuple[int, int, list[str]]:
    """Try a sample of a room's faults in a copy of the library; return how many there are, were tried, and lived."""
    changed, tests = ROOMS[room]
    sources = [path for each in changed.split() for path in sorted((library / "src/retrainer").glob(each))]
    for path in sources:
        _let_annotations_wait(path)
    settings = SETTINGS.format(
        changed="\n    ".join(str(path.relative_to(library)) for path in sources),
        tests="\n    ".join(
            str(path.relative_to(library)) for each in tests.split() for path in sorted((library / "tests").glob(each))
        ),
        simulations=SIMULATIONS,
    )
    (library / "setup.cfg").write_text(settings, encoding="utf-8")

    def mutmut(*names: str) -> None:
        command = [python, "-m", "mutmut", "run", "--max-children", "1", *names]
        with (library / "mutmut.log").open("w") as log:
            subprocess.run(command, cwd=library, stdout=log, stderr=log)

    mutmut("none of them")  # makes the faults, and finds out which tests reach each function
    stats = library / "mutants/mutmut-stats.json"
    if not stats.exists():
        raise SystemExit((library / "mutmut.log").read_text(encoding="utf-8")[-3000:])
    found = json.loads(stats.read_text(encoding="utf-8"))["tests_by_mangled_function_name"]
    names = sorted(_outcomes(library))
    random.Random(seed).shuffle(names)
    tried = dict(itertools.islice(((name, change) for name in names if (change := _change(library, name))), count))
    reached = [name for name in tried if found.get(name.rpartition("__mutmut_")[0])]
    mutmut(*reached)
    ended = _outcomes(library)
    lived = [
        f"{name}, {f'ended with {ended[name]}' if name in reached else 'no test reaches it'}\n{change}"
        for name, change in tried.items()
        if ended[name] not in NOTICED
    ]
    return len(names), len(tried), lived


def _let_annotations_wait(path: Path) -> None:
    """Keep Python from evaluating annotations: mutmut puts a method `list` before others that return a list."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    lines.insert(ast.parse(text).body[0].end_lineno or 0, "from __future__ import annotations\n")
    path.write_text("".join(lines), encoding="utf-8")


def _outcomes(library: Path) -> dict[str, int | None]:
    """Return each fault that was made, and how its tests ended, if they ran."""
    found: dict[str, int | None] = {}
    for meta in (library / "mutants").rglob("*.py.meta"):
        found |= json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def _change(library: Path, name: str) -> str:
    """Return the lines that a fault changes; nothing where it is only in a text for people."""
    module, _, own = name.rpartition(".")
    functions = _functions((library / "mutants/src").joinpath(*module.split(".")).with_suffix(".py"))
    mutant, original = functions.get(own), functions.get(f"{own.rpartition('__mutmut_')[0]}__mutmut_orig")
    if not mutant or not original or _behaviour(mutant) == _behaviour(original):
        return ""
    lines = difflib.ndiff(*(ast.unparse(each).splitlines()[1:] for each in (original, mutant)))
    return "\n".join(f"    {line}" for line in lines if line[0] in "-+")


@functools.cache
def _functions(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _behaviour(function: ast.FunctionDef) -> str:
    """Return the function without its name and the texts in it that are for people."""
    nameless = ast.parse(ast.unparse(function))
    nameless.body[0].name = "_"  # type: ignore[attr-defined]
    return ast.dump(_Texts().visit(nameless))


class _Texts(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) and " " in node.value.strip() else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")


def main() -> None:
    """Print a row for each room, and the faults that nobody noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="an interpreter with mutmut and the library's lock")
    parser.add_argument("--room", action="append", choices=list(ROOMS), help="may be said again; else each")
    parser.add_argument("--sample", type=int, default=150, help="how many faults of each room")
    parser.add_argument("--seed", type=int, default=16)
    given = parser.parse_args()
    rows, lived = ["| room | faults | tried | noticed | lived | share |", "|---|---|---|---|---|---|"], []
    for room in given.room or ROOMS:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "retrainer")
            os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            shutil.copytree(LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__", "retrainer.egg-info", ".*"))
            total, tried, found = survivors(copy, room, given.python.absolute(), given.sample, given.seed)
        lived += found
        share = (tried - len(found)) / tried
        rows.append(f"| {room} | {total:,} | {tried} | {tried - len(found)} | {len(found)} | {share:.0%} |")
        print("\n".join(rows[-1:]), flush=True)
    print("\n".join(["", *rows, "", *lived]))


if __name__ == "__main__":
    main()
