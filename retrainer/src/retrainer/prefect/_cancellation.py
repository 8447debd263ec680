"""A run that was cancelled records nothing, also where the server was away when somebody cancelled it."""

import time
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from ..errors import ProjectError

PATIENCE = 300.0  # seconds to wait for a server that is away
BETWEEN = 5.0
END_BY_RUNNER = (
    30.0  # seconds in which Prefect's runner, which looks every ten, ends a run that was cancelled
)


class RunCancelled(ProjectError):
    """The run was cancelled, or nobody can say whether it was: production stays what it is."""


def refuse_if_cancelled(flow_run_id: str) -> None:
    """Ask the server, right before a decision is recorded, whether the run may still record it.

    A server that is away is waited for. Where it stays away nothing is recorded: the next retrain sees the same data,
    while a decision that somebody cancelled could not be taken back. A run that was cancelled is left to Prefect's
    runner, which ends its process as cancelled; one that no runner started fails.

    Raises:
        RunCancelled: the run was cancelled, or the server did not say for five minutes.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            state = _state_of(flow_run_id)
        except httpx.HTTPError as error:
            if time.monotonic() + BETWEEN > deadline:
                raise RunCancelled(
                    f"Nothing is recorded: the Prefect server did not say for {PATIENCE:g} seconds whether this run was"
                    f" cancelled ({type(error).__name__}). See that it runs, then run this again."
                ) from None
            time.sleep(BETWEEN)
            continue
        if state is not None and (state.is_cancelling() or state.is_cancelled()):
            time.sleep(END_BY_RUNNER)
            why = f" {state.message}" if state.message else ""
            raise RunCancelled(f"The run was cancelled: nothing is recorded.{why}")
        return


def _state_of(flow_run_id: str) -> State | None:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(flow_run_id)).state
