"""Further variants of files as people have them, many of them drawn, with a truth that is made first.

Each line that a person reported is typed as a command in `test_readings_typed.py`. Here are the variants for which a
command would be too slow: a `Lab` calls the functions that the flows call.
"""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from retrainer import data, pipeline
from retrainer.errors import DataError
from retrainer.project import Project
from retrainer.training import Model, Recipe

from .conftest import PROJECT

ROWS = 240
FEATURES = "import pandas as pd\n\n\ndef label(frame):\n    return frame\n\n\ndef features(frame):\n    return {}\n"
RNG = np.random.default_rng(0)
NUMBERS = RNG.uniform(1000, 9999, ROWS).round(2)


def write_table(folder: Path, content: Any, name: str) -> str:
    """Write a table in the form that the file's name says, text and bytes as they are; return the name."""
    path = folder / name
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
        self.code("frame")

    def code(self, result: str) -> None:
        """Let `features()` return this."""
        (self.folder / "features.py").write_text(FEATURES.format(result))

    @property
    def project(self) -> Project:
        own = dataclasses.replace(PROJECT, folder=self.folder)
        return own.with_settings(**{"root": self.root, "estimators": ("linear",)} | self.settings)

    def write(self, content: Any, name: str = "table.csv") -> str:
        return write_table(self.root, content, name)

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


# --- codes


def test_many_codes_that_lost_their_zeros_are_refused(lab: Lab) -> None:
    codes = np.asarray([f"{number:05}" for number in RNG.integers(0, 30_000, ROWS)])
    model = lab.fit(frame(zip_code=codes, x=NUMBERS, target=NUMBERS))

    assert len(lab.score(model, frame(zip_code=codes, x=NUMBERS), "same.csv")) == ROWS
    with pytest.raises(data.SchemaError, match="column 'zip_code'"):
        lab.score(model, frame(zip_code=codes.astype(int), x=NUMBERS))


