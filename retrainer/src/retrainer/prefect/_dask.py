"""The parallel steps on Dask workers: candidates, their folds, and parts of a table to score.

Workers are handed paths and numbers, never tables: what they need they read themselves, and keep the last of it.
"""

import functools
import itertools
import logging
import math
import os
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prefect import task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect_dask import DaskTaskRunner

from .. import data, gate, monitoring, training
from ..pipeline import Scorer, SplitSide, fold_inputs, scored_batches, selection_metric
from ..project import Project
from ..registry import Version, open_registry
from ..settings import Settings
from ._dask_workers import require_workers
from ._runs import reports_progress


def dask_task_runner(settings: Settings) -> DaskTaskRunner:
    """Return Prefect's runner for these settings; a temporary cluster starts with the first task submitted to it."""
    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every connection
    if settings.scale_out.address:
        return DaskTaskRunner(address=settings.scale_out.address)
    options = {
        "n_workers": _worker_count(settings),
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "memory_limit": 0,  # a run in threads has no limit either, and here it would mean being killed
    }
    return DaskTaskRunner(cluster_kwargs=options)


def _worker_count(settings: Settings) -> int:
    return settings.scale_out.workers or os.cpu_count() or 1


def threads_per_task(settings: Settings) -> int:
    """Return the threads that a task on a worker may compute with, so that all of them together fill the cores."""
    if settings.scale_out.threads:
        return int(settings.scale_out.threads)
    return 1 if settings.scale_out.address else max(1, (os.cpu_count() or 1) // _worker_count(settings))


def scores_on_workers(training_part: SplitSide, names: Sequence[str], *, project: Project) -> list[gate.Array]:
    """Return the cross-validation scores of each candidate; a task is one fold of one of them.

    Raises:
        NoWorkersError: there are no workers.
    """
    require_workers(project.settings)
    inputs = fold_inputs(training_part, project=project)
    folds = range(len(training.make_folds(inputs)))
    each = [(name, fold) for name in names for fold in folds]
    with shared(inputs, project.settings) as path:
        scores = cross_validate_fold.map(
            unmapped(path),
            estimator=[name for name, _ in each],
            fold=[fold for _, fold in each],
            project=unmapped(project),
        ).result()
    count = len(folds)
    return [
        training.mean_scores(scores[start : start + count], metric=selection_metric(project).name, rows=len(inputs.y))
        for start in range(0, len(scores), count)
    ]


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="cross-validate {estimator}, fold {fold}")
@reports_progress
def cross_validate_fold(path: Path, *, estimator: str, fold: int, project: Project) -> gate.Array:
    """Score one candidate on one fold, on a worker, which reads the training part itself."""
    inputs = read(path)
    scores = training.fold_scores(
        training.make_pipeline(estimator, project=project),
        inputs,
        training.make_folds(inputs)[fold],
        metric=selection_metric(project),
        thresholds=training.possible_thresholds(project.settings.train.threshold),
        threads=threads_per_task(project.settings),
    )
    shown = f": {scores[0]:.4f}" if len(scores) == 1 else ""
    get_run_logger().info("%s, fold %d%s", estimator, fold, shown)
    return scores


@contextmanager
def shared(inputs: training.FoldInputs, settings: Settings) -> Iterator[Path]:
    """Write the inputs where workers can read them, and remove them at the end.

    Pickled: unlike a table format it keeps every type, category, index and order, so that scores are those of a run
    without workers to the last bit. Only this run's own workers read it, and they unpickle its tasks anyway.
    """
    folder = settings.resolve("data") / "scale_out"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"training-{uuid.uuid4().hex}.pickle"
    try:
        with path.open("wb") as file:
            pickle.dump(inputs, file, protocol=pickle.HIGHEST_PROTOCOL)
        yield path
    finally:
        path.unlink(missing_ok=True)


@functools.lru_cache(maxsize=1)
def read(path: Path) -> training.FoldInputs:
    """Read inputs that another process wrote; the last ones stay in memory for the next task."""
    with path.open("rb") as file:
        inputs: training.FoldInputs = pickle.load(file)
    return inputs


def scorer_on_workers(project: Project) -> Scorer:
    """Return a function that scores parts of a table on workers, and writes them in the order of the table."""
    settings = project.settings

    def score(
        paths: Sequence[Path], output: Path, champion: Version, total: int | None, progress: Callable[[int], None]
    ) -> monitoring.Scored:
        require_workers(settings)
        rows = settings.score.batch_rows
        batches = math.ceil((total or 0) / rows)
        # Four parts a worker: the last ones end together, and little is done again for one that died.
        size = rows * max(1, math.ceil(batches / (4 * _worker_count(settings))))
        partitions = data.partitions(paths, rows=size)
        with _parts_folder(settings) as folder:
            parts = score_part.map(
                list(range(len(partitions))),
                partitions,
                version=unmapped(champion.id),
                folder=unmapped(folder),
                project=unmapped(project),
            )
            done = itertools.chain.from_iterable(part.result() for part in parts)
            contract = training.load_contract(open_registry(settings), champion)
            scored = monitoring.checked(monitoring.read_parts(done), contract, rows=total)
            return monitoring.write(scored, output, progress=progress)

    return score


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="score part {number}")
@reports_progress
def score_part(
    number: int, partition: data.Partition, *, version: str, folder: Path, project: Project
) -> list[monitoring.ScoredPart]:
    """Score one part of the table, on a worker, which reads it and the verified model itself."""
    found, model = _model(version, project)
    threads = threads_per_task(project.settings)
    with training.thread_budget(threads):
        training.with_jobs(model.pipeline, threads)
        parts = monitoring.write_parts(
            scored_batches(model, found, [partition], project), folder, name=f"part-{number:06d}"
        )
    get_run_logger().info("%s rows scored", f"{sum(part.counts.rows for part in parts):,}")
    return parts


@contextmanager
def _parts_folder(settings: Settings) -> Iterator[Path]:
    """Create a folder for the parts of this run, and remove it at the end."""
    folder = settings.resolve("data") / "scale_out" / f"parts-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_models: dict[tuple[str, str], tuple[Version, training.Model]] = {}


def _model(version: str, project: Project) -> tuple[Version, training.Model]:
    """Return a version and its model, loaded and verified once for all the parts that this process scores."""
    key = (str(project.settings.registry), version)
    if key not in _models:
        registry = open_registry(project.settings)
        found = registry.version(version)
        loaded = training.load_model(registry, found, project=project)
        _models.clear()
        _models[key] = found, loaded
    return _models[key]
