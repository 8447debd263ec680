"""The contract: what reading through it promises, in batches and at once, and what it refuses."""

import json
import logging
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrainer.data import Contract, ContractError, ReadReport, SchemaError
from retrainer.data._columns import Column
from retrainer.data._contract import Unread, identity_of, learn_columns
from retrainer.data._numbers import SIGNS_ATTRIBUTE

ROWS = 40
INPUTS = ("amount", "plan", "since", "vip")


def table(rows: int = ROWS) -> pd.DataFrame:
    """Return a table as a file of text has it, one column of each kind."""
    return pd.DataFrame(
        {
            "amount": [f"{row}.5" for row in range(rows)],
            "plan": [("basic", "plus")[row % 2] for row in range(rows)],
            "since": [f"{row % 28 + 1:02}/01/2026" for row in range(rows)],
            "vip": [("true", "false")[row % 2] for row in range(rows)],
            "gone": [None] * rows,
            "target": [("no", "yes")[row % 2] for row in range(rows)],
        }
    )


def learned(frame: pd.DataFrame | None = None, **changes: Any) -> Contract:
    """Return the contract of a table."""
    columns, _, _ = learn_columns(table() if frame is None else frame, tolerance=0.05)
    facts = {"inputs": INPUTS, "target": "target", "problem_type": "classification", "tolerance": 0.05}
    return Contract(**{"columns": columns} | facts | changes)


def later(rows: int = ROWS) -> pd.DataFrame:
    """Return a later table: cells that are missing or cannot be read in either half, and what training did not have."""
    frame = table(rows).drop(columns=["gone", "target"])
    frame.loc[[2, 3, 25], "amount"] = None
    frame.loc[[5, 30], "amount"] = ["n.a.", "unknown"]
    frame.loc[[1, 35], "since"] = [None, "soon"]
    frame.loc[7, "vip"] = "perhaps"
    frame.loc[[4, 33, 34], "plan"] = ["pro", "pro", "max"]
    return frame.assign(colour="red")


EXPECTED = ReadReport(
    rows=40,
    unread={
        "amount": Unread(2, 37, "n.a.", 6),
        "since": Unread(1, 39, "soon", 36),
        "vip": Unread(1, 40, "perhaps", 8),
    },
    missing={"amount": 3, "plan": 0, "since": 1, "vip": 0},
    new_categories={"plan": {"pro": 2, "max": 1}},
    new_columns=["colour"],
)


def test_each_kind_is_read_in_the_form_of_training() -> None:
    read = learned().read(table())

    assert list(read.columns) == list(INPUTS)
    assert [str(dtype) for dtype in read.dtypes] == ["float64", "str", "datetime64[us]", "boolean"]
    assert read.iloc[1].tolist() == [1.5, "plus", pd.Timestamp("2026-01-02"), False]


def test_what_is_noticed_is_counted() -> None:
    report = ReadReport()
    learned().read(later(), report=report)

    assert report == EXPECTED


@pytest.mark.parametrize("kind", ["float64", "float32", "Float64", "int64", "object"])
@pytest.mark.parametrize("rows", [1, 7, 1001])
def test_numbers_at_once_are_read_as_one_column_after_the_other(kind: str, rows: int) -> None:
    numbers = pd.DataFrame(np.arange(3.0 * rows).reshape(-1, 3) / 10, columns=["a", "b", "c"])
    contract = learned(numbers, inputs=("a", "b", "c"))
    frame = numbers.assign(a=(numbers["a"] * (10 if kind == "int64" else 1)).astype(kind))
    frame.loc[0, "c"] = math.nan
    frame.index += 3
    at_once, in_turn = ReadReport(), ReadReport()

    read = contract.read(frame, report=at_once)

    pd.testing.assert_frame_equal(read, contract.read(frame[["c", "b", "a"]], report=in_turn), check_exact=True)
    assert at_once == in_turn
    assert at_once.missing == {"a": 0, "b": 0, "c": 1}


def test_numbers_in_a_column_of_codes_are_codes() -> None:
    numbers = pd.DataFrame({"a": [7.0, math.nan], "b": [1.5, 2.5]})
    columns = {"a": Column("text"), "b": Column("number")}

    read = learned(numbers, inputs=("a", "b"), columns=columns).read(numbers)

    assert [str(dtype) for dtype in read.dtypes] == ["str", "float64"]
    assert read["a"][0] == "7"


