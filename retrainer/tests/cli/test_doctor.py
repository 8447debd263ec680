"""Each fault that doctor is for, seeded for real, cured by the command that doctor prints, and a project without any.

What `make` starts (a server, a process that serves) is started in the template's own tests.
"""

import base64
import http.server
import json
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from churn import models
from churn.flows import retrain
from churn.models import linear
from prefect.blocks.notifications import SlackWebhook
from prefect.schedules import Cron
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from pydantic import SecretStr
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from retrainer.cli import _doctor as doctor
from retrainer.cli import _server
from retrainer.prefect import (
    prepare_deployment,
    register_automations,
    schedules,
)
from retrainer.settings import ProblemType, Settings

from ..conftest import ENV_PREFIX, PACKAGE, PROJECT, Receiver, forget, now, run_command_line, use

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


@pytest.fixture
def healthy(
    settings: Settings, receiver: Receiver, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """Make a project without a fault, and return a client of its API."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    (settings.root / "requirements.lock").write_text("# nothing is pinned here\n")
    retrain()
    wanted = schedules(settings.schedule)
    retrain.to_deployment(name=settings.project, schedules=wanted, paused=False).apply()
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 180}):
        register_automations(now())
    with httpx.Client(base_url=prefect_api, timeout=30) as client:
        # Asking for work, as a runner does, is what makes a deployment ready, a moment after the answer.
        name = deployment(client, settings)
        deadline = time.monotonic() + 30
        while client.get(f"/deployments/{name}").json()["status"] != "READY" and time.monotonic() < deadline:
            body = {"deployment_ids": [name]}
            client.post("/deployments/get_scheduled_flow_runs", json=body).raise_for_status()
        yield client


def deployment(client: httpx.Client, settings: Settings) -> str:
    """Return the id of the retrain deployment."""
    answer = client.get(f"/deployments/name/retrain/{settings.project}").raise_for_status()
    return str(answer.json()["id"])


def found(name: str) -> doctor.Check:
    """Return the one check of this name that is not ok."""
    (check,) = faults(name)
    return check


def faults(name: str) -> list[doctor.Check]:
    """Return the checks of this name that are not ok, of a command that reads the settings anew."""
    forget()
    return [check for check in doctor.examine(PROJECT) if check.name == name and check.severity != "ok"]


@pytest.fixture
def cure(settings: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[doctor.Check], None]:
    """Return what runs the command that a check prints, after which its fault must be gone."""

    def run(check: doctor.Check) -> None:
        for command in check.command.split(" && "):
            words = shlex.split(command)
            if words[0] == settings.project:  # with this test's settings
                monkeypatch.setattr("sys.argv", words)
                with pytest.raises(SystemExit, match="0"):
                    run_command_line()
                continue
            assert words[0] == "prefect", check
            words = [sys.executable, "-m", *words]
            done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=settings.root)
            assert done.returncode == 0, done.stdout + done.stderr
        assert faults(check.name) == []

    return run


Cure = Callable[[doctor.Check], None]


def test_a_healthy_project_has_no_fault(settings: Settings, healthy: httpx.Client) -> None:
    assert [check for check in doctor.examine(PROJECT) if check.severity != "ok"] == []


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("GATE__CONFIDENCE", "2", "gate.confidence"),
        ("ESTIMATORS", '["forest"]', "forest"),
        ("GATE__METRIC", "f1_scor", "f1_score"),
        ("GATES__FLOOR", "1", f"{ENV_PREFIX}GATE__FLOOR"),
    ],
)
def test_a_setting_that_cannot_be(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, part: str
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setenv(ENV_PREFIX + variable, value)
        assert part in found("settings").found
    assert faults("settings") == []


def test_a_source_that_is_gone(settings: Settings) -> None:
    source = settings.resolve(settings.data.source)
    kept = source.rename(source.with_suffix(".kept"))
    assert "table.csv" in found("data source").found

    kept.rename(source)

    assert faults("data source") == []


def test_a_source_without_the_target(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as wrong:
        wrong.setenv(f"{ENV_PREFIX}DATA__TARGET", "traget")
        assert "The nearest names: target" in found("data source").found
    assert faults("data source") == []


def test_a_target_that_label_makes_is_no_fault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    code = PROJECT.features_file.read_text().replace(
        "return frame", 'return frame.assign(churned=frame["usage"] > 0)', 1
    )
    (settings.root / "features.py").write_text(code)
    shutil.copy(PROJECT.config_file, settings.root)
    monkeypatch.setenv(f"{ENV_PREFIX}DATA__TARGET", "churned")
    elsewhere = replace(PROJECT, folder=settings.root)
    (source,) = [check for check in doctor.examine(elsewhere) if check.name == "data source"]
    assert source.severity == "ok", source.found


class Gone(StandardScaler):
    """A step of the team's, which a test takes away."""


def with_a_step_of_the_team(problem_type: ProblemType, seed: int) -> Pipeline:
    pipeline = linear(problem_type, seed)
    pipeline.steps.insert(-1, ("own", Gone()))
    return pipeline


def test_a_champion_that_cannot_be_loaded(settings: Settings, cure: Cure, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(models.ESTIMATORS, "linear", with_a_step_of_the_team)
        retrain()
    monkeypatch.delattr(sys.modules[__name__], "Gone")

    unloadable = found("champion")

    assert "Gone" in unloadable.found
    cure(unloadable)


def test_a_model_that_was_changed(settings: Settings, cure: Cure) -> None:
    retrain()
    (model,) = (settings.root / "models" / "versions").glob("*/model.joblib")
    model.chmod(0o644)
    model.write_bytes(model.read_bytes() + b"x")
    assert "model.joblib" in found("registry").found

    cure(found("champion"))

    assert faults("registry") == []


def test_no_model_yet(settings: Settings, cure: Cure) -> None:
    assert found("registry").severity == "warning"
    cure(found("registry"))


def test_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(doctor, "LEAST_FREE_BYTES", shutil.disk_usage("/").total + 1)
        assert "GB free" in found("disk space").found
    assert faults("disk space") == []


def test_another_version_than_the_lock_has(settings: Settings, healthy: httpx.Client) -> None:
    (settings.root / "requirements.lock").write_text("pytest==0.0.1 \\\n    --hash=sha256:0\n")
    assert "pytest" in found("lock").found


def test_a_server_that_does_not_answer(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert "127.0.0.1:9" in found("API").found


class Guarded(http.server.BaseHTTPRequestHandler):
    """A Prefect server behind a password, as far as doctor asks it."""

    def do_GET(self) -> None:
        self.answer(200 if self.path.endswith("/admin/version") else 404, version("prefect"))

    def do_POST(self) -> None:
        self.answer(200, [])

    def answer(self, status: int, content: object) -> None:
        allowed = self.headers["Authorization"] == f"Basic {base64.b64encode(b'user:password').decode()}"
        self.send_response(status if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def test_a_server_that_wants_authentication(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        refused = found("API")
        name, _, value = refused.fix.removeprefix("export ").partition(",")[0].partition("=")
        monkeypatch.setenv(name, value)
        allowed = faults("API")
        server.shutdown()
        thread.join()

    assert "requires authentication (401)" in refused.found
    assert allowed == []


def test_automations_that_somebody_disabled(settings: Settings, healthy: httpx.Client, cure: Cure) -> None:
    name = f"{settings.project}: late runs"
    wanted = {"automations": {"name": {"any_": [name]}}}
    (automation,) = healthy.post("/automations/filter", json=wanted).json()
    healthy.patch(f"/automations/{automation['id']}", json={"enabled": False}).raise_for_status()

    disabled = found("automations")

    assert name in disabled.found
    cure(disabled)


def test_no_server_at_all(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert found("API").severity == "warning"


def test_a_server_of_another_version(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[str], str] = _server.version
    monkeypatch.setattr(_server, "version", lambda name: "2.0.0" if name == "prefect" else real(name))
    assert "client 2.0.0" in found("server version").found


def test_a_deployment_that_is_not_there(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}PROJECT", "never-deployed")
    assert "not registered" in found("deployment").found


def test_a_schedule_that_is_paused(settings: Settings, healthy: httpx.Client, cure: Cure) -> None:
    healthy.post(f"/deployments/{deployment(healthy, settings)}/pause_deployment").raise_for_status()
    (schedule,) = healthy.get(f"/deployments/{deployment(healthy, settings)}").json()["schedules"]
    inactive = {"active": False}
    path = f"/deployments/{deployment(healthy, settings)}/schedules/{schedule['id']}"
    healthy.patch(path, json=inactive).raise_for_status()

    paused = found("schedule")

    assert "never start" in paused.found
    assert paused.command.count("prefect ") == 2
    cure(paused)


def test_a_slot_that_a_cancelled_run_holds(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch, cure: Cure
) -> None:
    made = healthy.post(f"/deployments/{deployment(healthy, settings)}/create_flow_run", json={}).json()
    for state in ("PENDING", "RUNNING", "CANCELLING"):
        body = {"state": {"type": state}, "force": True}
        healthy.post(f"/flow_runs/{made['id']}/set_state", json=body).raise_for_status()
    assert faults("slot") == [], "it may still be ending"
    monkeypatch.setattr(_server, "CANCEL_SECONDS", 0.0)

    held = found("slot")

    assert made["name"] in held.found
    cure(held)


@pytest.mark.parametrize(
    "changed", [{"CRON": "5 5 * * 5"}, {"CRON": "", "INTERVAL": "3600"}, {"CRON": "", "RRULE": "FREQ=DAILY"}]
)
def test_a_schedule_that_was_changed_and_not_deployed(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    use(monkeypatch, **{f"SCHEDULE__{name}": value for name, value in changed.items()})
    (kind, value) = list(changed.items())[-1]
    assert f"the settings say {kind.lower()} {value}" in found("schedule").found

    prepare_deployment(PACKAGE, "retrain", settings.project)

    assert [check.found for check in doctor.examine(PROJECT) if check.name == "schedule"] == ["1 active"]


def test_nobody_who_polls(settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}PROJECT", "never-polled")
    retrain.to_deployment(name="never-polled", schedules=[Cron("0 6 * * 1")]).apply()
    assert "no process polls" in found("worker").found


def test_a_block_that_is_not_there(
    settings: Settings, healthy: httpx.Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, cure: Cure
) -> None:
    use(monkeypatch, NOTIFICATIONS__BLOCK="slack-webhook/saved-later")
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"json://127.0.0.1:{receiver.server_port}")

    missing = found("notifications")

    assert "saved-later" in missing.found
    cure(missing)


def test_a_block_that_was_deleted_and_saved_anew(settings: Settings, healthy: httpx.Client, receiver: Receiver) -> None:
    kind, _, name = str(settings.notifications.block).partition("/")
    saved = healthy.get(f"/block_types/slug/{kind}/block_documents/name/{name}").json()
    healthy.delete(f"/block_documents/{saved['id']}").raise_for_status()
    SlackWebhook(url=SecretStr(f"json://127.0.0.1:{receiver.server_port}")).save(name)

    assert "a notification block that was deleted" in found("automations").found

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 180}):
        register_automations(now())  # as the printed `make deploy` does
    assert faults("automations") == []


def test_nobody_who_is_notified(settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    block = str(settings.notifications.block)
    use(monkeypatch, NOTIFICATIONS__BLOCK="", PROJECT="without-a-block")
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 180}):
        register_automations(now())
        unset = found("notifications")
        assert doctor.examine(PROJECT, send=True)[-1].fix == unset.fix == "set notifications.block"

        use(monkeypatch, NOTIFICATIONS__BLOCK=block)
        assert faults("notifications") == []
        assert "without-a-block: unreported failures" in found("automations").found

        register_automations(now())  # as the printed `make deploy` does
    assert faults("automations") == []
    assert doctor.examine(PROJECT, send=True)[-1].severity == "ok"


def test_a_webhook_that_is_dead(
    settings: Settings, prefect_api: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, cure: Cure
) -> None:
    receiver.stop()
    alive = Receiver()
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"json://127.0.0.1:{alive.server_port}")

    dead = doctor.examine(PROJECT, send=True)[-1]

    assert (dead.name, dead.severity) == ("test message", "error")
    cure(dead)
    assert doctor.examine(PROJECT, send=True)[-1].severity == "ok"
    alive.stop()
    assert len(alive.payloads) == 2  # the one of `setup slack`, and doctor's


def test_nobody_who_ends_a_run_that_was_killed(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}PROJECT", "unwatched")
    assert "stays Running" in found("automations").found
