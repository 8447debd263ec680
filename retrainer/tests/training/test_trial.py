"""A model saved with other packages: tried in a process of its own, and used only if it predicts what it did."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrainer.gate import Predictions
from retrainer.registry import LocalStore, Registry, Version, package_versions
from retrainer.training import (
    Model,
    OtherPackagesError,
    _trial,
    example_files,
    load_model,
    packages_of_steps,
    predict_with_version,
)

from ..conftest import make_table, now
from .test_model import train

OLD = {"packages": {"scikit-learn": "0.1", "numpy": package_versions()["numpy"]}}


class Deadly:
    """Ends whatever process loads it."""

    def __reduce__(self) -> Any:
        return os.abort, ()


class Unloadable:
    """Cannot be loaded."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry."""
    return Registry(LocalStore(tmp_path / "models"), metric="f1_score")


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try each model again, as a new process would."""
    monkeypatch.setattr(_trial, "_tried", set())


def stage(
    registry: Registry,
    *,
    pipeline: Any = None,
    lineage: Any = OLD,
    change: Any = None,
    examples: bool = True,
    contract: bool = True,
) -> tuple[Model, Version]:
    """Save a model as if by other packages."""
    table = make_table("classification")
    model, identities = train(table)
    files = model.files(identities) if contract else {}
    if examples and contract:
        files |= example_files(model, model.contract.read(table))
    if change:
        predicted = json.loads(files["examples.json"])
        change(predicted)
        files["examples.json"] = json.dumps(predicted).encode()
    version = registry.stage(pipeline or model.pipeline, metrics={"f1_score": 0.5}, lineage=lineage, files=files)
    return model, version


def swap_a_label(predicted: Any) -> None:
    first = predicted["labels"][0]
    predicted["labels"][0] = "yes" if first == "no" else "no"


def move_a_probability(predicted: Any) -> None:
    predicted["probabilities"][3] = [value + 1e-4 for value in predicted["probabilities"][3]]


def test_a_model_that_predicts_what_it_did_is_used(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    model, version = stage(registry)
    table = make_table("classification")

    with caplog.at_level("INFO"):
        loaded = load_model(registry, version, project=now())

    np.testing.assert_array_equal(loaded.predict(table).probabilities, model.predict(table).probabilities)
    assert "saved with scikit-learn 0.1 (here" in caplog.text
    assert "predicts its example rows here as it did there" in caplog.text


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"change": swap_a_label}, "predicts 1 of its 100 example rows differently"),
        ({"change": move_a_probability}, "predicts 1 of its 100 example rows differently"),
        ({"pipeline": Unloadable()}, "cannot be loaded: ValueError: invalid literal .*'no number'"),
        ({"pipeline": Deadly()}, r"ends the process that loads it \(signal 6\)"),
        ({"examples": False}, "has no example rows"),
    ],
    ids=["label", "probability", "load", "crash", "no examples"],
)
def test_a_model_that_does_not_is_not_comparable(registry: Registry, how: Any, reason: str) -> None:
    _, version = stage(registry, **how)

    champion = predict_with_version(registry, version, make_table("classification"), project=now())

    assert champion.predictions is None
    assert re.search(f"^it was saved with scikit-learn 0.1 .*, and {reason}", str(champion.obstacle))
    with pytest.raises(OtherPackagesError, match="retrain --accept-not-comparable"):
        load_model(registry, version, project=now())


def test_the_trial_is_made_once_and_only_for_other_packages(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, same = stage(registry, lineage={})
    _, other = stage(registry)
    tried = []
    monkeypatch.setattr(_trial, "_find_difference", lambda registry, version, project: tried.append(version.id))

    for version in (same, other, same, other):
        load_model(registry, version, project=now())

    assert tried == [other.id]


def test_a_trial_that_takes_too_long_ends(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    _, version = stage(registry)
    monkeypatch.setattr(_trial, "SECONDS", 0.01)

    with pytest.raises(OtherPackagesError, match=r"within 0\.01 s"):
        load_model(registry, version, project=now())


def test_rounding_is_no_difference() -> None:
    tie = Predictions(np.array(["a", "b"]), np.array([[0.5, 0.5], [0.2, 0.8]]), np.array(["a", "b"]))
    turned = Predictions(np.array(["b", "b"]), np.array([[0.5 - 1e-9, 0.5 + 1e-9], [0.2, 0.8]]), np.array(["a", "b"]))
    values = Predictions(np.array([1e6, 2e6, 1e-9]))

    assert _trial.difference(tie, turned) is None
    assert _trial.difference(values, Predictions(values.labels + 1e-3)) is None
    assert _trial.difference(values, Predictions(values.labels + 10)) == (
        "predicts 3 of its 3 example rows differently"
    )
    assert _trial.difference(values, Predictions(np.array([1e6, np.nan, 1e-9]))) == (
        "predicts 1 of its 3 example rows differently"
    )
    others = Predictions(np.array(["a", "b"]), np.full((2, 3), 1 / 3), np.array(["a", "b", "c"]))
    assert _trial.difference(tie, others) == "predicts other classes than before"


def test_labels_count_where_there_are_no_probabilities() -> None:
    labels = Predictions(np.array(["a", "b"]), None, np.array(["a", "b"]))

    assert _trial.difference(labels, labels) is None
    assert "1 of its 2" in str(_trial.difference(labels, Predictions(np.array(["a", "a"]), None, labels.classes)))


def test_the_packages_of_steps_are_recorded() -> None:
    model, _ = train(make_table("classification"))

    packages = packages_of_steps(model.pipeline)

    assert {"scikit-learn", "skrub", "numpy"} <= packages.keys()
    assert package_versions(["cronsim.cronsim", "json.decoder", "builtins"]).keys() - packages.keys() == {"cronsim"}
