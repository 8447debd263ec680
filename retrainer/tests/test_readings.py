"""Files as people have them, and code as people write it: what must come of each, the truth being made first.

Files in, models and predictions out, through the doors that the flows use.
"""

import contextlib
import dataclasses
import datetime
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from retrainer import data, gate, pipeline
from retrainer.errors import ConfigurationError, DataError
from retrainer.gate import OwnMetricError
from retrainer.project import OwnMetric, Project
from retrainer.registry import open_registry
from retrainer.settings import Settings
from retrainer.training import Model, Recipe

from .conftest import PROJECT, load_settings, use

ROWS = 240
FEATURES = "import pandas as pd\n\n\ndef label(frame):\n    return frame\n\n\ndef features(frame):\n    return {}\n"
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

    def retrain(self, content: Any, name: str = "table.csv") -> dict[str, Any]:
        """Train, compare and record as the flow does; return what it returns."""
        project, run, recipe = self.project, pipeline.Run(), Recipe("linear")
        snapshot = data.fetch(self.write(content, name), settings=project.settings)
        training, gap, holdout = pipeline.split(pipeline.preprocess(snapshot, project=project), project=project)
        model = pipeline.train(training, recipe=recipe, project=project)
        evaluation = pipeline.evaluate(model, training, holdout, project=project)
        found = pipeline.compare_with_production(evaluation, project=project, accept_not_comparable=False)
        again = pipeline.refit(found, gap, recipe=recipe, project=project)
        saved = pipeline.save(found, again, snapshot=snapshot, recipe=recipe, project=project, run=run)
        recorded = pipeline.record(saved, found, project=project, run=run)
        assert recorded is not None
        shown, _ = pipeline.add_report(recorded, saved, found, project=project, run=run)
        return shown | {"alarms": found.decision.alarms, "lineage": saved.version.lineage}

    def predictions(self, content: Any, name: str = "new.csv") -> pd.DataFrame:
        """Score a table with the model in production; return the file that is written."""
        snapshot = data.fetch(self.write(content, name), settings=self.project.settings)
        return pd.read_parquet(pipeline.score_table(snapshot, project=self.project)["path"])

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
    with pytest.raises(data.SchemaError, match=r"column 'code'.*such as '(9|10|42)'"):
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

    with pytest.raises(data.SchemaError, match=r"'city'.*unknown.*'ROME'"):
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
        np.testing.assert_allclose(lab.score(model, frame(code=digits, x=NUMBERS[digits.index]), f"new.{form}"), found)


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


def test_a_column_of_digits_and_signs_is_never_left_out_in_silence(lab: Lab) -> None:
    odd = [f"{number:,.2f}.-" for number in RNG.permutation(ROWS) * 1000.0]

    facts = lab.retrain(frame(amount=odd, x=NUMBERS, target=NUMBERS))

    assert facts["lineage"]["split"]["identity_from"] == "content"
    assert any("'amount' is not used: figures such as" in alarm for alarm in facts["alarms"])


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
def test_a_target_that_cannot_be_learned_is_a_sentence(lab: Lab, values: Any, problem_type: str, said: str) -> None:
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

    assert "late" in before.X
    assert "late" not in after.X
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
def test_a_file_that_feature_code_opens_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.syspath_prepend(lab.folder.parent)  # as an installed project's is
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
    guess = gate.Predictions(np.asarray(["a", "b", "b", "b"]), np.eye(2)[[0, 1, 1, 1]], np.asarray(["a", "b"]))

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


# --- what is said of a table


def test_a_column_of_lists_or_objects_gets_its_report(lab: Lab) -> None:
    table = frame(x=NUMBERS, target=NUMBERS)
    table["tags"] = [["a", str(row % 3)] for row in range(ROWS)]
    table["id"] = [{"a": row % 9} for row in range(ROWS)]

    for name in ("table.jsonl", "table.parquet"):
        assert lab.retrain(table, name)["report"]

    assert len(lab.predictions(table, "new.jsonl")) == ROWS


