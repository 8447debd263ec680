"""A model carries its contract: what goes wrong with files over the months, seen from outside.

Flows, the command line and files only. A `Memoriser` makes a leak visible: it is right about every row that it was not
trained on and wrong about every row that it was, so its accuracy is exactly the share of unseen rows.
"""

import functools
import json
import os
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from churn import models
from churn.flows import monitor, retrain, score
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from retrainer.cli import _doctor as doctor
from retrainer.errors import ProjectError
from retrainer.registry import open_registry

from .conftest import ENV_PREFIX, PACKAGE, PROJECT, forget, load_settings, plain_source

pytestmark = pytest.mark.usefixtures("prefect_api")


class Memoriser(ClassifierMixin, BaseEstimator):
    """Is right about rows it was not trained on, and wrong about the others.

    It tells rows apart by their `signal`, whose last digit also says what their label is.
    """

    def fit(self, rows: pd.DataFrame, labels: Any) -> "Memoriser":
        self.classes_ = np.unique(np.asarray(labels))
        self.known_ = set(codes(rows))
        return self

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        own = codes(rows)
        wrong = np.isin(own, sorted(self.known_))
        yes = (own % 2 == 1) ^ wrong
        return np.column_stack([1 - yes, yes]) * 0.98 + 0.01

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]


def codes(rows: pd.DataFrame) -> np.ndarray:
    return np.rint(pd.to_numeric(rows["signal"]).to_numpy(float) * 1e4).astype(int)


class Project:
    """A project in a folder of its own, whose flows run in this process."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        self.root, self.monkeypatch, self.caplog = root, monkeypatch, caplog
        self.set(ROOT=str(root), PROBLEM_TYPE="classification", ESTIMATORS='["linear"]', NOTIFICATIONS__BLOCK="")
        self.set(DATA__SOURCE="table.csv", DATA__TARGET="target")

    def set(self, **settings: str) -> None:
        """Change settings, such as `DATA__SOURCE`."""
        for name, value in settings.items():
            self.monkeypatch.setenv(ENV_PREFIX + name, value)
        forget()

    def memorise(self) -> None:
        """Let every model from now on be a `Memoriser`, compared by its accuracy."""
        self.set(GATE__METRIC="accuracy")
        self.monkeypatch.setattr(models, "ESTIMATORS", {"linear": lambda *_: Pipeline([("model", Memoriser())])})

    def write(self, table: pd.DataFrame | str, name: str = "table.csv", **options: Any) -> None:
        """Write a table in the form that the file's name says."""
        path = self.root / name
        if isinstance(table, str):
            path.write_text(table)
        elif path.suffix == ".parquet":
            table.to_parquet(path, index=False)
        elif path.suffix == ".jsonl":
            table.to_json(path, orient="records", lines=True, date_format="iso")
        else:
            table.to_csv(path, index=False, **options)

    def retrain(self, **options: Any) -> dict[str, Any]:
        """Retrain, and return what was decided."""
        facts = retrain(**options)
        decision = open_registry(load_settings()).decisions()[-1].decision
        return decision | {"version": facts["version"], "metrics": facts["metrics"]}

    def score(self, source: str) -> pd.DataFrame:
        """Score a source, and return the file of predictions."""
        return pd.read_parquet(score(source=source)["path"])

    def said(self, decision: object = "") -> str:
        """Return what was logged, and what the decision says."""
        return self.caplog.text + json.dumps(decision, default=str)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Project]:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    caplog.set_level("INFO")
    yield Project(tmp_path, monkeypatch, caplog)
    forget()


@functools.cache
def everybody() -> pd.DataFrame:
    """Return customers, each with a `signal` of their own that tells their label to a `Memoriser`."""
    rng = np.random.default_rng(0)
    rows = 12_000
    signal = np.arange(rows) * 7 + rng.integers(0, 7, rows) + 10_000
    return pd.DataFrame(
        {
            "signal": signal / 1e4,
            "tenure": rng.integers(1, 60, rows),
            "usage": rng.normal(50, 10, rows).round(2),
            "plan": rng.choice(["basic", "plus", "pro"], rows),
            "target": np.where(signal % 2 == 1, "yes", "no"),
        }
    )


