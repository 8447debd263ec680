"""Files as people have them: what is written, in whatever habit, and what must be read.

The truth is made first, then written; it is never what the code itself reads.
"""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from retrainer.data import Contract, FeatureCode, Table, batches, fetch, load, prepare
from retrainer.data._contract import learn_columns
from retrainer.data._tables import read
from retrainer.project import Project
from retrainer.settings import Settings

ROWS = 60
CODE = "def label(frame):\n    return frame\n\n\ndef features(frame):\n    return frame\n"

Prepare = Callable[..., Table]


@pytest.fixture
def learn(settings: Settings, project: Project, tmp_path: Path) -> Prepare:
    """Return what writes a file, and learns it as a retraining does."""

    def learned(content: str | bytes | pd.DataFrame, *, prior: Contract | None = None, **changes: Any) -> Table:
        path = tmp_path / "table"
        write(content, path)
        data = settings.data.model_copy(update={"target": "target", **changes})
        changed = settings.model_copy(update={"data": data, "problem_type": "classification"})
        snapshot = fetch(str(path), settings=changed)
        frame = load(snapshot, texts=prior.texts if prior else ())
        return prepare(frame, settings=changed, code=FeatureCode(CODE, project=project), prior=prior)

    return learned


def write(content: str | bytes | pd.DataFrame, path: Path) -> None:
    if isinstance(content, pd.DataFrame):
        content.to_parquet(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def scored(contract: Contract, path: Path, *, rows: int = 7) -> pd.DataFrame:
    """Read a file as scoring does."""
    return pd.concat([contract.read(part) for part in batches([path], rows=rows, texts=contract.texts)])


def csv(columns: dict[str, list[str]], separator: str = ";") -> str:
    names = [*columns, "target"]
    rows = zip(*columns.values(), ("yes" if row % 2 else "no" for row in range(ROWS)), strict=True)
    return "\n".join(separator.join(record) for record in (names, *rows)) + "\n"


def german(numbers: Any, digits: int = 3) -> list[str]:
    return [f"{number:,.{digits}f}".translate(str.maketrans(",.", ".,")) for number in numbers]


def english(numbers: Any, digits: int = 3) -> list[str]:
    return [f"{number:.{digits}f}" for number in numbers]


AMOUNTS = np.random.default_rng(0).uniform(1000, 9999, ROWS).round(3)
SMALL = np.random.default_rng(1).uniform(90, 99, ROWS).round(1)


@pytest.mark.parametrize("trained", [german, english])
def test_a_german_and_an_english_export_of_the_same_rows(
    learn: Prepare, tmp_path: Path, trained: Callable[[Any], list[str]]
) -> None:
    contract = learn(csv({"amount": trained(AMOUNTS)})).contract

    for number, written in enumerate((german, english)):
        path = tmp_path / f"{number}.csv"
        path.write_text(csv({"amount": written(AMOUNTS)}))
        assert scored(contract, path)["amount"].tolist() == AMOUNTS.tolist()
        pd.DataFrame({"amount": written(AMOUNTS)}).to_parquet(path)
        assert scored(contract, path)["amount"].tolist() == AMOUNTS.tolist()
        assert learn(csv({"amount": written(AMOUNTS)}), prior=contract).rows["amount"].tolist() == AMOUNTS.tolist()


def test_one_column_proves_the_decimal_sign_of_the_others(learn: Prepare) -> None:
    thousands = [f"{number // 1000}.{number % 1000:03}" for number in range(1006, 1006 + ROWS)]

    rows = learn(csv({"people": thousands, "share": german(SMALL, 1)})).rows

    assert rows["people"].tolist() == list(range(1006, 1006 + ROWS))
    assert rows["share"].tolist() == SMALL.tolist()


@pytest.mark.parametrize("first", [0, 59], ids=["at the beginning", "later"])
def test_two_points_in_a_number_are_no_decimal_sign(learn: Prepare, first: int) -> None:
    numbers = [8483 + row for row in range(ROWS)]
    numbers[first] = 1234567

    rows = learn(csv({"people": [f"{number:,}".replace(",", ".") for number in numbers]})).rows

    assert rows["people"].tolist() == numbers


def test_two_points_beyond_the_sample_are_no_decimal_sign_either(learn: Prepare) -> None:
    numbers = [*range(8000, 9000), 1234567]
    lines = [f"{number:,};{number:,};{number % 2}".replace(",", ".") for number in numbers[:-1]]

    rows = learn("\n".join(["people;other;target", *lines, "1.234.567;8.483;1"])).rows

    assert rows["people"].tolist() == numbers
    assert rows["other"].tolist() == [*numbers[:-1], 8483]


def test_files_of_one_source_may_differ_in_their_decimal_sign(learn: Prepare, tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "a.csv").write_text(csv({"amount": german(AMOUNTS)}))
    (tmp_path / "table" / "b.csv").write_text(csv({"amount": english(AMOUNTS)}, ","))

    _, rows, _ = learn_columns(read(sorted((tmp_path / "table").iterdir())), tolerance=0.01)

    assert rows["amount"].tolist() == [*AMOUNTS, *AMOUNTS]


SPELLINGS: dict[str, Callable[[float], str]] = {
    "brackets": lambda x: f"({-x:,.2f})" if x < 0 else f"{x:,.2f}",
    "minus behind": lambda x: f"{-x:.2f}-" if x < 0 else f"{x:.2f}",
    "Swiss": lambda x: f"CHF {x:,.2f}".replace(",", "'"),
    "Swiss, typographic": lambda x: f"{x:,.2f}".replace(",", "\u2019"),
    "French": lambda x: f"{x:,.2f} €".replace(",", "\u202f").replace(".", ","),
    "Polish": lambda x: f"{x:,.2f} zł".replace(",", "\u00a0").replace(".", ","),
    "Swedish": lambda x: f"{x:,.2f} kr".replace(",", " ").replace(".", ",").replace("-", "\u2212"),
    "Brazilian": lambda x: "R$ " + f"{x:,.2f}".translate(str.maketrans(",.", ".,")),
    "American": lambda x: f"${x:,.2f}" if x >= 0 else f"-${-x:,.2f}",
    "Indian": lambda x: f"₹{indian(x)}",
}


def indian(number: float) -> str:
    whole, cents = f"{abs(number):.2f}".split(".")
    head, tail = whole[:-3], whole[-3:]
    groups = []
    while head:
        head, group = head[:-2], head[-2:]
        groups.insert(0, group)
    return ("-" if number < 0 else "") + ",".join([*groups, tail]) + f".{cents}"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("separator", ["\t", ";"])
def test_sums_of_money_are_numbers_and_name_no_row(learn: Prepare, spelling: str, separator: str) -> None:
    numbers = np.random.default_rng(2).normal(0, 1_000_000, ROWS).round(2)

    table = learn(csv({"amount": [SPELLINGS[spelling](number) for number in numbers]}, separator))

    assert table.rows["amount"].tolist() == numbers.tolist()
    assert table.contract.identity_from == "content"


@pytest.mark.parametrize("word", ["None", "NA", "-"])
def test_a_frequent_word_of_missingness_is_a_class(learn: Prepare, caplog: pytest.LogCaptureFixture, word: str) -> None:
    classes = [(word, "Insomnia", "Apnea")[row % 3] for row in range(ROWS)]
    text = "\n".join(["x,target", *(f"{row},{name}" for row, name in enumerate(classes))])

    assert learn(text).rows["target"].tolist() == classes
    assert any(repr(word) in line and "data.read.missing" in line for line in caplog.messages)
    read = Settings.model_fields["data"].annotation.model_fields["read"].default.model_copy(update={"missing": (word,)})
    assert len(learn(text, read=read).rows) == 40


def test_the_word_for_missing_numbers_is_no_class(learn: Prepare) -> None:
    lines = [f"{'NA' if row % 5 == 0 else row},{('a', 'b', 'NA')[row % 3]}" for row in range(ROWS)]

    assert len(learn("\n".join(["x,target", *lines])).rows) == 40


def test_no_garage_is_a_kind_of_garage_in_any_file(learn: Prepare, tmp_path: Path) -> None:
    garages = [("NA", "attached", "detached")[row % 3] for row in range(ROWS)]
    table = learn(csv({"garage": garages}))

    assert table.rows["garage"].tolist() == garages
    contract = Contract.from_json(table.contract.to_json())
    for name in ("again.csv", "again.parquet"):
        few = pd.DataFrame({"garage": ["NA", "attached"], "target": "yes"})
        few.to_csv(tmp_path / name, index=False) if name.endswith("csv") else few.to_parquet(tmp_path / name)
        assert scored(contract, tmp_path / name)["garage"].tolist() == ["NA", "attached"]


@pytest.mark.parametrize(
    ("cells", "rows"),
    [
        (['27" flat', "tv"], ['27" flat', "tv"]),
        (['27" flat', '28" tv'], ['27" flat', '28" tv']),
        (['27" flat', '"two\nlines"'], ['27" flat', "two\nlines"]),
        (['"say ""hi"", Joe"', 'x"'], ['say "hi", Joe', 'x"']),
        (['"a;b"', "5'11\""], ["a;b", "5'11\""]),
    ],
)
def test_quotes_count_at_the_start_of_a_field(learn: Prepare, cells: list[str], rows: list[str]) -> None:
    sizes = [cells[row % 2] for row in range(ROWS)]
    text = csv({"size": sizes, "n": list(map(str, range(ROWS)))})

    table = learn(text)

    assert table.rows["size"].tolist() == [rows[row % 2] for row in range(ROWS)]
    assert table.rows["n"].tolist() == list(range(ROWS))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", ["", "sep=;\n", "Sales of May\n\n", "Sales of May;;\nall shops;;\n"])
def test_lines_before_the_header_and_line_ends(learn: Prepare, before: str, line_end: str) -> None:
    text = before + csv({"city": ["Rome", "Oslo"] * 30, "amount": german(SMALL, 1)})

    table = learn(text.replace("\n", line_end))

    assert table.rows["amount"].tolist() == SMALL.tolist()
    assert table.rows["city"].tolist() == ["Rome", "Oslo"] * 30


SIGNS = st.sampled_from([(",", "."), (".", ","), (" ", ","), ("\u00a0", ","), ("'", "."), ("", "."), ("", ",")])


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    signs=st.tuples(SIGNS, st.sampled_from("\t;|")),
    columns=st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.integers(-(10**9), 10**9), min_size=ROWS, max_size=ROWS)),
        min_size=1,
        max_size=4,
    ),
)
def test_numbers_are_what_they_were_made_from(
    tmp_path_factory: pytest.TempPathFactory, signs: Any, columns: Any
) -> None:
    """Files in which a column proves the sign: its numbers have two digits behind it."""
    (thousands, decimal), separator = signs
    truth = {f"c{i}": [number / 10**digits for number in numbers] for i, (digits, numbers) in enumerate(columns)}
    truth["proof"] = [row + 0.25 for row in range(ROWS)]
    digits = [digits for digits, _ in columns] + [2]

    def spell(number: float, digits: int) -> str:
        return f"{number:,.{digits}f}".translate(str.maketrans({",": thousands, ".": decimal}))

    path = tmp_path_factory.mktemp("dialect") / "table.csv"
    written = {
        name: [spell(number, places) for number in numbers]
        for (name, numbers), places in zip(truth.items(), digits, strict=True)
    }
    path.write_text(csv(written, separator), encoding="utf-8")

    _, rows, _ = learn_columns(read([path]), tolerance=0.01)

    for name, numbers in truth.items():
        np.testing.assert_allclose(rows[name].to_numpy(dtype=float), numbers, rtol=1e-15)


@pytest.mark.parametrize(
    "written",
    ["%d/%m/%y", "%d/%m/%Y", "%d-%m-%y", "%d.%m.%y", "%d-%b-%y", "%d-%b-%Y", "%d %b %y", "%Y%m%dT%H%M%S"],
)
@pytest.mark.parametrize("days", [12, 28], ids=["could be months", "could not"])
def test_dates_are_day_first_however_short(learn: Prepare, written: str, days: int) -> None:
    dates = [datetime.datetime(2024 - row % 3, 1 + row % 12, 1 + row % days) for row in range(ROWS)]

    rows = learn(csv({"day": [day.strftime(written) for day in dates]})).rows

    assert rows["day"].tolist() == dates