@pytest.mark.parametrize("size", [1, 6, 20, 36])
def test_batches_are_counted_as_the_whole_is(size: int) -> None:
    contract, frame = learned(), later()
    batches = [frame[at : at + size] for at in range(0, ROWS, size)]
    one, sum_of_many = ReadReport(), ReadReport()

    parts = [contract.read(batch, report=one) for batch in batches]
    for batch in batches:
        contract.read(batch, report=(many := ReadReport()))
        sum_of_many.add(many)

    assert one == sum_of_many == EXPECTED
    pd.testing.assert_frame_equal(pd.concat(parts), contract.read(frame))


def test_the_file_decides_on_decimal_commas() -> None:
    frame = table().assign(amount="1,234")
    frame.attrs[SIGNS_ATTRIBUTE] = {"": ","}

    columns, read, _ = learn_columns(frame, tolerance=0.05)

    assert read["amount"][0] == 1.234
    assert learned().read(frame)["amount"][0] == 1.234
    assert learned().read(frame.assign(plan="1,5"))["plan"][0] == "1,5"
    assert learned(frame).read(table().assign(amount="5,25"))["amount"][0] == 5.25
    assert "amount" in Contract(columns, INPUTS, "target", "classification").texts


def test_the_other_columns_come_too_if_asked_for() -> None:
    contract = learned()
    frame = table().assign(colour=7)[["colour", "target", *INPUTS]]

    read = contract.read(frame, keep_extra=True)

    assert list(read.columns) == [*INPUTS, "colour", "target"]
    assert read["colour"].tolist() == [7] * ROWS
    assert read["target"].dtype == "str"
    report = ReadReport()
    contract.read(frame, report=report, keep_extra=True)
    assert set(report.missing) == set(INPUTS)


def test_every_missing_column_is_named_with_what_was_expected() -> None:
    contract = learned()
    frame = table().drop(columns=["amount", "since", "vip"]).assign(amounts=1.5, target="no")

    with pytest.raises(SchemaError) as error:
        contract.read(frame)

    assert str(error.value).splitlines() == [
        "The table does not match the training data:",
        "  column 'amount' is missing (a number such as '0.5'); was it renamed to 'amounts'?",
        "  column 'since' is missing (a date such as '2026-01-01 00:00:00' written as %d/%m/%Y)",
        "  column 'vip' is missing (a boolean such as 'True')",
    ]


def test_a_column_that_was_empty_may_be_gone() -> None:
    contract = learned(inputs=(*INPUTS, "gone"))
    report = ReadReport()

    read = contract.read(table().drop(columns="gone"), report=report)

    assert read["gone"].isna().all()
    assert report.missing["gone"] == ROWS
    contract.check(report)


def counted(name: str = "amount", *, bad: int = 0, missing: int = 0, rows: int = 100) -> ReadReport:
    """Return what is noticed in a table in which some cells of one column are not there, or cannot be read."""
    known = rows - missing
    unread = {name: Unread(bad, known, "n.a.", 1_234)} if bad else {}
    return ReadReport(rows=rows, unread=unread, missing={name: missing})


def test_cells_that_cannot_be_read_are_tolerated_up_to_a_share(caplog: pytest.LogCaptureFixture) -> None:
    contract = learned()
    contract.check(counted(bad=5))
    assert list(dict.fromkeys(caplog.messages)) == [
        "Column 'amount': 5 of 100 cells cannot be read as a number, such as 'n.a.' (row 1,234): treated as missing."
    ]
    with pytest.raises(SchemaError) as error:
        contract.check(counted("since", bad=6), counted="line")

    assert str(error.value).splitlines() == [
        "The table does not match the training data:",
        "  column 'since': expected a date such as '2026-01-01 00:00:00' written as %d/%m/%Y, but 6 of 100 cells cannot"
        " be read as that, such as 'n.a.' (line 1,234). If that means a missing value, add it to data.read.missing and"
        " retrain",
    ]
    with pytest.raises(SchemaError, match=r"\(row 1,234\)"):
        contract.check(counted(bad=6))


def test_of_a_beginning_only_what_more_rows_could_not_cure_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    contract = learned()
    contract.check(counted(bad=10), rows=200)  # 10 of 200 cells are within the share
    contract.check(counted(missing=100), rows=101)
    contract.check(replace(counted(), new_categories={"plan": {"pro": 1}}), rows=101)
    assert list(dict.fromkeys(caplog.messages)) == []
    for rows, known in ((199, "the first 100"), (100, "100"), (50, "100"), (None, "100")):
        with pytest.raises(SchemaError, match=f"10 of {known} cells"):
            contract.check(counted(bad=10), rows=rows)
    with pytest.raises(SchemaError, match="have no value"):
        contract.check(counted(missing=100), rows=100)


