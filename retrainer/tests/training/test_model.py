"""A model with its contract: its own features.py, its own reading, and what keeps it from being compared."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrainer.data import FeatureCode, FeaturesError, prepare
from retrainer.registry import LocalStore, Registry, Version
from retrainer.training import Model, NoContractError, load_model, predict_with_version

from ..conftest import PROJECT, load_settings, make_pipeline, make_table, now

FEATURES = "def label(frame):\n    return frame\n\n\ndef features(frame):\n    return {}\n"
PLAIN = FEATURES.format("frame")


def train(table: pd.DataFrame, source: str = PLAIN) -> tuple[Model, Any]:
    """Return a fitted model and the identities of its rows."""
    settings = load_settings(problem_type="classification", data={"source": "sample", "target": "target"})
    learned = prepare(table, settings=settings, code=FeatureCode(source, project=PROJECT))
    model = Model(make_pipeline("linear", problem_type="classification", seed=0), learned.contract, learned.code)
    model.pipeline.fit(model.inputs(learned.rows), learned.rows["target"])
    return model, learned.identities


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry."""
    return Registry(LocalStore(tmp_path / "models"), metric="f1_score")


def stage(registry: Registry, model: Model, identities: Any) -> Version:
    return registry.stage(model.pipeline, metrics={"f1_score": 0.5}, lineage={}, files=model.files(identities))


def test_two_versions_with_other_features_live_side_by_side(registry: Registry) -> None:
    table = make_table("classification")
    versions = [
        stage(registry, *train(table, FEATURES.format(made)))
        for made in ("frame", "frame.assign(usage=-frame['usage'])", "frame[['age']].assign(twice=2)")
    ]

    first, negated, other = (load_model(registry, version, project=now()) for version in versions)

    assert (first.predict(table).labels == negated.predict(table).labels).mean() > 0.97
    assert (first.predict(table).labels == table["target"]).mean() > 0.9
    assert (other.predict(table).labels == table["target"]).mean() < 0.8
    assert list(other.inputs(table)) == ["age", "twice"]


def test_a_model_predicts_a_file_of_any_kind_alike(tmp_path: Path, registry: Registry) -> None:
    table = make_table("classification").drop(columns="target")
    model, _ = train(make_table("classification"))
    as_text = table.astype("str").mask(table.isna())

    expected = model.predict(table).probabilities

    np.testing.assert_array_equal(model.predict(as_text).probabilities, expected)
    for row in (0, 17, 599):
        alone = model.predict(as_text.iloc[row : row + 1]).probabilities
        np.testing.assert_allclose(alone, expected[row : row + 1], rtol=1e-12)


def test_the_rows_a_model_was_trained_on_are_looked_up(registry: Registry) -> None:
    table = make_table("classification")
    model, identities = train(table)
    version = stage(registry, model, identities[:400])

    champion = predict_with_version(registry, version, model.contract.read(table, keep_extra=True), project=now())

    assert champion.obstacle is None
    assert champion.comparable is not None
    assert champion.comparable.tolist() == [False] * 400 + [True] * 200
    assert champion.stored_score == 0.5


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        (lambda table: table.drop(columns="age"), "column 'age' is missing \\(a number .*\\)"),
        (lambda table: table.rename(columns={"age": "ages"}), "was it renamed to 'ages'"),
        (lambda table: table.assign(age=None), "column 'age': 100% of 600 rows have no value"),
        (
            lambda table: table.assign(age="old"),
            "'age': expected a number .* such as 'old' \\(holdout row 1\\)",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_an_obstacle(registry: Registry, change: Any, obstacle: str) -> None:
    table = make_table("classification")
    version = stage(registry, *train(table))

    champion = predict_with_version(registry, version, change(table), project=now())

    assert champion.predictions is None
    assert champion.obstacle is not None
    assert re.search(obstacle, champion.obstacle)


def test_features_that_fail_today_are_an_obstacle(registry: Registry) -> None:
    table = make_table("classification")
    model, identities = train(table)
    broken = Model(model.pipeline, model.contract, FeatureCode(FEATURES.format("frame[['absent']]"), project=PROJECT))
    version = stage(registry, broken, identities)

    champion = predict_with_version(registry, version, table, project=now())

    assert "line 6 failed: KeyError" in str(champion.obstacle)


def test_a_module_that_a_version_does_not_hold_is_watched(registry: Registry) -> None:
    module = PROJECT.folder / "lookup_of_this_test.py"
    source = FEATURES.format("frame.assign(factor=FACTOR)") + "\n\nfrom .lookup_of_this_test import FACTOR\n"
    try:
        module.write_text("FACTOR = 2\n", encoding="utf-8")
        table = make_table("classification")
        model, identities = train(table, source)
        version = stage(registry, model, identities)
        assert predict_with_version(registry, version, table, project=now()).obstacle is None
        module.write_text("FACTOR = 3\n", encoding="utf-8")
        changed = predict_with_version(registry, version, table, project=now())
    finally:
        module.unlink()

    assert "lookup_of_this_test, which has changed since" in str(changed.obstacle)


def test_a_version_without_a_contract_says_what_to_do(registry: Registry) -> None:
    model, _ = train(make_table("classification"))
    version = registry.stage(model.pipeline, metrics={}, lineage={})

    with pytest.raises(NoContractError, match="retrain --accept-not-comparable"):
        load_model(registry, version, project=now())


def test_features_py_that_cannot_be_run_is_named() -> None:
    with pytest.raises(FeaturesError, match=r"features\.py, line 2 failed: SyntaxError"):
        FeatureCode("x = 1\ndef label(", project=PROJECT)
    with pytest.raises(FeaturesError, match=r"features\.py has no function features"):
        FeatureCode("def label(frame): return frame", project=PROJECT)
