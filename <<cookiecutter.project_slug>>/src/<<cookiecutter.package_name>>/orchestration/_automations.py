"""What only the server can do: end a run whose process is gone without a word, and tell the team.

A run that fails, crashes or is stopped says so itself, or its runner does. Where both were killed (a power cut, the
kernel short of memory, `kill -9`) nobody is left to: the run would stay `Running` for ever and, since retrains never
overlap, keep every later one from starting. What tells is that its heartbeats stop.
"""

from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events import (
    AutomationCore,
    ChangeFlowRunState,
    EventTrigger,
    Posture,
    ResourceSpecification,
    SendNotification,
)
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

from ..settings import Settings, get_settings
from ._messages import silence_message

HEARTBEATS_MISSED = 3
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "Cancelled")}


def crash_detection(settings: Settings, *, silence: timedelta, client: SyncPrefectClient) -> AutomationCore:
    """Describe what ends a run of this project's deployments after a silence, and tells the team."""
    message = silence_message(project=settings.project, minutes=silence.total_seconds() / 60)
    actions: list[ChangeFlowRunState | SendNotification] = [
        ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message="Its heartbeats stopped.")
    ]
    kind, _, name = (settings.notifications.block or "").partition("/")
    if name:
        try:
            block = client.read_block_document_by_name(name, kind)
        except ObjectNotFound:
            print(
                f"There is no notification block {kind}/{name}: save it, or nobody hears of a run that was killed."
            )
        else:
            actions.append(
                SendNotification(block_document_id=block.id, subject=message.subject, body=message.body)
            )
    return AutomationCore(
        name=f"{settings.project}: crash detection",
        description="Ends a run whose heartbeats stopped, and tells the team.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={HEARTBEAT},
            expect={HEARTBEAT, *ENDED},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification(
                {"prefect.resource.id": f"prefect.tag.{settings.project}", "prefect.resource.role": "tag"}
            ),
            for_each={"prefect.resource.id"},
            threshold=1,
            within=silence,
        ),
        actions=actions,
    )


def register_crash_detection() -> None:
    """Let the server watch the heartbeats of this project's deployments, as deploy.py and prefect.yaml both do."""
    frequency = PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()
    if frequency is None:
        print("PREFECT_FLOWS_HEARTBEAT_FREQUENCY is off: a run that is killed stays Running for ever.")
        return
    with get_client(sync_client=True) as client:
        automation = crash_detection(
            get_settings(), silence=HEARTBEATS_MISSED * timedelta(seconds=frequency), client=client
        )
        if known := client.read_automations_by_name(automation.name):
            client.update_automation(known[0].id, automation)
        else:
            client.create_automation(automation)
