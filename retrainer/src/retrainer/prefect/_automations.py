"""Automations of the server: end a run whose process is gone, and report what a run cannot report itself.

A run that fails, crashes or is stopped says so itself, or its runner does, and confirms it with an event. The rest is
the server's:

- Where process and runner were both killed (a power cut, the kernel short of memory, `kill -9`) the run would stay
  `Running` and, since retrains never overlap, keep every later one from starting: its heartbeats stop.
- Where the project's own code cannot even be imported, its disk is full, or its machine cannot reach the webhook,
  the confirmation does not come: the server sends the message.
- A run that was cancelled because another is in progress, or that nobody starts, never had a process.
- A run that was cancelled and that nobody ends is ended by Prefect's server, after five minutes.
- A run that hangs may hang where nothing in its own process can end it: the server cancels it, and its runner kills it.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events import (
    AutomationCore,
    ChangeFlowRunState,
    EventTrigger,
    Posture,
    ResourceSpecification,
    SendNotification,
    emit_event,
)
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

from ..project import Project
from ..settings import Settings
from ._messages import message

HEARTBEATS_MISSED = 3
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "Cancelled")}
NOTIFIED_EVENT = "retraining.notified"
DRIFT_EVENT = "retraining.drift"  # triggers the retrain deployment
CONFIRMED_WITHIN = timedelta(seconds=120)  # a run's own message takes seconds, on a busy machine a minute
# As the server says it in the state's message.
COLLISION = "Deployment concurrency limit reached."
NOT_ENDED = "Flow run cancellation timed out; marked this flow run as Cancelled."


def automations(settings: Settings, *, silence: timedelta | None, block_id: Any | None) -> Iterator[AutomationCore]:
    """Yield the automations of this project's deployments.

    Args:
        settings: The settings of the project.
        silence: The time without heartbeats after which a run counts as dead; None if there are no heartbeats.
        block_id: The id of the notification block; None without one.
    """
    project = settings.project
    if silence is not None:
        minutes = silence.total_seconds() / 60
        why = f"No heartbeat for {minutes:g} minutes: its process was killed, or its machine is gone."
        yield AutomationCore(
            name=f"{project}: crash detection",
            description="Ends a run whose heartbeats stopped.",
            trigger=_trigger(project, after={HEARTBEAT}, expect={HEARTBEAT, *ENDED}, within=silence),
            actions=[ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=why)],
        )
    for flow, schedule in settings.schedules.items():
        limit = timedelta(seconds=schedule.time_limit)
        setting = "schedule.time_limit" if flow == "retrain" else f"{flow}.schedule.time_limit"
        why = f"It ran for longer than {limit} ({setting})."
        of_flow = {"prefect.resource.role": "flow", "prefect.resource.name": flow}
        not_by_hand = {"prefect.resource.role": "deployment", "prefect.resource.name": project}
        running = {"prefect.flow-run.Running"}
        yield AutomationCore(
            name=f"{project}: time limit of {flow}",
            description="Cancels a run that takes too long.",
            trigger=_trigger(project, of_flow, not_by_hand, after=running, expect=ENDED, within=limit),
            actions=[ChangeFlowRunState(state=StateType.CANCELLING, name="Cancelling", message=why)],
        )
    if block_id is not None:
        yield from _notifications(project, block_id)


def _notifications(project: str, block_id: Any) -> Iterator[AutomationCore]:
    """Yield the automations that send a message: of what a run cannot report itself."""
    ended_badly = {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "Cancelling")}
    unconfirmed = _trigger(project, after=ended_badly, expect={NOTIFIED_EVENT}, within=CONFIRMED_WITHIN)
    now: dict[str, Any] = {"posture": Posture.Reactive, "within": timedelta(0)}
    cancelled = {"prefect.flow-run.Cancelled"}
    collided = _trigger(project, expect=cancelled, match={"prefect.state-message": COLLISION}, **now)
    not_ended = _trigger(project, expect=cancelled, match={"prefect.state-message": NOT_ENDED}, **now)
    late = _trigger(project, expect={"prefect.flow-run.Late"}, **now)
    for name, kind, what, trigger in (
        ("unreported failures", "unreported", "that ended badly and could not say so itself", unconfirmed),
        ("collisions", "collision", "that was cancelled because another is running", collided),
        ("cancellations", "not ended", "that somebody cancelled, and that nobody ended", not_ended),
        ("late runs", "late", "that nobody started on time", late),
    ):
        text = message(kind, project=project)
        yield AutomationCore(
            name=f"{project}: {name}",
            description=f"Notifies the team of a run {what}.",
            trigger=trigger,
            actions=[SendNotification(block_document_id=block_id, subject=text.subject, body=text.body)],
        )


def _trigger(
    project: str, *related: dict[str, str], match: dict[str, str] | None = None, **options: Any
) -> EventTrigger:
    """Return a trigger for each run of the project, by default one that fires when an event stays away."""
    tag = {"prefect.resource.id": f"prefect.tag.{project}", "prefect.resource.role": "tag"}
    return EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"} | (match or {})),
        match_related=[ResourceSpecification(resource) for resource in (tag, *related)],
        for_each={"prefect.resource.id"},
        threshold=1,
        **{"posture": Posture.Proactive} | options,
    )


def register_automations(project: Project) -> None:
    """Register the automations by which the server watches the runs of this project's deployments.

    One that is registered as it should be is left alone: the server forgets what an automation that is updated was
    waiting for, and would never notice that the present run is killed or takes too long.
    """
    settings, frequency = project.settings, PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()
    silence = None if frequency is None else HEARTBEATS_MISSED * timedelta(seconds=frequency)
    if silence is None:
        print("PREFECT_FLOWS_HEARTBEAT_FREQUENCY is off, so a run that is killed stays Running.")
    with get_client(sync_client=True) as client:
        block_id = _block_id(client, settings.notifications.block)
        for automation in automations(settings, silence=silence, block_id=block_id):
            known = client.read_automations_by_name(automation.name)
            if not known:
                client.create_automation(automation)
            elif _without_server_fields(known[0]) != _without_server_fields(automation):
                client.update_automation(known[0].id, automation)


def _without_server_fields(automation: AutomationCore) -> dict[str, Any]:
    """Return what an automation says, without the ids and times that the server adds."""
    return automation.model_dump(include=set(AutomationCore.model_fields))


def _block_id(client: SyncPrefectClient, block: str | None) -> Any | None:
    kind, _, name = (block or "").partition("/")
    if not name:
        return None
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound:
        print(f"There is no notification block {block}: save it and deploy again, or nobody is notified.")
        return None


def confirm_notified(flow_run: FlowRun, *, project: str) -> None:
    """Tell the server that the team was notified of the end of a run, so that it sends no second message."""
    if flow_run.deployment_id is None:  # started by hand: the server watches deployments only
        return
    emit_event(
        event=NOTIFIED_EVENT,
        resource={"prefect.resource.id": f"prefect.flow-run.{flow_run.id}"},
        related=[{"prefect.resource.id": f"prefect.tag.{project}", "prefect.resource.role": "tag"}],
    )
