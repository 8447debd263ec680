"""A run of a flow in this process, with a Prefect server of its own where none is set."""

import copy
import functools
import gc
import logging
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from ..errors import ProjectError, files_explained
from ._context import current_flows, current_project

# Without PREFECT_API_URL, Prefect starts a server for the time of the run. It records the run, and does without what
# only a server that stays needs.
SERVER_OF_ONE_RUN = {
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a busy machine takes longer than the 20 of Prefect
}


def run(flow: str, **parameters: Any) -> Any:
    """Run a flow of the project here and now, as quickly as whoever typed the command expects.

    Imports fill the memory with objects that stay: looking for garbage among them, again and again, would take longer
    than a small training. No heartbeats are sent: the person sees it die, and they round a run up to whole seconds.
    """
    from ..settings import refuse_secret

    refuse_secret(parameters.get("source"))  # before Prefect stores it
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    with files_explained(home):  # Prefect would look for its server for minutes
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    for name, value in SERVER_OF_ONE_RUN.items():
        os.environ.setdefault(name, value)
    gc.disable()
    from prefect import tags
    from prefect.logging.configuration import setup_logging
    from prefect.logging.handlers import PrefectConsoleHandler
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    flows = current_flows()

    gc.freeze()
    gc.enable()
    setup_logging()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler):
            handler.addFilter(_not_said_by_the_command)
    try:
        _start_server()
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), tags(_project()):
            return _untagged_inside(getattr(flows, flow))(**parameters)
    except RuntimeError as error:
        said = str(error)
        if said.startswith("Failed to reach API"):
            fix = (
                "Start the server (make server), or unset PREFECT_API_URL for a run with a server of its own."
            )
        elif said.startswith("Timed out while attempting to connect to ephemeral"):
            fix = (
                "The machine may be busy: run this again, or start a server that stays (make server), and set "
                "PREFECT_API_URL to its address."
            )
        else:
            raise
        raise ProjectError(f"{said} {fix}") from None


def _untagged_inside(flow: Any) -> Any:
    """Return a flow whose run has the tags of the moment, and its tasks none.

    For a task with tags Prefect asks the server for slots each time, and after a step of some seconds, when its
    connection was closed, that takes two seconds more.
    """
    from prefect.context import TagsContext

    @functools.wraps(flow.fn)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with TagsContext(current_tags=set()):
            return flow.fn(*args, **kwargs)

    untagged = copy.copy(flow)
    untagged.fn = inside
    return untagged


def _start_server() -> None:
    """Start the server of one run, where none is set, so that Ctrl-C does not end it: it is to record that.

    A terminal sends Ctrl-C to all processes of a command. A process keeps signals blocked that were when it began.
    """
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        return
    from prefect.server.api.server import SubprocessASGIServer

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        SubprocessASGIServer().start()  # the one that Prefect uses from now on
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_said_by_the_command(record: logging.LogRecord) -> bool:
    """Leave the outcome to the command's last lines, which say it once; the server's log keeps every line."""
    from ..prefect import UNSENT

    text = record.getMessage()
    repeated = text.startswith("Encountered exception") and not record.exc_info
    return not (repeated or text.startswith(("Finished in state Failed", "Running hook", "Hook ", UNSENT)))


def _project() -> str:
    project = current_project()
    try:
        return project.settings.project
    except ProjectError:  # the flow itself says so, and sends the message
        return project.package