@pytest.mark.parametrize(
    ("missing", "rows", "fits"),
    [(39, 100, True), (40, 100, False), (100, 100, False), (29, 29, True), (30, 30, False), (12, 40, True)],
)
def test_a_column_is_not_emptier_by_30_points(missing: int, rows: int, fits: bool) -> None:
    """In training a tenth of it was missing; fewer than 30 rows say nothing about a share."""
    columns = learned().columns
    contract = learned(inputs=("plan",))
    columns["plan"] = replace(columns["plan"], missing=0.1)
    contract = replace(contract, columns=columns)

    if fits:
        contract.check(counted("plan", missing=missing, rows=rows))
        return
    share = f"{missing / rows:.0%} of {rows} rows have no value, 10% in training"
    with pytest.raises(SchemaError, match=f"column 'plan': {share}"):
        contract.check(counted("plan", missing=missing, rows=rows))


def test_an_empty_table_fits() -> None:
    contract, report = learned(), ReadReport()

    assert len(contract.read(table().head(0), report=report)) == 0
    contract.check(report)


def test_categories_that_training_did_not_have_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    contract = learned()
    report = ReadReport(rows=9, new_categories={"plan": {"pro": 2, "max": 1}, "area": {"north": 4}})
    contract.check(report)

    assert list(dict.fromkeys(caplog.messages)) == [
        "Categories that were not in the training data, read as missing: "
        "plan (3 rows, such as 'pro'), area (4 rows, such as 'north')"
    ]


def test_rows_are_told_apart_by_their_identifier_or_by_all_inputs() -> None:
    frame = table()
    whole, by_plan = learned(), learned(identity=("plan",), identity_from="identifier")
    read = whole.read(frame)
    changed = read.assign(amount=read["amount"] + 1)

    assert len(set(whole.identities(read))) == ROWS
    assert (whole.identities(read) != whole.identities(changed)).all()
    assert len(set(by_plan.identities(read))) == 2
    assert (by_plan.identities(read) == by_plan.identities(changed)).all()
    without = read.assign(plan=pd.Series([None] * ROWS, dtype="str"))
    assert len(set(by_plan.identities(without))) == ROWS
    assert (whole.identifiers, by_plan.identifiers) == ((), ("plan",))
    assert learned(identity=("plan",), identity_from="keys").identifiers == ("plan",)
    assert learned(identity=("plan",)).identifiers == ()


def test_a_contract_survives_being_saved() -> None:
    contract = learned(
        table().assign(amount=["1.234,50", *["7"] * 39], size=[*range(39), math.inf]),
        classes=("no", "yes"),
        identity=("plan",),
        identity_from="keys",
        tolerance=0.2,
        features_sha256="abc",
        imports={"helpers": "def"},
    )
    assert contract.columns["size"].maximum == math.inf

    saved = contract.to_json()

    size = replace(contract.columns["size"], maximum=None)
    assert Contract.from_json(saved) == replace(contract, columns=contract.columns | {"size": size})
    assert Contract.from_json(saved.encode()).read(table())["amount"][1] == 1.5
    assert Contract.from_json(learned().to_json()) == learned()
    assert Contract.from_json(learned(problem_type="regression").to_json()).classes is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "its format is 2.2"),
        ({"identity_format": 1}, "its format is 1.1"),
        ({"columns": {"a": {}}}, "'number_format'"),
        (
            {"columns": {"a": {"number_format": {"decimal": "."}, "categories": None, "b": 1}}},
            "unexpected keyword",
        ),
        ({"inputs": None}, "not iterable"),
    ],
)
def test_a_contract_of_another_release_is_refused(change: dict[str, Any], message: str) -> None:
    content = json.loads(learned().to_json()) | change

    with pytest.raises(ContractError, match=rf"cannot be read by this release: .*{message}.*\.$"):
        Contract.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_what_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        Contract.from_json(text)


