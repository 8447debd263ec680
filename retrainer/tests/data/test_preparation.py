"""What is learned from, and what features.py may and may not return."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrainer.data import (
    Contract,
    FeatureCode,
    FeaturesError,
    Table,
    inputs,
    prepare,
)
from retrainer.data._checks import InfiniteValuesError
from retrainer.errors import ConfigurationError
from retrainer.settings import Settings

from ..conftest import PROJECT, load_settings

ROWS = 40


def code(label: str = "frame", features: str = "frame") -> FeatureCode:
    """Return a features.py whose functions return these expressions."""
    return FeatureCode(
        f"import pandas as pd\n\n\ndef label(frame):\n    return {label}\n\n\n"
        f"def features(frame):\n    return {features}\n",
        project=PROJECT,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Settings]:
    """Return settings whose target is `target`, for a type of problem."""
    return lambda problem_type: load_settings(
        root=tmp_path, problem_type=problem_type, data={"source": "sample", "target": "target"}
    )


def table(target: Any, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": [row * 0.5 for row in range(ROWS)], "target": target} | columns)


@pytest.fixture
def prepared(settings: Callable[[str], Settings]) -> Table:
    """A table of one input, labelled."""
    return prepare(table([0, 1] * 20), settings=settings("classification"), code=code())


@pytest.mark.parametrize(
    ("target", "problem_type", "expected"),
    [
        pytest.param([" yes", "no ", "?", "yes"] * 10, "classification", ["yes", "no", "yes"], id="text with spaces"),
        pytest.param([1.0, 2.0, None, 1.0] * 10, "classification", [1, 2, 1], id="whole numbers with gaps"),
        pytest.param([True, False, None, True] * 10, "classification", [True, False, True], id="booleans with gaps"),
        pytest.param(["TRUE", "FALSE", "", "true"] * 10, "classification", [True, False, True], id="booleans as text"),
        pytest.param(pd.Categorical(["a", "b", None, "a"] * 10), "classification", ["a", "b", "a"], id="category"),
        pytest.param(["1.5", " 2", "", "3"] * 10, "regression", [1.5, 2, 3], id="numbers as text"),
        pytest.param(pd.array([1, 2, None, 3] * 10, dtype="Int64"), "regression", [1, 2, 3], id="nullable"),
    ],
)
def test_rows_without_a_target_are_dropped_and_counted(
    settings: Callable[[str], Settings],
    target: Any,
    problem_type: str,
    expected: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = table(target).set_axis([7] * ROWS)

    rows = prepare(frame, settings=settings(problem_type), code=code()).rows

    assert rows["target"].tolist() == expected * 10
    assert rows["x"].tolist()[:4] == [0, 0.5, 1.5, 2]
    assert "10 of 40 rows are without a value in 'target'" in caplog.text
    assert frame.shape == (ROWS, 2)


def test_the_target_may_be_derived_and_what_label_drops_is_no_input(
    settings: Callable[[str], Settings],
) -> None:
    frame = table(0, known_afterwards=1.0).drop(columns="target")
    derive = "frame.assign(target=frame['x'] * 2).query('x > 2').drop(columns='known_afterwards')"

    found = prepare(frame, settings=settings("regression"), code=code(label=derive))

    assert len(found.rows) == len(found.identities) == ROWS - 5
    assert found.rows["target"].tolist() == (found.rows["x"] * 2).tolist()
    assert found.contract.inputs == ("x",)


def test_columns_are_left_out_by_a_setting_which_label_still_sees(
    settings: Callable[[str], Settings], caplog: pytest.LogCaptureFixture
) -> None:
    frame = table([0, 1] * 20, leak=[float(row % 2) for row in range(ROWS)])
    whole = prepare(frame, settings=settings("classification"), code=code())
    chosen = settings("classification")
    chosen = chosen.model_copy(update={"data": chosen.data.model_copy(update={"drop": ("leak", "misspelled")})})

    found = prepare(frame, settings=chosen, code=code(label="frame.assign(target=frame['leak'])"), prior=whole.contract)

    assert found.contract.inputs == ("x",)
    assert found.rows["target"].tolist() == [0, 1] * 20
    assert "features() no longer gets: 'leak'." in caplog.text
    assert "data.drop names 'misspelled'" in caplog.text


@pytest.mark.parametrize("setting", ["drop", "keep"])
def test_a_name_that_is_nearly_a_column_s_is_refused(settings: Callable[[str], Settings], setting: str) -> None:
    chosen = settings("classification")
    chosen = chosen.model_copy(update={"data": chosen.data.model_copy(update={setting: ("chrage",)})})

    with pytest.raises(ConfigurationError, match=rf"data\.{setting} names 'chrage'.* Did you mean 'charge'\?"):
        prepare(table([0, 1] * 20, charge=[1.0] * ROWS), settings=chosen, code=code())


def test_features_never_see_the_target(prepared: Table) -> None:
    seen = "(_ for _ in ()).throw(LookupError(list(frame)))"

    with pytest.raises(FeaturesError, match=r"LookupError: \['x'\]"):
        inputs(prepared.rows, contract=prepared.contract, code=code(features=seen))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("frame[1:]", "made 39 rows of 40"),
        ("frame.assign(target=1)", "returned the target column 'target'"),
        ("frame[[]]", "returned no columns"),
        ("frame['x']", "must return a DataFrame, not Series"),
        ("None", "must return a DataFrame, not NoneType"),
        (
            "frame['absent']",
            r"line 9 failed: KeyError: 'absent'\n    return frame\['absent'\]\nfeatures\(\) gets the columns 'x', with",
        ),
    ],
)
def test_what_features_may_not_return(prepared: Table, features: str, message: str) -> None:
    with pytest.raises(FeaturesError, match=rf"features\.py,? {message}"):
        inputs(prepared.rows, contract=prepared.contract, code=code(features=features))


def test_infinite_features_are_named_and_counted(prepared: Table) -> None:
    with pytest.raises(InfiniteValuesError, match=r"'ratio' \(1 of 40 rows\)"):
        inputs(
            prepared.rows,
            contract=prepared.contract,
            code=code(features="frame.assign(ratio=1 / frame['x'], y=float('nan'))"),
        )


def test_a_contract_survives_json(prepared: Table) -> None:
    assert Contract.from_json(prepared.contract.to_json()) == prepared.contract
