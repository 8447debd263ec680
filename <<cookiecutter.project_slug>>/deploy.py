"""Serve every flow on its schedule from this machine: `python deploy.py`, stopped with Ctrl-C or SIGTERM.

For runs on other machines use the work pool of prefect.yaml instead: `prefect deploy --all`, and a worker there.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron

from << cookiecutter.package_name >>.errors import ProjectError
from << cookiecutter.package_name >>.flows import retrain
from << cookiecutter.package_name >>.lineage import git_commit
from << cookiecutter.package_name >>.settings import get_settings

PROJECT = "<< cookiecutter.project_slug >>"


def deployments() -> list[RunnerDeployment]:
    """Describe the deployments as prefect.yaml does, so that either way serves the same ones.

    A retrain that comes due while another runs is cancelled: the next one sees the same data and more.
    """
    settings = get_settings()
    return [
        retrain.to_deployment(
            name=PROJECT,
            schedules=[Cron(settings.schedule.cron, timezone=settings.schedule.timezone)],
            concurrency_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
            ),
            description=retrain.description,
            tags=[PROJECT],
            version=git_commit(settings.root),
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
    ]


class Server(Runner):
    """Prefect's runner, stopped by SIGTERM as by Ctrl-C: its own handler leaves its clean-up undone (3.8.8)."""

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End the event loop the way Ctrl-C does."""
        signal.raise_signal(signal.SIGINT)


def main() -> None:
    """Serve until told to stop; the schedules stay active, for whoever serves next."""
    server = Server(name=PROJECT, pause_on_shutdown=False)
    for deployment in deployments():
        server.add_deployment(deployment)
        print(f"Serving {deployment.flow_name}/{deployment.name}", flush=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(server.start())


if __name__ == "__main__":
    try:
        main()
    except ProjectError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
