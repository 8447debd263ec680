"""Whatever broke, the team is notified: settings, source, registry, disk, report, scoring, monitoring, all for real."""

import errno
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from churn import flows, tasks
from prefect.blocks.notifications import SlackWebhook
from prefect.client.schemas.objects import FlowRun
from prefect.states import Failed
from pydantic import SecretStr

from retrainer import training
from retrainer.cli import _doctor as doctor
from retrainer.errors import ConfigurationError
from retrainer.prefect import _messages, _outcome
from retrainer.prefect._slack import set_up_slack
from retrainer.settings import Settings, read_leniently

from ..conftest import ENV_PREFIX, PROJECT, Receiver, now, use

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)

Break = Callable[[Settings, pytest.MonkeyPatch], None]


def broken_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(settings.root, monkeypatch, "\n[data\nsource = nothing closes this")


def write_config(folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Let the project have a copy of config.toml with something broken at its end."""
    text = (PROJECT.folder / "config.toml").read_text(encoding="utf-8")
    (folder / "config.toml").write_text(text + broken, encoding="utf-8")
    for module in (flows, tasks):
        monkeypatch.setattr(module, "this_project", replace(PROJECT, folder=folder))


def impossible_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(settings.root, monkeypatch, "")
    use(monkeypatch, GATE__CONFIDENCE="2")


def missing_source(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.resolve("table.csv").unlink()


def truncated_decision(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.root / "models" / "decisions" / "000001.json").write_text("{")


def full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)


def predictions_is_a_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.root / "predictions").write_text("in the way")


def monitoring_is_a_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.root / "monitoring").write_text("in the way")


def model_that_cannot_predict(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.Model, "predict", failing("no prediction"))


def failing(words: str) -> Callable[..., Any]:
    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError(words)

    return fail


def outcome(flow: str) -> tuple[str, str]:
    """Run a flow; return how it ended: what it decided, or the error."""
    try:
        facts = getattr(flows, flow)()
    except Exception as error:
        return type(error).__name__, re.sub(r"versions/[\w-]+", "versions/…", str(error))
    return "completed", str(facts.get("verdict"))


@pytest.mark.parametrize(
    ("fault", "flow", "part"),
    [
        (broken_settings, "retrain", "unknown"),
        (impossible_setting, "score", "unknown"),
        (missing_source, "retrain", "table.csv"),
        (truncated_decision, "retrain", "unknown"),
        (truncated_decision, "score", "000001.json"),
        (truncated_decision, "monitor", "000001.json"),
        (full_disk, "retrain", "full"),
        (predictions_is_a_file, "score", "predictions"),
        (model_that_cannot_predict, "score", "no prediction"),
        (monitoring_is_a_file, "monitor", "monitoring"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_whatever_broke_there_is_one_message_and_a_dead_receiver_changes_nothing(
    settings: Settings,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    fault: Break,
    flow: str,
    part: str,
) -> None:
    flows.retrain()
    receiver.payloads.clear()
    fault(settings, monkeypatch)

    ended = outcome(flow)

    (payload,) = receiver.payloads
    if ended[0] != "completed":
        assert payload["title"] == f"{settings.project}: {flow} failed"
    assert "In production: " in payload["message"]
    assert part in payload["message"]
    if part == "unknown":
        assert part + ", for the same reason (" in payload["message"]

    monkeypatch.setattr(_messages, "SECONDS", 0.2)
    receiver.status = 500
    assert outcome(flow) == ended
    receiver.answers.clear()
    assert outcome(flow) == ended
    receiver.stop()
    assert outcome(flow) == ended


def test_a_registry_that_hangs_does_not_keep_the_message_and_a_receiver_that_hangs_costs_seconds(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(_outcome, "open_registry", lambda settings: answered.wait())
    run = FlowRun(flow_id="9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1", name="quiet-otter")
    receiver.answers.clear()
    began = time.monotonic()

    _outcome.report_outcome(PROJECT, flow=flows.retrain, flow_run=run, state=Failed(message="The disk is full."))

    assert time.monotonic() - began < 5
    answered.set()
    (payload,) = receiver.payloads
    assert "did not answer within 1.5 seconds" in payload["message"]


@pytest.mark.parametrize(
    "line",
    [
        '[notifications]\nblock = "slack-webhook/alerts"\n[broken',
        "notifications.block = 'slack-webhook/alerts' # a comment\n=",
        '[ notifications ]\n  block="slack-webhook/alerts"\nkept = maybe',
    ],
)
def test_the_block_is_found_in_a_file_that_cannot_be_parsed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    config = tmp_path / "broken.toml"
    config.write_text(line)
    lenient = partial(read_leniently, config_file=config, env_prefix=ENV_PREFIX)

    assert lenient("notifications.block") == "slack-webhook/alerts"
    assert lenient("project") is None
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__BLOCK", "email/night")
    assert lenient("notifications.block") == "email/night"


def test_a_message_that_was_sent_is_confirmed_to_the_server_one_that_was_not_is_not(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed: list[Any] = []
    monkeypatch.setattr(_outcome._automations, "confirm_notified", lambda run, **_: confirmed.append(run))
    run = FlowRun(flow_id="9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1", name="quiet-otter")

    receiver.status = 500
    _outcome.report_outcome(PROJECT, flow=flows.retrain, flow_run=run, state=Failed(message="The disk is full."))
    assert confirmed == []

    receiver.status = 200
    _outcome.report_outcome(PROJECT, flow=flows.retrain, flow_run=run, state=Failed(message="The disk is full."))
    assert confirmed == [run]


def test_doctor_sends_a_test_message_with_settings_that_are_broken(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible_setting(settings, monkeypatch)

    sent = doctor.examine(flows.this_project, send=True)[-1]

    assert (sent.name, sent.severity) == ("test message", "ok")
    assert [payload["title"] for payload in receiver.payloads] == [f"{settings.project}: a test message"]
    receiver.status = 500
    assert doctor.examine(flows.this_project, send=True)[-1].severity == "error"


UNREADABLE = "https://hooks.slack.com/services/SECRETX"


def test_a_url_that_is_no_webhook_is_not_saved_and_not_shown(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capfd: Any, caplog: Any
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", UNREADABLE)

    with pytest.raises(ConfigurationError, match="The test message was not sent, so nothing was saved") as refused:
        set_up_slack(now())

    assert "SECRETX" not in f"{refused.value} {caplog.text} {capfd.readouterr()}"
    _messages.deliver(_messages.message("trial", project="churn"), block=str(settings.notifications.block))
    assert [payload["title"] for payload in receiver.payloads] == ["churn: a test message"]


def test_a_saved_url_that_is_no_webhook_is_not_shown(
    settings: Settings, receiver: Receiver, capfd: Any, caplog: Any
) -> None:
    block = str(settings.notifications.block)
    SlackWebhook(url=SecretStr(UNREADABLE)).save(block.removeprefix("slack-webhook/"), overwrite=True)

    with pytest.raises(_messages.NotSent) as failed:
        _messages.deliver(_messages.message("trial", project="churn"), block=block)

    assert "SECRETX" not in f"{failed.value} {caplog.text} {capfd.readouterr()}"


def test_a_hanging_block_is_given_up_on(settings: Settings, receiver: Receiver, monkeypatch: Any) -> None:
    monkeypatch.setattr(_messages, "SECONDS", 0.2)
    receiver.answers.clear()

    assert not _messages.send(
        _messages.Message("subject", "body"),
        block=settings.notifications.block,
        logger=logging.getLogger("tests"),
    )
