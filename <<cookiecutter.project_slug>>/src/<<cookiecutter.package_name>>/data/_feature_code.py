"""The code of features.py as a part of the model: each version predicts with its own, several in one process."""

import ast
import hashlib
import linecache
import sys
import traceback
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from ..errors import DataError

PACKAGE_FOLDER = Path(__file__).parents[1]
FEATURES_FILE = PACKAGE_FOLDER / "features.py"
# The template's own modules change with its releases, without a change in what a model predicts.
MACHINERY = frozenset(
    {"data", "training", "gate", "registry", "monitoring", "reporting", "orchestration", "serving"}
    | {"settings", "errors", "locations", "files", "cli", "checks", "flows", "template"}
)


class FeaturesError(DataError):
    """features.py cannot be run, or returned something that cannot be used."""


class FeatureCode:
    """One state of features.py.

    Attributes:
        source: Its text.
        sha256: Of the text.
        imports: Modules of the project that it uses, directly or through others, to the SHA-256 of each: what a version
            does not hold.
    """

    def __init__(self, source: str, *, origin: str = "features.py") -> None:
        """Run the text as a module of the package.

        Args:
            source: The text of a features.py.
            origin: Named in errors.

        Raises:
            FeaturesError: it cannot be run.
        """
        self.source = source
        self.origin = origin
        self.sha256 = hashlib.sha256(source.encode()).hexdigest()
        self._filename = f"<{origin} {self.sha256[:12]}>"
        package = __package__.rpartition(".")[0]
        self._module = ModuleType(f"{package}.features_{self.sha256[:12]}")
        self._module.__package__ = package
        self._module.__file__ = str(FEATURES_FILE)
        linecache.cache[self._filename] = (
            len(source),
            None,
            source.splitlines(keepends=True),
            self._filename,
        )
        sys.modules[self._module.__name__] = (
            self._module
        )  # for dataclasses and the like, which look themselves up
        try:
            exec(compile(source, self._filename, "exec"), self._module.__dict__)
            self.imports = _local_imports(source)
        except Exception as error:
            raise FeaturesError(self._explained("", error)) from None
        for name in ("label", "features"):
            if not callable(getattr(self._module, name, None)):
                raise FeaturesError(f"{origin} has no function {name}(frame).")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as text."""
        return _code, (self.source, self.origin)

    def label(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what `label()` makes of the table.

        Raises:
            FeaturesError: it failed, or returned no frame.
        """
        return self._call("label", frame)

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what `features()` makes of the rows, one row for each.

        Raises:
            FeaturesError: it failed, changed the number of rows, or returned no columns.
        """
        X = self._call("features", frame)
        if len(X) != len(frame):
            raise FeaturesError(
                f"features() in {self.origin} made {len(X)} rows of {len(frame)}: it must return each row. "
                "Rows are dropped in label()."
            )
        if not len(X.columns):
            raise FeaturesError(f"features() in {self.origin} returned no columns.")
        return X

    def _call(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        try:
            result = getattr(self._module, name)(frame)
        except Exception as error:
            columns = ""
            if isinstance(error, KeyError):  # most often a column
                columns = f"\n{name}() gets the columns {', '.join(map(str, frame.columns))}"
                columns += ", without those of data.drop." if name == "features" else "."
            raise FeaturesError(self._explained(f"{name}() in ", error) + columns) from error
        if not isinstance(result, pd.DataFrame):
            raise FeaturesError(
                f"{name}() in {self.origin} must return a DataFrame, not {type(result).__name__}."
            )
        return result

    def _explained(self, where: str, error: Exception) -> str:
        """Say where in features.py an error arose, without the frames around it."""
        steps = [
            step for step in traceback.extract_tb(error.__traceback__) if step.filename == self._filename
        ]
        line = steps[-1].lineno if steps else getattr(error, "lineno", None)
        at = f", line {line}" if line else ""
        code = f"\n    {steps[-1].line}" if steps else ""
        return f"{where}{self.origin}{at} failed: {type(error).__name__}: {error}{code}"


def current_code() -> FeatureCode:
    """Return features.py as it stands now.

    Raises:
        FeaturesError: it is not there, or cannot be run.
    """
    try:
        source = FEATURES_FILE.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise FeaturesError(f"{FEATURES_FILE} cannot be read: {error}.") from None
    return _code(source, "features.py")


@cache
def _code(source: str, origin: str) -> FeatureCode:
    return FeatureCode(source, origin=origin)


def changed_imports(recorded: dict[str, str]) -> list[str]:
    """Return the modules that a version uses and does not hold, and that are not what they were."""
    return [name for name, sha256 in recorded.items() if _module_digest(name) != sha256]


def local_modules(names: Iterable[str]) -> dict[str, str]:
    """Return those of the modules that are the team's own, below this package, to their SHA-256."""
    package = __package__.rpartition(".")[0]
    found = {}
    for name in names:
        inner = name.removeprefix(f"{package}.")
        if name != inner and inner.partition(".")[0] not in MACHINERY and (sha256 := _module_digest(inner)):
            found[inner] = sha256
    return found


def _local_imports(source: str) -> dict[str, str]:
    package = __package__.rpartition(".")[0]
    found: dict[str, str] = {}
    pending = [source]
    while pending:
        for name in _imported_names(pending.pop(), package):
            digests = local_modules([f"{package}.{name}"])
            if digests.keys() - found.keys():
                found |= digests
                path = _module_path(name)
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


def _module_path(name: str) -> Path | None:
    path = PACKAGE_FOLDER.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file() and candidate != PACKAGE_FOLDER / "__init__.py":
            return candidate
    return None


def _module_digest(name: str) -> str | None:
    path = _module_path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else None