def test_alarms_look_at_what_the_model_sees(lab: Lab) -> None:
    rows = np.arange(ROWS)
    table = frame(order_id=7 + 3 * rows, x=NUMBERS, copy=rows * 1.0, target=rows * 1.0)

    alarms = lab.retrain(table)["alarms"]

    assert any("'copy' by itself" in alarm for alarm in alarms)
    assert not any("order_id" in alarm for alarm in alarms)


def test_columns_carried_over_are_there_under_a_name_of_their_own(lab: Lab) -> None:
    table = frame(prediction=[f"p{row}" for row in range(ROWS)], x=NUMBERS, target=NUMBERS)
    lab.retrain(table)
    lab.settings["score"] = {"identifiers": ("prediction", "x")}

    scored = lab.predictions(table)

    assert scored["table_prediction"].tolist() == table["prediction"].tolist()
    np.testing.assert_allclose(scored["prediction"].astype(float), NUMBERS, rtol=0.05)
    lab.settings["score"] = {"identifiers": ("predicton",)}
    with pytest.raises(DataError, match=r"'predicton' \(score\.identifiers\).*prediction"):
        lab.predictions(table)


@pytest.mark.parametrize("fault", ["gone", "infinite", "text", "twice"])
def test_an_error_over_many_columns_names_ten_and_counts_the_rest(lab: Lab, fault: str) -> None:
    wide = pd.DataFrame({f"column_{number:02}": RNG.normal(size=100) for number in range(60)})
    model = lab.fit(wide.assign(target=NUMBERS[:100]))
    changed = {"gone": wide[["column_00"]], "infinite": wide * np.inf, "text": wide.map("n{:.0f}".format)}

    with pytest.raises(DataError) as raised:
        lab.score(model, changed.get(fault, pd.concat([wide, wide], axis=1)))

    assert 5 <= str(raised.value).count("column_") <= 10
    assert any(more in str(raised.value) for more in ("49 more", "50 more", "60 column name(s)"))


# --- sources


def test_folders_named_like_values_are_columns_here_and_far_away(lab: Lab) -> None:
    import fsspec

    far = fsspec.filesystem("memory")
    for city, name in (("Paris", "a.csv"), ("Rome", "b.csv")):
        part = frame(x=NUMBERS, target=NUMBERS)
        lab.write(part, f"parts/city={city}/{name}")
        with far.open(f"/parts/city={city}/{name}", "wb") as file:
            part.to_csv(file, index=False)

    for source in ("parts", "parts/city=*/*.csv", "memory://parts", "memory://parts/city=Rome/b.csv"):
        snapshot = data.fetch(source, settings=lab.project.settings)
        cities = data.load(snapshot)["city"].value_counts().to_dict()
        assert cities == ({"Rome": ROWS} if "b.csv" in source else {"Paris": ROWS, "Rome": ROWS}), source


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("settings", ["regression"], indirect=True)
def test_a_moment_is_filled_into_queries_and_an_error_where_it_means_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from churn.flows import retrain

    with pytest.raises(ConfigurationError, match="no date is to be filled in"):
        retrain(as_of=datetime.datetime(2026, 3, 1))

    table = pd.read_csv(settings.root / "table.csv").assign(day=["2026-02-01", "2026-04-01"] * 300)
    with contextlib.closing(sqlite3.connect(settings.root / "shop.db")) as shop:
        table.to_sql("orders", shop, index=False)
    query = "select * from orders where day < '{as_of:%Y-%m-%d}'"
    use(monkeypatch, DATA__SOURCE="sqlite:///shop.db", DATA__QUERY=query)

    retrain(as_of=datetime.datetime(2026, 3, 1))

    (version,) = open_registry(load_settings()).versions()
    assert version.lineage["data"]["rows"] == 300


# --- how a file is read: said, and overruled


