"""Serve every flow on its schedule from this machine: `python deploy.py`, stopped with Ctrl-C or SIGTERM.

For runs on other machines use the work pool of prefect.yaml instead: `prefect deploy --all`, and a worker there.
"""

import sys

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger

from << cookiecutter.package_name >> import project
from << cookiecutter.package_name >>.flows import monitor, retrain, score, tune
from << cookiecutter.package_name >>.retrainer.errors import ProjectError
from << cookiecutter.package_name >>.retrainer.prefect import DRIFT_EVENT, schedules, serve
from << cookiecutter.package_name >>.retrainer.registry import git_commit


def deployments() -> list[RunnerDeployment]:
    """Describe the deployments as prefect.yaml does, so that either way serves the same ones.

    A run that comes due while the one before is still at it is cancelled: the next one sees the same data and more.
    """
    settings = project.settings
    name = settings.project
    drifted = DeploymentEventTrigger(
        name=f"{name}: retrain on drift",
        expect={DRIFT_EVENT},
        match={"prefect.resource.id": f"retraining.{name}"},
    )
    return [
        flow.to_deployment(
            name=name,
            schedules=schedules(settings.schedules.get(flow.name)),
            triggers=[drifted] if flow is retrain else [],
            concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
            description=flow.description,
            tags=[name],
            version=git_commit(settings.root),
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for flow in (retrain, score, monitor, tune)
    ]


if __name__ == "__main__":
    try:
        serve(project, deployments())
    except ProjectError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