def test_values_mostly_unknown_are_refused(lab: Lab) -> None:
    city = np.asarray(["Rome", "Oslo", "Bern"])[np.arange(ROWS) % 3]
    model = lab.fit(frame(city=city, x=NUMBERS, target=NUMBERS))

    with pytest.raises(data.SchemaError, match=r"'city'.*not in the training data.*'ROME'"):
        lab.score(model, frame(city=np.char.upper(city), x=NUMBERS))
    one = np.where(np.arange(ROWS) % 3, city, "Lima")
    assert len(lab.score(model, frame(city=one, x=NUMBERS))) == ROWS
    assert len(lab.score(model, frame(city=["Lima"], x=[1.0]))) == 1


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
    "code",  # those of test_readings_typed.py are others
    [
        "frame.assign(x=frame['x'].rank())",
        "frame.assign(x=frame['x'].shift(1))",
        "frame.assign(x=frame.groupby('city')['x'].transform('max'))",
        "pd.get_dummies(frame)",
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


# --- how a file is read: said, and overruled


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


NUMBERED = ["%-dth of %B %Y", "%B %-dth, %Y", "%d %b, %Y"]
FORMS = ["%y-%m-%d", "%y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%a, %d.%m.%Y", "%B %d, %Y", "%d/%m/%Y %H.%M.%S"]


@pytest.mark.parametrize("form", [*FORMS, "%d.%m.%Y %H:%M Uhr", "%d/%m/%Y %Hh%M", "%d.%m.%y", *NUMBERED])
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


@pytest.mark.parametrize("written", ["{:.2f} DR", "25/07/2023 {:.2f}h"])
def test_figures_that_are_not_read_are_no_identifier(lab: Lab, written: str) -> None:
    cells = [written.format(number) for number in NUMBERS]
    cells[::2] = [cell.replace("DR", "CR") for cell in cells[::2]]
    model = lab.fit(frame(x=cells, y=NUMBERS, target=WHOLE))

    assert "cannot be read" in model.left_out["x"]


MOMENTS = ["%d/%m/%Y, %-I:%M %p", "%-m/%-d/%y, %-I:%M\u202f%p", "%d %b, %Y %H:%M", "%d %b %Y %I.%M%p"]


@pytest.mark.parametrize("written", [*MOMENTS, "%b %d, %Y, %-I:%M %p", "%a, %d %b %Y %H:%M:%S GMT"])
def test_moments_as_programs_and_people_write_them(lab: Lab, written: str) -> None:
    moments = pd.Series(DAYS) + pd.to_timedelta(RNG.integers(0, 1440, ROWS), unit="min")
    text = lines("when;target", moments.dt.strftime(written).str.replace("PM", "p.m."), WHOLE)

    model = lab.fit(text)

    assert lab.learn(text).rows["when"].tolist() == moments.tolist()
    assert lab.score(model, text).tolist() == lab.score(model, frame(when=moments), "new.parquet").tolist()


@pytest.mark.parametrize("written", ["{}kg", "{} bps", "{}p", "£{}m", "-{} °C"])
def test_a_unit_behind_each_number_is_no_part_of_it(lab: Lab, written: str) -> None:
    cells = list(map(written.format, WHOLE))
    model = lab.fit(frame(x=cells, target=WHOLE))

    expected = lab.score(model, frame(x=WHOLE * (-1 if "-" in written else 1)), "new.parquet")

    np.testing.assert_allclose(expected, WHOLE, rtol=0.01, atol=20)
    for texts in (cells, [cell.replace(" ", "") for cell in cells]):
        assert lab.score(model, frame(x=texts)).tolist() == expected.tolist()
    with pytest.raises(data.SchemaError, match="column 'x': expected a number"):
        lab.score(model, frame(x=[f"{cell}/h" for cell in cells]))


def test_a_unit_is_an_alarm_until_a_setting_says_so(lab: Lab) -> None:
    table = frame(x=[f"{number} kg" for number in WHOLE], target=WHOLE)

    assert any("'kg' behind each number" in alarm and "data.read.types" in alarm for alarm in lab.learn(table).alarms)
    for kind, read in (("number", WHOLE.tolist()), ("text", table["x"].tolist())):
        lab.settings["data"] |= {"read": {"types": {"x": kind}}}
        learned = lab.learn(table)
        assert learned.rows["x"].tolist() == read
        assert not learned.alarms


@pytest.mark.parametrize(
    "cells",
    [
        [f"{number}{'AB'[number % 2]}" for number in WHOLE],  # house numbers
        [f"C{number}" for number in WHOLE],
        [f"{number % 15} kg" for number in WHOLE],  # few enough to be classes
    ],
)
def test_letters_beside_figures_are_mostly_no_unit(lab: Lab, cells: list[str]) -> None:
    assert lab.learn(frame(x=cells, target=WHOLE)).rows["x"].tolist() == cells


# --- a decimal sign that no cell proves

GROUPED = [f"{number // 100}.{number % 100:02}0" for number in range(4530, 4530 + ROWS)]


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
@pytest.mark.parametrize("sign", [".", ","])
def test_decimals_that_may_be_thousands_are_an_alarm(
    lab: Lab, caplog: pytest.LogCaptureFixture, name: str, sign: str
) -> None:
    caplog.set_level("INFO")
    table = frame(people=[cell.replace(".", sign) for cell in GROUPED], target=WHOLE)
    content = lines("people;target", table["people"], WHOLE) if name.endswith("csv") else table

    learned = lab.learn(content, name)

    thousands = sign == "," and name.endswith("parquet")  # which only text with points for decimals would not be
    assert learned.rows["people"][0] == (45300.0 if thousands else 45.3)
    assert any("'people'" in alarm and "data.read.decimal" in alarm for alarm in learned.alarms) is not thousands
    if name.endswith("csv"):
        assert f"decimal sign {sign!r} (assumed)" in caplog.text
    for decimal in (".", ","):
        lab.settings["data"] |= {"read": {"decimal": decimal}}
        overruled = lab.learn(content, name)
        assert overruled.rows["people"][0] == (45.3 if decimal == sign else 45300.0)
        assert not overruled.alarms


@pytest.mark.parametrize(
    ("cells", "beside"),
    [
        (GROUPED, [0.5] * ROWS),  # the file proves it
        ([f"{number / 1000:.3f}" for number in range(700, 700 + ROWS)], WHOLE),  # 0.700 is no thousand
        ([str(float(cell)) for cell in GROUPED], WHOLE),  # as programs write decimals
        ([f"{number / 100:.2f}" for number in range(4530, 4530 + ROWS)], WHOLE),
    ],
)
def test_ordinary_decimals_are_no_alarm(lab: Lab, cells: list[str], beside: Any) -> None:
    assert not lab.learn(lines("x;y;target", cells, beside, WHOLE)).alarms
