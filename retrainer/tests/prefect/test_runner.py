"""A process that serves: what it takes over, and how it ends."""

import os
import signal
import threading
from pathlib import Path

import pytest
from churn.flows import retrain
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import DeploymentStatus
from prefect.settings import PREFECT_API_URL, temporary_settings

from retrainer.errors import ConfigurationError
from retrainer.prefect import _cancellation, serve
from retrainer.settings import Settings

from ..conftest import now

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


def stop_once_served(client: SyncPrefectClient, name: str) -> None:
    """Send SIGTERM to this process as soon as the server knows that somebody serves the deployment."""
    while client.read_deployment_by_name(name).status != DeploymentStatus.READY:
        threading.Event().wait(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_deployment_leaves_its_work_pool_and_sigterm_ends_the_process_in_order(
    settings: Settings, prefect_api: str, tmp_path: Path
) -> None:
    name = f"retrain/{settings.project}"
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=tmp_path.name, type="process"), overwrite=True)
        flow = client.create_flow_from_name("retrain")
        client.create_deployment(flow, settings.project, work_pool_name=tmp_path.name)
        assert client.read_deployment_by_name(name).work_pool_name == tmp_path.name
        threading.Thread(target=stop_once_served, args=(client, name), daemon=True).start()

        serve(now(), [retrain.to_deployment(name=settings.project)])

        assert client.read_deployment_by_name(name).work_pool_name is None
        assert not client.read_deployment_by_name(name).paused


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
