"""The project's package, imported from the template: it has no Jinja in it, so nothing need be rendered."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TEMPLATE = (
    Path(__file__).parents[1] / "<<cookiecutter.project_slug>>" / "src" / "<<cookiecutter.package_name>>"
)


def import_package(folder: Path = TEMPLATE) -> ModuleType:
    """Make the package in `folder` importable as `project`, and return it."""
    init = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location("project", init, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["project"] = package
    spec.loader.exec_module(package)
    return package
