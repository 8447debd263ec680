"""The trials of a search, as Prefect tasks: in parallel threads, or on Dask workers."""

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger
from prefect.states import Failed

from .. import pipeline, tuning
from ..errors import first_line, translate_file_errors
from ..project import Project
from ..training import FoldInputs, thread_budget
from ._progress import best_so_far


def search(training: pipeline.SplitSide, *, estimator: str, plan: tuning.Plan, project: Project) -> tuning.Found:
    """Search better parameters of an estimator by cross-validation on the training side; the holdout is not used.

    This process gets the parameters of each trial from the study, and records its result. A study can be continued.

    Raises:
        TimeLimitError: the time limit ends before the first trial does.
        StudyInUseError: another process uses the same study.
    """
    inputs = pipeline.fold_inputs(training, project=project)
    deadline = math.inf if plan.seconds is None else time.time() + plan.seconds
    workers = plan.workers or project.settings.scale_out.workers or os.cpu_count() or 1
    with (
        tuning.open_study(inputs, estimator=estimator, project=project) as study,
        _share_inputs(inputs, workers, project) as (where, threads),
        best_so_far() as show,
    ):
        if before := study.count:
            get_run_logger().info("The search %s goes on after %d trials", study.id, before)
        options = {"estimator": estimator, "deadline": deadline, "threads": threads, "project": project}
        stopped = _run_trials(study, where, options, trials=plan.trials, workers=workers, show=show)
        if stopped and (study.today is None or study.count == before):
            raise tuning.TimeLimitError(
                f"--time-limit is shorter than one trial of {estimator}: {len(stopped.means)} of {stopped.folds} folds"
                f" took {stopped.seconds:.1f} s. Allow more time; what was found before is kept ({study.id})."
            )
        return study.found()


def _run_trials(
    study: tuning.Study, inputs: Any, options: Mapping[str, Any], *, trials: int, workers: int, show: Any
) -> tuning.Outcome | None:
    """Let trials run until there are enough, or the time is over; return one that was stopped, None if none was."""
    running: dict[PrefectFuture[tuning.Outcome], int] = {}
    stopped, begun = None, False
    while True:
        while len(running) < workers and study.goes_on(trials) and not (begun and time.time() >= options["deadline"]):
            begun = True
            number, parameters = study.ask()
            name = "today" if number == tuning.TODAY else number
            given = {"number": name, "parameters": parameters, "medians": study.medians(number)}
            running[trial.submit(inputs, **given, **options)] = number
        if not running:
            return stopped
        future = next(as_completed(list(running)))
        outcome = _trial_outcome(future)
        if isinstance(outcome, tuning.Outcome) and outcome.state == "stopped":
            stopped = outcome
        study.tell(running.pop(future), outcome)
        if study.today is not None:
            score, parameters = study.best()
            shown = ", ".join(f"{name} {value}" for name, value in parameters.items()) or "today's parameters"
            line = f"{study.estimator}: {study.count} of {trials} trials, best {study.metric.format(score)}: {shown}"
            show(line, study.trials())


def _trial_outcome(future: PrefectFuture[tuning.Outcome]) -> tuning.Outcome | Exception:
    try:
        return future.result()
    except Exception as error:  # an estimator may fail in any way with parameters that nobody tried
        return error


@task(task_run_name="trial {number} of {estimator}", cache_policy=NO_CACHE, persist_result=False)
def trial(
    inputs: FoldInputs | Path,
    *,
    number: int | str,
    estimator: str,
    parameters: dict[str, Any],
    medians: Sequence[float],
    deadline: float,
    threads: int,
    project: Project,
) -> tuning.Outcome | State[tuning.Outcome]:
    """Score parameters fold by fold; on a worker, which reads the training part itself."""
    try:
        if isinstance(inputs, Path):
            from ._dask import read

            inputs = read(inputs)
        with translate_file_errors():
            return tuning.score_trial(
                inputs,
                estimator=estimator,
                parameters=parameters,
                medians=medians,
                deadline=deadline,
                threads=threads,
                project=project,
            )
    except Exception as error:  # said in a line: of parameters that do not work, a traceback each hides the rest
        return Failed(message=f"{type(error).__name__}: {first_line(error)}", data=error)


@contextmanager
def _share_inputs(inputs: FoldInputs, workers: int, project: Project) -> Iterator[tuple[FoldInputs | Path, int]]:
    """Yield the inputs as the trials get them, and how many threads each may use."""
    if project.settings.scale_out.runner == "dask":
        from ._dask import shared, threads_per_task
        from ._dask_workers import require_workers

        require_workers(project.settings)
        with shared(inputs, project.settings) as path:
            yield path, threads_per_task(project.settings)
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    with thread_budget(threads):  # BLAS has one limit for the process
        yield inputs, threads
