"""The library, imported as `project` from where it is developed."""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

TEAM = Path(__file__).parents[1] / "<<cookiecutter.project_slug>>" / "src" / "<<cookiecutter.package_name>>"
LIBRARY = Path(__file__).parents[1] / "retrainer" / "src" / "retrainer"


def import_package(folder: Path = LIBRARY) -> ModuleType:
    """Make the library in `folder` importable as `project`, and return it."""
    init = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location("project", init, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["project"] = package
    spec.loader.exec_module(package)
    return package


def import_models() -> Mapping[str, Any]:
    """Return the estimators of the template's models.py by name, which take their steps from the library."""
    estimators: Mapping[str, Any] = import_team("models").ESTIMATORS
    return estimators


def import_team(name: str) -> Any:
    """Return a module of the template's project, which takes the library from beside it."""
    if "churn" not in sys.modules:
        churn = ModuleType("churn")
        churn.__path__ = [str(TEAM)]
        sys.modules["churn"] = churn
    return importlib.import_module(f"churn.{name}")
