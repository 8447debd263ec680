"""The steps of the flows as Prefect tasks: retries, cache policy and logging, nothing else.

Tables stay in memory and are never results: hashing and pickling them would cost more than the training. Only the
small record of a fetch is cached, under the fingerprint of its source.
"""

import datetime
import functools
import logging
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import State
from prefect.tasks import Task, exponential_backoff
from sklearn.pipeline import Pipeline

from . import data, evaluation, models, notifications, preprocessing, promotion, splitting, validation
from .errors import ProjectError
from .registry import StaleDecision, Version, open_registry
from .settings import PACKAGE, Settings


class _PlainErrors(logging.Filter):
    """Drop the traceback of an error that is meant for a person: its message says all there is to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ProjectError):
            record.exc_info = None
        return True


for logger_name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(logger_name).addFilter(_PlainErrors())


def _may_pass(task: Task[..., Any], task_run: TaskRun, state: State) -> bool:
    """Retry what may pass by itself (a network, a disk), not what a person has to mend."""
    return not isinstance(state.result(raise_on_failure=False), ProjectError)


# A step hands frames on in memory, once: nothing to cache, nothing to store.
step = functools.partial(task, cache_policy=NO_CACHE, persist_result=False)


def _fetch_key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    settings, source = parameters["settings"], parameters["source"]
    fingerprint = data.fingerprint(source, settings=settings)
    return fingerprint and f"{PACKAGE}-{settings.root.resolve()}-{fingerprint}"


@task(
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_may_pass,
    cache_key_fn=_fetch_key,
    persist_result=True,
    result_serializer="json",
)
def fetch(source: str, *, settings: Settings) -> data.Snapshot:
    """Fetch the table; an unchanged source is not fetched again, a changed one never served stale."""
    snapshot = data.fetch(source, settings=settings)
    get_run_logger().info("%s: %s rows, sha256 %s", snapshot.source, f"{snapshot.rows:,}", snapshot.digest[:12])
    return snapshot


@step()
def preprocess(snapshot: data.Snapshot, *, settings: Settings) -> pd.DataFrame:
    """Read the snapshot, derive the label and check that the table can be learned from."""
    return preprocessing.labelled(data.load(snapshot), settings=settings)


@step()
def split(labelled: pd.DataFrame, *, settings: Settings) -> splitting.Split:
    """Hold rows out that no model is ever trained on."""
    return splitting.split(
        labelled, settings=settings.split, problem_type=settings.problem_type, target=settings.data.target
    )


@step(retries=2, retry_condition_fn=_may_pass)
def train(X: pd.DataFrame, y: pd.Series, *, estimator: str, settings: Settings) -> Pipeline:
    """Fit one estimator with its preprocessing on the training rows."""
    pipeline = models.make_pipeline(estimator, problem_type=settings.problem_type, seed=settings.seed)
    return pipeline.fit(X, y)
