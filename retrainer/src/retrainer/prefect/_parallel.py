"""Parallel steps as Prefect tasks: in threads of the run's process, or on Dask workers."""

import os
from collections.abc import Sequence
from typing import Any

from prefect import task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from .. import pipeline
from ..errors import ProjectError
from ..gate import Array
from ..pipeline import Scorer, SplitSide
from ..project import Project
from ..settings import Settings
from ..training import Recipe, thread_budget
from ._runs import reports_progress


def task_runner(project: Project) -> Any:
    """Return the task runner of the settings; threads if the settings cannot be read; the run reports that itself.

    Examples:
        >>> type(task_runner(project)).__name__
        'ThreadPoolTaskRunner'
    """
    try:
        on_dask = project.settings.scale_out.runner == "dask"
    except ProjectError:
        on_dask = False
    if not on_dask:
        return ThreadPoolTaskRunner()
    from ._dask import dask_task_runner

    return dask_task_runner(project.settings)


def check_workers(settings: Settings) -> str:
    """Check that there are Dask workers, and return their description.

    Raises:
        NoWorkersError: there are none; the message has the command that starts them.
    """
    from ._dask_workers import require_workers

    return require_workers(settings)


def choose_recipe(training: SplitSide, *, project: Project) -> Recipe:
    """Compare the candidates by cross-validation on the training side, and return the best.

    With more training rows than `compared_rows` they are compared on a sample. Where there is one candidate and one
    threshold, none is scored. Candidates are scored in parallel, each with its share of the cores.
    """
    names = pipeline.candidates(training, project=project)
    if recipe := pipeline.only_recipe(names, project=project):
        return recipe
    scores = candidate_scores(training, names, project=project)
    return pipeline.best_recipe(names, scores, project=project)


def candidate_scores(training: SplitSide, names: Sequence[str], *, project: Project) -> list[Array]:
    """Return the cross-validation scores of each candidate, computed in parallel."""
    if project.settings.scale_out.runner == "dask":
        from ._dask import scores_on_workers

        return scores_on_workers(training, names, project=project)
    threads = max(1, (os.cpu_count() or 1) // len(names))
    # BLAS has one limit for the process: the candidates, which end one by one, must find it there.
    with thread_budget(threads):
        return cross_validate.map(
            unmapped(training), estimator=list(names), project=unmapped(project), threads=unmapped(threads)
        ).result()


@task(task_run_name="cross-validate {estimator}", cache_policy=NO_CACHE, persist_result=False)
@reports_progress
def cross_validate(training: SplitSide, *, estimator: str, project: Project, threads: int) -> Array:
    """Score one candidate at each threshold on folds of the training rows; the holdout is not used."""
    return pipeline.cross_validate(training, estimator=estimator, project=project, threads=threads)


def scorer(project: Project) -> Scorer | None:
    """Return a function that scores a table on Dask workers; None if this process scores it.

    Examples:
        >>> scorer(project)  # without Dask
    """
    if project.settings.scale_out.runner != "dask":
        return None
    from ._dask import scorer_on_workers

    return scorer_on_workers(project)
