"""Files as people have them, and code as people write it: what must come of each, the truth being made first.

Files in, models and predictions out, through the doors that the flows use.
"""

import dataclasses
import datetime
import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from retrainer import data, gate, monitoring, pipeline
from retrainer.errors import ConfigurationError, DataError, ProjectError
from retrainer.gate import OwnMetricError
from retrainer.project import OwnMetric, Project
from retrainer.training import Model, Recipe

from .conftest import PROJECT

ROWS = 240
FEATURES = (
    "import pandas as pd\n\n\ndef label(frame):\n    return frame\n\n\ndef features(frame):\n    return {}\n"
)
RNG = np.random.default_rng(0)
NUMBERS = RNG.uniform(1000, 9999, ROWS).round(2)
ODD = np.where(np.arange(ROWS) % 2, "yes", "no")


class Lab:
    """A project in a folder of its own, without a server."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root, self.settings = (
            root,
            {"data": {"target": "target"}, "problem_type": "regression"} | settings,
        )
        self.folder = root / "src" / "churn"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.toml").write_bytes(PROJECT.config_file.read_bytes())
        self.metrics: dict[str, OwnMetric] = {}
        self.code("frame")

    def code(self, result: str) -> None:
        """Let `features()` return this."""
        (self.folder / "features.py").write_text(FEATURES.format(result))

    @property
    def project(self) -> Project:
        own = dataclasses.replace(PROJECT, folder=self.folder, metrics=lambda: self.metrics)
        return own.with_settings(**{"root": self.root, "estimators": ("linear",)} | self.settings)

    def write(self, content: Any, name: str = "table.csv") -> str:
        """Write a table in the form that the file's name says; text and bytes as they are."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, pd.DataFrame):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        elif name.endswith(".parquet"):
            content.to_parquet(path, index=False)
        elif name.endswith(".jsonl"):
            content.to_json(path, orient="records", lines=True)
        else:
            content.to_csv(path, index=False)
        return name

    def learn(self, content: Any, name: str = "table.csv") -> data.Table:
        """Read a table as a retrain does."""
        project = self.project
        snapshot = data.fetch(self.write(content, name), settings=project.settings)
        return pipeline.preprocess(snapshot, project=project)

    def sides(self, content: Any, name: str = "table.csv") -> Any:
        return pipeline.split(self.learn(content, name), project=self.project)

    def fit(self, content: Any, name: str = "table.csv") -> Model:
        """Train on a table as a retrain does."""
        training, _, _ = self.sides(content, name)
        return pipeline.train(training, recipe=Recipe("linear"), project=self.project)

    def score(self, model: Model, content: Any, name: str = "new.csv", *, rows: int = 100_000) -> Any:
        """Predict a table as batch scoring does."""
        report, found = data.ReadReport(), []
        path = self.root / self.write(content, name)
        for part in data.batches([path], rows=rows, texts=model.contract.texts):
            found.append(model.predict(part, report=report).labels)
        model.contract.check(report)
        return np.concatenate(found)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name in [name for name in __import__("os").environ if name.startswith(PROJECT.env_prefix)]:
        monkeypatch.delenv(name)
    return Lab(tmp_path)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


# --- durations


DURATIONS = pd.to_timedelta(RNG.integers(60, 9 * 86_400, ROWS), unit="s")


@pytest.mark.parametrize(("trained", "scored"), [("csv", "parquet"), ("parquet", "csv")])
def test_a_duration_is_one_kind_from_any_file(lab: Lab, trained: str, scored: str) -> None:
    table = frame(late=DURATIONS, target=DURATIONS.total_seconds() / 86_400)

    model = lab.fit(table, f"table.{trained}")

    assert table["late"].astype(str)[0].count("days") == 1
    assert model.contract.columns["late"].kind == "number"
    np.testing.assert_allclose(lab.score(model, table, f"new.{scored}"), table["target"], atol=0.05)


# --- codes

CODES = np.asarray(["009", "010", "042", "300"])[np.arange(ROWS) % 4]
VALUES = pd.Series(CODES).map({"009": 0.0, "010": 10.0, "042": 20.0, "300": 30.0})


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_codes_that_lost_their_zeros_are_refused_from_any_file(lab: Lab, form: str) -> None:
    model = lab.fit(frame(code=CODES, x=NUMBERS, target=VALUES))

    np.testing.assert_allclose(lab.score(model, frame(code=CODES, x=NUMBERS), "same.csv"), VALUES, atol=1)
    with pytest.raises(data.SchemaError, match="column 'code'.*such as '(9|10|42)'"):
        lab.score(model, frame(code=CODES.astype(int), x=NUMBERS), f"new.{form}")