def test_how_a_file_is_written_is_said_where_it_matters(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    lines = [f"{3 + row % 9:02}/{1 + row % 12:02}/2024;K\xf6ln;{row},5;{row}" for row in range(ROWS)]

    facts = lab.retrain("\n".join(["day;city;amount;target", *lines]).encode("latin-1"))

    said = "decimal commas, Windows-1252, 4 columns"
    assert any(said in line for line in caplog.messages)
    assert f"{said}, day first" in str(facts["lineage"]["reading_notes"])
    assert f"{said}, day first" in Path(facts["report"]).read_text()


def test_bytes_that_are_no_utf_8_may_come_late(lab: Lab) -> None:
    lines = ["city,target", *(f"Zürich number {row % 9},{row}" for row in range(20_000))]
    path = lab.root / "late.csv"
    path.write_bytes("\n".join(lines).encode() + "\nKöln,5\n".encode("cp1252"))
    assert path.stat().st_size > 400_000, "more than is looked at to find the dialect"

    whole = data.load(data.fetch(str(path), settings=lab.project.settings))

    for table in (whole, pd.concat(data.batches([path], rows=3000))):
        assert table["city"].iloc[[0, -1]].tolist() == ["Zürich number 0", "Köln"]
        assert len(table) == 20_001


READ = [
    ({"decimal": ","}, "1.234", 1234.0),
    ({"decimal": "."}, "1.234", 1.234),
    ({"decimal": "."}, "1,234", 1234.0),
    ({"missing": ("unknown", "-999")}, "-999", None),
    ({"day_first": False}, "03/02/2026", pd.Timestamp("2026-03-02")),
    ({"day_first": True}, "03/02/2026", pd.Timestamp("2026-02-03")),
    ({"types": {"x": "text"}}, "1234", "1234"),
    ({"types": {"x": "number"}}, "12", 12.0),
]


@pytest.mark.parametrize(("how", "cell", "truth"), READ)
def test_a_guess_can_be_overruled(lab: Lab, how: dict[str, Any], cell: str, truth: Any) -> None:
    cells = [cell if row % 3 else cell.replace("4", "5") for row in range(ROWS)]
    if how.get("types") == {"x": "number"}:
        cells[1::2] = ["gone"] * (ROWS // 2)
        cells[0] = "12"
    lab.settings["data"] |= {"read": how}
    text = "\n".join(["x\ttarget", *(f"{cell}\t{row}" for row, cell in enumerate(cells))])

    table = lab.learn(text)

    first, again = table.rows["x"], lab.write(text, "again.csv")
    contract = data.Contract.from_json(table.contract.to_json())
    (part,) = data.batches([lab.root / again], rows=ROWS, texts=contract.texts)
    for values in (first, contract.read(part)["x"]):
        found = values[2] if "types" in how and how["types"]["x"] == "number" else values[1]
        assert (pd.isna(found) and truth is None) or found == truth


def test_words_for_what_is_missing_are_missing_in_text_and_numbers(lab: Lab) -> None:
    lab.settings["data"] |= {"read": {"missing": ("unknown", "-999")}}
    city = np.where(np.arange(ROWS) % 2, "Rome", "unknown")
    amount = np.where(np.arange(ROWS) % 2, 5, -999)

    for name in ("table.csv", "table.parquet"):
        rows = lab.learn(frame(city=city, amount=amount, target=NUMBERS), name).rows
        assert rows["city"].isna().sum() == rows["amount"].isna().sum() == ROWS / 2


# --- habits of many countries, drawn at random


HABITS = st.fixed_dictionaries(
    {
        "signs": st.sampled_from([(".", ","), (",", "."), ("\u202f", ","), ("'", "."), (" ", ","), ("", ".")]),
        "separator": st.sampled_from(";\t|"),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]),
        "line_end": st.sampled_from(["\n", "\r\n", "\r"]),
        "dates": st.sampled_from(["%d/%m/%Y", "%d.%m.%y", "%d-%b-%Y", "%Y%m%dT%H%M%S", "%Y-%m-%d"]),
        "money": st.sampled_from(["{}", "{} kr", "\u20ac {}", "CHF {}", "R$ {}"]),
        "negative": st.sampled_from(["-{}", "({})", "{}-"]),
        "title": st.sampled_from(["", "Sales\n\n"]),
        "classes": st.sampled_from([("None", "mild", "bad"), ("-", "a", "b"), ("007", "012", "300")]),
        "seed": st.integers(0, 999),
    }
)


