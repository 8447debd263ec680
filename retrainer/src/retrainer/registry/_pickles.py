"""Reading a pickled pipeline, also one that was saved when the library, or its rooms, lay elsewhere."""

import sys
from importlib import import_module
from typing import Any, BinaryIO

# Where a pickle looks for the library's classes, below the project's package, and where they are: before 1.0 the rooms
# lay there; a project that takes the library from a package index has lost its own copy.
MOVED = {"training": "..training", "retrainer": ".."}


def unpickled(file: BinaryIO) -> Any:
    """Return the object that joblib saved in a file, open at its start.

    Raises:
        Exception: any error of a pickle.
    """
    import joblib

    while True:
        try:
            return joblib.load(file)
        except ModuleNotFoundError as error:
            name = str(error.name)
            package, _, room = name.rpartition(".")
            if not package or room not in MOVED or name in sys.modules:
                raise
            moved = [name, f"{name}.training"] if room == "retrainer" else [name]
        except AttributeError:
            moved = _leftover_modules()
            if not moved:
                raise
        for name in moved:
            sys.modules[name] = import_module(MOVED[name.rpartition(".")[2]], __package__)
        file.seek(0)


def _leftover_modules() -> list[str]:
    """Return the modules of old rooms whose folders git left behind, with compiled files only: Python imports these."""
    return [
        name
        for name, module in sys.modules.items()
        if name.rpartition(".")[2] in MOVED
        and hasattr(module, "__path__")
        and getattr(module, "__file__", None) is None
    ]
