"""What the server watches is left alone where it says what it should: an update would make it forget."""

from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from retrainer.prefect import register_automations
from retrainer.settings import Settings

from ..conftest import Receiver, now, use

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


def registered(api: str) -> dict[str, Any]:
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 180}):
        register_automations(now())
    return {each["name"]: each for each in httpx.post(f"{api}/automations/filter", json={}).json()}


def test_only_an_automation_that_differs_is_updated(
    settings: Settings, receiver: Receiver, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registered(prefect_api)
    assert registered(prefect_api) == first

    use(monkeypatch, SCHEDULE__TIME_LIMIT="77")
    then = registered(prefect_api)

    changed = [name for name in first if then[name] != first[name]]
    assert changed == [f"{settings.project}: time limit of retrain"]
