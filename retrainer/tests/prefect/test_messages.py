"""The messages to the team, as they arrive over HTTP; and what happens to a message that cannot be delivered."""

import dataclasses
import logging
import threading
import time
from typing import Any

import pandas as pd
import pytest
from churn import flows
from prefect.blocks.notifications import SlackWebhook
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Cancelling, Crashed, Failed, State
from sqlalchemy import create_engine

from retrainer.errors import DataError
from retrainer.pipeline import Run
from retrainer.prefect import _messages, _outcome
from retrainer.prefect._messages import Message
from retrainer.registry import Record
from retrainer.settings import Settings

from ..conftest import PROJECT, Receiver, make_table, use

# Messages are the same for either type of problem.
pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)

PASSWORD = "database-password"
OTTER = Run("an id", "quiet-otter", "http://ui")


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

    _outcome.report_outcome(PROJECT, flow=flows.retrain, flow_run=run, state=state)

    (payload,) = receiver.payloads
    assert payload["title"] == f"{settings.project}: {subject}"
    run_line, why, production, todo = payload["message"].splitlines()
    assert run_line.startswith("Run: quiet-otter http")
    assert str(run.id) in run_line
    assert why == f"Why: {state.message}"
    assert production == "In production: no model yet (not changed by this run)"
    assert todo.startswith("To do: ")


def test_nobody_is_notified_of_a_dry_run_that_failed(settings: Settings, receiver: Receiver) -> None:
    run = FlowRun(flow_id="9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1", name="quiet-otter", parameters={"dry_run": True})

    _outcome.report_outcome(PROJECT, flow=flows.retrain, flow_run=run, state=Failed(message="No such column."))

    assert receiver.payloads == []


@pytest.mark.parametrize("deployed", [True, False])
def test_a_run_of_a_terminal_that_failed_is_not_sent_to_the_team(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, deployed: bool
) -> None:
    monkeypatch.setattr(_outcome.sys.stderr, "isatty", lambda: True)
    ids = {"flow_id": "9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1"}
    run = FlowRun(name="quiet-otter", **ids, **({"deployment_id": ids["flow_id"]} if deployed else {}))

    _outcome.report_outcome(PROJECT, flow=flows.retrain, flow_run=run, state=Failed(message="No such file."))

    assert len(receiver.payloads) == deployed


def test_of_a_cancelled_run_the_reason_is_told_for_which_it_was_cancelled(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_outcome, "url_for", lambda run: None)  # as without PREFECT_UI_URL
    asked = Cancelling(message="It ran for longer than 1 day, 0:00:00 (schedule.time_limit).")
    run = FlowRun(flow_id="9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1", name="quiet-otter", state=asked)

    _outcome.report_outcome(
        PROJECT, flow=flows.retrain, flow_run=run, state=Cancelling(message="Flow run was cancelled.")
    )

    assert receiver.payloads[0]["message"].startswith(f"Run: quiet-otter\nWhy: {asked.message}\n")


