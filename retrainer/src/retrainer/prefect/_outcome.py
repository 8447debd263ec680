"""What the team learns of a run: a decision, drift, or that it ended badly, where nothing depends on what broke."""

from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import DeploymentStatus, FlowRun
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.logging.loggers import flow_run_logger
from prefect.states import State
from prefect.utilities.urls import url_for

from ..errors import ProjectError
from ..pipeline import Run
from ..project import Project
from ..registry import open_registry
from . import _automations, _messages
from ._cancellation import ended_itself, recorded_decision, stopping

REGISTRY_SECONDS = 1.5  # a failure message does not wait longer for a registry that may be what broke


def report_outcome(project: Project, flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Notify the team that a run failed, crashed or was cancelled; a state hook of Prefect calls it, maybe in a runner.

    The block is found in settings that are broken elsewhere, and what is in production is looked up with a time limit.
    Of a dry run nobody is notified. A run that was cancelled after it recorded its decision goes on, and sends that; a
    process that is stopped completes it, even where it has to kill it.
    """
    logger = flow_run_logger(flow_run, flow)
    state = ended_itself(flow_run.id) or state
    name, block = _messages.recipient(project)
    decided = _recorded(flow_run, project)
    if flow_run.parameters.get("dry_run") or (decided and (state.is_cancelling() or stopping.is_set())):
        _automations.confirm_notified(flow_run, project=name)
        return
    reason = _reason(flow_run, state)
    message = _messages.message(
        "ended",
        project=name,
        flow=flow.name,
        run=f"{flow_run.name} {url_for(flow_run) or ''}".rstrip(),
        state="cancelled" if state.is_cancelling() else (state.name or "failed").lower(),
        reason=reason,
        champion=_in_production(reason, project),
        touched="as this run decided before it ended" if decided else "untouched by this run",
    )
    if _messages.send(message, block=block, logger=logger):
        _automations.confirm_notified(flow_run, project=name)


def _reason(flow_run: FlowRun, state: State[Any]) -> str:
    """Return why a run ended; of a cancelled one, whoever cancelled it said so, and not the runner that ended it."""
    asked = flow_run.state if state.is_cancelling() else None
    return (asked and asked.is_cancelling() and asked.message) or state.message or "no reason was given"


def _recorded(flow_run: FlowRun, project: Project) -> bool:
    try:
        return _messages.within(REGISTRY_SECONDS, lambda: recorded_decision(flow_run.id, project))
    except Exception:  # whatever broke is said where production is looked up
        return False


def _in_production(reason: str, project: Project) -> str:
    """Describe the model in production; whatever goes wrong is part of the answer, once.

    Args:
        reason: Why the run ended, which the message says already.
        project: Whose production it is.
    """

    def look_up() -> str:
        champion = open_registry(project.settings).champion()
        return champion.id if champion else "no model yet"

    try:
        return _messages.within(REGISTRY_SECONDS, look_up)
    except ProjectError as error:
        same = str(error) in reason
        return f"could not be determined{', for the same reason' if same else f': {error}'}"
    except TimeoutError:
        return f"could not be determined: the registry did not answer within {REGISTRY_SECONDS:g} seconds"
    except Exception as error:  # its words may hold a secret
        return f"could not be determined ({type(error).__name__})"


def _listens(name: str) -> tuple[bool, str]:
    """Return whether a retrain deployment is there to be started, and what to do."""
    by_hand = "deploy the project (`make deploy`), or run `retrain` by hand."
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(f"retrain/{name}")
    except ObjectNotFound:
        return False, f"No retrain starts by itself: there is no deployment retrain/{name}. To do: {by_hand}"
    except Exception as error:  # the message is sent, whatever the server says
        return False, f"Whether a retrain starts is not known ({type(error).__name__}). To do: {by_hand}"
    if deployment.paused or deployment.status != DeploymentStatus.READY:
        why = "is paused" if deployment.paused else "has no process or worker that runs it"
        return False, f"No retrain starts by itself: the deployment retrain/{name} {why}. To do: {by_hand}"
    return True, "A retrain is triggered. To do: check the source."


def notify_decision(recorded: dict[str, Any], *, project: Project, run: Run, logger: Any) -> None:
    """Notify the team of a decision; that the champion is kept only where the settings ask for it."""
    notifications = project.settings.notifications
    if recorded["verdict"] == "kept" and not notifications.kept:
        return
    message = _messages.decision_message(project=project.settings.project, run=run, decision=recorded)
    _messages.send(message, block=notifications.block, logger=logger)


def trigger_retrain(window: dict[str, Any], *, project: Project, run: Run, logger: Any) -> dict[str, Any]:
    """Emit the event that triggers the retrain deployment, and notify the team.

    Returns:
        `triggered`, whether a deployment listens, and `to_do`, what to do about it.
    """
    settings = project.settings
    triggered, to_do = _listens(settings.project)
    logger.info(to_do)
    emit_event(
        event=_automations.DRIFT_EVENT,
        resource={"prefect.resource.id": f"retraining.{settings.project}"},
        payload={name: window[name] for name in ("source", "version", "reason")},
    )
    found = {"triggered": triggered, "to_do": to_do}
    message = _messages.drift_message(project=settings.project, run=run, window=window | found)
    _messages.send(message, block=settings.notifications.block, logger=logger)
    return found