def people(rows: int = 400, *, first: int = 0) -> pd.DataFrame:
    """Return some customers, who are the same whoever else is in the table."""
    return everybody()[first : first + rows].reset_index(drop=True)


def learnable(rows: int = 400) -> pd.DataFrame:
    """Return customers whose target a linear model learns from `usage`, and from `tenure` alone too."""
    table = people(rows)
    yes = table["target"] == "yes"
    return table.assign(usage=table["usage"] + 40 * yes, tenure=table["tenure"] + 100 * yes)


def trained_on(decision: dict[str, Any]) -> int:
    """Return how many of the compared rows the champion, a `Memoriser`, had been trained on."""
    unseen = decision["champion"]["accuracy"]
    return round((1 - unseen) * decision["compared_rows"])


def assert_all_unseen(decision: dict[str, Any], *, least: int = 40) -> None:
    """The champion and the challenger were compared, on rows that neither was trained on."""
    assert decision["compared_rows"] >= least, decision["reason"]
    assert trained_on(decision) == 0, decision["reason"]
    assert decision["metrics"]["accuracy"] == 1.0, "the challenger was trained on rows of its holdout"


def assert_not_comparable(project: Project, *, cause: str) -> None:
    """The champion stays and the cause is recorded; with the flag the challenger takes over."""
    registry = open_registry(load_settings())
    before = registry.champion().id
    kept = project.retrain()
    assert kept["verdict"] == "kept", kept["reason"]
    assert cause in kept["reason"]
    assert "--accept-not-comparable" in project.said(kept)
    assert registry.champion().id == before
    assert project.retrain(accept_not_comparable=True)["verdict"] == "promoted"
    assert registry.champion().id != before


