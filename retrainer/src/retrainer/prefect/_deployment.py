"""The schedules of the settings as Prefect has them, registered alike by deploy.py and by `prefect deploy`."""

from datetime import timedelta
from importlib import import_module

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentScheduleUpdate, DeploymentUpdate
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Interval, RRule, Schedule

from ..errors import ConfigurationError
from ..project import Project
from ..settings import ScheduleSettings
from ._automations import register_automations


def schedules(settings: ScheduleSettings | None) -> list[Schedule]:
    """Return the schedule of the settings in Prefect's form; an empty list if a flow is only started by hand.

    Examples:
        >>> schedules(ScheduleSettings(cron="0 6 * * 1"))[0].cron
        '0 6 * * 1'
    """
    if settings is None:
        return []
    if settings.cron:
        return [Cron(settings.cron, timezone=settings.timezone, active=settings.active)]
    if settings.interval:
        interval = timedelta(seconds=settings.interval)
        return [Interval(interval, timezone=settings.timezone, active=settings.active)]
    if settings.rrule:
        return [RRule(settings.rrule, timezone=settings.timezone, active=settings.active)]
    return []


def prepare_deployment(package: str, flow: str, name: str) -> None:
    """Register crash detection, and the schedule of a flow of a package; a build step of prefect.yaml.

    prefect.yaml cannot take a schedule from the settings by itself. It names none, and `prefect deploy`, which runs
    this first, leaves the registered ones as they are then.

    Raises:
        ConfigurationError: the deployment of prefect.yaml has another name than the project, so that what the server
            watches would not be what runs.
    """
    project: Project = import_module(package).project
    if name != (wanted_name := project.settings.project):
        raise ConfigurationError(
            f"prefect.yaml deploys {name!r}, and the settings say project = {wanted_name!r}: give both one name, also"
            " in the tags and the event's resource of prefect.yaml. The deployments of the former name stay until"
            f" `prefect deployment delete {flow}/<name>`."
        )
    register_automations(project)
    settings = project.settings
    wanted = [DeploymentScheduleCreate.from_schedule(schedule) for schedule in schedules(settings.schedules.get(flow))]
    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{flow}/{settings.project}")
        except ObjectNotFound:
            client.create_deployment(client.create_flow_from_name(flow), settings.project, schedules=wanted)
        else:
            replaced = [DeploymentScheduleUpdate(**dict(schedule)) for schedule in wanted]
            client.update_deployment(known.id, DeploymentUpdate(schedules=replaced))
