"""The messages to the team, as they arrive over HTTP; and what happens to a message that cannot be delivered."""

import logging
import time

import pytest
from prefect.blocks.notifications import SlackWebhook
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Cancelling, Crashed, Failed, State
from sqlalchemy import create_engine

from << cookiecutter.package_name >> import flows
from << cookiecutter.package_name >>.errors import DataError
from << cookiecutter.package_name >>.orchestration import _common, _messages
from << cookiecutter.package_name >>.orchestration._messages import Message
from << cookiecutter.package_name >>.registry import Record
from << cookiecutter.package_name >>.settings import (
    Settings,
)

from ..conftest import Receiver, make_table, use

# Messages are the same for either type of problem.
pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)

PASSWORD = "database-password"


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        (Failed(message="The disk is full."), "retrain failed"),
        (Crashed(message="Killed by the system."), "retrain crashed"),
        (Cancelling(message="Runner is shutting down."), "retrain cancelled"),
        (Cancelled(message="Stopped in the UI."), "retrain cancelled"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else None,
)
def test_a_run_that_did_not_end_well_is_told_of(
    settings: Settings, receiver: Receiver, state: State, subject: str
) -> None:
    run = FlowRun(flow_id="9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1", name="quiet-otter")

    _common.notify_outcome(flow=flows.retrain, flow_run=run, state=state)

    (payload,) = receiver.payloads
    assert payload["title"] == f"{settings.project}: {subject}"
    run_line, why, production, todo = payload["message"].splitlines()
    assert run_line.startswith("Run: quiet-otter http")
    assert str(run.id) in run_line
    assert why == f"Why: {state.message}"
    assert production == "In production: no model yet (untouched by this run)"
    assert todo.startswith("To do: ")


def test_of_a_cancelled_run_the_reason_is_told_for_which_it_was_cancelled(
    settings: Settings, receiver: Receiver
) -> None:
    asked = Cancelling(message="It ran for longer than 1 day, 0:00:00 (schedule.time_limit).")
    run = FlowRun(flow_id="9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1", name="quiet-otter", state=asked)

    _common.notify_outcome(
        flow=flows.retrain, flow_run=run, state=Cancelling(message="Flow run was cancelled.")
    )

    assert f"Why: {asked.message}" in receiver.payloads[0]["message"]


