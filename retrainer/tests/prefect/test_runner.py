"""A process that serves: what it takes over, and how it ends."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import DeploymentStatus
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.utilities.services import critical_service_loop

from retrainer.errors import ConfigurationError, ProjectError
from retrainer.prefect import _cancellation, _runner, serve
from retrainer.settings import Settings

from ..conftest import now, plain_source

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)

SERVE = """
import sys
from churn import project
from churn.flows import retrain
from churn.retrainer.prefect import serve

serve(project, [retrain.to_deployment(name=sys.argv[1])])
"""


def test_a_deployment_leaves_its_work_pool_and_sigterm_ends_the_process_in_order(
    settings: Settings, prefect_api: str, tmp_path: Path
) -> None:
    name = uuid.uuid4().hex
    environment = {"PREFECT_API_URL": prefect_api, "PYTHONPATH": str(plain_source(tmp_path / "plain"))}
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        client.create_deployment(client.create_flow_from_name("retrain"), name, work_pool_name=name)

        process = subprocess.Popen([sys.executable, "-c", SERVE, name], env=os.environ | environment)
        while client.read_deployment_by_name(f"retrain/{name}").status != DeploymentStatus.READY:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=120) == 0
        served = client.read_deployment_by_name(f"retrain/{name}")
        assert (served.work_pool_name, served.paused) == (None, False)


@pytest.mark.usefixtures("prefect_api")
def test_a_process_that_ends_without_a_server_says_so_in_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = "9a2b0b4e-6f8e-4f0e-9d43-3f5d4bb7e6f1"
    monkeypatch.setattr(_cancellation, "_deciding_runs", lambda project: [run])

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        _cancellation.complete_recorded(now())
        with pytest.raises(ConfigurationError, match="no server answers"):
            serve(now(), [])

    assert capsys.readouterr().out.startswith("The Prefect server does not answer (ConnectError)")


@pytest.mark.usefixtures("prefect_api")
def test_a_server_that_stays_away_ends_the_process_late_and_with_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    retries: list[int] = []

    class Lost:
        """Loses the server at once, as Prefect's runner does after three requests with their retries."""

        started = False

        def __init__(self, **options: Any) -> None:
            pass

        async def start(self) -> None:
            async def poll() -> None:
                retries.append(PREFECT_CLIENT_MAX_RETRIES.value())
                raise httpx.ConnectError("nobody answers")

            async with anyio.create_task_group() as loops:
                loops.start_soon(critical_service_loop, poll, 0)

    monkeypatch.setattr(_runner, "Runner", Lost)

    with pytest.raises(ProjectError, match="did not answer for too long"):
        serve(now(), [])

    assert retries == [_runner.RETRIES] * 3
    assert PREFECT_CLIENT_MAX_RETRIES.value() < _runner.RETRIES
