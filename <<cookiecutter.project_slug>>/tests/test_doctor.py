"""Each fault that doctor is for, seeded for real, and a project without any."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prefect.schedules import Cron
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from << cookiecutter.package_name >> import doctor
from << cookiecutter.package_name >>.flows import retrain
from << cookiecutter.package_name >>.orchestration import (
    prepare_deployment,
    register_automations,
    schedules,
)
from << cookiecutter.package_name >>.settings import ENV_PREFIX, Settings, get_settings

from .conftest import Receiver

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
        register_automations()
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
    (check,) = [check for check in doctor.examine() if check.name == name and check.severity != "ok"]
    return check


def test_a_healthy_project_has_no_fault(settings: Settings, healthy: httpx.Client) -> None:
    assert [check for check in doctor.examine() if check.severity != "ok"] == []


def test_a_setting_that_cannot_be(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATE__CONFIDENCE", "2")
    assert "gate.confidence" in found("settings").found


def test_a_source_that_is_gone(settings: Settings, healthy: httpx.Client) -> None:
    settings.resolve(settings.data.source).unlink()
    assert "table.csv" in found("data source").found


def test_a_model_that_was_changed(settings: Settings, healthy: httpx.Client) -> None:
    (model,) = (settings.root / "models" / "versions").glob("*/model.joblib")
    model.chmod(0o644)
    model.write_bytes(model.read_bytes() + b"x")
    assert "model.joblib" in found("registry").found


def test_no_model_yet(settings: Settings, healthy: httpx.Client) -> None:
    shutil.rmtree(settings.root / "models")
    assert found("registry").severity == "warning"


def test_a_full_disk(settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", shutil.disk_usage("/").total + 1)
    assert "GB free" in found("disk space").found


def test_another_version_than_the_lock_has(settings: Settings, healthy: httpx.Client) -> None:
    (settings.root / "requirements.lock").write_text("pytest==0.0.1 \\\n    --hash=sha256:0\n")
    assert "pytest" in found("lock").found


def test_a_server_that_does_not_answer(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert "127.0.0.1:9" in found("API").found


@pytest.mark.parametrize(("given", "found_ok"), [("", False), ("me:right", True)])
def test_a_server_that_wants_authentication(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, given: str, found_ok: bool
) -> None:
    def answer(self: httpx.Client, path: str) -> httpx.Response:
        allowed = self.headers.get("Authorization") == "Basic bWU6cmlnaHQ="
        return httpx.Response(200 if allowed else 401, json="3.8.8", request=httpx.Request("GET", path))

    monkeypatch.setattr(httpx.Client, "get", answer)
    monkeypatch.setattr(doctor, "_check_deployment", lambda *_: [])
    monkeypatch.setattr(doctor, "_check_schedules", lambda *_: [])
    monkeypatch.setattr(doctor, "_check_automations", lambda *_: doctor.Check("automations", "ok", ""))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", given)

    (api,) = [check for check in doctor.examine() if check.name == "API"]

    assert (api.severity == "ok") == found_ok
    assert found_ok or "wants authentication (401)" in api.found


def test_automations_that_somebody_disabled(settings: Settings, healthy: httpx.Client) -> None:
    name = f"{settings.project}: late runs"
    wanted = {"automations": {"name": {"any_": [name]}}}
    (automation,) = healthy.post("/automations/filter", json=wanted).json()
    healthy.patch(f"/automations/{automation['id']}", json={"enabled": False}).raise_for_status()

    disabled = found("automations")

    assert name in disabled.found
    assert disabled.fix == f"prefect automation resume '{name}'"
    healthy.patch(f"/automations/{automation['id']}", json={"enabled": True}).raise_for_status()


def test_no_server_at_all(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert found("API").severity == "warning"


def test_a_server_of_another_version(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[str], str] = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: "2.0.0" if name == "prefect" else real(name))
    assert "client 2.0.0" in found("server version").found


def test_a_deployment_that_is_not_there(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}PROJECT", "never-deployed")
    assert "not registered" in found("deployment").found


def test_a_schedule_that_is_paused(settings: Settings, healthy: httpx.Client) -> None:
    healthy.post(f"/deployments/{deployment(healthy, settings)}/pause_deployment").raise_for_status()
    (schedule,) = healthy.get(f"/deployments/{deployment(healthy, settings)}").json()["schedules"]
    inactive = {"active": False}
    path = f"/deployments/{deployment(healthy, settings)}/schedules/{schedule['id']}"
    healthy.patch(path, json=inactive).raise_for_status()

    paused = found("schedule")

    assert "never start" in paused.found
    commands = [command.split() for command in paused.fix.split(" && ")]
    assert len(commands) == 2
    for command in commands:  # what is printed cures
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, timeout=120, cwd=settings.root
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert [check for check in doctor.examine() if check.name == "schedule" and check.severity != "ok"] == []


@pytest.mark.parametrize(
    "changed", [{"CRON": "5 5 * * 5"}, {"CRON": "", "INTERVAL": "3600"}, {"CRON": "", "RRULE": "FREQ=DAILY"}]
)
def test_a_schedule_that_was_changed_and_not_deployed(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(f"{ENV_PREFIX}SCHEDULE__{name}", value)
    get_settings.cache_clear()
    (kind, value) = list(changed.items())[-1]
    assert f"the settings say {kind.lower()} {value}" in found("schedule").found

    prepare_deployment("retrain")

    assert [check.found for check in doctor.examine() if check.name == "schedule"] == ["1 active"]


def test_nobody_who_polls(settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}PROJECT", "never-polled")
    retrain.to_deployment(name="never-polled", schedules=[Cron("0 6 * * 1")]).apply()
    assert "nobody polls" in found("worker").found


def test_a_block_that_is_not_there(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__BLOCK", "slack-webhook/nobody")
    assert "nobody" in found("notifications").found


def test_nobody_who_ends_a_run_that_was_killed(
    settings: Settings, healthy: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}PROJECT", "unwatched")
    assert "stays Running" in found("automations").found
