"""Print the share of small faults in a room of the library that the room's own tests notice.

    python benchmarks/mutants.py --room gate

Run it with an interpreter that has mutmut 3 and the library's lock. A fault is a comparison turned round, a sign, a
constant, an argument left out; those in texts for people do not count. mutmut makes them all, and finds out which tests
reach each function. This draws a sample with a fixed seed, and runs these tests for each, the quickest first, until one
fails: one fault at a time, in a process forked from one that has imported everything.
"""

import argparse
import ast
import contextlib
import difflib
import functools
import io
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[1] / "retrainer"
OPTIONS = ("-p", "no:cacheprovider", "--rootdir=.")
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
"""


def survivors(library: Path, room: str, count: int, seed: int) -> tuple[int, int, list[str]]:
    """Try a sample of a room's faults in a copy of the library; return how many there are, were tried, and lived."""
    changed, tests = ROOMS[room]
    sources = [path for each in changed.split() for path in sorted((library / "src/retrainer").glob(each))]
    settings = SETTINGS.format(
        changed="\n    ".join(str(path.relative_to(library)) for path in sources),
        tests="\n    ".join(
            str(path.relative_to(library)) for each in tests.split() for path in sorted((library / "tests").glob(each))
        ),
        simulations=SIMULATIONS,
    )
    stats = library / "mutants/mutmut-stats.json"
    if not stats.exists():
        for path in sources:
            _let_annotations_wait(path)
        (library / "setup.cfg").write_text(settings, encoding="utf-8")
        with (library / "mutmut.log").open("w") as log:  # makes the faults, and finds out which tests reach each
            command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", "none of them"]
            subprocess.run(command, cwd=library, stdout=log, stderr=log)
    if not stats.exists():
        raise SystemExit((library / "mutmut.log").read_text(encoding="utf-8")[-3000:])
    known = json.loads(stats.read_text(encoding="utf-8"))
    names = sorted(name for meta in (library / "mutants").rglob("*.py.meta") for name in _faults(meta))
    random.Random(seed).shuffle(names)
    tried = itertools.islice(((name, change) for name in names if (change := _change(library, name))), count)
    quickest = sorted(known["duration_by_test"], key=known["duration_by_test"].get)
    if _is_noticed(library / "mutants", "no fault", quickest[:40], 600):
        raise SystemExit(f"{room}: its tests fail without any fault.")
    count, lived = 0, []
    for name, change in tried:
        count += 1
        reaching = known["tests_by_mangled_function_name"].get(name.rpartition("__mutmut_")[0], ())
        reaching = sorted(reaching, key=lambda test: known["duration_by_test"].get(test, 0.0))
        most = 60 + 3 * sum(known["duration_by_test"].get(test, 0.0) for test in reaching)
        noticed = reaching and _is_noticed(library / "mutants", name, reaching, round(most))
        print("." if noticed else f"\n{name}\n{change}", end="", flush=True)
        lived += [] if noticed else [f"{name}{'' if reaching else ', which no test reaches'}\n{change}"]
    return len(names), count, lived


def _faults(meta: Path) -> list[str]:
    return list(json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"])


def _is_noticed(folder: Path, name: str, tests: list[str], seconds: int) -> bool:
    """Run tests with one fault; return whether any fails, or they take more than so many seconds of the processor."""
    os.chdir(folder)
    os.environ["MUTANT_UNDER_TEST"] = "none"
    _import_tests(str(folder))
    child = os.fork()
    if not child:
        os.environ["MUTANT_UNDER_TEST"] = name
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1), os.dup2(nowhere, 2)
        os._exit(pytest.main(["-x", "-q", *OPTIONS, *tests]))
    return os.waitpid(child, 0)[1] != 0


@functools.cache
def _import_tests(folder: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--collect-only", "-q", *OPTIONS, "tests/data", "tests/gate", "tests/registry"])


def _let_annotations_wait(path: Path) -> None:
    """Keep Python from evaluating annotations: mutmut puts a method `list` before others that return a list."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    lines.insert(ast.parse(text).body[0].end_lineno or 0, "from __future__ import annotations\n")
    path.write_text("".join(lines), encoding="utf-8")


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
    parser.add_argument("--room", action="append", choices=list(ROOMS), help="may be said again; else each")
    parser.add_argument("--sample", type=int, default=150, help="how many faults of each room")
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="where the faults are kept, for another sample of them")
    given = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    rows, lived = ["| room | faults | tried | noticed | lived | share |", "|---|---|---|---|---|---|"], []
    for room in given.room or ROOMS:
        with tempfile.TemporaryDirectory() as temporary:
            copy = (given.folder or Path(temporary)).absolute() / room
            if not copy.exists():
                shutil.copytree(LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            total, tried, found = survivors(copy, room, given.sample, given.seed)
        lived += found
        noticed = tried - len(found)
        rows.append(f"| {room} | {total:,} | {tried} | {noticed} | {len(found)} | {noticed / tried:.0%} |")
    print("\n".join(["", *rows, "", *lived]))


if __name__ == "__main__":
    main()
