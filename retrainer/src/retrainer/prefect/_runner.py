"""Serve deployments from this process until it is stopped, with Prefect's public API."""

import asyncio
import signal
from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from ..errors import ConfigurationError, ProjectError
from ..project import Project
from ._automations import register_automations
from ._cancellation import complete_recorded, stopping

SECONDS_BETWEEN = 0.05
# Of each request, each after twice the seconds of the one before. A runner gives up after three requests, and its runs
# are killed: with Prefect's own five retries after three minutes without a server, with these after thirteen.
RETRIES = 7


def serve(project: Project, deployments: Sequence[RunnerDeployment]) -> None:
    """Register deployments and automations, and run scheduled flows until SIGTERM or Ctrl-C.

    The schedules stay active, for the next process that serves. Runs in progress are then cancelled.

    Raises:
        ConfigurationError: there is no server.
        ProjectError: it was away for too long.
    """
    require_server()
    asyncio.run(_serve(project, deployments))


async def _serve(project: Project, deployments: Sequence[RunnerDeployment]) -> None:
    runner = Runner(name=project.settings.project, pause_on_shutdown=False)
    for deployment in deployments:
        registered = await runner.aadd_deployment(deployment)
        async with get_client() as client:  # a pool that had it before would take its runs as well
            await client.update_deployment(registered, DeploymentUpdate(work_pool_name=None))
        schedule = project.settings.schedules.get(str(deployment.flow_name))
        print(f"Serving {deployment.full_name}, {schedule.describe() if schedule else 'started by hand'}", flush=True)
    await asyncio.to_thread(register_automations, project)
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: max(RETRIES, PREFECT_CLIENT_MAX_RETRIES.value())}):
        serving = asyncio.create_task(runner.start())
    while not (runner.started or serving.done()):
        await asyncio.sleep(SECONDS_BETWEEN)
    # Prefect's own handler, which it has set by now, does not wait until its runs are cancelled.
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    stop_requested = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, stop_requested}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.is_set():
        stopping.set()
        await runner.astop()
    try:
        await serving
    except ExceptionGroup as errors:
        if errors.split(RuntimeError)[1]:
            raise
        raise ProjectError(
            "The Prefect server did not answer for too long, so this process and its runs end. Start it again when"
            " the server is back, or let a process manager do this."
        ) from None
    stop_requested.cancel()
    await asyncio.to_thread(complete_recorded, project)


def require_server() -> None:
    """Make sure that a server keeps the schedules; one that Prefect starts for this process would end with it.

    Raises:
        ConfigurationError: there is none.
    """
    url = PREFECT_API_URL.value()
    trouble = "PREFECT_API_URL is not set"
    if url:
        with get_client(sync_client=True) as client:
            error = client.api_healthcheck()
        if error is None:
            return
        trouble = f"PREFECT_API_URL is {url}, where no server answers ({type(error).__name__})"
    raise ConfigurationError(
        f"There is no Prefect server to deploy to: {trouble}. Start one with `make server` in another terminal,"
        " then run: export PREFECT_API_URL=http://127.0.0.1:4200/api; make deploy"
    )