@hypothesis_settings(deadline=None, max_examples=30)
@given(habits=HABITS)
def test_what_was_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, habits: Any) -> None:
    assume(habits["encoding"] != "cp1252" or habits["signs"][0] != "\u202f")  # which has no such space
    rng, rows = np.random.default_rng(habits["seed"]), 60
    thousands, decimal = habits["signs"]
    amounts = rng.normal(0, 50_000, rows).round(2)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D")
    classes = [habits["classes"][row % 3] for row in range(rows)]
    durations = pd.to_timedelta(rng.integers(0, 10**6, rows), unit="s")

    def spell(amount: float) -> str:
        figure = f"{abs(amount):,.2f}".translate(str.maketrans({",": thousands, ".": decimal}))
        figure = habits["money"].format(figure)
        return habits["negative"].format(figure) if amount < 0 else figure

    columns = (map(spell, amounts), days.strftime(habits["dates"]), classes, map(str, durations))
    lines = ["amount|day|kind|took|target".replace("|", habits["separator"])]
    lines += [habits["separator"].join([*cells, str(row)]) for row, cells in enumerate(zip(*columns, strict=True))]
    text = habits["title"] + "\n".join(lines) + "\n"
    lab = Lab(tmp_path_factory.mktemp("habits"))

    table = lab.learn(text.replace("\n", habits["line_end"]).encode(habits["encoding"], errors="replace"))

    rows_read = table.rows
    assert rows_read["amount"].tolist() == amounts.tolist()
    assert rows_read["day"].tolist() == days.tolist()
    assert rows_read["kind"].tolist() == classes
    assert rows_read["took"].tolist() == durations.total_seconds().tolist()
    assert table.contract.identity_from == "content"


@pytest.mark.parametrize("written", ["{:,.0f},-", "{:,.0f},- €", "{:,.0f},--", "R {:,.2f}", "{:,.2f} kr"])
def test_a_sum_without_cents_is_not_below_zero(lab: Lab, written: str) -> None:
    truth = np.arange(1200, 61200, 100).astype(float)
    swapped = str.maketrans(",.", ".,")
    texts = [
        written.format(number).replace(",", "_").translate(swapped).replace("_", ".")
        if "-" not in written
        else f"{number:,.0f}".replace(",", ".") + written.partition("}")[2]
        for number in truth
    ]
    table = frame(price=texts, share=[f"{number % 7},5" for number in range(len(truth))], target=truth)

    learned = lab.learn(table.to_csv(sep=";", index=False))

    assert learned.rows["price"].tolist() == truth.tolist()


@pytest.mark.parametrize("written", ["{:,.0f}", "{:,.0f}_"])
def test_numbers_a_thousand_times_too_small_are_refused(lab: Lab, written: str) -> None:
    """A file in which no cell proves that a point groups thousands, for a model that knows the size of the numbers."""
    truth = np.random.default_rng(0).permutation(np.arange(1000, 9000, 10))
    table = frame(b=truth.astype(float), target=truth * 2.0)
    model = lab.fit(table, "table.parquet")
    texts = [f"{number:,}".replace(",", "." if written.endswith("_") else ",") for number in truth]

    with pytest.raises(data.SchemaError, match=r"'b'.*1000 times smaller.*data\.read\.decimal"):
        lab.score(model, frame(x=0, b=texts).to_csv(sep=";", index=False))
    assert len(lab.score(model, frame(x=0, b=truth * 1.1))) == len(truth), "larger numbers are no misread ones"


