"""Texts of Prefect that the library compares: another release may say it otherwise, and a watch would go blind."""

from pathlib import Path

import prefect
import pytest

from retrainer.cli import _run
from retrainer.prefect import _automations


@pytest.mark.parametrize(
    ("text", "said_by"),
    [
        (f'message="{_automations.COLLISION}"', "server/orchestration/core_policy.py"),
        (f'"{_automations.NOT_ENDED}"', "server/services/cancellation_cleanup.py"),
        (_run.UNREACHABLE + " {", "client/orchestration/__init__.py"),
        (_run.NOT_STARTED + " Prefect API server", "server/api/server.py"),
        *((f'"{text}', "flow_engine.py") for text in _run.REPEATED),
    ],
)
def test_prefect_still_says_it(text: str, said_by: str) -> None:
    assert text in (Path(prefect.__file__).parent / said_by).read_text(encoding="utf-8")
