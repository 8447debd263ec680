"""The start of a run of any flow: its settings, its source, and the rules for fetching and retrying."""

import datetime
import functools
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import TaskRun
from prefect.context import TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import State
from prefect.tasks import Task
from prefect.utilities.urls import url_for

from .. import data
from ..data import SourceUnavailable
from ..errors import ConfigurationError, ProjectError, translate_file_errors
from ..locations import PREFECT_SECRET, Location
from ..pipeline import Run, check
from ..project import Project
from ..settings import Settings, refuse_secret
from ._progress import sign_of_life


class _PlainErrors(logging.Filter):
    """Drop the traceback of an error that is meant for a person: its message says all there is to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ProjectError):
            record.exc_info = None
        return True


class _ToRun(logging.Handler):
    """Write what the library logs into the log of the run that it works for."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            get_run_logger().log(record.levelno, record.getMessage(), exc_info=record.exc_info)
        except MissingContextError:
            logging.getLogger().handle(record)


for logger_name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(logger_name).addFilter(_PlainErrors())
_library = logging.getLogger(__package__.rpartition(".")[0])
_library.addHandler(_ToRun())
_library.setLevel(logging.INFO)
_library.propagate = False  # the handler passes on what no run logs


def this_run() -> Run:
    """Return the present flow run, in the form that records contain."""
    return Run(flow_run.id, str(flow_run.name or ""), url_for("flow-run", flow_run.id) or "")


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State) -> bool:
    """Return whether to retry: temporary errors (network, disk), not those that a person has to fix.

    Examples:
        >>> from prefect.states import Failed
        >>> is_transient(None, None, Failed(data=SourceUnavailable("The database does not answer.")))
        True
    """
    error = state.result(raise_on_failure=False)
    return isinstance(error, SourceUnavailable) or not isinstance(error, ProjectError)


def reports_progress(function: Callable[..., Any]) -> Callable[..., Any]:
    """Show the progress of a long step, and let errors of the operating system name their file.

    Put it below `@task`.
    """
    name = function.__name__.replace("_", " ")

    @functools.wraps(function)
    def step(*args: Any, **kwargs: Any) -> Any:
        with translate_file_errors(), sign_of_life(name, inputs=[*args, *kwargs.values()]):
            return function(*args, **kwargs)

    return step


def fingerprint_of_source(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    """Return the key under which a fetch is cached: an unchanged source is not fetched again.

    Without a fingerprint the key is None, and the source is fetched.

    Examples:
        >>> len(fingerprint_of_source(None, {"project": project, "source": project.settings.data.source}))
        64
    """
    project: Project = parameters["project"]
    try:
        fingerprint = data.fingerprint(parameters["source"], settings=project.settings)
    except ProjectError:
        return None  # the fetch itself will say so
    if not fingerprint:
        return None
    kept = f"{data.Snapshot.__module__}.{data.Snapshot.__qualname__}"  # what is kept names its class, which may move
    key = f"{kept} {project.package} {project.settings.root.resolve()} {fingerprint}"
    return hashlib.sha256(key.encode()).hexdigest()


def begin(project: Project, *, source: str | None = None, as_of: datetime.datetime | None = None) -> Project:
    """Return the project with the settings of this run, checked before any work is done.

    `data.query` is the query of this flow, `score.query` or `monitor.query` where it is set, with its dates filled in.

    Args:
        project: The project.
        source: The parameter of the run, which replaces `data.source`.
        as_of: The date to fill in; see `resolve_source`.

    Raises:
        ConfigurationError: the settings cannot work.

    Examples:
        >>> begin(project, source="other.csv").settings.data.source
        Location('other.csv')
    """
    given = reject_inline_secret(source)
    overrides = dict(project.overrides.get("data", {})) | ({} if given is None else {"source": given})
    settings = project.with_settings(data=overrides).settings
    own = {"score": settings.score.query, "monitor": settings.monitor.query}.get(str(flow_run.flow_name))
    if as_of:
        _require_dates(project.settings, given, own)
    moment = _moment_of_dates(as_of, settings)
    for name, text in (("query", own or settings.data.query), ("watermark", settings.data.watermark)):
        if (filled := data.fill_in_query(text, as_of=moment)) != getattr(settings.data, name):
            overrides[name] = filled
    configured = project.with_settings(data=overrides)
    check(configured)
    return configured


def _require_dates(settings: Settings, given: Location | None, query: str | None) -> None:
    """Make sure that a moment means something to this run.

    Raises:
        ConfigurationError: neither source nor query has a date.
    """
    flow = str(flow_run.flow_name)
    source = {"score": settings.score.source, "monitor": settings.monitor.source}.get(flow)
    given = given or flow_run.parameters.get("source")  # of score and monitor, which resolve it themselves
    texts = [given or source or settings.data.source, query or settings.data.query, settings.data.watermark]
    texts += [settings.split.source] if flow == "retrain" else []
    if not any("{as_of" in Location(text).reveal() for text in texts if text):
        section = "data" if flow == "retrain" else flow
        raise ConfigurationError(
            f"as_of is given, and no date is to be filled in: write one into {section}.source or {section}.query, such "
            "as trips/{as_of:%Y-%m}.parquet."
        )


def _moment_of_dates(as_of: datetime.datetime | None, settings: Settings) -> datetime.datetime:
    """Return the moment for dates in a source, or when this run was due, in the time zone of its own schedule."""
    if as_of and as_of.tzinfo is None:
        return as_of
    moment = as_of or flow_run.scheduled_start_time or datetime.datetime.now(datetime.UTC)
    return moment.astimezone(settings.timezone(str(flow_run.flow_name)))


def reject_inline_secret(source: str | None) -> Location | None:
    """Return the source parameter of this run; one with a secret is refused, and removed from Prefect's record.

    Raises:
        ConfigurationError: it may contain a secret.

    Examples:
        >>> reject_inline_secret("table.csv")
        Location('table.csv')
    """
    try:
        return refuse_secret(source)
    except ConfigurationError:
        hidden = dict(flow_run.parameters) | {"source": str(Location(str(source)))}
        with suppress(Exception), get_client(sync_client=True) as client:
            client.update_flow_run(flow_run_id=UUID(str(flow_run.id)), parameters=hidden)
        raise


def resolve_source(
    source: str | Location | None, *defaults: Location | None, as_of: datetime.datetime | None = None, project: Project
) -> Location:
    """Return the source of this run with its dates and secrets filled in.

    Args:
        source: The parameter of the run; if empty, the first default that is set, else `data.source`.
        defaults: Locations of the settings, in the order of preference.
        as_of: The date to fill in; if empty, the scheduled time of the run, in the time zone of its schedule.
        project: The project, for its settings.

    Raises:
        ConfigurationError: a date is invalid, a Prefect Secret block does not exist, or the parameter contains a
            secret.

    Examples:
        >>> resolve_source("table-{as_of:%Y-%m}.csv", as_of=datetime.datetime(2026, 5, 1), project=project)
        Location('table-2026-05.csv')
    """
    settings = project.settings
    given = source if isinstance(source, Location) else reject_inline_secret(source)
    found = next((each for each in (given, *defaults) if each is not None), settings.data.source)
    dated = data.resolve(found, as_of=_moment_of_dates(as_of, settings))
    return with_prefect_secrets(dated)


def with_prefect_secrets(source: Location) -> Location:
    """Fill in `${prefect.secret:NAME}` from the Prefect Secret blocks of these names.

    Raises:
        ConfigurationError: there is no such block, or the server does not give it.

    Examples:
        >>> with_prefect_secrets(Location("table.csv"))
        Location('table.csv')
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