@pytest.mark.parametrize("verdict", ["promoted", "staging", "rejected"])
def test_a_decision_is_told_with_its_reason_and_what_production_is(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    best, worst = ("1", "0") if settings.problem_type == "classification" else ("0", "1e9")
    floors = {"promoted": (worst, worst), "staging": (best, worst), "rejected": (best, best)}[verdict]
    use(monkeypatch, GATE__FLOOR=floors[0], GATE__STAGING_FLOOR=floors[1])

    recorded = flows.retrain()

    (payload,) = receiver.payloads
    assert payload["title"] == f"{settings.project}: {recorded['version']} {verdict}"
    run_line, why, production, report, todo = payload["message"].splitlines()
    assert "/runs/flow-run/" in run_line
    assert why == f"Why: {recorded['reason']}"
    in_production = recorded["version"] if verdict == "promoted" else "no model yet"
    assert production == f"In production: {in_production}"
    assert report.endswith("report.html")
    assert todo.startswith("To do: ")


def test_keeping_the_champion_is_only_told_when_asked_for(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows.retrain()
    receiver.payloads.clear()
    flows.retrain()
    assert receiver.payloads == []

    use(monkeypatch, NOTIFICATIONS__KEPT="true")
    kept = flows.retrain()

    assert [payload["title"] for payload in receiver.payloads] == [
        f"{settings.project}: {kept['version']} kept"
    ]


def test_rollback_drift_and_what_the_server_sends_are_told(settings: Settings, receiver: Receiver) -> None:
    rolled_back = record_of("rolled_back", version="v1", held={"v2": "v2 was too slow."})
    window = {"reason": "usage drifted.", "source": "new.csv", "version": "v1", "report": "drift.html"}
    messages = [
        _messages.by_hand_message(project="churn", record=rolled_back),
        _messages.drift_message(project="churn", run="quiet-otter", link="http://ui", window=window),
        _messages.unreported_message(project="churn"),
    ]

    for message in messages:
        assert _messages.send(message, block=settings.notifications.block, logger=logging.getLogger("tests"))

    rollback, drift, unreported = receiver.payloads
    assert rollback["title"] == "churn: rolled back to v1"
    assert rollback["message"].startswith(
        "Why: v2 was too slow.\nIn production: v1\nOn hold: v2\nTo do: find out"
    )
    assert rollback["message"].endswith("until `registry release v2`.")
    assert drift["title"] == "churn: the data drifted, a retrain is triggered"
    assert drift["message"].startswith(
        "Run: quiet-otter http://ui\nWhy: usage drifted.\nData: new.csv\nReport: drift.html\nIn production: v1\nTo do: "
    )
    # The server fills the braces in; the template's own tests kill a run to see it.
    assert unreported["title"] == "churn: {{ flow.name }} {{ flow_run.state.name | lower }}"
    assert "Why: {{ flow_run.state.message }}" in unreported["message"]


@pytest.mark.parametrize(
    ("verdict", "subject"),
    [
        ("promoted", "v1 promoted by hand"),
        ("held", "v1 is on hold"),
        ("released", "v1 is no longer on hold"),
    ],
)
def test_what_a_person_decides_has_a_message(settings: Settings, verdict: str, subject: str) -> None:
    message = _messages.by_hand_message(project="churn", record=record_of(verdict, version="v1"))

    assert message.subject == f"churn: {subject}"
    assert message.body.startswith("Why: v2 was too slow.\nIn production: v1\nTo do: ")


def record_of(verdict: str, *, version: str, held: dict[str, str] | None = None) -> Record:
    return Record(
        sequence=3,
        time="2026-11-01T00:00:00+00:00",
        version=version,
        decision={"verdict": verdict, "reason": "v2 was too slow."},
        champion_before="v2",
        champion=version,
        staging=None,
        promoted_by=3,
        promoted_at="2026-11-01T00:00:00+00:00",
        pruned=[],
        flow_run_id=None,
        pins={},
        previous=None,
        sha256="",
        held=held or {},
    )


@pytest.mark.parametrize("trouble", ["block missing", "receiver broken", "receiver gone", "receiver hanging"])
def test_a_message_that_nobody_takes_is_a_warning_and_the_runs_own_outcome_stands(
    settings: Settings,
    receiver: Receiver,
    trouble: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_messages, "SECONDS", 1)
    if trouble == "block missing":
        use(monkeypatch, NOTIFICATIONS__BLOCK="slack-webhook/nobody")
    elif trouble == "receiver broken":
        receiver.status = 500
    elif trouble == "receiver hanging":
        receiver.answers.clear()
    else:
        receiver.stop()

    recorded = flows.retrain()
    settings.resolve(settings.data.source).unlink()
    with pytest.raises(DataError, match=r"table\.csv"):
        flows.retrain()

    assert recorded["verdict"] == "promoted"
    warnings = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert any(recorded["reason"] in warning for warning in warnings)
    assert any("retrain failed" in warning and "table.csv" in warning for warning in warnings)
    assert "hidden-token" not in caplog.text


def test_a_webhook_that_hangs_costs_seconds_whatever_its_own_time_limit(
    settings: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _messages.SECONDS < 5
    monkeypatch.setattr(_messages, "SECONDS", 0.5)
    receiver.answers.clear()
    began = time.monotonic()

    taken = _messages.send(
        Message("subject", "body"),
        block=settings.notifications.block,
        logger=logging.getLogger("tests"),
    )

    assert not taken
    assert time.monotonic() - began < 3
    assert "TimeoutError" in caplog.text
    assert "subject\nbody" in caplog.text
    assert "hidden-token" not in caplog.text


def test_the_words_of_a_failing_block_may_hold_its_url_and_are_not_repeated(
    settings: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(block: SlackWebhook, **message: str) -> None:
        raise OSError(f"POST {block.url.get_secret_value()} failed")

    monkeypatch.setattr(SlackWebhook, "notify", fail)

    assert not _messages.send(
        Message("subject", "body"),
        block=settings.notifications.block,
        logger=logging.getLogger("tests"),
    )

    assert "OSError" in caplog.text
    assert "hidden-token" not in caplog.text


def test_the_password_of_a_database_is_told_to_nobody(
    settings: Settings,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = settings.root / "table.db"
    engine = create_engine(f"sqlite:///{database}")
    make_table(settings.problem_type).to_sql("customers", engine, index=False)
    engine.dispose()
    use(monkeypatch, DATA__SOURCE=f"sqlite:///{database}?password={PASSWORD}", DATA__QUERY="customers")

    flows.retrain()
    database.unlink()
    with pytest.raises(DataError, match=r"table\.db"):
        flows.retrain()

    assert len(receiver.payloads) == 2
    files = [path.read_bytes() for path in settings.root.rglob("*") if path.is_file()]
    assert not [text for text in files if PASSWORD.encode() in text]
    assert PASSWORD not in caplog.text + "".join(capsys.readouterr()) + str(receiver.payloads)
