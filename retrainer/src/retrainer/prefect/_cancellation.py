"""A run that was cancelled records nothing; one that recorded its decision ends as completed."""

import signal
import threading
import time
from contextlib import suppress
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Completed

from ..errors import ProjectError
from ..project import Project
from ..registry import open_registry

PATIENCE = 300.0  # seconds to wait for a server that is away
BETWEEN = 5.0
# In so many seconds Prefect's runner, which looks every ten, ends a run that was cancelled.
END_BY_RUNNER = 30.0
stopping = threading.Event()  # set in a process that serves, when it ends its runs
_ended: dict[str, State] = {}  # runs of this process that ended themselves as cancelled
LAST = 5  # decisions; a runner that is stopped has at most one run of each flow in progress


class RunCancelled(ProjectError):
    """The run was cancelled, or this is unknown: production does not change."""


def refuse_if_cancelled() -> None:
    """Check with the server, right before a decision is recorded, that the run was not cancelled.

    The run waits for a server that does not answer. If the server stays away, nothing is recorded: the next retrain
    sees the same data, while a decision that somebody cancelled could not be taken back. A run that was cancelled is
    left to Prefect's runner, which ends its process as cancelled. Where that is gone, or lost sight of the server, the
    run ends itself.

    From here on SIGTERM does not end a run that a runner started: what is left takes seconds, and the team is to learn
    of the decision. A runner that is in a hurry kills it half a minute later, which the registry survives.

    Raises:
        RunCancelled: the run was cancelled, or the server did not say for five minutes.
    """
    flow_run_id = str(flow_run.id)
    state = _state_when_known(flow_run_id)
    if state is not None and (state.is_cancelling() or state.is_cancelled()):
        time.sleep(END_BY_RUNNER)
        why = f" {state.message}" if state.message else ""
        _ended[flow_run_id] = Cancelled(message=state.message or "It was cancelled, and ended itself.")
        if state.is_cancelling():
            _set_final_state(flow_run_id, _ended[flow_run_id])
        raise RunCancelled(f"The run was cancelled: nothing is recorded.{why}")
    if deployment.id:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def ended_itself(flow_run_id: object) -> State | None:
    """Return the final state of a run that noticed its cancellation by itself; None for any other run.

    It is set once more: Prefect takes the error that ends such a run for a failure, and overwrites what was set.
    """
    if state := _ended.pop(str(flow_run_id), None):
        with suppress(httpx.HTTPError):
            _set_final_state(str(flow_run_id), state)
    return state


def _state_when_known(flow_run_id: str) -> State | None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _state_of(flow_run_id)
        except httpx.HTTPError as error:
            if time.monotonic() + BETWEEN > deadline:
                raise RunCancelled(
                    f"Nothing is recorded: the Prefect server did not say for {PATIENCE:g} seconds whether this run was"
                    f" cancelled ({type(error).__name__}). Check that it runs, then run this again."
                ) from None
            time.sleep(BETWEEN)


def _state_of(flow_run_id: str) -> State | None:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(flow_run_id)).state


def _set_final_state(flow_run_id: str, state: State) -> None:
    """Set how a run ended, which the server by itself would not let a run that is being cancelled do."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(flow_run_id), state, force=True)


def recorded_decision(flow_run_id: object, project: Project) -> bool:
    """Return whether a run recorded its decision, whatever its final state."""
    return str(flow_run_id) in _deciding_runs(project)


def _deciding_runs(project: Project) -> list[str]:
    last = open_registry(project.settings).decisions()[-LAST:]
    return [record.flow_run_id for record in last if record.flow_run_id]


def complete_recorded(project: Project) -> None:
    """Complete the runs that a runner, when it was stopped, cancelled after they had recorded their decision."""
    if not (runs := _deciding_runs(project)):
        return
    cancelled = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLED]))
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run) for run in runs]), state=cancelled)
    try:
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=wanted):
                _set_final_state(str(run.id), Completed(message="It had recorded its decision before it was stopped."))
    except httpx.HTTPError as error:
        print(f"The Prefect server does not answer ({type(error).__name__}): how its runs ended is not recorded there.")
