"""The architecture: each room has a door that says what is public; imports run as docs/architecture.md draws them."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import grimp  # import-linter brings it
import pytest

import retrainer as package

PACKAGE = Path(str(package.__file__)).parent
PROJECT = Path(__file__).parents[1]
ARCHITECTURE = PACKAGE / "docs" / "architecture.md"
RENDERED = PROJECT.parent / "<<cookiecutter.project_slug>>"
SHARED_NAMES = {"Section", "Table"}  # of the settings or the data, and of a report
# All may import these: not in the picture.
FOUNDATION = {"_parts", "errors", "files", "locations", "project", "settings", "version"}

ROOMS = sorted({module.parent.name for module in PACKAGE.glob("*/*.py")})


def door(room: str) -> ModuleType:
    return importlib.import_module(f"{package.__name__}.{room}")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_door(room: str) -> None:
    assert (PACKAGE / room / "__init__.py").is_file(), f"{room}/ holds modules but no __init__.py"


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_says_what_comes_in_what_goes_out_and_what_it_never_does(room: str) -> None:
    lines = (door(room).__doc__ or "").splitlines()

    said = [line.split(":")[0] for line in lines if re.match(r"(In|Out|Never): +\S", line)]
    assert said == ["In", "Out", "Never"], f"{room}/__init__.py needs the lines In:, Out: and Never:"


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_names_all_that_is_public(room: str) -> None:
    module = door(room)
    visible = {
        name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert set(module.__all__) == visible
    assert len(module.__all__) == len(visible), "a name is listed twice"
    assert list(module.__all__) == sorted(module.__all__, key=_kind_then_name)


def _kind_then_name(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions: the order that ruff keeps."""
    if name.isupper():
        return 0, name
    return (1, name) if name[0].isupper() else (2, name)


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_behind_a_door_is_private(room: str) -> None:
    public = [path.name for path in (PACKAGE / room).glob("[!_]*.py")]

    assert not public, f"modules of a room begin with an underscore: {public}"


def test_the_picture_shows_the_imports() -> None:
    imports = {
        (importer, imported) for importer, imported in _imports_between_rooms() if not {importer, imported} & FOUNDATION
    }
    drawn = set(re.findall(r"^ *(\w+) --> (\w+)$", ARCHITECTURE.read_text(), re.MULTILINE))

    expected = _without_shortcuts(imports)
    assert drawn == expected, (
        f"docs/architecture.md: draw {_arrows(expected - drawn)}; remove {_arrows(drawn - expected)}"
    )


def _imports_between_rooms() -> set[tuple[str, str]]:
    graph = grimp.build_graph(package.__name__, cache_dir=None)
    pairs = set()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            here, there = importer.split(".")[1:2], imported.split(".")[1:2]
            if here and there and here != there:
                pairs.add((here[0], there[0]))
    return pairs


def _without_shortcuts(imports: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Drop each import that a path of others implies."""
    below: dict[str, set[str]] = {}
    for importer, imported in imports:
        below.setdefault(importer, set()).add(imported)

    def reachable(name: str) -> set[str]:
        return below.get(name, set()).union(*map(reachable, below.get(name, set())))

    return {
        (importer, imported)
        for importer, imported in imports
        if not any(imported in reachable(between) for between in below[importer])
    }


def _arrows(pairs: set[tuple[str, str]]) -> str:
    return ", ".join(f"{importer} --> {imported}" for importer, imported in sorted(pairs)) or "nothing"


def test_every_path_in_the_page_exists() -> None:
    named = set(re.findall(r"`([\w./-]*(?:/|\.(?:py|toml|md|yaml|j2)))`", ARCHITECTURE.read_text()))

    bases = (PACKAGE, PROJECT.parent, RENDERED, RENDERED / "src" / "<<cookiecutter.package_name>>")
    missing = [path for path in named if not any((base / path).exists() for base in bases)]
    assert len(named) > 10
    assert not missing


FORBIDDEN = {
    "data/_preparation.py": "def late() -> None:\n    from ..prefect import send",
    "gate/_metrics.py": "if TYPE_CHECKING:\n    from ..reporting import Facts",
    "reporting/_history.py": "from ..registry._store import LocalStore",
    "monitoring/_windows.py": "def late() -> None:\n    import prefect",
}


def test_an_import_upward_or_past_a_door_is_found_wherever_it_stands(tmp_path: Path) -> None:
    copy = tmp_path / "src" / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    for name, lines in FORBIDDEN.items():
        module = copy / name
        module.write_text(f"{module.read_text()}\n\nfrom typing import TYPE_CHECKING\n\n{lines}\n")

    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
    )

    assert result.returncode == 1, result.stdout + result.stderr
    name = package.__name__
    for importer, imported in (
        ("data._preparation", "prefect"),
        ("gate._metrics", "reporting"),
        ("reporting._history", "registry._store"),
    ):
        assert f"{name}.{importer} -> {name}.{imported}" in result.stdout
    assert f"{name}.monitoring._windows -> prefect" in result.stdout


def _ways_out(folder: Path) -> list[str]:
    """Return the imports that lead out of the library to anything but Python and packages that are installed."""
    known = {*sys.stdlib_module_names, *packages_distributions()} - {package.__name__}
    found = []
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                out = any(alias.name.split(".")[0] not in known for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level:
                out = node.level > len(inside.parts)
            else:
                out = isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] not in known
            if out:
                found.append(f"{inside}: {ast.unparse(node)}")
    return found


def test_the_library_imports_no_project_and_itself_relatively() -> None:
    assert _ways_out(PACKAGE) == []


@pytest.mark.parametrize(
    "line",
    ["import churn", "from churn.flows import retrain", "from ... import flows", "import retrainer.data"],
)
def test_an_import_of_the_project_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "_checks.py").write_text(f"from .. import errors\n\ndef late():\n    {line}\n")

    assert _ways_out(tmp_path) == [f"data/_checks.py: {line}"]


def test_a_class_has_a_name_of_its_own() -> None:
    found: dict[str, list[str]] = {}
    for module in sorted(PACKAGE.rglob("*.py")):
        for name in re.findall(r"^class (\w+)", module.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name, []).append(str(module.relative_to(PACKAGE)))

    assert not {name: places for name, places in found.items() if len(places) > 1 and name not in SHARED_NAMES}
