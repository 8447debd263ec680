"""What a table is does not depend on the file: random tables in many forms are read alike, row by row."""

import os
import random
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from retrainer import data
from retrainer.errors import DataError
from retrainer.settings import Settings
from retrainer.training import Model

from .conftest import ENV_PREFIX, load_settings, make_pipeline, now

MINUTE = np.timedelta64(1, "m")
WORDS = ["basic", "plus", "größer", 'said "no"', "a, b", "x; y", "?", "NA", "N", "F", "1-2", "."]

# What a column of n rows may hold, by kind.
COLUMNS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "decimal": lambda rng, n: rng.normal(scale=100, size=n).round(2),
    "huge": lambda rng, n: rng.normal(scale=1e12, size=n).round(0),
    "whole": lambda rng, n: pd.array(rng.integers(-5, 1_000, n), "Int64"),
    "flag": lambda rng, n: pd.array(rng.random(n) < 0.5, "boolean"),
    "day": lambda rng, n: np.datetime64("2024-01-01", "us") + rng.integers(0, 900, n) * 1_440 * MINUTE,
    "moment": lambda rng, n: np.datetime64("2024-01-01", "us") + rng.integers(0, 900_000, n) * MINUTE,
    "zeros in front": lambda rng, n: [f"{number:05}" for number in rng.integers(0, 5_000, n)],
    "codes": lambda rng, n: rng.choice(["E11", "250", "042", "401.9", "V58"], n).astype(object),
    "thousands": lambda rng, n: [f"{number:,.2f}" for number in rng.uniform(1, 99_999, n)],
    "decimal comma": lambda rng, n: [f"{number:.2f}".replace(".", ",") for number in rng.uniform(0, 99, n)],
    "percent": lambda rng, n: [f"{number:.1f} %" for number in rng.uniform(0, 100, n)],
    "words": lambda rng, n: rng.choice(WORDS, n).astype(object),
    "sentences": lambda rng, n: [f"row {number} was too dear, he said" for number in rng.integers(0, 10**6, n)],
    "empty": lambda rng, n: np.full(n, None, object),
}


def make_table(kinds: list[str], *, rows: int, seed: int, gaps: float) -> pd.DataFrame:
    """Return a table of these kinds of columns, with this share of cells missing, and a target."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({f"{kind} {at}": COLUMNS[kind](rng, rows) for at, kind in enumerate(kinds)})
    table = table.mask(rng.random(table.shape) < gaps)
    return table.assign(target=np.where(np.arange(rows) % 2, "yes", "no"))


tables = st.builds(
    make_table,
    st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5).filter(lambda kinds: {*kinds} != {"empty"}),
    rows=st.integers(30, 80),
    seed=st.integers(0, 2**32 - 1),
    gaps=st.sampled_from([0.0, 0.1, 0.4]),
)


def spelt(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as a file without types spells it."""
    table = table.copy()
    for name, column in table.items():
        if isinstance(column.dtype, pd.BooleanDtype):
            table[name] = column.map({True: "TRUE", False: "FALSE"}).astype(object)
        elif pd.api.types.is_datetime64_dtype(column.dtype):
            form = "%Y-%m-%d" if str(name).startswith("day") else "%Y-%m-%d %H:%M"
            table[name] = column.dt.strftime(form).astype(object)
    return table


def to_sqlite(table: pd.DataFrame, path: Path) -> str:
    with sqlite3.connect(path) as connection:
        spelt(table).to_sql("customers", connection, index=False)
    connection.close()
    return f"sqlite:///{path}"


# How a table is written; each returns the source to read.
FORMS: dict[str, Callable[[pd.DataFrame, Path], str | None]] = {
    "commas.csv": lambda table, path: spelt(table).to_csv(path, index=False),
    "semicolons.csv": lambda table, path: spelt(table).to_csv(path, index=False, sep=";", decimal=","),
    "tabs.csv": lambda table, path: spelt(table).to_csv(path, index=False, sep="\t", encoding="utf-8-sig"),
    "table.parquet": lambda table, path: table.to_parquet(path, index=False),
    "spelt.parquet": lambda table, path: spelt(table).to_parquet(path, index=False),
    "table.jsonl": lambda table, path: spelt(table).to_json(path, orient="records", lines=True),
    "table.db": to_sqlite,
}


