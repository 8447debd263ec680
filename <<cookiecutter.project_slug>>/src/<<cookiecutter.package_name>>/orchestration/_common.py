"""What the steps of every flow share: the settings and source of a run, the fetch, and the message about its end."""

import datetime
import functools
import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import Flow, task
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger
from prefect.runtime import flow_run
from prefect.states import State
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.urls import url_for
from sklearn.pipeline import Pipeline

from .. import data
from ..checks import check
from ..data import SourceUnavailable
from ..errors import ConfigurationError, ProjectError, files_explained
from ..locations import PREFECT_SECRET, Location
from ..registry import Version, open_registry
from ..settings import PACKAGE, Settings, get_settings, load_settings, source_parameter
from . import _automations, _messages
from ._progress import sign_of_life

PROFILE = "profile.json"
REGISTRY_SECONDS = 1.5  # a failure message does not wait longer for a registry that may be what broke


class _PlainErrors(logging.Filter):
    """Drop the traceback of an error that is meant for a person: its message says all there is to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ProjectError):
            record.exc_info = None
        return True


for logger_name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(logger_name).addFilter(_PlainErrors())


def may_pass(task: Task[..., Any], task_run: TaskRun, state: State) -> bool:
    """Retry what may pass by itself (a network, a disk), not what a person has to fix."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, SourceUnavailable) or not isinstance(error, ProjectError)


def step(*, shows_progress: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a task of a step. It hands frames on in memory, once: nothing to cache, nothing to store.

    What the operating system says about a file becomes an error that names it and says what to do. A step that takes
    long gives a sign of life.

    Args:
        shows_progress: The step does that itself.
        options: Of the task.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        name = function.__name__.replace("_", " ")

        @functools.wraps(function)
        def explained(*args: Any, **kwargs: Any) -> Any:
            quiet = nullcontext() if shows_progress else sign_of_life(name, inputs=[*args, *kwargs.values()])
            with files_explained(), quiet:
                return function(*args, **kwargs)

        return task(explained, cache_policy=NO_CACHE, persist_result=False, **options)

    return decorate


def _fetch_key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    settings: Settings = parameters["settings"]
    try:
        fingerprint = data.fingerprint(parameters["source"], settings=settings)
    except ProjectError:
        return None  # the fetch itself will say so
    return (
        fingerprint
        and hashlib.sha256(f"{PACKAGE} {settings.root.resolve()} {fingerprint}".encode()).hexdigest()
    )


@task(
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=may_pass,
    cache_key_fn=_fetch_key,
    persist_result=True,
    result_serializer="json",
)
def fetch(source: Location, *, settings: Settings) -> data.Snapshot:
    """Fetch the table; an unchanged source is not fetched again, a changed one never served stale."""
    with files_explained(settings.resolve("data")), sign_of_life("fetch"):
        snapshot = data.fetch(source, settings=settings)
    get_run_logger().info("%s: sha256 %s", snapshot.source, snapshot.digest[:12])
    return snapshot


def settings_of_run(**overrides: Any) -> Settings:
    """Return the settings of this run: those of the process, and what the run's parameters override.

    Raises:
        ConfigurationError: they cannot work, as far as that can be known before any work is done.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = load_settings(data=given) if given else get_settings()
    check(settings)
    return settings


def parameter(source: str | None) -> Location | None:
    """Return the source this run was given; one that carries a secret is refused, and taken out of Prefect's record.

    Raises:
        ConfigurationError: it may carry a secret.
    """
    try:
        return source_parameter(source)
    except ConfigurationError:
        hidden = dict(flow_run.parameters) | {"source": str(Location(str(source)))}
        with suppress(Exception), get_client(sync_client=True) as client:
            client.update_flow_run(flow_run_id=UUID(str(flow_run.id)), parameters=hidden)
        raise


def source_of_run(source: Location, as_of: datetime.datetime | None, *, settings: Settings) -> Location:
    """Fill in the secrets of a source, and its dates: of `as_of`, or of when the run was due where its schedule is.

    Raises:
        ConfigurationError: a date cannot be computed, or a Prefect Secret block is not there.
    """
    due = flow_run.scheduled_start_time or datetime.datetime.now(datetime.UTC)
    dated = data.resolve(source, as_of=as_of or due.astimezone(ZoneInfo(settings.schedule.timezone)))
    return with_prefect_secrets(dated)


def with_prefect_secrets(source: Location) -> Location:
    """Fill in `${prefect.secret:NAME}` from the Prefect Secret blocks of these names.

    Raises:
        ConfigurationError: there is no such block, or the server does not give it.
    """

    def value(placeholder: str) -> str | None:
        if not placeholder.startswith(PREFECT_SECRET):
            return None
        name = placeholder.removeprefix(PREFECT_SECRET)
        try:
            return str(Secret.load(name).get())
        except Exception as error:
            raise ConfigurationError(
                f"{source} needs the Prefect Secret block {name!r}, which cannot be loaded ({type(error).__name__}):"
                " create it in the Prefect UI under Blocks."
            ) from None

    return source.filled(value)


def left_out(pipeline: Pipeline) -> dict[str, str]:
    """Return the columns that the steps of a pipeline left out, each with the reason."""
    return {name: why for stage in pipeline for name, why in getattr(stage, "left_out_", {}).items()}


def notify_outcome(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Notify the team that a run failed, crashed or was cancelled; called by Prefect, maybe in the runner, by name.

    Nothing here depends on what broke: the block is found in settings that are broken elsewhere, and what is in
    production is looked up with a time limit. Of a dry run nobody is notified.
    """
    logger = flow_run_logger(flow_run, flow)
    project, block = _messages.recipient()
    if flow_run.parameters.get("dry_run"):
        _automations.confirm_notified(flow_run, project=project)
        return
    reason = _reason(flow_run, state)
    message = _messages.failure_message(
        project=project,
        flow=flow.name,
        run=flow_run.name,
        state="cancelled" if state.is_cancelling() else state.name or "failed",
        reason=reason,
        link=url_for(flow_run) or "",
        champion=_in_production(reason),
    )
    if _messages.send(message, block=block, logger=logger):
        _automations.confirm_notified(flow_run, project=project)


def _reason(flow_run: FlowRun, state: State[Any]) -> str:
    """Return why a run ended; of a cancelled one, whoever cancelled it said so, and not the runner that ended it."""
    asked = flow_run.state if state.is_cancelling() else None
    return (asked and asked.is_cancelling() and asked.message) or state.message or "no reason was given"


def _in_production(reason: str) -> str:
    """Describe the model in production; whatever goes wrong is part of the answer, once.

    Args:
        reason: Why the run ended, which the message says already.
    """

    def look_up() -> str:
        champion = open_registry(get_settings()).champion()
        return champion.id if champion else "no model yet"

    try:
        return _messages.within(REGISTRY_SECONDS, look_up)
    except ProjectError as error:
        same = str(error) in reason
        return f"could not be determined{', for the same reason' if same else f': {error}'}"
    except TimeoutError:
        return f"could not be determined: the registry did not answer within {REGISTRY_SECONDS:g} seconds"
    except Exception as error:  # its words may hold a secret
        return f"could not be determined ({type(error).__name__})"


def profile_of(version: Version, settings: Settings) -> dict[str, Any]:
    return json.loads(open_registry(settings).read_file(version, PROFILE))
