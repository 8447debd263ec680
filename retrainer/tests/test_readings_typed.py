"""Files as people have them, from outside: a command line is typed, files go in, predictions and JSON come out.

The truth of every table is made first. What is drawn at random, and further variants, are in `test_readings.py`.
"""

import contextlib
import json
import os
import re
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from churn import metrics

from retrainer.project import OwnMetric

from .conftest import ENV_PREFIX, PROJECT, forget, run_command_line, use
from .test_readings import FEATURES, ROWS, frame, write_table

pytestmark = pytest.mark.usefixtures("prefect_api")


class Terminal:
    """A project in a folder of its own, to which commands are typed."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.monkeypatch, self.capsys = root, monkeypatch, capsys
        folder = root / "src" / "churn"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_bytes(PROJECT.config_file.read_bytes())
        monkeypatch.setitem(vars(PROJECT), "folder", folder)
        self.code("frame")
        self.set(ROOT=str(root), ESTIMATORS='["linear"]', NOTIFICATIONS__BLOCK="", DATA__TARGET="target")
        self.set(PROBLEM_TYPE="regression")

    def set(self, **settings: str) -> None:
        """Set variables, such as `DATA__SOURCE`."""
        use(self.monkeypatch, **settings)

    def code(self, result: str) -> None:
        """Let `features()` return this."""
        (PROJECT.folder / "features.py").write_text(FEATURES.format(result))

    def type(self, *words: str) -> tuple[int, str, str]:
        """Type a command; return the exit code, standard output and standard error."""
        self.monkeypatch.setattr("sys.argv", ["churn", *words])
        self.capsys.readouterr()
        code = 0
        try:
            run_command_line()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *self.capsys.readouterr()

    def json(self, *words: str) -> dict[str, Any]:
        """Type a command that succeeds; return what it prints as JSON."""
        code, output, said = self.type(*words, "--json")
        assert code == 0, said
        return dict(json.loads(output))

    def retrain(self, content: Any, name: str = "table.csv") -> dict[str, Any]:
        """Retrain on a table; return what is printed."""
        return self.json("retrain", "--source", write_table(self.root, content, name))

    def scored(self, content: Any, name: str = "new.csv") -> pd.DataFrame:
        """Score a table; return the file of predictions."""
        return pd.read_parquet(self.json("score", "--source", write_table(self.root, content, name))["path"])

    def score(self, content: Any, name: str = "new.csv") -> Any:
        """Return the predictions for a table."""
        return self.scored(content, name)["prediction"].to_numpy()

    def decision(self) -> dict[str, Any]:
        """Return the last decision, as its file has it."""
        files = sorted((self.root / "models" / "decisions").glob("*.json"))
        return dict(json.loads(files[-1].read_text())["decision"])

    def refused(self, command: str, content: Any, name: str = "new.csv") -> str:
        """Type a command that fails; return its error, which is the last that it says, and no traceback."""
        code, _, said = self.type(command, "--source", write_table(self.root, content, name))
        assert code in (1, 2)
        error = said[said.rindex("Error: ") :]
        assert "Traceback" not in error
        return error


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    yield Terminal(tmp_path, monkeypatch, capsys)
    forget()


ROW = np.arange(ROWS)
RNG = np.random.default_rng(0)
MONEY = RNG.uniform(100, 9999, ROWS).round(3)
DAYS = pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 700, ROWS), unit="D")
LEVEL = np.searchsorted([3500, 6700], MONEY)  # 0, 1 or 2
NEAR = {"rtol": 0.01, "atol": 60}  # a linear model shrinks


def german(number: float) -> str:
    return f"{number:,.3f}".translate(str.maketrans(",.", ".,"))


def semicolons(table: pd.DataFrame) -> str:
    return table.to_csv(sep=";", index=False)


# --- the lines of the first table


def test_the_same_rows_in_german_and_english(terminal: Terminal) -> None:
    texts = frame(amount=list(map(german, MONEY)), target=MONEY)
    terminal.retrain(semicolons(texts))

    expected = terminal.score(semicolons(texts))

    np.testing.assert_allclose(expected, MONEY, **NEAR)
    for name, amounts in {
        "english.csv": [str(number) for number in MONEY],
        "groups.csv": [f"{number:,.3f}" for number in MONEY],
        "texts.parquet": texts["amount"],
        "numbers.parquet": MONEY,
    }.items():
        assert terminal.score(frame(amount=amounts, x=0), name).tolist() == expected.tolist(), name
    assert terminal.retrain(frame(amount=MONEY, target=MONEY))["verdict"] == "kept"


def test_points_of_thousands_beside_decimal_commas(terminal: Terminal) -> None:
    def written(people: Any) -> str:
        texts = [f"{number:,}".replace(",", ".") for number in people]
        return semicolons(frame(people=texts, share=[f"{row % 99},1" for row in ROW], target=people))

    people = RNG.integers(1000, 9999, ROWS)
    terminal.retrain(written(people))

    np.testing.assert_allclose(terminal.score(written(people)), people, **NEAR)
    later = np.where(ROW % 8, people, 1_234_567)
    np.testing.assert_allclose(terminal.score(written(later)), later, **NEAR)


@pytest.mark.parametrize("word", ["None", "NA", "-"])
def test_a_frequent_word_of_missingness_is_a_class_and_a_category(terminal: Terminal, word: str) -> None:
    """No disorder, no garage."""
    terminal.set(PROBLEM_TYPE="classification")
    kinds = np.asarray([word, "mild", "bad"])[LEVEL]
    garage = np.asarray([word, "attached", "built in"])[LEVEL]
    facts = terminal.retrain(frame(garage=garage, x=MONEY % 7, target=kinds))

    assert facts["metrics"]["f1_score"] == 1
    assert terminal.score(frame(garage=garage, x=MONEY % 7)).tolist() == kinds.tolist()


def test_an_inch_mark_is_no_quote(terminal: Terminal) -> None:
    screens = np.asarray(['27" flat', '24" wide', '"none"'])[LEVEL]
    rows = [f"{screen},{x},{level * 100}" for screen, x, level in zip(screens, MONEY % 7, LEVEL, strict=True)]
    terminal.retrain("\n".join(["screen,x,target", *rows]))

    found = terminal.score("\n".join(["screen,x,target", *rows[:15]]))

    np.testing.assert_allclose(found, LEVEL[:15] * 100, atol=10)


@pytest.mark.parametrize("year", ["%y", "%Y"])
def test_the_day_comes_first_with_either_year(terminal: Terminal, year: str) -> None:
    days = DAYS[DAYS.day <= 12].append(DAYS[DAYS.day > 12][:5])  # five prove it, by the table alone that is trained on
    terminal.retrain(frame(day=days.strftime(f"%d/%m/{year}"), target=days.month * 1000))
    days = days[days.day <= 12]

    found = terminal.score(frame(day=days.strftime(f"%d/%m/{year}"), x=0))

    np.testing.assert_allclose(found, days.month * 1000, atol=200)
    assert terminal.score(frame(day=days), "new.parquet").tolist() == found.tolist()


def test_sums_in_brackets_minus_behind_and_indian_groups(terminal: Terminal) -> None:
    negative = np.where(ROW % 2, -MONEY, MONEY).round(2)
    brackets = [f"({-number:,.2f})" if number < 0 else f"{number:,.2f}" for number in negative]
    behind = [f"{-number:.2f}-" if number < 0 else f"{number:.2f}" for number in RNG.permutation(negative)]
    indian = [f"{row % 90 + 10},{row % 77 + 10},841.77" for row in ROW]
    truth = frame(
        brackets=negative,
        behind=[-float(text[:-1]) if text.endswith("-") else float(text) for text in behind],
        indian=[float(text.replace(",", "")) for text in indian],
    )
    texts = frame(brackets=brackets, behind=behind, indian=indian)
    target = truth["brackets"] + truth["behind"] + truth["indian"] / 1000
    facts = terminal.retrain(texts.assign(target=target))

    found = terminal.score(texts)

    np.testing.assert_allclose(found, target, **NEAR)
    assert terminal.score(truth, "new.parquet").tolist() == found.tolist()
    assert terminal.json("registry", "show")["lineage"]["split"]["identity_from"] == "content"
    assert not facts["alarms"]


def test_figures_that_cannot_be_read_are_left_out_with_an_alarm(terminal: Terminal) -> None:
    odd = [f"{number:,.2f}.-" for number in RNG.permutation(ROWS) * 1000.0]

    alarms = terminal.retrain(frame(amount=odd, x=MONEY, target=MONEY))["alarms"]

    assert any("'amount' is not used: figures such as" in alarm for alarm in alarms)
    assert terminal.json("registry", "show")["lineage"]["split"]["identity_from"] == "content"


def test_days_as_programs_write_them(terminal: Terminal) -> None:
    texts = frame(basic=DAYS.strftime("%Y%m%dT%H%M%S"), named=DAYS[::-1].strftime("%d-%b-%y"))
    target = DAYS.month * 1000 + DAYS[::-1].day * 100
    terminal.retrain(texts.assign(target=target))

    found = terminal.score(texts)

    np.testing.assert_allclose(found, target, atol=300)
    assert terminal.score(frame(basic=DAYS, named=DAYS[::-1]), "new.parquet").tolist() == found.tolist()


def test_codes_without_their_zeros_and_values_mostly_unknown_are_refused(terminal: Terminal) -> None:
    codes, city = np.asarray(["009", "010", "300"])[LEVEL], np.asarray(["Rome", "Oslo", "Bern"])[ROW % 3]
    terminal.retrain(frame(code=codes, city=city, target=LEVEL * 100))

    np.testing.assert_allclose(terminal.score(frame(code=codes, city=city)), LEVEL * 100, atol=10)
    for name in ("new.csv", "new.parquet", "new.jsonl"):
        said = terminal.refused("score", frame(code=codes.astype(int), city=city), name)
        assert "column 'code'" in said
    said = terminal.refused("score", frame(code=codes, city=np.char.upper(city)))
    assert "column 'city'" in said
    assert "'ROME'" in said or "'OSLO'" in said or "'BERN'" in said


def test_folders_named_like_values_are_columns(terminal: Terminal) -> None:
    for level, city in enumerate(("Oslo", "Paris")):
        part = frame(x=MONEY, target=level * 1000 + MONEY)
        write_table(terminal.root, part, f"parts/city={city}/x.parquet")
    terminal.json("retrain", "--source", "parts")

    found = pd.read_parquet(terminal.json("score", "--source", "parts/city=Paris")["path"])

    np.testing.assert_allclose(found["prediction"], 1000 + MONEY, rtol=0.03, atol=60)


def test_a_column_of_lists_or_objects_gets_its_report(terminal: Terminal) -> None:
    table = frame(x=MONEY, target=MONEY)
    table["tags"] = [["a", str(row % 3)] for row in ROW]
    table["who"] = [{"a": row % 9} for row in ROW]

    for name in ("table.jsonl", "table.parquet"):
        assert "<h1" in Path(terminal.retrain(table, name)["report"]).read_text()
    assert len(terminal.score(table, "new.jsonl")) == ROWS


def test_what_spreadsheets_and_old_macs_add_to_a_file(terminal: Terminal) -> None:
    text = semicolons(frame(amount=[german(number) for number in MONEY], city="Rome", target=MONEY))
    terminal.retrain("sep=;\n" + text)

    for before, line_end in (
        ("", "\n"),
        ("Sales of May\n\n", "\n"),
        ("Sales of May;;\nall shops;;\n", "\r\n"),
        ("", "\r"),
    ):
        found = terminal.score((before + text).replace("\n", line_end))
        np.testing.assert_allclose(found, MONEY, **NEAR)


def test_alarms_look_at_what_the_model_sees(terminal: Terminal) -> None:
    alarms = terminal.retrain(frame(order_id=7 + 3 * ROW, x=MONEY, copy=ROW * 1.0, target=ROW * 1.0))["alarms"]

    assert any("'copy' by itself" in alarm for alarm in alarms)
    assert not any("order_id" in alarm for alarm in alarms)


def test_columns_carried_over_have_a_name_of_their_own(terminal: Terminal) -> None:
    table = frame(prediction=[f"p{row}" for row in ROW], x=MONEY, target=MONEY)
    terminal.retrain(table)
    terminal.set(SCORE__IDENTIFIERS='["prediction", "x"]')

    scored = terminal.scored(table)

    assert scored["table_prediction"].tolist() == table["prediction"].tolist()
    np.testing.assert_allclose(scored["prediction"].astype(float), MONEY, **NEAR)
    terminal.set(SCORE__IDENTIFIERS='["predicton"]')
    assert "'predicton' (score.identifiers)" in terminal.refused("score", table)


def test_an_error_over_many_columns_names_ten_and_counts_the_rest(terminal: Terminal) -> None:
    wide = pd.DataFrame({f"column_{number:03}": RNG.normal(size=ROWS) for number in range(60)})
    terminal.retrain(wide.assign(target=wide.iloc[:, 0] * 9))

    for changed, more in ((wide[["column_000"]], "49 more"), (wide.map("n{:.0f}".format), "50 more")):
        said = terminal.refused("score", changed)
        assert more in said
        assert len(said) < 3000


def test_a_zip_made_on_a_mac(terminal: Terminal) -> None:
    with zipfile.ZipFile(terminal.root / "mac.zip", "w") as archive:
        archive.writestr("table.csv", frame(x=MONEY, target=MONEY).to_csv(index=False))
        for name in (".DS_Store", "__MACOSX/._table.csv"):
            archive.writestr(name, b"\0\1")
    terminal.json("retrain", "--source", "mac.zip")

    found = pd.read_parquet(terminal.json("score", "--source", "mac.zip")["path"])

    np.testing.assert_allclose(found["prediction"], MONEY, **NEAR)


def test_a_date_is_filled_into_queries_and_an_error_where_it_means_nothing(terminal: Terminal) -> None:
    table = frame(x=MONEY, target=MONEY, day=np.where(ROW % 3, "2026-02-01", "2026-04-01"))
    source = write_table(terminal.root, table, "table.csv")
    code, _, said = terminal.type("retrain", "--source", source, "--as-of", "2026-03-01")
    assert code == 2
    assert "no date is to be filled in" in said
    with contextlib.closing(sqlite3.connect(terminal.root / "shop.db")) as shop:
        table.to_sql("orders", shop, index=False)
    terminal.set(DATA__SOURCE="sqlite:///shop.db")
    terminal.set(DATA__QUERY="select * from orders where day < '{as_of:%Y-%m-%d}'")

    terminal.json("retrain", "--as-of", "2026-03-01")

    assert terminal.json("registry", "show")["lineage"]["data"]["rows"] == (ROW % 3 > 0).sum()


def test_a_dropped_column_leaves_every_row_on_its_side(terminal: Terminal) -> None:
    table = frame(x=MONEY, late=RNG.normal(size=ROWS), target=MONEY)
    terminal.retrain(table)
    terminal.set(DATA__DROP='["late"]')

    facts = terminal.retrain(table)

    assert terminal.decision()["compared_rows"] == facts["holdout_rows"] > 20


# --- the lines of the second table


@pytest.mark.parametrize(("trained", "scored"), [("csv", "parquet"), ("parquet", "csv")])
def test_a_duration_is_one_kind_from_any_file(terminal: Terminal, trained: str, scored: str) -> None:
    late = pd.to_timedelta(RNG.integers(60, 9 * 86_400, ROWS), unit="s")
    table = frame(late=late, target=late.total_seconds() / 86_400)
    terminal.retrain(table, f"table.{trained}")

    found = terminal.score(table, f"new.{scored}")

    assert " days " in str(table["late"][0])
    np.testing.assert_allclose(found, table["target"], atol=0.05)


def test_a_gap_that_made_digits_of_codes_floats_changes_nothing(terminal: Terminal) -> None:
    codes = pd.Series(np.asarray(["250", "V3", "401"])[LEVEL])
    terminal.retrain(frame(code=codes, x=MONEY % 7, target=LEVEL * 100))
    digits = codes[codes != "V3"].astype(float).reset_index(drop=True)
    truth = digits.map({250.0: 0.0, 401.0: 200.0})
    digits.iloc[0] = np.nan

    for name in ("new.csv", "new.parquet", "new.jsonl"):
        found = terminal.score(frame(code=digits, x=1.0), name)
        np.testing.assert_allclose(found[1:], truth[1:], atol=10)
    assert "401.0" in (terminal.root / "new.csv").read_text()


@pytest.mark.parametrize(
    ("values", "problem_type", "said"),
    [
        ([3.0, 4.5, 4.0], "classification", "fractions such as 4.5"),
        (pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01"]), "classification", "holds dates"),
        (pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01"]), "regression", "date values"),
    ],
)
def test_a_target_that_cannot_be_learned_is_a_sentence(
    terminal: Terminal, values: Any, problem_type: str, said: str
) -> None:
    terminal.set(PROBLEM_TYPE=problem_type)

    assert said in terminal.refused("retrain", frame(x=MONEY, target=pd.Index(values).take(ROW % 3)))


@pytest.mark.parametrize(
    "code",
    [
        "frame.assign(x=frame['x'] - frame['x'].mean())",
        "frame.assign(city=frame['city'].astype('category').cat.codes)",
        "frame.sort_values('x').reset_index(drop=True)",
    ],
)
def test_features_that_depend_on_other_rows_are_found_before_training(terminal: Terminal, code: str) -> None:
    terminal.code(code)
    city = np.asarray(["Rome", "Oslo", "Bern"])[RNG.integers(0, 3, ROWS)]

    said = terminal.refused("retrain", frame(x=MONEY, city=city, target=MONEY))

    assert re.search(r"other rows.*'(x|city)'.*models\.py", said, re.S)


def test_features_that_sort_are_put_back_in_order(terminal: Terminal) -> None:
    terminal.code("frame.sort_values('x')")
    table = frame(x=MONEY, target=MONEY)
    terminal.retrain(table)

    np.testing.assert_allclose(terminal.score(table), MONEY, **NEAR)


def test_a_file_that_feature_code_opens_is_refused(terminal: Terminal) -> None:
    write_table(terminal.root, "rate\n2\n", "rates.csv")
    terminal.code(f"frame.assign(x=frame['x'] * pd.read_csv({str(terminal.root / 'rates.csv')!r})['rate'][0])")

    assert "rates.csv" in terminal.refused("retrain", frame(x=MONEY, target=MONEY))


def test_truth_predictions_and_rows_of_an_own_metric_pair_by_index(terminal: Terminal) -> None:
    places = []

    def cost(truth: Any, predictions: Any, rows: Any) -> float:
        assert list(truth) == list(rows["label"])
        wrong = (truth != predictions.labels).astype(float)
        places.append(float((np.asarray(wrong) * rows["amount"].to_numpy()).mean()))
        return float((pd.Series(wrong) * rows["amount"]).mean())

    own = OwnMetric(cost, greater_is_better=False, columns=("amount", "label"))
    terminal.monkeypatch.setattr(metrics, "METRICS", {"cost": own})
    terminal.set(PROBLEM_TYPE="classification", GATE__METRIC="cost", DATA__DROP='["label"]')
    noisy = np.where(RNG.random(ROWS) < 0.2, "no", np.where(MONEY > 5000, "yes", "no"))

    facts = terminal.retrain(frame(amount=MONEY, label=noisy, target=noisy))

    assert facts["metrics"]["cost"] in places
    assert facts["metrics"]["cost"] > 0


@pytest.mark.parametrize("gap", [0, ROWS - 1])
def test_a_metric_that_reads_a_gap_is_one_error_on_either_side(terminal: Terminal, gap: int) -> None:
    weighed = OwnMetric(lambda truth, guess, rows: (truth == guess.labels) * rows["amount"], True, columns=("amount",))
    terminal.monkeypatch.setattr(metrics, "METRICS", {"weighed": weighed})
    terminal.set(PROBLEM_TYPE="classification", GATE__METRIC="weighed")
    amount = MONEY.copy()
    amount[gap] = np.nan

    said = terminal.refused("retrain", frame(amount=amount, target=np.where(ROW % 2, "yes", "no")))

    assert "nan for 1 of 240 rows" in said
    assert "amount is nan" in said


def test_whole_numbers_of_18_digits_with_gaps_are_kept(terminal: Terminal) -> None:
    code = pd.array((123_456_789_012_345_600 + np.arange(16))[ROW % 16], "Int64")
    code[::7] = pd.NA
    table, there = frame(code=code, x=MONEY, target=ROW % 16 * 10.0), ROW % 7 > 0
    terminal.retrain(table, "table.parquet")

    for name in ("new.parquet", "new.csv", "new.jsonl"):
        assert np.abs(terminal.score(table, name) - table["target"])[there].max() < 20, name


@pytest.mark.parametrize("sentinel", [1e39, 1.7976931348623157e308])
def test_a_sentinel_too_large_is_named(terminal: Terminal, sentinel: float) -> None:
    said = terminal.refused("retrain", frame(amount=np.where(ROW < 2, sentinel, MONEY), target=MONEY))

    assert re.search(r"'amount' \(2 of \d+ rows\)", said)


# --- a guess is shown, and overruled by a setting


def test_how_a_file_is_read_is_said_and_overruled(terminal: Terminal, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"{3 + row % 9:02}/{1 + row % 12:02}/2024;K\xf6ln;{row},5;{row}" for row in ROW]
    text = "\n".join(["day;city;amount;target", *lines]).encode("latin-1")
    facts = terminal.retrain(text)

    said = "encoding Windows-1252, 4 columns, day first"
    assert any("data.read.day_first" in alarm for alarm in facts["alarms"])
    assert said in json.dumps(terminal.json("registry", "show"))
    assert said in Path(facts["report"]).read_text()
    caplog.clear()
    terminal.type("score", "--source", "table.csv")
    assert said in caplog.text
    terminal.set(DATA__READ__DAY_FIRST="true")
    assert not any("data.read" in alarm for alarm in terminal.retrain(text)["alarms"])
