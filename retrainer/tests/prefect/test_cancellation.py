"""A cancelled run records nothing, whether the server says so at once, later, or never."""

import signal
from types import SimpleNamespace
from uuid import UUID

import httpx
import pytest
from churn.flows import retrain
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Cancelling, Crashed, Running, State

from retrainer.prefect import _cancellation, _outcome
from retrainer.prefect._cancellation import (
    RunCancelled,
    refuse_if_cancelled,
)
from retrainer.registry import open_registry
from retrainer.settings import Settings

from ..conftest import PROJECT, Receiver

RUN = "9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1"
ENDED: list[tuple[str, State]] = []


def answers(monkeypatch: pytest.MonkeyPatch, *said: State | Exception) -> None:
    """Let the server give these answers, one after the other."""
    left = iter(said)

    def state_of(flow_run_id: str) -> State:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(_cancellation, "_state_of", state_of)
    monkeypatch.setattr(_cancellation, "_set_final_state", lambda *ended: ENDED.append(ended))
    monkeypatch.setattr(_cancellation, "flow_run", SimpleNamespace(id=RUN))
    ENDED.clear()
    monkeypatch.setattr(_cancellation, "BETWEEN", 0.0)
    monkeypatch.setattr(_cancellation, "END_BY_RUNNER", 0.0)


@pytest.mark.parametrize("state", [Cancelling(), Cancelled()], ids=["cancelling", "cancelled"])
def test_a_run_cancelled_while_the_server_was_away_is_refused_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    answers(monkeypatch, httpx.ConnectError("away"), httpx.ReadTimeout("away"), state)

    with pytest.raises(RunCancelled, match="nothing is recorded"):
        refuse_if_cancelled()


def test_a_run_that_goes_on_may_record(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, httpx.ConnectError("away"), Running())

    refuse_if_cancelled()


def test_the_reason_of_a_cancellation_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, Cancelled(message="Stopped in the UI."))
    with pytest.raises(RunCancelled, match=r"nothing is recorded\. Stopped in the UI\.$"):
        refuse_if_cancelled()
    answers(monkeypatch, Cancelled())
    with pytest.raises(RunCancelled, match=r"nothing is recorded\.$"):
        refuse_if_cancelled()


def test_the_runner_has_time_to_end_a_cancelled_run_as_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    answers(monkeypatch, Cancelling())
    monkeypatch.setattr(_cancellation, "END_BY_RUNNER", 30.0)
    monkeypatch.setattr(_cancellation.time, "sleep", waited.append)

    with pytest.raises(RunCancelled):
        refuse_if_cancelled()

    assert waited == [30.0]


@pytest.mark.parametrize(("state", "ends"), [(Cancelling(message="By me."), True), (Cancelled(), False)])
def test_a_run_that_nobody_ends_sets_how_it_ended(monkeypatch: pytest.MonkeyPatch, state: State, ends: bool) -> None:
    answers(monkeypatch, state)

    with pytest.raises(RunCancelled):
        refuse_if_cancelled()

    assert [(run, end.name, end.message) for run, end in ENDED] == [(RUN, "Cancelled", "By me.")] * ends
    assert _cancellation.ended_itself(RUN)
    assert _cancellation.ended_itself(RUN) is None


@pytest.mark.parametrize("deployed", [True, False])
def test_only_a_run_that_a_runner_started_outlives_sigterm_from_its_decision_on(
    monkeypatch: pytest.MonkeyPatch, deployed: bool
) -> None:
    answers(monkeypatch, Running())
    monkeypatch.setattr(_cancellation, "deployment", SimpleNamespace(id=RUN if deployed else None))
    before = signal.getsignal(signal.SIGTERM)

    try:
        refuse_if_cancelled()
        assert (signal.getsignal(signal.SIGTERM) is signal.SIG_IGN) == deployed
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_server_is_waited_for_as_long_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waited = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        waited.append(seconds)

    monkeypatch.setattr(_cancellation.time, "monotonic", lambda: now)
    monkeypatch.setattr(_cancellation.time, "sleep", sleep)
    answers(monkeypatch, *[httpx.ConnectError("away")] * 100)
    monkeypatch.setattr(_cancellation, "BETWEEN", 5.0)
    with pytest.raises(RunCancelled, match=r"did not say for 300 seconds .*\(ConnectError\)"):
        refuse_if_cancelled()
    assert waited == [5.0] * 60


def test_a_server_that_stays_away_lets_nothing_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cancellation, "PATIENCE", -1.0)
    answers(monkeypatch, httpx.ConnectError("away"))

    with pytest.raises(RunCancelled, match="did not say"):
        refuse_if_cancelled()


@pytest.mark.parametrize("settings", ["classification"], indirect=True)
@pytest.mark.usefixtures("prefect_api")
def test_a_retrain_that_was_cancelled_ends_as_that_and_leaves_no_version_and_no_decision(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def cancelled_by_now(flow_run_id: str) -> State:
        runs.append(flow_run_id)
        return Cancelling(message="By me.")

    monkeypatch.setattr(_cancellation, "_state_of", cancelled_by_now)
    monkeypatch.setattr(_cancellation, "END_BY_RUNNER", 0.0)

    with pytest.raises(RunCancelled):
        retrain()

    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(runs[0])).state
    assert state
    assert (state.name, state.message) == ("Cancelled", "By me.")
    assert [payload["title"] for payload in receiver.payloads] == [f"{settings.project}: retrain cancelled"]
    registry = open_registry(settings)
    assert (registry.decisions(), registry.versions()) == ([], [])


@pytest.mark.parametrize("settings", ["classification"], indirect=True)
@pytest.mark.usefixtures("prefect_api")
def test_nobody_is_told_that_a_run_was_stopped_which_had_recorded_its_decision(
    settings: Settings, receiver: Receiver
) -> None:
    retrain()
    (decision,) = open_registry(settings).decisions()
    run = FlowRun(id=UUID(decision.flow_run_id), flow_id=UUID(RUN), name="quiet-otter")
    receiver.payloads.clear()

    _outcome.report_outcome(PROJECT, flow=retrain, flow_run=run, state=Cancelling())
    _cancellation.stopping.set()
    try:
        _outcome.report_outcome(PROJECT, flow=retrain, flow_run=run, state=Crashed())
    finally:
        _cancellation.stopping.clear()
    assert receiver.payloads == []

    _outcome.report_outcome(PROJECT, flow=retrain, flow_run=run, state=Crashed())
    (payload,) = receiver.payloads
    assert "(decided by this run before it ended)" in payload["message"]
