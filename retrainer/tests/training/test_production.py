"""The model in production as other Python code uses it."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pandas as pd
import pytest
from churn import champion

from retrainer import data
from retrainer.errors import DataError, RegistryError
from retrainer.registry import Registry, Version, open_registry
from retrainer.settings import Settings
from retrainer.training import Model, _production

from ..conftest import PACKAGE, PROJECT, make_pipeline, now


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the model of the test before, and ask the registry at every call."""
    monkeypatch.setattr(_production, "CHECK_SECONDS", 0)
    _production._productions.clear()
    yield
    _production._productions.clear()


def promote(registry: Registry, settings: Settings, *, seed: int) -> Version:
    """Put a model of these rows into production."""
    rows = data.load(data.fetch(settings.data.source, settings=settings))
    rows = rows.sample(frac=0.5, random_state=seed)
    table = data.prepare(rows, settings=settings, code=data.current_code(now()))
    pipeline = make_pipeline("linear", problem_type=settings.problem_type, seed=seed)
    model = Model(pipeline, table.contract, table.code)
    pipeline.fit(model.inputs(table.rows), table.rows["target"])
    before = registry.champion()
    version = registry.stage(pipeline, metrics={settings.metric: 0.5}, lineage={}, files=model.files(table.identities))
    registry.record(version, {"verdict": "promoted", "reason": "A test."}, expected_champion=before)
    return version


@pytest.fixture
def rows(settings: Settings) -> pd.DataFrame:
    return pd.read_csv(settings.root / "table.csv", index_col=False).set_index(pd.Index(range(7, 607)))


def test_the_champion_predicts_rows_as_the_table_has_them(settings: Settings, rows: pd.DataFrame) -> None:
    registry = open_registry(settings)
    version = promote(registry, settings, seed=1)

    model = champion()
    predicted = model.predict(rows)

    assert (model.version, model.metrics) == (version.id, {settings.metric: 0.5})
    assert list(predicted.index) == list(rows.index)
    pipeline = registry.load_model(version)
    assert predicted.tolist() == list(pipeline.predict(rows.drop(columns="target")))
    if settings.problem_type == "classification":
        shares = model.predict_proba(rows.drop(columns="target"))
        assert list(shares.columns) == ["no", "yes"]
        assert shares.to_numpy().tolist() == pipeline.predict_proba(rows.drop(columns="target")).tolist()
        assert (shares.idxmax(axis=1) == predicted).all()
    else:
        with pytest.raises(DataError, match="no probabilities"):
            model.predict_proba(rows)


def test_what_are_no_rows_of_the_table_is_refused_in_a_sentence(settings: Settings, rows: pd.DataFrame) -> None:
    promote(open_registry(settings), settings, seed=1)
    model = champion()

    with pytest.raises(DataError, match="no rows to predict"):
        model.predict(rows.head(0))
    with pytest.raises(DataError, match="DataFrame with the table's columns, not as a dict"):
        model.predict(rows.iloc[0].to_dict())
    with pytest.raises(DataError, match="'usage' more than once"):
        model.predict(pd.concat([rows, rows[["usage"]]], axis=1))
    padded = rows.rename(columns=lambda name: f"{name} ")
    pd.testing.assert_series_equal(model.predict(padded), model.predict(rows))


def test_promotion_and_rollback_are_followed_and_a_held_model_stays_what_it_is(
    settings: Settings, rows: pd.DataFrame
) -> None:
    registry = open_registry(settings)
    first = promote(registry, settings, seed=1)
    held = champion()
    before = held.predict(rows)

    second = promote(registry, settings, seed=2)
    assert champion().version == second.id
    assert champion() is champion()
    registry.rollback()
    assert champion().version == first.id
    assert champion().predict(rows).equals(before)
    assert held.predict(rows).equals(before)


@pytest.mark.parametrize("settings", ["classification"], indirect=True)
def test_a_champion_that_cannot_be_loaded_leaves_the_one_before(
    settings: Settings, rows: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    registry = open_registry(settings)
    first = promote(registry, settings, seed=1)
    assert champion().version == first.id
    second = promote(registry, settings, seed=2)
    file = settings.root / "models" / "versions" / second.id / "model.joblib"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"!")

    with caplog.at_level(logging.WARNING):
        assert champion().version == first.id
        assert champion().predict(rows).notna().all()
    assert [record.getMessage() for record in caplog.records if "stays in use" in record.getMessage()] != []
    assert len({id(record) for record in caplog.records if "stays in use" in record.getMessage()}) == 1
    assert second.files["model.joblib"]["sha256"] in caplog.text

    file.write_bytes(whole)
    assert champion().version == second.id


@pytest.mark.parametrize("settings", ["classification"], indirect=True)
def test_without_a_champion_there_is_an_error_that_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="Run `churn retrain` first"):
        champion()


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "pandas", "sklearn", "prefect", "pydantic"
    code = f"import sys; from {PACKAGE} import champion; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(PROJECT.folder.parent)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr
