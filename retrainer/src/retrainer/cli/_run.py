"""A run of a flow in this process, with a Prefect server of its own where none is set."""

import logging
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ProjectError, shell_command, translate_file_errors
from ._context import current_flows, current_project

if TYPE_CHECKING:
    import httpx

# Without PREFECT_API_URL, Prefect starts a server for the time of the run. It records the run, and does without what
# only a server that stays needs.
SERVER_OF_ONE_RUN = {
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a busy machine takes longer than the 20 of Prefect
}
# What Prefect says.
UNREACHABLE = "Failed to reach API at"
NOT_STARTED = "Timed out while attempting to connect to ephemeral"
REPEATED = ("Encountered exception", "Finished in state", "Running hook", "Hook ")
SERVER_BYTES = 20 * 2**20  # what the database of a new server takes, with room for the run


def run(flow: str, **parameters: Any) -> Any:
    """Run a flow of the project here and now.

    No heartbeats are sent: the person sees when it ends, and heartbeats delay the end by up to a second.
    """
    from ..settings import refuse_secret

    refuse_secret(parameters.get("source"))  # before Prefect stores it
    _require_home()
    for name, value in SERVER_OF_ONE_RUN.items():
        os.environ.setdefault(name, value)
    import httpx
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    flows = current_flows()
    logging.getLogger("prefect.flow_runs").addFilter(_is_not_repeated)
    try:
        _start_server()
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            return getattr(flows, flow)(**parameters)
    except RuntimeError as error:
        raise server_error(error) from None
    except httpx.HTTPError as error:
        raise lost_server_error(error) from None


def _start_server() -> None:
    """Start the server of one run, where none is set, so that Ctrl-C does not end it: it records that.

    A terminal sends Ctrl-C to all processes of a command. A process keeps signals blocked that were when it began.
    """
    from prefect.client.orchestration import get_client

    if not os.environ.get("PREFECT_API_URL"):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            get_client(sync_client=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def server_error(error: RuntimeError) -> Exception:
    """Return an error that says what to do where Prefect cannot reach or start a server; any other error as it is."""
    said = str(error)
    if said.startswith(UNREACHABLE):
        fix = "Start the server (make server), or unset PREFECT_API_URL so that the run starts its own server."
    elif said.startswith(NOT_STARTED):
        fix = (
            "The machine may be busy. Run this again, or start a permanent server (make server) and set "
            "PREFECT_API_URL to its address."
        )
    else:
        return error
    return ProjectError(f"{said} {fix}")


def lost_server_error(error: "httpx.HTTPError") -> Exception:
    """Return an error that says what to do where the server went away during a run; any other error as it is."""
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value() or "http://127.0.0.1:"  # of the server of one run
    if not str(error.request.url).startswith(url):
        return error
    where = f"{type(error).__name__} at {error.request.url.netloc.decode()}"
    listed = shell_command(current_project().settings.project, "registry", "list")
    return ProjectError(
        f"The Prefect server stopped answering during the run ({where}), which ends it. If {listed} shows no"
        " decision of this run, none was recorded: start the server (make server), and run this again."
    )


def _require_home() -> None:
    """Check that Prefect's folder has the space that a server needs: on a full disk Prefect would wait for minutes.

    Raises:
        FileError: it cannot be written, or its disk is full.
    """
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    with translate_file_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            if not os.environ.get("PREFECT_API_URL"):
                os.posix_fallocate(file.fileno(), 0, SERVER_BYTES)


def _is_not_repeated(record: logging.LogRecord) -> bool:
    """Leave the outcome to the command's last lines, which say it once."""
    from ..prefect import UNSENT

    text = record.getMessage()
    exception, finished, *hooks = REPEATED
    repeated = text.startswith(exception) and not record.exc_info
    return not (repeated or text.startswith((f"{finished} Failed", *hooks, UNSENT)))