@pytest.mark.parametrize("verdict", ["promoted", "staging", "rejected"])
def test_a_decision_is_told_with_its_reason_and_what_production_is(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    best, worst = ("1", "0") if settings.problem_type == "classification" else ("0", "1e9")
    floors = {"promoted": (worst, worst), "staging": (best, worst), "rejected": (best, best)}[verdict]
    use(monkeypatch, GATE__FLOOR=floors[0], GATE__STAGING_FLOOR=floors[1])

    recorded = flows.retrain()

    (payload,) = receiver.payloads
    titles = {"promoted": "promoted", "staging": "waits in staging", "rejected": "rejected"}
    stays = "" if verdict == "promoted" else ", no model is in production yet"
    assert payload["title"] == f"{settings.project}: {recorded['version']} {titles[verdict]}{stays}"
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

    (payload,) = receiver.payloads
    stays = f"{kept['champion']} stays in production"
    assert payload["title"] == f"{settings.project}: {kept['version']} not promoted, {stays}"


def test_a_renamed_column_is_told_by_retrain_and_monitor_at_once(settings: Settings, receiver: Receiver) -> None:
    champion = flows.retrain()["version"]
    pd.read_csv(settings.root / "table.csv").rename(columns={"usage": "used"}).to_csv(
        settings.root / "new.csv", index=False
    )
    receiver.payloads.clear()

    kept, window = flows.retrain(source="new.csv"), flows.monitor(source="new.csv")

    assert (kept["verdict"], window["retrain"], window["triggered"]) == ("kept", False, False)
    decided, watched = receiver.payloads
    assert decided["title"] == (f"{settings.project}: {kept['version']} not promoted, {champion} stays in production")
    assert watched["title"] == (
        f"{settings.project}: the new data do not match the training data, no retrain is triggered"
    )
    for payload in (decided, watched):
        assert "'usage'" in payload["message"]
        assert f"In production: {champion}" in payload["message"]
        assert "To do: correct the table or its query" in payload["message"]
    assert "was it renamed to 'used'?" in watched["message"]
    assert (
        "This window counts. Of the last 5 windows, 1 drifted or scored worse; a retrain starts at 2."
        in watched["message"]
    )

    flows.monitor(source="new.csv")
    pd.read_csv(settings.root / "new.csv")[:300].to_csv(settings.root / "later.csv", index=False)
    assert flows.monitor(source="later.csv")["retrain"] is True


def test_rollback_drift_and_what_the_server_sends_are_told(settings: Settings, receiver: Receiver) -> None:
    rolled_back = record_of("rolled_back", version="v1", held={"v2": "v2 was too slow."})
    window = {
        "reason": "usage drifted.",
        "source": "new.csv",
        "version": "v1",
        "report": "drift.html",
        "drifted": True,
        "misfit": False,
        "drifted_columns": ["usage", "age"],
        "triggered": True,
        "to_do": "To do: check the source.",
    }
    messages = [
        _messages.by_hand_message(project="churn", record=rolled_back),
        _messages.drift_message(project="churn", run=OTTER, window=window),
        _messages.message("unreported", project="churn"),
    ]

    for message in messages:
        assert _messages.send(message, block=settings.notifications.block, logger=logging.getLogger("tests"))

    rollback, drift, unreported = receiver.payloads
    assert rollback["title"] == "churn: rolled back to v1"
    assert rollback["message"].startswith("Why: v2 was too slow.\nIn production: v1\nOn hold: v2\nTo do: find out")
    assert rollback["message"].endswith('To end the hold: `churn registry release v2 --reason "..."`.')
    assert drift["title"] == "churn: the data drifted, a retrain is triggered"
    assert drift["message"].startswith(
        "Run: quiet-otter http://ui\nWhy: usage drifted.\nColumns: usage, age\n"
        "Data: new.csv\nReport: drift.html\nIn production: v1\nTo do: "
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


def test_a_failure_says_what_happened_and_that_production_is_as_it_was(settings: Settings) -> None:
    facts = {"project": "churn", "flow": "retrain", "run": "quiet-otter", "state": "crashed"}
    facts |= {"reason": "The disk is full.", "champion": "v1", "touched": "not changed by this run"}
    message = _messages.message("ended", **facts)

    assert str(message).splitlines() == [
        "churn: retrain crashed",
        "Run: quiet-otter",
        "Why: The disk is full.",
        "In production: v1 (not changed by this run)",
        "To do: fix the cause and run it again; `churn doctor` checks common causes.",
    ]


DECISION: dict[str, Any] = {
    "version": "v2",
    "verdict": "staging",
    "kind": "below_floor",
    "reason": "Staging: below the floor.",
    "alarms": ["A class is hardly seen.", "The champion changed."],
    "champion": "v1",
    "champion_before": "v1",
    "held": {"v0": "a leak", "v3": "slow"},
    "refit": {"rows": 400},
    "report": "report.html",
    "report_error": None,
    "to_do": "look.",
}


def test_a_decision_has_every_line_that_applies(settings: Settings) -> None:
    def lines(**changes: Any) -> list[str]:
        decision = DECISION | changes
        return str(_messages.decision_message(project="churn", run=OTTER, decision=decision)).splitlines()

    assert lines() == [
        "churn: v2 waits in staging, v1 stays in production, 2 alarms",
        "Run: quiet-otter http://ui",
        "Why: Staging: below the floor.",
        "Alarm: A class is hardly seen.",
        "Alarm: The champion changed.",
        "In production: v1",
        "On hold: v0, v3",
        "Report: report.html",
        "To do: look.",
    ]
    few = {"alarms": [], "held": {}, "champion": None, "verdict": "rejected"}
    assert lines(**few, refit=None, report=None, report_error="no font") == [
        "churn: v2 rejected, no model is in production yet",
        "Run: quiet-otter http://ui",
        "Why: Staging: below the floor.",
        "In production: no model yet",
        "Report: missing, drawing it failed (no font)",
        "To do: look.",
    ]
    failed = "Refit: failed (no memory); the evaluated model serves"
    assert failed in lines(refit={"failed": "no memory"})


def test_a_promotion_by_hand_says_what_the_gate_had_decided(settings: Settings) -> None:
    promoted, gate = (record_of(verdict, version="v1") for verdict in ("promoted", "kept"))
    gate.decision["reason"] = "Not promoted: a tie."

    def body(record: Record, gate: Record) -> list[str]:
        return _messages.by_hand_message(project="churn", record=record, gate=gate).body.splitlines()

    assert body(promoted, gate)[1] == "The gate did not promote it: a tie."
    assert body(promoted, gate)[-1] == 'To do: nothing. To return to v2: `churn registry rollback --reason "..."`.'
    assert body(promoted, promoted)[1] == "In production: v1"
    first = dataclasses.replace(promoted, champion_before=None)
    assert body(first, gate)[-1] == "To do: nothing."


def test_what_the_server_sends_is_filled_in_by_it(settings: Settings) -> None:
    run = "Run: {{ flow_run.name }} {{ flow_run | ui_url or '' }}"
    why = "Why: {{ flow_run.state.message }}"
    for kind, subject, lines in (
        ("unreported", "{{ flow.name }} {{ flow_run.state.name | lower }}", [run, why]),
        ("collision", "{{ flow.name }} cancelled, another run is in progress", [run, why]),
        ("not ended", "{{ flow.name }} cancelled, it did not end in time", [run, why]),
        ("late", "{{ flow.name }} is late", [run]),
    ):
        message = _messages.message(kind, project="churn")
        assert message.subject == f"churn: {subject}"
        assert message.body.splitlines()[: len(lines)] == lines
        assert message.body.splitlines()[-1].startswith("To do: ")
    trial = _messages.message("trial", project="churn")
    assert str(trial) == "churn: a test message\nMessages about retraining will arrive here."


def test_what_was_rolled_back_from_is_said_only_while_it_is_on_hold(settings: Settings) -> None:
    def body(**options: Any) -> str:
        return _messages.by_hand_message(project="churn", record=record_of("rolled_back", version="v1", **options)).body

    assert "On hold: v2" in body(held={"v2": "slow"})
    assert "v2 is on hold" in body(held={"v2": "slow"})
    assert body().splitlines()[1:] == [
        "In production: v1",
        "To do: find out what was wrong with v2.",
    ]
    held = _messages.by_hand_message(project="churn", record=record_of("held", version="v1"))
    assert held.body.endswith('To end the hold: `churn registry release v1 --reason "..."`.')


def test_a_message_does_not_wait_for_the_import_of_whatever_else_has_blocks(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefect.blocks.core.load_prefect_collections", lambda: pytest.fail("it was imported"))

    _messages.deliver(_messages.message("trial", project="churn"), block=settings.notifications.block or "")

    assert len(receiver.payloads) == 1


def test_without_a_block_the_message_is_in_the_log(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        sent = _messages.send(Message("subject", "body"), block=None, logger=logging.getLogger("tests"))

    assert sent is False
    assert caplog.messages == ["No notification block is set.", "The message was: subject\nbody"]


def test_the_recipient_is_known_also_where_other_settings_are_broken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, NOTIFICATIONS__BLOCK="slack-webhook/team")
    assert _messages.recipient(PROJECT) == (settings.project, "slack-webhook/team")

    use(monkeypatch, SPLIT__HOLDOUT="many")
    assert _messages.recipient(PROJECT) == (settings.project, "slack-webhook/team")


def test_a_call_is_given_up_on_after_its_time(settings: Settings) -> None:
    waits = threading.Event()

    assert _messages.within(5, lambda: 7) == 7
    assert _messages.within(5, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        _messages.within(5, lambda: 1 // 0)
    with pytest.raises(TimeoutError):
        _messages.within(0.01, lambda: waits.wait(5))
    waits.set()


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
    if trouble == "block missing":
        saved = f"`{settings.project} setup slack` saves it, or set"
        missing = f"The notification block slack-webhook/nobody does not exist: {saved}"
        assert any(warning.startswith(f"No message was sent. {missing}") for warning in warnings)
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