def test_codes_of_many_values_that_are_unknown_are_said(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Not refused: new codes come with new customers. Not silent either."""
    codes = [f"C{number % 150:03}" for number in range(600)]
    model = lab.fit(frame(code=codes, x=range(600), target=[float(number % 150) for number in range(600)]))

    lab.score(model, frame(code=[f"X{code}" for code in codes], x=range(600)))

    assert "code (600 rows, such as 'XC000')" in caplog.text


@pytest.mark.parametrize("written", ["%d-%b-%Y %H:%M:%S", "%d %b %Y %H:%M", "%b %d, %Y %H:%M:%S", "%d.%m.%Y, %H:%M:%S"])
def test_times_with_the_names_of_months_are_dates(lab: Lab, written: str) -> None:
    truth = pd.date_range("2024-01-03 09:37", periods=600, freq="31h").as_unit("us")
    table = frame(ts=truth.strftime(written), target=np.arange(600.0))

    learned = lab.learn(table)

    expected = truth if "%S" in written else truth.floor("min")
    assert learned.rows["ts"].tolist() == expected.tolist()


# --- one reading for the file, told from all its columns


def lines(header: str, *columns: Any) -> str:
    """Return a text file with semicolons between its fields."""
    return "\n".join([header, *(";".join(map(str, cells)) for cells in zip(*columns, strict=True))])


WHOLE = RNG.integers(30, 5000, ROWS)
DAYS = pd.Timestamp("2023-01-01") + pd.to_timedelta(RNG.integers(0, 700, ROWS), unit="D")


@pytest.mark.parametrize("sign", [".", ","])
def test_whole_numbers_in_groups_beside_smaller_ones_are_whole(lab: Lab, sign: str) -> None:
    text = lines("sold;target", (f"{number:,}".replace(",", sign) for number in WHOLE), WHOLE)

    model = lab.fit(text)
    (part,) = data.batches([lab.root / lab.write(text, "again.csv")], rows=ROWS, texts=model.contract.texts)

    assert model.contract.columns["sold"].maximum == WHOLE.max()
    assert model.contract.read(part)["sold"].tolist() == WHOLE.tolist()
    assert lab.score(model, text).tolist() == lab.score(model, frame(sold=WHOLE), "new.parquet").tolist()


@pytest.mark.parametrize("word", ["k.A.", "#DIV/0!", "n/d", "brak", "不明", "keine Angabe"])
@pytest.mark.parametrize("written", ["number", "date"])
def test_a_word_among_numbers_is_missing_and_an_alarm(lab: Lab, word: str, written: str) -> None:
    gone = np.arange(ROWS) % 12 == 0
    cells = [f"{number:,.2f}".translate(str.maketrans(",.", ".,")) for number in NUMBERS]
    cells = cells if written == "number" else list(DAYS.strftime("%d.%m.%Y"))
    truth = NUMBERS if written == "number" else DAYS.to_numpy()

    table = lab.learn(lines("x;target", np.where(gone, word, cells), WHOLE))

    assert table.rows["x"].isna().tolist() == gone.tolist()
    assert (table.rows["x"].to_numpy()[~gone] == truth[~gone]).all()
    assert any(repr(word) in alarm and "data.read.missing" in alarm for alarm in table.alarms)
    lab.settings["data"] |= {"read": {"missing": (word,)}}
    assert not lab.learn(lines("x;target", np.where(gone, word, cells), WHOLE)).alarms


def test_a_word_among_few_numbers_is_a_class(lab: Lab) -> None:
    children = np.where(np.arange(ROWS) % 12 == 0, "many", (np.arange(ROWS) % 4).astype(str))

    table = lab.learn(lines("children;target", children, WHOLE))

    assert table.rows["children"].tolist() == children.tolist()


def test_one_column_proves_the_order_of_day_and_month_for_the_file(lab: Lab) -> None:
    either = pd.Series(DAYS).map(lambda day: day.replace(day=1 + day.day % 12))
    text = lines("a;b;target", DAYS.strftime("%m/%d/%Y"), either.dt.strftime("%m/%d/%Y"), WHOLE)

    table = lab.learn(text)

    assert table.rows["a"].tolist() == DAYS.tolist()
    assert table.rows["b"].tolist() == either.tolist()
    assert not table.alarms


def test_dates_that_could_be_either_way_round_are_an_alarm(lab: Lab) -> None:
    either = pd.Series(DAYS).map(lambda day: day.replace(day=1 + day.day % 12))

    table = lab.learn(lines("b;target", either.dt.strftime("%d/%m/%Y"), WHOLE))

    assert table.rows["b"].tolist() == either.tolist()
    assert any("%d/%m/%Y is assumed" in alarm and "data.read.day_first" in alarm for alarm in table.alarms)
    lab.settings["data"] |= {"read": {"day_first": True}}
    assert not lab.learn(lines("b;target", either.dt.strftime("%d/%m/%Y"), WHOLE)).alarms


def test_score_says_how_the_file_is_read(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    text = lines("day;city;x;target", DAYS.strftime("%d.%m.%Y"), ["Köln"] * ROWS, WHOLE, WHOLE).encode("cp1252")
    lab.retrain(text)
    caplog.clear()

    lab.predictions(text)

    assert any("Windows-1252, 4 columns, day first" in line for line in caplog.messages)


MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "en": "January February March April May June July August September October November December",
}


# Three letters do not tell the French juin from juillet.
NAMED = [
    (language, form)
    for language in MONTHS
    for form in ("{0.day}. {1} {0.year}", "{2} {0.day} {1} {0.year}", "{0.day:02}-{1:.3}-{0.year}")
    if language != "fr" or ":.3" not in form
]


@pytest.mark.parametrize(("language", "form"), NAMED)
def test_months_have_names_in_every_language(lab: Lab, language: str, form: str) -> None:
    names = MONTHS[language].split()
    cells = [form.format(day, names[day.month - 1], "mardi") for day in DAYS]

    assert lab.learn(lines("day;target", cells, WHOLE)).rows["day"].tolist() == DAYS.tolist()


FORMS = ["%y-%m-%d", "%y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%a, %d.%m.%Y", "%B %d, %Y", "%d/%m/%Y %H.%M.%S"]


@pytest.mark.parametrize("form", [*FORMS, "%d.%m.%Y %H:%M Uhr", "%d/%m/%Y %Hh%M", "%d.%m.%y"])
def test_days_as_people_write_them(lab: Lab, form: str) -> None:
    text = lines("day;target", DAYS.strftime(form), WHOLE)

    model = lab.fit(text)

    again = lab.score(model, frame(day=DAYS), "new.parquet")
    assert lab.learn(text).rows["day"].tolist() == DAYS.tolist()
    assert lab.score(model, text).tolist() == again.tolist()


@pytest.mark.parametrize("form", ["%m.%Y", "%m/%Y", "%Y-%m", "%b-%y", "%B %Y"])
def test_months_are_dates(lab: Lab, form: str) -> None:
    table = lab.learn(lines("month;target", DAYS.strftime(form), WHOLE))

    assert table.rows["month"].tolist() == DAYS.to_period("M").to_timestamp().tolist()


def test_days_in_digits_are_dates_from_any_file(lab: Lab) -> None:
    digits = DAYS.strftime("%Y%m%d").astype("int64")

    model = lab.fit(frame(day=digits, target=WHOLE), "table.parquet")

    expected = lab.score(model, frame(day=DAYS), "new.parquet").tolist()
    for name in ("new.csv", "new.jsonl"):
        assert lab.score(model, frame(day=digits), name).tolist() == expected


@pytest.mark.parametrize("words", ["WAHR FALSCH", "VRAI FAUX", "True False", "verdadeiro falso"])
def test_booleans_as_spreadsheets_write_them(lab: Lab, words: str) -> None:
    true, false = words.split()
    flags = np.arange(ROWS) % 3 == 0

    text = lines("flag;x;target", np.where(flags, true, false), WHOLE, flags * 500 + WHOLE)

    model = lab.fit(text)

    expected = lab.score(model, frame(flag=flags, x=WHOLE), "new.parquet")
    assert lab.score(model, text).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("encoding", "cities", "money"),
    [
        ("cp932", "東京 大阪 京都 名古屋", "{}円"),
        ("cp1250", "Łódź Gdańsk Kraków Białystok", "{} zł"),
        ("utf-16", "Köln 東京 Łódź Paris", "{} €"),
        ("cp1252", "Köln Fürth Gießen Málaga", "{} €"),
    ],
)
def test_letters_are_those_that_were_written(lab: Lab, encoding: str, cities: str, money: str) -> None:
    city = [cities.split()[row % 4] for row in range(ROWS)]
    text = lines("city;paid;target", city, map(money.format, WHOLE), WHOLE)

    table = lab.learn(text.encode(encoding))
    (part,) = data.batches([lab.root / "table.csv"], rows=ROWS, texts=table.contract.texts)

    for rows in (table.rows, table.contract.read(part)):
        assert rows["city"].tolist() == city
        assert rows["paid"].tolist() == WHOLE.tolist()


@pytest.mark.parametrize("head", [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "zip"])
def test_a_workbook_is_called_one(lab: Lab, head: Any) -> None:
    if head == "zip":
        with zipfile.ZipFile(lab.root / "table.xlsx", "w") as book:
            for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
                book.writestr(name, "<x/>")
        head = (lab.root / "table.xlsx").read_bytes()

    with pytest.raises(DataError, match=r"Excel workbook\. Save its sheet as CSV"):
        lab.learn(head, "table.xlsx")


@pytest.mark.parametrize("factor", [100, 0.01])
def test_another_unit_is_said(lab: Lab, caplog: pytest.LogCaptureFixture, factor: float) -> None:
    amounts = RNG.lognormal(7, 1.2, ROWS)
    model = lab.fit(frame(amount=amounts, target=WHOLE))

    lab.score(model, frame(amount=amounts * factor))
    assert any("'amount'" in line and "unit" in line for line in caplog.messages)

    caplog.clear()
    lab.score(model, frame(amount=amounts * 1.5))
    assert not any("unit" in line for line in caplog.messages)


def test_a_row_of_totals_is_said(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    table = frame(amount=NUMBERS, city=["Rome", "Paris"] * (ROWS // 2), target=WHOLE)
    total = frame(amount=[NUMBERS.sum().round(2)], city=["Summe"], target=[WHOLE.sum()])

    with_total = lab.learn(pd.concat([table, total]))

    assert any(f"Row {ROWS + 1}" in alarm and "total" in alarm for alarm in with_total.alarms)
    assert not lab.learn(table).alarms
    model = lab.fit(table)
    caplog.clear()
    lab.score(model, pd.concat([table, total]))
    assert any(f"Row {ROWS + 1}" in line and "total" in line for line in caplog.messages)


@pytest.mark.parametrize("written", ["\\{:,.2f}", "R{:,.2f}", "US${:,.2f}", "Fr. {:,.2f}", "{:,.2f}円"])
def test_money_stands_beside_numbers_in_every_country(lab: Lab, written: str) -> None:
    cells = [written.format(number).replace(",", " ") for number in NUMBERS]

    assert lab.learn(lines("x;target", cells, WHOLE)).rows["x"].tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("written", ["{:.2f} DR", "{:.2f}S", "25/07/2023 {:.2f}h"])
def test_figures_that_are_not_read_are_no_identifier(lab: Lab, written: str) -> None:
    model = lab.fit(frame(x=[written.format(number) for number in NUMBERS], y=NUMBERS, target=WHOLE))

    assert "cannot be read" in model.left_out["x"]
