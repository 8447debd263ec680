"""The search as it runs in production: a flow against a real server, whose result the next retrain uses."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from churn import flows, models
from sklearn.linear_model import LogisticRegression

import retrainer
from retrainer import tuning
from retrainer.prefect import _progress
from retrainer.registry import open_registry
from retrainer.settings import Settings

from ..conftest import PROJECT, Receiver

pytestmark = pytest.mark.parametrize("settings", ["classification"], indirect=True)


SOURCE = Path(retrainer.__file__).parent


class Moody(LogisticRegression):
    """Fails with parameters that a search tries."""

    def fit(self, X: object, y: object) -> "Moody":
        if self.C > 10:
            raise MemoryError("too large")
        return super().fit(X, y)


def shown_trials(api: str) -> list[dict[str, Any]]:
    """Return the versions of the table in Prefect's UI, the oldest first."""
    wanted = {"artifacts": {"key": {"any_": ["trials"]}}, "sort": "CREATED_DESC"}
    found: list[dict[str, Any]] = httpx.post(f"{api}/artifacts/filter", json=wanted, timeout=30).json()
    return found[::-1]


def test_a_search_proposes_what_the_next_retrain_uses_and_names(
    settings: Settings, receiver: Receiver, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = models.ESTIMATORS["linear"]
    monkeypatch.setitem(
        models.ESTIMATORS, "linear", lambda *options: good(*options).set_params(model=Moody(max_iter=1000))
    )

    monkeypatch.setattr(_progress, "SECONDS_BETWEEN", 0)

    (dry,) = flows.tune(trials=8, dry_run=True)
    first, *_, last = shown_trials(prefect_api)
    assert re.match(r"linear: \d of 8 trials, best 0.\d+: ", first["description"])
    assert len(json.loads(first["data"])) < len(json.loads(last["data"])) == 8
    assert dry["reason"] in last["description"]
    assert not PROJECT.params_file.exists()
    (facts,) = flows.tune(trials=8)

    assert facts["study"] == dry["study"]
    assert facts["trials"] == dry["trials"], "the dry run's trials are not run again"
    assert {"failed", "complete"} <= {trial["state"] for trial in facts["trials"]}
    assert facts["written"] == str(PROJECT.params_file)
    for name in [name for name in sys.modules if name.partition(".")[0] == "optuna"]:
        monkeypatch.setitem(sys.modules, name, None)  # a retrain cannot import it, and need not
    registry = open_registry(settings)
    version = registry.version(flows.retrain()["version"])
    assert version.lineage["tuned"]["study"] == facts["study"]
    assert registry.load_model(version)["model"].C == facts["parameters"]["model__C"] != 1.0


def test_a_time_limit_shorter_than_one_trial_is_named(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(tuning.TimeLimitError, match=r"0 of 5 folds took \d"):
        flows.tune(trials=3, time_limit="0.001s")


def test_the_search_library_is_imported_by_a_search_alone() -> None:
    code = "import sys, retrainer.cli, retrainer.prefect, retrainer.tuning; sys.exit('optuna' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
