"""Print the share of small mutations of each room that its own tests notice: `make mutants`.

A mutation is a comparison turned round, a sign, a constant, an argument left out. mutmut makes them and runs the tests
that reach each; this draws a sample for each room with a fixed seed, and leaves out mutations of texts for people.
"""

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

CONTRACT = ("_contract", "_columns", "_identity")
# Exit codes of the tests: failed, an error, and the ways to run out of time.
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
NOTICED = (1, 3, 24, 36, 152, 255, -24, -9)

# Room: what is mutated, and the tests that have to notice.
ROOMS = {
    "gate": (
        ["gate/*"],
        [
            f"gate/test_{name}.py"
            for name in ("decision", "metrics", "own_metrics", "promotion", "resampling")
        ],
    ),
    "registry": (
        ["registry/_re*.py", "registry/_store.py", "registry/_lineage.py"],
        ["registry/test_registry.py"],
    ),
    "contract": ([f"data/{name}.py" for name in CONTRACT], ["test_contract.py", "data"]),
    "data": (
        ["data/_[sft]*.py", "data/_checks.py", "data/_preparation.py"],
        ["data", "test_messy_tables.py"],
    ),
    "training": (["training/*"], ["training"]),
    "monitoring": (["monitoring/*"], ["monitoring"]),
    "reporting": (["reporting/*"], ["reporting"]),
    "orchestration": (["orchestration/_messages.py"], ["orchestration/test_messages.py"]),
}
SETTINGS = """[mutmut]
source_paths=src
only_mutate=
{mutate}
pytest_add_cli_args_test_selection=
{tests}
pytest_add_cli_args=-p
    no:cacheprovider
also_copy=
    README.md
    docs
    deploy.py
    requirements.lock
do_not_mutate_patterns=
    logger\\.
    ^\\s*raise
process_isolation=forkserver
timeout_constant=10
"""


def mutants_of(folder: Path) -> Iterator[tuple[str, str, int | None]]:
    """Yield each mutation that was made: its name, what it changes, and how its tests ended, if they ran."""
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        tree = ast.parse(meta.with_suffix("").read_text(encoding="utf-8"))
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for name, code in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"].items():
            mutant = functions.get(name.rpartition(".")[2])
            original = functions.get(f"{name.rpartition('.')[2].rpartition('__mutmut_')[0]}__mutmut_orig")
            if mutant and original and _behaviour(mutant) != _behaviour(original):
                yield name, _difference(original, mutant), code


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


def _difference(original: ast.FunctionDef, mutant: ast.FunctionDef) -> str:
    """Return the lines that differ, old and new."""
    before, after = (ast.unparse(function).splitlines()[1:] for function in (original, mutant))
    lines = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    return "\n".join(f"    {line[0]} {line[2:].strip()}" for line in lines)


def survivors(project: Path, room: str, *, count: int, seed: int, python: Path) -> tuple[int, list[str]]:
    """Try a sample of the mutations of a room.

    Args:
        project: A rendered project that may be written to.
        room: One of `ROOMS`.
        count: How many at most.
        seed: Of the draw.
        python: An interpreter with the project's packages and mutmut.

    Returns:
        How many were tried, and the survivors, each with its change.
    """
    package = next((project / "src").iterdir()).name
    shutil.rmtree(project / "mutants", ignore_errors=True)
    mutate, tests = ROOMS[room]
    settings = SETTINGS.format(
        mutate="\n".join(f"    src/{package}/{name}" for name in mutate),
        tests="\n".join(f"    tests/{name}" for name in tests),
    )
    (project / "setup.cfg").write_text(settings, encoding="utf-8")

    def mutmut(*names: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "mutmut", "run", "--max-children", str(os.cpu_count() or 1), *names]
        return subprocess.run(command, cwd=project, capture_output=True, text=True)

    first = mutmut("none of them")  # makes the mutations, and finds out which tests reach each
    names = [name for name, _, _ in mutants_of(project)]
    if not (project / "mutants" / "mutmut-stats.json").exists() or not names:
        lines = [line for line in first.stdout.splitlines() if line and line[0] not in SPINNER]
        printed = "\n".join(lines[-60:])
        raise SystemExit(f"{room}: mutmut did not get as far as the tests:\n{printed}\n{first.stderr}")
    tried = set(random.Random(seed).sample(sorted(names), min(count, len(names))))
    reached = json.loads((project / "mutants" / "mutmut-stats.json").read_text(encoding="utf-8"))
    known = reached["tests_by_mangled_function_name"]
    run = [name for name in tried if known.get(name.rpartition("__mutmut_")[0])]
    done = mutmut(*run)
    lived = []
    for name, change, code in mutants_of(project):
        if name in tried and (name not in run or code not in NOTICED):
            if name in run and code != 0:
                raise SystemExit(f"{name} ended with {code}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
            lived.append(f"{name}{'' if name in run else ' (no test reaches it)'}\n{change}")
    return len(tried), lived


def main() -> None:
    """Print the share noticed of each room, and the mutations that were not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path, help="a rendered project, which is written to")
    parser.add_argument(
        "--python", type=Path, required=True, help="an interpreter with its packages and mutmut"
    )
    parser.add_argument("--rooms", nargs="*", default=list(ROOMS), choices=list(ROOMS))
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=16)
    arguments = parser.parse_args()
    for room in arguments.rooms:
        tried, lived = survivors(
            arguments.project.resolve(),
            room,
            count=arguments.count,
            seed=arguments.seed,
            python=arguments.python.absolute(),
        )
        killed = tried - len(lived)
        print(f"{room}: {killed} of {tried} mutations noticed, {killed / tried:.0%}", flush=True)
        for each in lived:
            print(f"  {each}", flush=True)


if __name__ == "__main__":
    main()
