"""The code of features.py as a part of the model: each version predicts with its own, several in one process."""

import ast
import hashlib
import linecache
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from ..errors import DataError, named
from ..project import Project

LIBRARY = __package__.rpartition(".")[0]


class FeaturesError(DataError):
    """features.py cannot be run, or returned something that cannot be used."""


class FeatureCode:
    """One version of features.py.

    Attributes:
        source: The text of features.py.
        sha256: The SHA-256 of `source`.
        imports: Maps each module of the project that features.py imports, directly or not, to its SHA-256. The version
            does not contain these modules.
        files: The files that the code opened, when it was loaded or in `features()` within `opened_files`.
    """

    def __init__(self, source: str, *, project: Project, origin: str = "features.py") -> None:
        """Run the text as a module of the project's package.

        Args:
            source: The text of a features.py.
            project: The project whose package the code may import.
            origin: The file name in errors.

        Raises:
            FeaturesError: it cannot be run.
        """
        self.source = source
        self.origin = origin
        self.project = project
        self.sha256 = hashlib.sha256(source.encode()).hexdigest()
        self._filename = f"<{origin} {self.sha256[:12]}>"
        self._module = ModuleType(f"{project.package}.features_{self.sha256[:12]}")
        self._module.__package__ = project.package
        self._module.__file__ = str(project.features_file)
        linecache.cache[self._filename] = (len(source), None, source.splitlines(keepends=True), self._filename)
        sys.modules[self._module.__name__] = self._module  # for dataclasses and the like, which look themselves up
        self.files: set[str] = set()
        try:
            with self.opened_files():
                exec(compile(source, self._filename, "exec"), self._module.__dict__)
            self.imports = _local_imports(source, project)
        except Exception as error:
            raise FeaturesError(self._error_message("", error)) from None
        for name in ("label", "features"):
            if not callable(getattr(self._module, name, None)):
                raise FeaturesError(f"{origin} has no function {name}(frame).")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as text."""
        return _code, (self.source, self.origin, self.project)

    def label(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table as `label()` returns it.

        Raises:
            FeaturesError: it failed, or did not return a frame.
        """
        return self._call_function("label", frame)

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the features of the rows, one row for each, as `features()` returns them.

        Raises:
            FeaturesError: it failed, changed the number of rows, or returned no columns.
        """
        X = self._call_function("features", frame)
        if X.index is not frame.index and len(X) == len(frame) and not X.index.equals(frame.index):
            # In another order under its own index it is put back; what a new index stands for, the position says.
            own = X.index.is_unique and X.index.isin(frame.index).all()
            X = X.reindex(frame.index) if own else X.set_axis(frame.index)
        if len(X) != len(frame):
            raise FeaturesError(
                f"features() in {self.origin} made {len(X)} rows of {len(frame)}: it must return each row. "
                "Drop rows in label()."
            )
        if not len(X.columns):
            raise FeaturesError(f"features() in {self.origin} returned no columns.")
        return X

    @contextmanager
    def opened_files(self) -> Iterator[None]:
        """Record the files that this thread opens for reading, except those of Python and its packages."""
        _watch_files()
        _opened.paths = []
        try:
            yield
        finally:
            folder = str(self.project.folder.resolve())
            self.files |= {path for path in _opened.paths if path.startswith(folder) or not _is_system(path)}
            del _opened.paths

    def _call_function(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        try:
            result = getattr(self._module, name)(frame)
        except Exception as error:
            columns = ""
            if isinstance(error, KeyError):  # most often a column
                columns = f"\n{name}() gets the columns {named(frame.columns)}"
                columns += ", without those of data.drop." if name == "features" else "."
            raise FeaturesError(self._error_message(f"{name}() in ", error) + columns) from error
        if not isinstance(result, pd.DataFrame):
            raise FeaturesError(f"{name}() in {self.origin} must return a DataFrame, not {type(result).__name__}.")
        return result

    def _error_message(self, where: str, error: Exception) -> str:
        """Say where in features.py an error arose, without the frames around it."""
        steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename == self._filename]
        line = steps[-1].lineno if steps else getattr(error, "lineno", None)
        at = f", line {line}" if line else ""
        code = f"\n    {steps[-1].line}" if steps else ""
        return f"{where}{self.origin}{at} failed: {type(error).__name__}: {error}{code}"


_opened = threading.local()


@cache
def _watch_files() -> None:
    """Let Python say which files are opened; a hook stays for the life of the process."""

    def note(event: str, details: tuple[Any, ...]) -> None:
        if event == "open" and hasattr(_opened, "paths") and not isinstance(details[0], int):
            path, flags = os.path.abspath(os.fsdecode(details[0])), details[2]
            if not flags & (os.O_WRONLY | os.O_RDWR) and not path.endswith((".py", ".pyc", ".so", ".pyd")):
                _opened.paths.append(os.path.realpath(path))

    sys.addaudithook(note)


def _is_system(path: str) -> bool:
    folders = map(os.path.realpath, {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()})
    return path.startswith((*folders, "/usr/", "/etc/", "/proc/", "/sys/", "/dev/"))


def current_code(project: Project) -> FeatureCode:
    """Return the present features.py of a project.

    Raises:
        FeaturesError: it does not exist or cannot be run.
    """
    try:
        source = project.features_file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise FeaturesError(f"{project.features_file} cannot be read: {error}.") from None
    return _code(source, "features.py", project)


_codes: dict[tuple[str, str, str, Path], FeatureCode] = {}


def _code(source: str, origin: str, project: Project) -> FeatureCode:
    """Run each state of features.py once in a process."""
    key = source, origin, project.package, project.folder
    if key not in _codes:
        _codes[key] = FeatureCode(source, project=project, origin=origin)
    return _codes[key]


def changed_imports(recorded: dict[str, str], project: Project) -> list[str]:
    """Return the modules of a version that are not saved with it and have changed."""
    return [name for name, sha256 in recorded.items() if _module_digest(name, project) != sha256]


def local_modules(names: Iterable[str], project: Project) -> dict[str, str]:
    """Return the SHA-256 of each module that belongs to the team's package, by name."""
    found = {}
    for name in names:
        inner = name.removeprefix(f"{project.package}.")
        # The library changes with its releases, without a change in what a model predicts.
        own = name != inner and not f"{name}.".startswith(f"{LIBRARY}.")
        if own and (sha256 := _module_digest(inner, project)):
            found[inner] = sha256
    return found


def _local_imports(source: str, project: Project) -> dict[str, str]:
    found: dict[str, str] = {}
    pending = [source]
    while pending:
        for name in _imported_names(pending.pop(), project.package):
            digests = local_modules([f"{project.package}.{name}"], project)
            if digests.keys() - found.keys():
                found |= digests
                path = _module_path(name, project)
                pending += [path.read_text(encoding="utf-8")] if path and path.suffix == ".py" else []
    return found


def _imported_names(source: str, package: str) -> Iterable[str]:
    """Return the modules of this package that a source names in its imports, without the package's name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = node.module or ""
            elif node.module and (node.module + ".").startswith(package + "."):
                base = node.module[len(package) + 1 :]
            else:
                continue
            yield base or "__init__"
            for alias in node.names:
                yield f"{base}.{alias.name}".strip(".")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(package + "."):
                    yield alias.name[len(package) + 1 :]


def _module_path(name: str, project: Project) -> Path | None:
    path = project.folder.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file() and candidate != project.folder / "__init__.py":
            return candidate
    return None


def _module_digest(name: str, project: Project) -> str | None:
    path = _module_path(name, project)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else None
