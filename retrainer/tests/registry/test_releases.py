"""Models that earlier releases saved: this one loads them, and they predict what they predicted then."""

import importlib
import io
import json
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from retrainer.registry import LocalStore, Registry, package_versions, unpickled
from retrainer.training import TableCleaner, load_model

from ..conftest import PACKAGE, now

RELEASES = sorted(
    path for path in Path(__file__).with_name("releases").iterdir() if path.is_dir() and path.name[0].isdigit()
)
SAVED_AS = "ml_retraining"  # the package in which the models were saved


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_models_of_earlier_releases_predict_what_they_did(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, SAVED_AS, importlib.import_module(PACKAGE))
    monkeypatch.delitem(sys.modules, f"{SAVED_AS}.training", raising=False)
    registry = Registry(LocalStore(release / "models"), metric="f1_score")
    rows = pd.read_csv(release / "rows.csv")
    expected = json.loads((release / "expected.json").read_text(encoding="utf-8"))
    assert len(expected) == 3

    for name, probabilities in expected.items():
        version = registry.version(name)
        if version.lineage["packages"]["scikit-learn"] != package_versions()["scikit-learn"]:
            pytest.skip("scikit-learn reads its own pickles only; the registry refuses others, or compares first")
        predictions = load_model(registry, version, project=now()).predict(rows)
        np.testing.assert_allclose(predictions.probabilities, probabilities, rtol=1e-9)


def test_there_is_a_release_to_load() -> None:
    assert RELEASES


def test_a_model_finds_the_library_where_its_project_carries_no_copy_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where an organisation publishes the library, and its projects depend on that."""
    project = ModuleType("gone")
    project.__path__ = []
    monkeypatch.setitem(sys.modules, "gone", project)
    saved = pickle.dumps(TableCleaner(), protocol=0)
    moved = saved.replace(b"cretrainer.training\n", b"cgone.retrainer.training\n")
    assert moved != saved

    assert isinstance(unpickled(io.BytesIO(moved)), TableCleaner)
    for name in ("gone.retrainer", "gone.retrainer.training"):
        monkeypatch.delitem(sys.modules, name)