def test_columns_are_learned_read_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    frame = table()
    frame.loc[8, "amount"] = "n.a."
    frame.loc[9, "amount"] = None
    frame.index = pd.Index(range(100, 140))

    columns, read, report = learn_columns(frame, tolerance=0.05)

    assert {name: column.kind for name, column in columns.items()} == {
        "amount": "number",
        "plan": "text",
        "since": "date",
        "vip": "boolean",
        "gone": "empty",
        "target": "text",
    }
    assert read["amount"].isna().sum() == 2
    assert read.index.tolist() == list(range(100, 140))
    assert report == ReadReport(
        rows=40,
        unread={"amount": Unread(1, 39, "n.a.", 9)},
        missing={"amount": 1, "plan": 0, "since": 0, "vip": 0, "gone": 40, "target": 0},
    )
    assert list(dict.fromkeys(caplog.messages)) == [
        "Column 'amount': 1 of 39 cells cannot be read as a number, such as 'n.a.' (row 9): treated as missing."
    ]


def test_columns_stay_what_they_were_for_the_model_in_production() -> None:
    codes = table().assign(plan=[f"E{row}" for row in range(ROWS)])
    numbers = table().assign(plan=[str(row) for row in range(ROWS)], colour="red")

    with_prior, read, report = learn_columns(numbers, tolerance=0.05, prior=learned(codes))
    without, _, _ = learn_columns(numbers, tolerance=0.05)

    assert (with_prior["plan"].kind, without["plan"].kind) == ("text", "number")
    assert read["plan"][3] == "3"
    assert with_prior["colour"].kind == "text"
    assert report.new_categories == {}  # they are known from now on


KEYED = pd.DataFrame(
    {
        "code": [f"A{row}" for row in range(ROWS)],
        "other": [f"B{row}" for row in range(ROWS)],
        "amount": np.arange(ROWS) % 7,
        "since": pd.date_range("2026-01-01", periods=ROWS),
    }
)


@pytest.mark.parametrize(
    ("inputs", "options", "expected"),
    [
        (("code", "amount"), {}, (("code",), "identifier")),
        (("amount", "code"), {}, (("code",), "identifier")),
        (("amount", "since"), {}, ((), "content")),
        (("code", "other"), {}, ((), "content")),
        (("code", "amount"), {"keys": ["amount"]}, (("amount",), "keys")),
        (("code",), {"keys": ["amount"], "time_column": "since"}, (("amount", "since"), "keys")),
        (("code",), {"keys": ["since"], "time_column": "since"}, (("since",), "keys")),
        (("code",), {"time_column": "since"}, (("code",), "identifier")),
        (("code", "other"), {"before": ("identifier", "other")}, (("other",), "identifier")),
        (("code", "amount"), {"before": ("identifier", "other")}, (("code",), "identifier")),
        (("code", "other"), {"before": ("keys", "other")}, ((), "content")),
    ],
)
def test_what_tells_a_row_from_others(
    inputs: tuple[str, ...], options: dict[str, Any], expected: tuple[tuple[str, ...], str]
) -> None:
    columns, read, _ = learn_columns(KEYED, tolerance=0.05)
    prior = None
    if before := options.pop("before", None):
        prior = Contract(columns, inputs, "target", "classification", identity=before[1:], identity_from=before[0])
    options = {"keys": (), "time_column": None} | options

    assert identity_of(read, columns, names=inputs, prior=prior, **options) == expected


def test_text_and_numbers_that_are_written_in_their_own_way_come_as_they_are_written() -> None:
    frame = table().assign(price=[f"1.{row:03},5" for row in range(ROWS)])

    assert learned(frame).texts == {"plan", "price", "target"}


def test_a_warning_names_no_more_than_it_knows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    report = ReadReport()
    contract = learned()
    contract.read(table(), report=report)
    contract.check(report)

    assert list(dict.fromkeys(caplog.messages)) == []


def test_a_column_without_an_example_is_described_by_its_kind() -> None:
    contract = learned()
    columns = contract.columns | {"plan": Column("text")}

    with pytest.raises(SchemaError, match=r"column 'plan' is missing \(text\)"):
        replace(contract, columns=columns).read(table().drop(columns="plan"))


def test_an_error_over_thousands_of_columns_is_short() -> None:
    columns = {f"c{number}": Column("number") for number in range(4000)}
    contract = Contract(columns, tuple(columns), "target", "regression")

    with pytest.raises(SchemaError) as raised:
        contract.read(pd.DataFrame({"other": [1.0]}))

    assert len(str(raised.value)) < 2000
    assert "'c9'" in str(raised.value)
    assert "and 3,990 more columns" in str(raised.value)
