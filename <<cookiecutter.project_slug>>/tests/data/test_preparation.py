"""What is learned from, and what features.py may and may not return."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from << cookiecutter.package_name >> import features
from << cookiecutter.package_name >>.data import _preparation
from << cookiecutter.package_name >>.data._preparation import FeaturesError
from << cookiecutter.package_name >>.data._validation import InfiniteValuesError
from << cookiecutter.package_name >>.settings import Settings, load_settings

ROWS = 40


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Settings]:
    """Return settings whose target is `target`, for a type of problem."""
    return lambda problem_type: load_settings(
        root=tmp_path, problem_type=problem_type, data={"source": "sample", "target": "target"}
    )


def table(target: Any, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(ROWS) * 0.5, "target": target} | columns)


def test_as_they_stand_label_and_features_change_nothing() -> None:
    frame = table([0, 1] * 20)

    assert features.label(frame) is frame
    assert features.features(frame) is frame


@pytest.mark.parametrize(
    ("target", "problem_type", "expected"),
    [
        pytest.param(
            [" yes", "no ", "?", "yes"] * 10, "classification", ["yes", "no", "yes"], id="text with spaces"
        ),
        pytest.param([1.0, 2.0, None, 1.0] * 10, "classification", [1, 2, 1], id="whole numbers with gaps"),
        pytest.param(
            [True, False, None, True] * 10, "classification", [True, False, True], id="booleans with gaps"
        ),
        pytest.param(
            pd.Categorical(["a", "b", None, "a"] * 10), "classification", ["a", "b", "a"], id="category"
        ),
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

    rows = _preparation.labelled(frame, settings=settings(problem_type))

    assert rows["target"].tolist() == expected * 10
    assert rows["x"].tolist()[:4] == [0, 0.5, 1.5, 2]
    assert "10 of 40 rows are without a value in 'target'" in caplog.text
    assert frame.shape == (ROWS, 2)
    assert len(frame["target"]) == ROWS


def test_the_target_may_be_derived(
    settings: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "label", lambda frame: frame.assign(target=frame["x"] * 2).query("x > 2"))

    rows = _preparation.labelled(table(0).drop(columns="target"), settings=settings("regression"))

    assert len(rows) == ROWS - 5
    assert rows["target"].tolist() == (rows["x"] * 2).tolist()


def test_features_never_see_the_target_in_training_or_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(features, "features", lambda frame: seen.append(list(frame)) or frame)

    for frame in (table(1), table(1).drop(columns="target")):
        _preparation.inputs(frame, target="target")

    assert seen == [["x"], ["x"]]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda frame: frame[1:], "made 39 rows of 40"),
        (lambda frame: frame.assign(target=1), "returned the target column 'target'"),
        (lambda frame: frame[[]], "returned no columns"),
        (lambda frame: frame["x"], "must return a DataFrame, not Series"),
        (lambda frame: None, "must return a DataFrame, not NoneType"),
    ],
)
def test_what_features_may_not_return(
    function: Callable[[pd.DataFrame], Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "features", function)

    with pytest.raises(FeaturesError, match=rf"features\.py {message}"):
        _preparation.inputs(table(1), target="target")


def test_infinite_features_are_named_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "features", lambda frame: frame.assign(ratio=1 / frame["x"], y=np.nan))

    with pytest.raises(InfiniteValuesError, match=r"'ratio' \(1 of 40 rows\)"):
        _preparation.inputs(table(1), target="target")
