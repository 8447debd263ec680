"""Serve every flow on its schedule from this machine: `python deploy.py`, stopped with Ctrl-C or SIGTERM.

For runs on other machines use the work pool of prefect.yaml instead: `prefect deploy --all`, and a worker there.
"""

import sys

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import EntrypointType
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


if __name__ == "__main__":
    try:
        serve(*deployments(), pause_on_shutdown=False)
    except ProjectError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