@pytest.fixture
def given_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    values = {"ROOT": str(tmp_path), "PROBLEM_TYPE": "classification", "DATA__TARGET": "target"}
    for name, value in (values | {"DATA__SOURCE": "table.csv"}).items():
        monkeypatch.setenv(ENV_PREFIX + name, value)
    return load_settings()


def load(table: pd.DataFrame, form: str, *, settings: Settings, contract: data.Contract | None = None) -> pd.DataFrame:
    """Write a table in a form, and return it as it is read again."""
    folder = Path(tempfile.mkdtemp(dir=settings.root))
    source = FORMS[form](table, folder / form) or str(folder / form)
    snapshot = data.fetch(source, settings=settings)
    return data.load(snapshot, texts=contract.texts if contract else ())


def learn(table: pd.DataFrame, form: str, *, settings: Settings) -> data.Table:
    return data.prepare(load(table, form, settings=settings), settings=settings, code=data.current_code(now()))


def fit(table: data.Table) -> Model:
    """Return a model of the whole table."""
    pipeline = make_pipeline("linear", problem_type="classification", seed=0)
    X = data.inputs(table.rows, contract=table.contract, code=table.code)
    return Model(pipeline.fit(X, table.rows["target"]), table.contract, table.code)


def probabilities(model: Model, rows: pd.DataFrame) -> np.ndarray:
    """Return what a model predicts for rows as a file has them, whatever share of them is missing."""
    return np.asarray(model.predict(rows, report=data.ReadReport()).probabilities)


def kinds(contract: data.Contract) -> dict[str, str]:
    return {name: str(column.kind) for name, column in contract.columns.items()}


anything = limits(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
forms = st.sampled_from(sorted(FORMS))


@anything
@given(table=tables, form=forms, other=forms)
@example(
    table=make_table(["decimal", "percent"], rows=30, seed=0, gaps=0.0),
    form="commas.csv",
    other="semicolons.csv",
)
def test_the_form_of_a_file_changes_no_kind_and_no_identity(
    table: pd.DataFrame, form: str, other: str, given_settings: Settings
) -> None:
    first, second = (learn(table, one, settings=given_settings) for one in (form, other))

    assert kinds(second.contract) == kinds(first.contract)
    np.testing.assert_array_equal(second.identities, first.identities)


@anything
@given(table=tables, trained=forms, scored=forms, order=st.randoms(use_true_random=False))
@example(
    table=make_table(["decimal", "codes"], rows=40, seed=3, gaps=0.0),
    trained="commas.csv",
    scored="semicolons.csv",
    order=random.Random(0),
)
@example(
    table=make_table(["sentences"], rows=60, seed=0, gaps=0.0),
    trained="commas.csv",
    scored="commas.csv",
    order=random.Random(0),
)
def test_a_row_is_predicted_alike_in_any_form_order_and_company(
    table: pd.DataFrame, trained: str, scored: str, order: Any, given_settings: Settings
) -> None:
    learned = learn(table, trained, settings=given_settings)
    try:
        model = fit(learned)
    except DataError as error:  # columns that are empty, or identify rows, give nothing to learn from
        assume("No column is left" not in str(error))
        raise
    expected = probabilities(model, load(table, trained, settings=given_settings))
    shuffled = order.sample(range(len(table)), len(table))
    size = order.randint(1, len(table))

    moved, alone = (
        load(table.iloc[rows], scored, settings=given_settings, contract=model.contract)
        for rows in (shuffled, shuffled[:1])
    )

    parts = [moved.iloc[at : at + size] for at in range(0, len(moved), size)]
    found = np.concatenate([probabilities(model, part) for part in parts])
    np.testing.assert_allclose(found, expected[shuffled], rtol=1e-9)
    np.testing.assert_allclose(probabilities(model, alone), expected[shuffled[:1]], rtol=1e-9)
    identities = model.contract.identities(model.contract.read(moved, report=data.ReadReport()))
    np.testing.assert_array_equal(identities, np.asarray(learned.identities)[shuffled])