def test_many_codes_that_lost_their_zeros_are_refused(lab: Lab) -> None:
    codes = np.asarray([f"{number:05}" for number in RNG.integers(0, 30_000, ROWS)])
    model = lab.fit(frame(zip_code=codes, x=NUMBERS, target=NUMBERS))

    assert len(lab.score(model, frame(zip_code=codes, x=NUMBERS), "same.csv")) == ROWS
    with pytest.raises(data.SchemaError, match="column 'zip_code'"):
        lab.score(model, frame(zip_code=codes.astype(int), x=NUMBERS))


def test_values_mostly_unknown_are_refused(lab: Lab) -> None:
    city = np.asarray(["Rome", "Oslo", "Bern"])[np.arange(ROWS) % 3]
    model = lab.fit(frame(city=city, x=NUMBERS, target=NUMBERS))

    with pytest.raises(data.SchemaError, match="'city'.*unknown.*'ROME'"):
        lab.score(model, frame(city=np.char.upper(city), x=NUMBERS))
    one = np.where(np.arange(ROWS) % 3, city, "Lima")
    assert len(lab.score(model, frame(city=one, x=NUMBERS))) == ROWS
    assert len(lab.score(model, frame(city=["Lima"], x=[1.0]))) == 1


def test_a_gap_that_made_digits_of_codes_floats_changes_nothing(lab: Lab) -> None:
    codes = np.asarray(["250", "401", "V3", "780"])[np.arange(ROWS) % 4]
    values = pd.Series(codes).map({"250": 0.0, "401": 10.0, "V3": 20.0, "780": 30.0})
    model = lab.fit(frame(code=codes, x=NUMBERS, target=values))

    digits = pd.Series(codes)[codes != "V3"].astype(float)
    digits.iloc[0] = np.nan
    found = lab.score(model, frame(code=digits, x=NUMBERS[digits.index]))

    assert "401.0" in (lab.root / "new.csv").read_text()
    np.testing.assert_allclose(found[1:], values[digits.index][1:], atol=1)
    for form in ("parquet", "jsonl"):
        np.testing.assert_allclose(
            lab.score(model, frame(code=digits, x=NUMBERS[digits.index]), f"new.{form}"), found
        )


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_whole_numbers_of_18_digits_with_gaps_are_kept(lab: Lab, form: str) -> None:
    codes = 123_456_789_012_345_600 + np.arange(16)
    code = pd.array(codes[np.arange(ROWS) % 16], "Int64")
    code[::7] = pd.NA
    table = frame(code=code, x=NUMBERS, target=np.arange(ROWS) % 16 * 10.0)

    rows = lab.learn(table, f"table.{form}").rows

    assert rows["code"].dropna().tolist() == [str(one) for one in code.dropna()]
    model = lab.fit(table, f"table.{form}")
    there = pd.notna(code)
    assert np.abs(lab.score(model, table, f"new.{form}")[there] - table["target"][there]).max() < 20


# --- numbers, dates


@pytest.mark.parametrize("spelling", ["12-34.5/6 x", "1.2.3"])
def test_a_column_of_digits_and_signs_is_never_left_out_in_silence(
    lab: Lab, caplog: pytest.LogCaptureFixture, spelling: str
) -> None:
    odd = [f"{number:,.2f}.-" for number in RNG.permutation(ROWS) * 1000.0]

    model = lab.fit(frame(amount=odd, x=NUMBERS, target=NUMBERS))

    assert model.contract.identity_from == "content"
    assert any("amount" in line and "digits" in line for line in caplog.messages)


@pytest.mark.parametrize("sentinel", [1e39, 1.7976931348623157e308])
def test_a_sentinel_too_large_is_named(lab: Lab, sentinel: float) -> None:
    amount = NUMBERS.copy()
    amount[[3, 50]] = sentinel

    with pytest.raises(data.InfiniteValuesError, match=r"'amount' \(2 of \d+ rows\)"):
        lab.fit(frame(amount=amount, target=NUMBERS))


# --- the target


@pytest.mark.parametrize(
    ("values", "problem_type", "said"),
    [
        ([3.0, 4.5, 4.0], "classification", "fractions such as 4.5"),
        (pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01"]), "classification", "holds dates"),
        (pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01"]), "regression", "date values"),
    ],
)
def test_a_target_that_cannot_be_learned_is_a_sentence(
    lab: Lab, values: Any, problem_type: str, said: str
) -> None:
    lab.settings["problem_type"] = problem_type
    for name in ("table.csv", "table.parquet"):
        with pytest.raises(DataError, match=said):
            lab.learn(frame(x=NUMBERS, target=pd.Index(values).take(np.arange(ROWS) % 3)), name)


# --- identity


def test_dropping_a_column_leaves_every_row_on_its_side(lab: Lab) -> None:
    table = frame(x=NUMBERS, late=RNG.normal(size=ROWS), target=NUMBERS)
    before, _, held = lab.sides(table)
    lab.settings["data"]["drop"] = ("late",)

    after, _, held_later = lab.sides(table)

    assert "late" in before.X and "late" not in after.X
    assert held_later.identities.tolist() == held.identities.tolist()
    assert after.contract.identities(after.rows).tolist() == before.identities.tolist()


def test_a_dropped_identifier_still_names_the_row(lab: Lab) -> None:
    table = frame(customer=[f"c{row:04}" for row in RNG.permutation(ROWS)], x=NUMBERS, target=NUMBERS)
    _, _, held = lab.sides(table)
    lab.settings["data"]["drop"] = ("customer",)

    _, _, later = lab.sides(table.assign(x=NUMBERS + 1))

    assert later.contract.identity == ("customer",)
    assert later.rows["customer"].tolist() == held.rows["customer"].tolist()


# --- features()


@pytest.mark.parametrize(
    "code",
    [
        "frame.assign(x=frame['x'] - frame['x'].mean())",
        "frame.assign(x=frame['x'].rank())",
        "frame.assign(city=frame['city'].astype('category').cat.codes)",
        "frame.assign(x=frame['x'].shift(1))",
        "frame.assign(x=frame.groupby('city')['x'].transform('max'))",
        "pd.get_dummies(frame)",
        "frame.sort_values('x').reset_index(drop=True)",
        "frame.sample(frac=1).reset_index(drop=True)",
    ],
)
def test_features_that_depend_on_other_rows_are_found_before_training(lab: Lab, code: str) -> None:
    lab.code(code)
    cities = np.asarray(["Rome", "Oslo", "Bern"])[RNG.integers(0, 3, ROWS)]

    with pytest.raises(data.FeaturesError, match=r"other rows.*'(x|city|city_\w+)'.*models\.py"):
        lab.sides(frame(x=NUMBERS, city=cities, target=NUMBERS))


@pytest.mark.parametrize(
    "code",
    [
        "frame.assign(x=frame['x'] ** 2, long=frame['city'].str.len(), c=frame['city'].astype('category'))",
        "frame.reset_index(drop=True)",
        "frame.sort_values('x')",
        "frame.sample(frac=1)",
    ],
)
def test_features_of_the_row_alone_pass_in_whatever_order(lab: Lab, code: str) -> None:
    lab.code(code)
    cities = np.asarray(["Rome", "Oslo", "Bern"])[RNG.integers(0, 3, ROWS)]

    training, _, _ = lab.sides(frame(x=NUMBERS, city=cities, target=NUMBERS))

    x = training.rows["x"] ** 2 if "**" in code else training.rows["x"]
    assert training.X["x"].tolist() == x.tolist()
    assert training.X.index.equals(training.rows.index)


@pytest.mark.parametrize("where", ["in features()", "when it is imported"])
def test_a_file_that_feature_code_opens_is_refused(lab: Lab, where: str) -> None:
    rates = lab.root / "rates.csv"
    rates.write_text("rate\n2\n")
    read = f"pd.read_csv({str(rates)!r})['rate'][0]"
    lab.code(f"frame.assign(x=frame['x'] * {'RATE' if where != 'in features()' else read})")
    if where != "in features()":
        path = lab.folder / "features.py"
        path.write_text(path.read_text().replace("\n\n\ndef label", f"\n\nRATE = {read}\n\n\ndef label", 1))

    with pytest.raises(data.FeaturesError, match=r"rates\.csv"):
        lab.sides(frame(x=NUMBERS, target=NUMBERS))


# --- metrics of the team's own


def cost(truth: Any, predictions: Any, rows: Any) -> float:
    wrong = (truth != predictions.labels).astype(float)
    return float((pd.Series(wrong) * rows["amount"]).mean())


def test_truth_predictions_and_rows_of_an_own_metric_pair_by_index() -> None:
    own = OwnMetric(cost, greater_is_better=False, columns=("amount",))
    metric = gate.get_metric("cost", problem_type="classification", own_metrics={"cost": own})
    rows = frame(amount=[1.0, 2.0, 3.0, 4.0]).set_axis([7, 5, 3, 1])
    guess = gate.Predictions(
        np.asarray(["a", "b", "b", "b"]), np.eye(2)[[0, 1, 1, 1]], np.asarray(["a", "b"])
    )

    found = gate.evaluate(guess, pd.Series(["a", "a", "b", "a"]), metrics={"cost": metric}, rows=rows)

    assert found["cost"] == (2 + 4) / 4


@pytest.mark.parametrize("gap", [0, ROWS - 1])
def test_a_metric_that_reads_a_gap_is_one_error_on_either_side(lab: Lab, gap: int) -> None:
    amount = NUMBERS.copy()
    amount[gap] = np.nan
    lab.settings |= {"problem_type": "classification", "gate": {"metric": "weighed"}}
    lab.metrics = {
        "weighed": OwnMetric(
            lambda truth, guess, rows: (truth == guess.labels) * rows["amount"], True, columns=("amount",)
        )
    }

    with pytest.raises(OwnMetricError, match=r"nan for 1 of 240 rows.*amount is nan"):
        lab.learn(frame(amount=amount, target=ODD))
