"""Models that earlier releases saved: this one loads them, and they predict what they predicted then."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrainer.registry import LocalStore, Registry, package_versions
from retrainer.training import load_model

from ..conftest import PACKAGE, now

RELEASES = sorted(
    path
    for path in Path(__file__).with_name("releases").iterdir()
    if path.is_dir() and path.name[0].isdigit()
)
SAVED_AS = "ml_retraining"  # the package in which the models were saved


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_models_of_earlier_releases_predict_what_they_did(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, SAVED_AS, importlib.import_module(PACKAGE))
    monkeypatch.delitem(sys.modules, f"{SAVED_AS}.training", raising=False)
    registry = Registry(LocalStore(release / "models"), metric="f1_score")
    rows = pd.read_csv(release / "rows.csv")
    expected = json.loads((release / "expected.json").read_text(encoding="utf-8"))
    assert len(expected) == 3

    for name, probabilities in expected.items():
        version = registry.version(name)
        if version.lineage["packages"]["scikit-learn"] != package_versions()["scikit-learn"]:
            pytest.skip(
                "scikit-learn reads its own pickles only; the registry refuses others, or compares first"
            )
        predictions = load_model(registry, version, project=now()).predict(rows)
        np.testing.assert_allclose(predictions.probabilities, probabilities, rtol=1e-9)


def test_there_is_a_release_to_load() -> None:
    assert RELEASES
