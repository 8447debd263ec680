"""Serve every flow on its schedule from this machine: `python deploy.py`, stopped with Ctrl-C or SIGTERM.

For runs on other machines use the work pool of prefect.yaml instead: `prefect deploy --all`, and a worker there.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL

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
    """Prefect's runner, which notifies the team of the runs it cancels, stopped by SIGTERM as by Ctrl-C.

    Prefect's own (3.8.8) kills them and leaves them running for ever in the server's eyes, where each keeps the
    next one from starting; and its handler of SIGTERM leaves its clean-up undone.
    """

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End the event loop the way Ctrl-C does."""
        signal.raise_signal(signal.SIGINT)

    async def _handle_cancellation_observer_failure(self) -> None:
        """Go on looking for cancelled runs: Prefect's own (3.8.8) stops for good after an outage of half a minute."""
        while not self.stopping:
            with suppress(Exception):  # the server is still away
                await self._cancelling_observer._check_for_cancelled_flow_runs()
            await asyncio.sleep(self.query_seconds)

    async def __aexit__(self, *exc_info: Any) -> None:
        """Cancel the runs that are still at it, hooks and all, before anything is torn down."""
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
