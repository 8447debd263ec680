"""Notify the team of a run: a decision, drift, or a failure. The message does not depend on the part that failed."""

import sys
from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import DeploymentStatus, FlowRun
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.logging.loggers import flow_run_logger
from prefect.states import State
from prefect.utilities.urls import url_for

from ..errors import ProjectError, shell_command
from ..pipeline import Run
from ..project import Project
from ..registry import open_registry
from . import _automations, _messages
from ._cancellation import ended_itself, recorded_decision, stopping

REGISTRY_SECONDS = 1.5  # a failure message does not wait longer for a registry that may be what broke


def report_outcome(project: Project, flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Notify the team that a run failed, crashed or was cancelled; a state hook of Prefect calls it, maybe in a runner.

    The block is found in settings that are broken elsewhere, and what is in production is looked up with a time limit.
    Nobody is notified of a dry run. A run that was cancelled after its decision was recorded finishes and sends that; a
    process that is stopped completes it, even where it has to kill it.
    """
    logger = flow_run_logger(flow_run, flow)
    state = ended_itself(flow_run.id) or state
    name, block = _messages.recipient(project)
    decided = _recorded_outcome(flow_run, project)
    if flow_run.parameters.get("dry_run") or (decided and (state.is_cancelling() or stopping.is_set())):
        _automations.confirm_notified(flow_run, project=name)
        return
    reason = _reason_of_state(flow_run, state)
    message = _messages.message(
        "ended",
        project=name,
        flow=flow.name,
        run=f"{flow_run.name} {url_for(flow_run) or ''}".rstrip(),
        state="cancelled" if state.is_cancelling() else (state.name or "failed").lower(),
        reason=reason,
        champion=_describe_production(reason, project),
        touched="decided by this run before it ended" if decided else "not changed by this run",
    )
    if flow_run.deployment_id is None and sys.stderr.isatty():  # its author sees it; a team need not
        logger.info("No message was sent: this run was started from a terminal.")
    elif _messages.send(message, block=block, logger=logger):
        _automations.confirm_notified(flow_run, project=name)


def _reason_of_state(flow_run: FlowRun, state: State[Any]) -> str:
    """Return why a run ended; for a cancelled one the reason given with the cancellation, not the runner's."""
    cancelling = flow_run.state if state.is_cancelling() else None
    return (cancelling and cancelling.is_cancelling() and cancelling.message) or state.message or "no reason is known"


def _recorded_outcome(flow_run: FlowRun, project: Project) -> bool:
    try:
        return _messages.within(REGISTRY_SECONDS, lambda: recorded_decision(flow_run.id, project))
    except Exception:  # the lookup of production reports what failed
        return False


def _describe_production(reason: str, project: Project) -> str:
    """Describe the model in production; an error becomes part of the description.

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
        return f"unknown{', for the same reason' if same else f': {error}'}"
    except TimeoutError:
        return f"unknown: the registry did not answer within {REGISTRY_SECONDS:g} seconds"
    except Exception as error:  # its words may hold a secret
        return f"unknown ({type(error).__name__})"


def _find_retrain_deployment(name: str) -> tuple[bool, str]:
    """Return whether a retrain deployment is there to be started, and what to do."""
    by_hand = f"deploy the project (`make deploy`), or run {shell_command(name, 'retrain')}."
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(f"retrain/{name}")
    except ObjectNotFound:
        return False, f"No retrain starts: there is no deployment retrain/{name}. To do: {by_hand}"
    except Exception as error:  # the message is sent, whatever the server says
        return False, f"It is unknown whether a retrain starts ({type(error).__name__}). To do: {by_hand}"
    if deployment.paused or deployment.status != DeploymentStatus.READY:
        why = "is paused" if deployment.paused else "has no process or worker that runs it"
        return False, f"No retrain starts: the deployment retrain/{name} {why}. To do: {by_hand}"
    return True, "A retrain is triggered. To do: check the source."


def notify_decision(recorded: dict[str, Any], *, project: Project, run: Run, logger: Any) -> None:
    """Notify the team of a decision; that it is not promoted only where the settings ask, or nothing was compared."""
    notifications = project.settings.notifications
    if recorded["verdict"] == "kept" and recorded["kind"] != "not_comparable" and not notifications.kept:
        return
    message = _messages.decision_message(project=project.settings.project, run=run, decision=recorded)
    _messages.send(message, block=notifications.block, logger=logger)


def trigger_retrain(window: dict[str, Any], *, project: Project, run: Run, logger: Any) -> dict[str, Any]:
    """Notify the team of a window, and emit the event that triggers the retrain deployment where it is time for one.

    Returns:
        `triggered` (whether a deployment starts a retrain) and `to_do` (what a person should do).
    """
    settings = project.settings
    triggered, to_do = False, f"To do: correct the table or its query. {window['counts']}"
    if window["retrain"]:
        triggered, to_do = _find_retrain_deployment(settings.project)
        emit_event(
            event=_automations.DRIFT_EVENT,
            resource={"prefect.resource.id": f"retraining.{settings.project}"},
            payload={name: window[name] for name in ("source", "version", "reason")},
        )
    logger.info(to_do)
    found = {"triggered": triggered, "to_do": to_do}
    message = _messages.drift_message(project=settings.project, run=run, window=window | found)
    _messages.send(message, block=settings.notifications.block, logger=logger)
    return found
