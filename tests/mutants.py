"""Print the share of small mutations of each room that its own tests notice: `make mutants`.

A mutation is a comparison turned round, a sign, a constant, an argument left out. mutmut makes them and runs the tests
that reach each; this draws a sample for each room with a fixed seed, and leaves out mutations of texts for people.
pytest loads this file too, as the plugin that runs the quickest tests first and leaves out what needs a server.
"""

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONTRACT = ("_contract", "_columns", "_identity")
STATS = "mutmut-stats.json"
# Exit codes of the tests: failed, an error, and the ways to run out of time.
NOTICED = (1, 3, 24, 36, 152, 255, -24, -9)
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
# They take minutes, and what only a share of errors shows no mutation has to wait for.
SIMULATIONS = "seldom or better_by_twice_the_margin or is_no_better_is_promoted or worse_by_chance"
# Imported once for all mutations; the project is not, for some of its functions are called as it is imported.
PRELOADED = (
    *("_pytest.faulthandler", "pytest", "numpy", "pandas", "pyarrow", "joblib", "fsspec", "threadpoolctl"),
    *("sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics", "sklearn.pipeline", "sklearn.compose"),
    *("sklearn.model_selection", "sklearn.preprocessing", "sklearn.svm", "sklearn.dummy", "sklearn.impute"),
    *("scipy.stats", "jinja2", "pydantic_settings", "cronsim", "http.server", "urllib.request", "tomllib"),
    *("prefect.main", "rich.progress", "markdown_it"),
)

# Room: what is mutated, and the tests that have to notice.
ROOMS = {
    "gate": (
        ["gate/*"],
        [
            f"gate/test_{name}.py"
            for name in ("alarms", "decision", "metrics", "own_metrics", "promotion", "resampling")
        ],
    ),
    "registry": (
        [f"registry/_{name}.py" for name in ("lineage", "open", "records", "registry", "store")],
        ["registry/test_registry.py", "registry/test_store.py"],
    ),
    "contract": (
        [f"data/{name}.py" for name in CONTRACT],
        [f"data/test_{name}.py" for name in ("contract", "columns", "identity")],
    ),
    "data": (["data/_[sft]*.py", "data/_checks.py", "data/_preparation.py"], ["data"]),
    "training": (["training/*"], ["training"]),
    "monitoring": (["monitoring/*"], ["monitoring"]),
    "reporting": (["reporting/*.py"], ["reporting"]),
    "orchestration": (
        [f"orchestration/_{name}.py" for name in ("cancellation", "messages", "progress")],
        [f"orchestration/test_{name}.py" for name in ("cancellation", "messages", "progress")],
    ),
}
SETTINGS = """[mutmut]
source_paths=src
only_mutate=
{mutate}
pytest_add_cli_args_test_selection=
{tests}
pytest_add_cli_args=-p
    no:cacheprovider
    -p
    {plugin}
    -k
    not ({simulations})
also_copy=
    README.md
    docs
    deploy.py
    requirements.lock
do_not_mutate_patterns=
    logger\\.
    ^\\s*raise
process_isolation=forkserver
forkserver_warmup=import
preload_modules_file=preloaded.txt
timeout_multiplier=5
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


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Leave out what needs a server, and put the quickest tests first, once it is known which these are."""
    items[:] = [item for item in items if "server" not in item.fixturenames]
    if Path(STATS).exists():
        seconds = json.loads(Path(STATS).read_text(encoding="utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


def _let_annotations_wait(path: Path) -> None:
    """Keep Python from evaluating annotations: mutmut puts a method `list` before others that return a list."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    lines.insert(ast.parse(text).body[0].end_lineno or 0, "from __future__ import annotations\n")
    path.write_text("".join(lines), encoding="utf-8")


def _reached(stats: Path) -> set[str]:
    """Return the functions that tests reach; note that all tests reach those that are called by an import.

    mutmut counts these for the first test alone, which is the one that happens to import the project.
    """
    found = json.loads(stats.read_text(encoding="utf-8"))
    tests = list(found["duration_by_test"])
    for reaching in found["tests_by_mangled_function_name"].values():
        if tests[0] in reaching:
            reaching[:] = tests
    stats.write_text(json.dumps(found), encoding="utf-8")
    return {name for name, reaching in found["tests_by_mangled_function_name"].items() if reaching}


def survivors(
    project: Path, room: str, *, count: int, seed: int, python: Path, processes: int
) -> tuple[int, list[str]]:
    """Try a sample of the mutations of a room.

    Args:
        project: A rendered project, which is written to.
        room: One of `ROOMS`.
        count: How many at most.
        seed: Of the draw.
        python: An interpreter with the project's packages and mutmut.
        processes: How many mutations are tried side by side.

    Returns:
        How many were tried, and the survivors, each with its change.
    """
    package = next((project / "src").iterdir()).name
    mutate, tests = ROOMS[room]
    settings = SETTINGS.format(
        mutate="\n".join(f"    src/{package}/{name}" for name in mutate),
        tests="\n".join(f"    tests/{name}" for name in tests),
        plugin=Path(__file__).stem,
        simulations=SIMULATIONS,
    )
    for name in mutate:
        for path in (project / "src" / package).glob(name):
            _let_annotations_wait(path)
    (project / "setup.cfg").write_text(settings, encoding="utf-8")
    (project / "preloaded.txt").write_text("\n".join(PRELOADED), encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }

    def mutmut(*names: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "mutmut", "run", "--max-children", str(processes), *names]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)

    first = mutmut("none of them")  # makes the mutations, and finds out which tests reach each
    stats = project / "mutants" / STATS
    names = [name for name, _, _ in mutants_of(project)]
    if not stats.exists() or not names:
        lines = [line for line in first.stdout.splitlines() if line and line[0] not in SPINNER]
        printed = "\n".join(lines[-60:])
        raise SystemExit(f"{room}: mutmut did not get as far as the tests:\n{printed}\n{first.stderr}")
    reached = _reached(stats)
    tried = set(random.Random(seed).sample(sorted(names), min(count, len(names))))
    run = {name for name in tried if name.rpartition("__mutmut_")[0] in reached}
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
    parser.add_argument("project", type=Path, help="a rendered project, of which a copy is mutated")
    parser.add_argument(
        "--python", type=Path, required=True, help="an interpreter with its packages and mutmut"
    )
    parser.add_argument("--rooms", nargs="*", default=list(ROOMS), choices=list(ROOMS))
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    for room in arguments.rooms:
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder, "project")
            shutil.copytree(arguments.project, project, ignore=shutil.ignore_patterns(".*", "__pycache__"))
            tried, lived = survivors(
                project,
                room,
                count=arguments.count,
                seed=arguments.seed,
                python=arguments.python.absolute(),
                processes=arguments.processes,
            )
        killed = tried - len(lived)
        print(f"{room}: {killed} of {tried} mutations noticed, {killed / tried:.0%}", flush=True)
        for each in lived:
            print(f"  {each}", flush=True)


if __name__ == "__main__":
    main()
