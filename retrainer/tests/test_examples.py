"""The examples in docstrings: each room has some, and all are run."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import retrainer

ROOMS = ("data", "gate", "monitoring", "registry", "reporting", "training", "tuning")


def modules(name: str) -> list[ModuleType]:
    """Return the modules of a room, or those beside the rooms."""
    path = [folder + name.replace(".", "/").removeprefix("retrainer") for folder in retrainer.__path__]
    found = [info.name for info in pkgutil.iter_modules(path) if not info.ispkg]
    return [importlib.import_module(f"{name}.{one}") for one in found if not one.startswith("_mlflow")]


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_examples(room: str) -> None:
    results = [doctest.testmod(module) for module in modules(f"retrainer.{room}".rstrip("."))]

    assert sum(result.attempted for result in results)
    assert not sum(result.failed for result in results)
