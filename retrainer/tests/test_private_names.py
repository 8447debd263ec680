"""No name that begins with an underscore is taken from another package: what is private may be gone tomorrow."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

LIBRARY = Path(__file__).parents[1] / "src" / "retrainer"
TEMPLATE = Path(__file__).parents[2] / "<<cookiecutter.project_slug>>"
OURS = ("retrainer", "project_under_test")


def sources() -> list[Path]:
    project = [path for path in TEMPLATE.rglob("*.py") if "retrainer" not in path.parts]
    return sorted([*LIBRARY.rglob("*.py"), *project])


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(re.sub(r"<<.*?>>", "project_under_test", path.read_text(encoding="utf-8")))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_set_on_an_object_of_ours(node: ast.AST) -> TypeGuard[ast.Attribute]:
    if not (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)):
        return False
    return ast.unparse(node.value) in ("self", "cls", "made")


@functools.cache
def names_of_ours() -> set[str]:
    """Return every private name that the library or a project defines itself."""
    found: set[str] = set()
    for tree in map(parsed, sources()):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif _is_set_on_an_object_of_ours(node):
                found.add(node.attr)
    return found | {path.stem for path in sources()}


def imported_from_others(tree: ast.Module) -> set[str]:
    """Return the names by which a module knows packages that are not ours, and what it imports from them."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and _is_of_another(node)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


def _is_of_another(node: ast.ImportFrom) -> bool:
    return not node.level and (node.module or "").split(".")[0] not in OURS


def taken(tree: ast.Module, ours: set[str]) -> Iterator[str]:
    """Yield the private names that a module takes from packages that are not ours.

    What is imported from another package has no private name of ours, even where we have one that reads the same.
    """
    others = imported_from_others(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            of_another = isinstance(node.value, ast.Name) and node.value.id in others
            if of_another or node.attr not in ours:
                yield f"line {node.lineno}: .{node.attr}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
            name = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            if is_private(str(name)) and name not in ours:
                yield f"line {node.lineno}: {name}"
        elif isinstance(node, ast.ImportFrom) and _is_of_another(node):
            for name in [*(node.module or "").split("."), *(alias.name for alias in node.names)]:
                if is_private(name):
                    yield f"line {node.lineno}: {name} of {node.module}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if any(map(is_private, alias.name.split("."))):
                    yield f"line {node.lineno}: {alias.name}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_nothing_private_is_taken_from_another_package(path: Path) -> None:
    assert list(taken(parsed(path), names_of_ours())) == []


@pytest.mark.parametrize(
    "line",
    [
        "from prefect._internal import compatibility",
        "from prefect.runner import _cancellation_manager",
        "import prefect._vendor.croniter",
        "poller = server._scheduled_run_poller",
        "from sklearn.utils import _bunch",
        "import pandas as pd; pd.DataFrame._mgr_of_frame",
        "import numpy as np; np._last",
        "from prefect import runner; runner._record(1)",
        "fitted = getattr(model, '_fit_context_of')",
    ],
)
def test_what_is_private_is_noticed(line: str) -> None:
    assert len(list(taken(ast.parse(line), names_of_ours() | {"_last", "_record"}))) == 1


@pytest.mark.parametrize("line", ["from ._folds import x", "self._last = 1", "from sklearn.base import __all__"])
def test_what_is_ours_is_left_alone(line: str) -> None:
    assert list(taken(ast.parse(line), {"_last"})) == []
