"""Serve every flow on its schedule from this machine: `python deploy.py`, stopped with Ctrl-C or SIGTERM.

For runs on other machines use the work pool of prefect.yaml instead: `prefect deploy --all`, and a worker there.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Any, Self
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
)
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from << cookiecutter.package_name >>.errors import ConfigurationError, ProjectError
from << cookiecutter.package_name >>.flows import monitor, retrain, score
from << cookiecutter.package_name >>.orchestration import (
    DRIFT_EVENT,
    register_automations,
    schedules,
)
from << cookiecutter.package_name >>.registry import git_commit
from << cookiecutter.package_name >>.settings import get_settings

PROJECT = "<< cookiecutter.project_slug >>"


def deployments() -> list[RunnerDeployment]:
    """Describe the deployments as prefect.yaml does, so that either way serves the same ones.

    A run that comes due while the one before is still at it is cancelled: the next one sees the same data and more.
    """
    settings = get_settings()
    drifted = DeploymentEventTrigger(
        name=f"{PROJECT}: retrain on drift",
        expect={DRIFT_EVENT},
        match={"prefect.resource.id": f"retraining.{PROJECT}"},
    )
    wanted: list[tuple[Flow[..., Any], list[DeploymentEventTrigger]]] = [
        (retrain, [drifted]),
        (score, []),
        (monitor, []),
    ]
    return [
        flow.to_deployment(
            name=PROJECT,
            schedules=schedules(settings.schedules[flow.name]),
            triggers=triggers,
            concurrency_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
            ),
            description=flow.description,
            tags=[PROJECT],
            version=git_commit(settings.root),
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for flow, triggers in wanted
    ]


class Server(Runner):
    """Prefect's runner, which outlasts a server that is away, and when stopped notifies the team of what it cancels.

    Prefect's own (3.8.8) ends when the server is away for minutes, and looks for cancelled runs no more when it was
    away for one. When stopped it leaves its runs running for ever in the server's eyes, where each keeps the next one
    from starting; and its handler of SIGTERM leaves its clean-up undone.
    """

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End the event loop the way Ctrl-C does."""
        signal.raise_signal(signal.SIGINT)

    async def __aenter__(self) -> Self:
        """Start what Prefect starts, and the watch for cancelled runs beside its own."""
        await super().__aenter__()
        poller = self._scheduled_run_poller
        poll = poller._get_and_submit_flow_runs

        async def poll_patiently() -> None:
            with suppress(httpx.HTTPError):  # the server is away: the next time, then
                await poll()

        poller._get_and_submit_flow_runs = poll_patiently
        self._watch = asyncio.create_task(self._watch_for_cancelled_runs())
        return self

    async def _watch_for_cancelled_runs(self) -> None:
        # Who waits ever longer between attempts notices late that the server is back.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while True:
                with suppress(Exception):  # whatever it is, it may pass
                    await self._cancelling_observer._check_for_cancelled_flow_runs()
                await asyncio.sleep(self.query_seconds)

    async def _handle_cancellation_observer_failure(self) -> None:
        """Do without what Prefect looks for cancelled runs with: the watch goes on."""

    async def _cancel_run(self, flow_run: FlowRun | UUID, state_msg: str | None = None) -> None:
        """Cancel a run, and go on until the server knows that it has ended, or its slot would stay taken."""
        wanted = flow_run if isinstance(flow_run, UUID) else flow_run.id
        if wanted in self._cancelling_flow_run_ids:  # both watches saw it
            return
        while True:
            with suppress(httpx.HTTPError):
                await super()._cancel_run(wanted, state_msg)
                found = await self._client.read_flow_run(wanted)
                if not (found.state and found.state.is_cancelling()):
                    return
                if await self._mark_flow_run_as_cancelled(found):
                    return
            await asyncio.sleep(self.query_seconds)

    async def __aexit__(self, *exc_info: Any) -> None:
        """Cancel the runs that are still at it, hooks and all, before anything is torn down."""
        self._watch.cancel()
        await self.cancel_all()
        await super().__aexit__(*exc_info)


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


def main() -> None:
    """Serve until stopped; the schedules stay active, for the next process that serves."""
    require_server()
    server = Server(name=PROJECT, pause_on_shutdown=False)
    for deployment in deployments():
        server.add_deployment(deployment)
        print(f"Serving {deployment.flow_name}/{deployment.name}", flush=True)
    register_automations()
    # A shell that starts this with `&` has it ignore Ctrl-C, and with it SIGTERM, which ends as Ctrl-C does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        asyncio.run(server.start())


if __name__ == "__main__":
    try:
        main()
    except ProjectError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
