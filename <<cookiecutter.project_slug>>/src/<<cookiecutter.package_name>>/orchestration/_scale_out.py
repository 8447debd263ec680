"""Where the parallel part of a run happens: in threads of this process, or on Dask workers.

Workers are handed paths and numbers, never tables: what they need they read themselves, and keep the last of it.
"""

import functools
import logging
import os
import pickle
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ..errors import ProjectError
from ..registry import Version, open_registry
from ..settings import ScaleOutSettings, Settings, get_settings


class ChosenRunner(ThreadPoolTaskRunner):
    """Becomes, when a run starts, the task runner of the settings.

    A flow is decorated when its module is imported; an error in the settings is better told by its run, and a
    deployment should follow its environment.
    """

    def duplicate(self) -> Any:
        """Return the runner of one run; threads where the settings cannot be read, as the run will say so."""
        try:
            settings = get_settings().scale_out
        except ProjectError:
            return ThreadPoolTaskRunner()
        return task_runner(settings)


def task_runner(settings: ScaleOutSettings) -> TaskRunner[Any]:
    """Return Prefect's runner for these settings; a temporary cluster starts with the first task submitted to it."""
    if settings.runner == "threads":
        return ThreadPoolTaskRunner()
    from prefect_dask import DaskTaskRunner

    logging.getLogger("distributed").setLevel(logging.WARNING)  # every connection is news to it
    if settings.address:
        return DaskTaskRunner(address=settings.address)
    options = {
        "n_workers": workers(settings),
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "memory_limit": 0,  # a run in threads has no limit either, and here it would mean being killed
    }
    return DaskTaskRunner(cluster_kwargs=options)


def workers(settings: ScaleOutSettings) -> int:
    """Return how many worker processes the work is cut for."""
    return settings.workers or os.cpu_count() or 1


def threads_per_task(settings: ScaleOutSettings) -> int:
    """Return the threads that a task on a worker may compute with, so that all of them together fill the cores."""
    if settings.threads:
        return settings.threads
    return 1 if settings.address else max(1, (os.cpu_count() or 1) // workers(settings))


@dataclass(frozen=True)
class TrainingPart:
    """What cross-validation needs of the training part.

    Attributes:
        X: The inputs, n rows.
        y: Shape (n,), the truth.
        groups: Shape (n,), see `data.group_codes`.
        times: Shape (n,), see `data.times`.
    """

    X: pd.DataFrame
    y: "np.ndarray[Any, Any]"
    groups: "np.ndarray[Any, Any] | None"
    times: "np.ndarray[Any, Any] | None"


@contextmanager
def shared(part: TrainingPart, *, settings: Settings) -> Iterator[Path]:
    """Write the part where workers can read it, and remove it in the end.

    Pickled: unlike a table format it keeps every type, category, index and order, so that scores are those of a run
    without workers to the last bit. Only this run's own workers read it, and they unpickle its tasks anyway.
    """
    folder = settings.resolve("data") / "scale_out"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"training-{uuid.uuid4().hex}.pickle"
    try:
        with path.open("wb") as file:
            pickle.dump(part, file, protocol=pickle.HIGHEST_PROTOCOL)
        yield path
    finally:
        path.unlink(missing_ok=True)


@functools.lru_cache(maxsize=1)
def read(path: Path) -> TrainingPart:
    """Read a part that another process wrote; the last one stays in memory for the next task."""
    with path.open("rb") as file:
        part: TrainingPart = pickle.load(file)
    return part


@contextmanager
def parts_folder(path: Path) -> Iterator[Path]:
    """Make a folder of this run's own beside the output `path`, for its parts, and remove it in the end."""
    folder = path.parent / f".{path.stem}-{uuid.uuid4().hex}.parts"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_models: dict[tuple[str, str], tuple[Version, Any]] = {}


def model(version: str, *, settings: Settings) -> tuple[Version, Any]:
    """Return a version and its pipeline, loaded and verified once for all the parts that this process scores."""
    key = (str(settings.registry), version)
    if key not in _models:
        registry = open_registry(settings)
        found = registry.version(version)
        loaded = registry.load_model(found)
        _models.clear()
        _models[key] = found, loaded
    return _models[key]
