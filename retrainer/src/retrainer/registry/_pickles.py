"""Reading a pickled pipeline, also one that was saved when the library's rooms lay in the project's own package."""

import sys
from importlib import import_module
from typing import Any, BinaryIO

# Where a pickle of before 1.0 looks for the classes of the library, below the project's package, and where they are.
MOVED = {"training": "..training"}


def unpickled(file: BinaryIO) -> Any:
    """Return what joblib saved in a file, open at its start.

    Raises:
        Exception: whatever a pickle may raise.
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
            sys.modules[name] = import_module(MOVED[room], __package__)
            file.seek(0)