def numbers_table(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return a regression whose target is nearly all in `amount`."""
    rng = np.random.default_rng(seed)
    amount = (rng.integers(1_000, 999_999, rows) / 100).round(2)
    other = rng.normal(size=rows).round(4)
    return pd.DataFrame({"amount": amount, "other": other, "target": amount / 100 + other})


def test_csv_became_parquet(project: Project) -> None:
    project.memorise()
    table = people()
    table["since"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(len(table)) % 300, unit="D")
    table["calls"] = pd.array(np.where(np.arange(len(table)) % 9 == 0, None, np.arange(len(table)) % 7), "Int64")
    project.write(table)
    project.retrain()

    project.write(table, "table.parquet")
    project.set(DATA__SOURCE="table.parquet")

    assert_all_unseen(project.retrain())


@pytest.mark.parametrize("keys", [[], ["usage"]], ids=["no key", "as key"])
def test_a_csv_file_became_a_parquet_file_with_decimals(project: Project, keys: list[str]) -> None:
    project.memorise()
    project.set(SPLIT__KEY_COLUMNS=json.dumps(keys))
    table = people(2_000).drop_duplicates("usage")
    project.write(table)
    project.retrain()

    exact = [Decimal(f"{value:.2f}") for value in table["usage"]]
    project.write(table.assign(usage=pd.Series(exact, index=table.index, dtype=object)), "table.parquet")
    project.set(DATA__SOURCE="table.parquet", SPLIT__SEED="9")

    assert_all_unseen(project.retrain(), least=30)


@pytest.mark.parametrize("name", ["Unnamed: 0", "id", "line"])
def test_rows_are_numbered_anew_in_each_file(project: Project, name: str) -> None:
    project.memorise()

    def numbered(table: pd.DataFrame) -> pd.DataFrame:
        table = table.reset_index(drop=True)
        table.insert(0, name, table.index)
        return table

    project.write(numbered(people(2_000)))
    project.retrain()
    project.write(numbered(people(2_000).drop(range(100)).sample(frac=1, random_state=0)))
    project.set(SPLIT__SEED="9")

    assert_all_unseen(project.retrain(), least=30)


def test_letters_come_composed_or_in_parts(project: Project) -> None:
    project.memorise()
    table = people(2_000).rename(columns={"plan": "café"})
    table["café"] = table["café"].replace({"plus": "Müller"})
    project.write(table)
    project.retrain()

    columns = [unicodedata.normalize("NFD", name) for name in table]
    project.write(
        table.assign(café=table["café"].map(lambda text: unicodedata.normalize("NFD", text))).set_axis(columns, axis=1)
    )
    project.set(SPLIT__SEED="9")
    decision = project.retrain()

    assert_all_unseen(decision, least=30)
    assert "not in the training data" not in project.said()


def test_key_columns_were_text_one_month_and_numbers_the_next(project: Project) -> None:
    project.memorise()
    project.set(SPLIT__KEY_COLUMNS='["customer"]')
    table = people()
    table.insert(0, "customer", [str(number) for number in range(1000, 1000 + len(table))])
    odd = people(1, first=5_000).assign(customer="A12")
    project.write(pd.concat([table, odd]))
    project.retrain()

    project.write(table)

    assert_all_unseen(project.retrain())


def test_a_key_that_is_set_later_tells_what_the_champion_knows(project: Project) -> None:
    table = learnable(600)
    table["target"] = table["target"].mask(np.arange(600) % 7 == 0, "no")  # what no model gets right
    table.insert(0, "customer", [f"c{row // 5}" for row in range(len(table))])
    project.write(table)
    project.set(SPLIT__SEED="1")
    project.retrain()
    project.set(SPLIT__KEY_COLUMNS='["customer"]')

    decision = project.retrain()

    assert (decision["verdict"], decision["kind"]) == ("kept", "not_comparable")
    assert "0 of the" in decision["reason"], "four rows in five of each customer were learned from"
    assert project.retrain(accept_not_comparable=True)["verdict"] == "promoted"
    project.set(ESTIMATORS='["hist_gradient_boosting"]')  # the same model again differs in no resample
    assert "entities" in next(one["detail"] for one in project.retrain()["criteria"] if one["name"] == "confidence")


def test_a_column_that_ticks_beside_an_identifier(project: Project) -> None:
    project.memorise()
    table = people()
    table.insert(0, "customer_id", np.random.default_rng(0).permutation(len(table)) + 70_000)
    project.write(table)
    project.retrain()

    project.write(table.assign(tenure=table["tenure"] + 1))
    decision = project.retrain()

    leaked = trained_on(decision) if decision["champion"] else 0
    assert leaked == 0 or f"{leaked} " in project.said(decision)


@pytest.mark.parametrize("holdout", ["{as_of+1month:%Y-%m}", "{as_of-1month:%Y-%m}"], ids=["next", "last"])
def test_every_row_of_the_next_months_holdout_is_compared(project: Project, holdout: str) -> None:
    project.memorise()
    for month in range(1, 5):
        project.write(people(200, first=month * 1_000), f"2026-{month:02}.csv")
    project.set(DATA__SOURCE="{as_of:%Y-%m}.csv", SPLIT__METHOD="source", SPLIT__SOURCE=f"{holdout}.csv")
    begin = 1 if "+" in holdout else 3

    project.retrain(as_of=f"2026-{begin:02}-01")
    decision = project.retrain(as_of=f"2026-{begin + 1:02}-01")

    if "+" in holdout:
        assert decision["compared_rows"] == 200
        assert_all_unseen(decision)
    else:  # the champion was trained on the month that is held out now
        assert decision["verdict"] == "kept"
        assert decision["compared_rows"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"SPLIT__SEED": "9"},
        {"SPLIT__HOLDOUT": "0.4"},
        {"SPLIT__METHOD": "time", "SPLIT__TIME_COLUMN": "since"},
    ],
    ids=["seed", "share", "method"],
)
def test_another_split_counts_no_row_as_unseen_that_was_trained_on(project: Project, change: dict[str, str]) -> None:
    project.memorise()
    table = people(1_500)
    table["since"] = (pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(len(table)), unit="h")).astype(str)
    project.write(table)
    project.retrain()

    project.set(**change)

    assert_all_unseen(project.retrain(), least=30)


def test_monitor_measures_on_rows_that_the_champion_was_not_trained_on(project: Project) -> None:
    project.memorise()
    project.write(people())
    project.retrain()
    project.write(people(2_000))

    assert monitor()["metric"] == 1.0


def growing(month: int) -> pd.DataFrame:
    return people(200 + 60 * month)


def rolling(month: int) -> pd.DataFrame:
    parts = [people(60, first=60 * part) for part in range(month, month + 6)]
    return pd.concat(parts)


def corrected(month: int) -> pd.DataFrame:
    table = people(360).assign(customer=[f"{number:06}" for number in range(360)])
    late = np.arange(len(table)) % 10 == month % 10
    table.loc[late, "usage"] += month + 1
    table.loc[~late, "tenure"] += month
    return table.sample(frac=1, random_state=month)


@pytest.mark.parametrize(
    "table",
    [rolling, pytest.param(growing, marks=pytest.mark.long), pytest.param(corrected, marks=pytest.mark.long)],
    ids=lambda make: make.__name__,
)
def test_ten_monthly_retrains_count_no_row_as_unseen_that_was_trained_on(
    project: Project, table: Callable[[int], pd.DataFrame]
) -> None:
    project.memorise()
    if table is corrected:
        project.set(SPLIT__KEY_COLUMNS='["customer"]')
    registry = open_registry(load_settings())
    leaks = []
    for month in range(10):
        # Two months of a form, two of the other: either follows itself and the other.
        name = "table.parquet" if month // 2 % 2 else "table.csv"
        project.write(table(month), name)
        project.set(DATA__SOURCE=name)
        decision = project.retrain()
        if month:
            leaks.append(trained_on(decision))
            print(f"{table.__name__} month {month}: {decision['compared_rows']} compared, {leaks[-1]} trained on")
            assert_all_unseen(decision, least=30)
            registry.promote(decision["version"], reason="The next month's champion.")
    assert leaks == [0] * 9


LOGARITHM = """
import numpy as np


def label(frame):
    return frame


def features(frame):
    return frame[["amount"]].assign(amount=np.log(frame["amount"]))
"""
SIGN = """
def label(frame):
    return frame


def features(frame):
    return frame[["noise"]].assign(amount=-frame["amount"])
"""
DERIVED = """
def label(frame):
    frame = frame[frame["minutes"] > 0]
    return frame.assign(long=frame["minutes"] > 30).drop(columns="minutes")


def features(frame):
    return frame[["distance"]]
"""
HELPED = """
from {package}.helpers import scaled


def label(frame):
    return frame


def features(frame):
    return scaled(frame)
"""


class Copy:
    """A copy of the project, with a features.py of its own; its commands run in other processes."""

    def __init__(self, root: Path, api: str) -> None:
        self.root, self.api = root, api
        plain_source(root)

    def features(self, text: str) -> None:
        (self.root / "src" / PACKAGE / "features.py").write_text(text)

    def run(self, *words: str, code: int = 0, **settings: str) -> Any:
        """Run a command, and return the JSON that it prints, or without any its errors."""
        values = {"ROOT": str(self.root), "ESTIMATORS": '["linear"]', "NOTIFICATIONS__BLOCK": ""}
        values |= {"DATA__SOURCE": "table.csv", "DATA__TARGET": "target", "PROBLEM_TYPE": "classification"}
        own = {ENV_PREFIX + name: value for name, value in (values | settings).items()}
        done = subprocess.run(
            [sys.executable, "-m", PACKAGE, *words, "--json"],
            cwd=self.root,
            env={name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
            | {"PREFECT_API_URL": self.api, "PYTHONPATH": str(self.root / "src")}
            | own,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture
def copy(tmp_path: Path, prefect_api: str) -> Copy:
    return Copy(tmp_path, prefect_api)


def amounts(rows: int = 600) -> pd.DataFrame:
    """Return a classification that the logarithm of `amount` decides, and `noise` says nothing about."""
    rng = np.random.default_rng(0)
    amount = np.exp(rng.normal(0, 3, rows)).round(6) + 0.001
    label = np.where(np.log(amount) + rng.normal(0, 0.5, rows) > 0, "yes", "no")
    return pd.DataFrame({"amount": amount, "noise": rng.normal(size=rows).round(4), "target": label})


def test_each_version_predicts_through_its_own_feature_code(copy: Copy) -> None:
    amounts().to_csv(copy.root / "table.csv", index=False)
    copy.features(LOGARITHM)
    first = copy.run("retrain")
    before = pd.read_parquet(copy.run("score")["path"])

    copy.features(SIGN)
    second = copy.run("retrain")
    decision = copy.run("registry", "explain")["decision"]
    after = pd.read_parquet(copy.run("score")["path"])

    assert first["metrics"]["f1_score"] > 0.9
    assert second["verdict"] == "kept", second["reason"]
    assert decision["champion"]["f1_score"] == pytest.approx(first["metrics"]["f1_score"], abs=1e-9)
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.long
def test_a_change_of_what_features_imports_is_found_by_doctor_whose_fix_ends_it(copy: Copy) -> None:
    def found() -> list[str]:
        checks = copy.run("doctor", code=2)  # nothing is deployed
        return [check["command"] for check in checks if check["name"] == "champion" and check["severity"] != "ok"]

    amounts().to_csv(copy.root / "table.csv", index=False)
    helpers = copy.root / "src" / PACKAGE / "helpers.py"
    helpers.write_text("import numpy as np\n\n\ndef scaled(frame):\n    return np.log(frame[['amount']])\n")
    copy.features(HELPED.format(package=PACKAGE))
    copy.run("retrain")
    assert found() == []

    helpers.write_text(helpers.read_text() + "# in the same way\n")
    (command,) = found()
    copy.run(*shlex.split(command)[1:])
    assert found() == []


def test_a_change_of_what_features_imports_from_the_project_is_said(copy: Copy) -> None:
    amounts().to_csv(copy.root / "table.csv", index=False)
    helpers = copy.root / "src" / PACKAGE / "helpers.py"
    helpers.write_text("import numpy as np\n\n\ndef scaled(frame):\n    return np.log(frame[['amount']])\n")
    copy.features(HELPED.format(package=PACKAGE))
    copy.run("retrain")

    helpers.write_text("def scaled(frame):\n    return -frame[['amount']]\n")
    copy.run("retrain")

    assert "helpers" in json.dumps(copy.run("registry", "explain"))


def test_a_target_derived_in_label_has_a_live_score(copy: Copy) -> None:
    rng = np.random.default_rng(0)
    distance = rng.gamma(2, 3, 900).round(3)
    table = pd.DataFrame({"distance": distance, "minutes": (distance * 5 + rng.normal(0, 2, 900)).round(2)})
    table.head(500).to_csv(copy.root / "table.csv", index=False)
    copy.features(DERIVED)
    copy.run("retrain", DATA__TARGET="long")
    table.tail(400).to_csv(copy.root / "new.csv", index=False)

    window = copy.run("monitor", "--source", "new.csv", DATA__TARGET="long")

    assert window["metric"] is not None
    assert window["metric"] > 0.9


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(columns="usage"),
        lambda table: table.rename(columns={"usage": "use"}),
        lambda table: table.assign(usage=np.nan),
    ],
    ids=["retired", "renamed", "newly empty"],
)
def test_a_column_that_is_gone(project: Project, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    project.write(learnable())
    project.retrain()

    project.write(change(learnable()))

    assert_not_comparable(project, cause="usage")
    assert "\n" not in open_registry(load_settings()).decisions()[-1].decision["reason"]


@pytest.fixture
def unreadable(project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    """Promote a model whose class is gone afterwards, and return its version."""
    with monkeypatch.context() as once:
        once.setattr(models, "ESTIMATORS", {"linear": lambda *_: Pipeline([("model", Memoriser())])})
        project.write(learnable())
        champion = project.retrain()["version"]
    monkeypatch.delattr(sys.modules[__name__], "Memoriser")
    return str(champion)


def test_a_champion_that_cannot_be_unpickled_is_not_comparable(project: Project, unreadable: str) -> None:
    assert_not_comparable(project, cause="Memoriser")


def test_doctor_names_a_champion_that_cannot_be_unpickled(project: Project, unreadable: str) -> None:
    faults = str([check for check in doctor.examine(PROJECT) if check.severity != "ok"])

    assert unreadable in faults
    assert "Memoriser" in faults


def test_labels_0_and_1_became_no_and_yes(project: Project) -> None:
    table = learnable()
    project.write(table.assign(target=(table["target"] == "yes").astype(int)))
    project.retrain()

    project.write(table)

    assert_not_comparable(project, cause="yes")


def test_one_row_with_a_new_label_is_left_out_and_many_make_a_class(project: Project) -> None:
    table = learnable(600)
    project.write(table)
    project.retrain()

    table.loc[3, "target"] = "maybe"
    project.write(table)
    kept = project.retrain()

    assert kept["verdict"] in {"kept", "promoted"}
    assert kept["champion"], "the champion could have been compared"
    assert "maybe" in project.said(kept)

    table.loc[:199, "target"] = "maybe"
    table.loc[:199, "usage"] = 300.0
    project.write(table)
    assert project.retrain(accept_not_comparable=True)["verdict"] == "promoted"
    predictions = project.score("table.csv")
    assert (predictions["prediction"].astype(str) == "maybe").sum() > 150


def coded(rows: int = 500) -> pd.DataFrame:
    """Return diagnoses with codes of digits, with zeros in front, and of letters; they alone decide the target."""
    rng = np.random.default_rng(0)
    code = rng.choice(["E11", "I10", "250", "042", "401.9", "V58"], rows)
    high = np.isin(code, ["E11", "042", "401.9"])
    noise = rng.normal(size=rows).round(3)
    return pd.DataFrame({"code": code, "noise": noise, "target": np.where(high, "yes", "no")})


def test_a_file_whose_codes_hold_digits_only_is_read_as_the_model_learned_it(project: Project) -> None:
    table = coded()
    project.write(table)
    project.retrain()
    new = table.drop(columns="target")
    digits = new[new["code"].isin(["250", "042", "401.9"])]
    project.write(new, "all.csv")
    project.write(digits, "digits.csv")

    expected = project.score("all.csv")["prediction"].to_numpy()[digits.index]

    assert list(project.score("digits.csv")["prediction"]) == list(expected)
    truth = table.loc[digits.index, "target"]
    assert (expected == truth).mean() > 0.95


@pytest.mark.parametrize(
    "spelling", ["%d/%m/%Y", "%d.%m.%Y", "%Y%m%d", "%b %d, %Y", "%Y-%m-%dT%H:%M:%S"], ids=lambda text: text
)
def test_dates_in_another_format_are_the_same_or_refused_by_cell(project: Project, spelling: str) -> None:
    project.set(PROBLEM_TYPE="regression")
    rng = np.random.default_rng(0)
    since = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, 400), unit="D")
    days = (since - pd.Timestamp("2024-01-01")).days
    table = pd.DataFrame({"since": since.strftime("%Y-%m-%d"), "other": rng.normal(size=400), "target": days / 10.0})
    project.write(table)
    project.retrain()
    project.write(table.drop(columns="target"), "same.csv")
    project.write(table.drop(columns="target").assign(since=since.strftime(spelling)), "other.csv")
    expected = project.score("same.csv")["prediction"]

    refused = ""
    try:
        found = project.score("other.csv")["prediction"]
    except ProjectError as error:
        refused = str(error)

    if refused:
        assert "since" in refused
        assert since.strftime(spelling)[0] in refused
        assert "row" in refused
    else:
        np.testing.assert_allclose(found, expected)


def test_a_bad_cell_at_the_first_training_is_a_missing_number(project: Project) -> None:
    project.set(PROBLEM_TYPE="regression")
    table = numbers_table()
    table = table.astype({"amount": object})
    table.loc[7, "amount"] = "n.a. (see note)"
    project.write(table)

    decision = project.retrain()

    assert decision["metrics"]["r2"] > 0.9  # the one row may be held out
    assert "n.a. (see note)" in project.caplog.text
    assert "amount" in project.caplog.text


SPELLINGS: dict[str, Callable[[float], str]] = {
    "thousands with commas": lambda value: f"{value:,.2f}",
    "dollars": lambda value: f"${value:.2f}",
    "dollars and thousands": lambda value: f"${value:,.2f}",
    "per cent": lambda value: f"{value:.2f} %",
    "decimal comma": lambda value: f"{value:,.2f}".replace(",", "_").replace(".", ",").replace("_", "."),
    "euro": lambda value: f"{value:.2f} €",
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_numbers_as_people_write_them(project: Project, spell: Callable[[float], str]) -> None:
    project.set(PROBLEM_TYPE="regression")
    table = numbers_table()
    project.write(table)
    plain = project.retrain()["metrics"]["rmse"]
    project.write(table.assign(amount=[spell(value) for value in table["amount"]]), "spelt.csv")
    project.set(DATA__SOURCE="spelt.csv", REGISTRY__PATH="other")

    assert project.retrain()["metrics"]["rmse"] == pytest.approx(plain, rel=0.2, abs=0.02 * table["target"].std())


def test_f_and_n_are_two_values(project: Project) -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(["F", "N"], 400)
    table = pd.DataFrame({"kind": kind, "noise": rng.normal(size=400), "target": np.where(kind == "F", "a", "b")})
    project.write(table)

    assert project.retrain()["metrics"]["accuracy"] == 1.0


def test_a_boolean_target_with_blanks(project: Project) -> None:
    table = learnable()
    table["target"] = np.where(table["target"] == "yes", "TRUE", "FALSE")
    table.loc[5:11, "target"] = ""
    project.write(table)

    decision = project.retrain()

    assert decision["verdict"] == "promoted"
    assert decision["metrics"]["f1_score"] > 0.9
    assert "7" in project.caplog.text
    assert "target" in project.caplog.text
    assert len(project.score("table.csv")) == len(table)


def test_an_identifier_is_written_as_it_came(project: Project) -> None:
    table = learnable()
    table.insert(0, "customer_id", [f"{number:06}" for number in range(1, len(table) + 1)])
    project.write(table)
    project.retrain()

    assert list(project.score("table.csv")["customer_id"]) == list(table["customer_id"])


def test_a_sorted_file_is_scored_in_parts_as_it_is_as_a_whole(project: Project) -> None:
    table = coded(600)
    table["gaps"] = np.where(np.arange(600) % 4 == 0, np.nan, table["noise"])
    project.write(table)
    project.retrain()
    new = table.drop(columns="target").sort_values(["gaps", "code"], na_position="first")
    project.write(new, "sorted.csv")
    whole = project.score("sorted.csv")

    project.set(SCORE__BATCH_ROWS="50", SCORE__FOLDER="in-parts")

    pd.testing.assert_frame_equal(project.score("sorted.csv"), whole)


@pytest.mark.parametrize("name", [" income", "income"], ids=["as in the file", "without the space"])
def test_a_target_named_as_the_file_spells_it(project: Project, name: str) -> None:
    table = learnable().rename(columns={"target": "income"})
    project.write(table.to_csv(index=False).replace(",", ", "))
    project.set(DATA__TARGET=name)

    assert project.retrain()["compared_rows"] >= 0
    assert len(project.score("table.csv")) == len(table)


@pytest.mark.parametrize("labels", ["five", "one class"])
def test_too_few_labels_lose_no_window(project: Project, labels: str) -> None:
    project.memorise()
    project.write(people())
    project.retrain()
    new = people(200, first=9_000)
    if labels == "five":
        new.loc[5:, "target"] = None
    else:
        new = new.assign(target="no")
    project.write(new, "new.csv")

    window = monitor(source="new.csv")

    assert window["drifted"] in (True, False)
    stored = [path.read_text() for path in (project.root / "monitoring").glob("*.json*")]
    assert any("new.csv" in text for text in stored)
    if labels == "five":
        assert window["metric"] is None
        page = Path(window["report"]).read_text()
        assert "few" in page + project.said(window)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_dates_that_go_on_are_no_drift(project: Project, form: str) -> None:
    table = learnable(600)
    table["since"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(len(table)), unit="D")
    project.write(table, f"table.{form}")
    project.set(DATA__SOURCE=f"table.{form}")
    project.retrain()
    new = table.assign(since=table["since"] + pd.Timedelta(days=600)).sample(frac=1, random_state=0)
    project.write(new, f"new.{form}")

    assert not monitor(source=f"new.{form}")["drifted"]
