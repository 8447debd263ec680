"""Candidates are compared on a sample; trees get what repeats in a time; a leak is found in a column of many values."""

import logging

import numpy as np
import pandas as pd
import pytest

from retrainer import pipeline
from retrainer.project import Project
from retrainer.settings import Settings
from retrainer.training import TableCleaner, TreeEncoder, leaking_columns

from ..conftest import now, use


@pytest.fixture
def side(settings: Settings, project: Project) -> pipeline.SplitSide:
    from retrainer import data

    snapshot = data.fetch(settings.data.source, settings=settings)
    return pipeline.split(pipeline.preprocess(snapshot, project=project), project=project)[0]


def test_several_candidates_are_compared_on_a_sample(
    side: pipeline.SplitSide, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, ESTIMATORS='["linear", "random_forest"]', COMPARED_ROWS="100")

    with caplog.at_level(logging.INFO):
        names = pipeline.candidates(side, project=now())
    part, again = (pipeline.fold_inputs(side, project=now()) for _ in range(2))

    assert names == ("linear", "random_forest")
    assert f"linear, random_forest are compared on 100 of {len(side.rows)} training rows" in caplog.text
    assert 100 <= len(part.X) == len(part.y) <= 110
    pd.testing.assert_frame_equal(part.X, again.X)


def test_one_candidate_sees_all_rows(side: pipeline.SplitSide, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, COMPARED_ROWS="100")

    assert len(pipeline.fold_inputs(side, project=now()).X) == len(side.rows)


def test_trees_get_what_repeats_in_a_time() -> None:
    X = pd.DataFrame(
        {"when": pd.date_range("2026-01-01", periods=40, freq="7h"), "age.seconds": np.arange(40.0) ** 1.5}
    )
    clean = TableCleaner().fit_transform(X)
    encoder = TreeEncoder(random_state=0).fit(clean, np.arange(40) % 2)

    columns = list(encoder.transform(clean).columns)

    assert "when.seconds" in clean
    assert columns == ["when.year", "when.month", "when.day", "when.weekday", "when.hour", "age.seconds"]


@pytest.mark.parametrize("as_number", [False, True])
def test_a_column_of_eighty_values_that_gives_the_target_away(as_number: bool) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(80, size=4000)
    hidden = rng.permutation(80) % 2
    column = codes.astype(float) if as_number else np.char.add("branch ", codes.astype(str))
    X = pd.DataFrame({"branch": column, "x": rng.normal(size=4000)})

    found = leaking_columns(X, pd.Series(hidden[codes]), problem_type="classification", seed=0)

    (alarm,) = found
    assert "'branch' by itself explains 100%" in alarm
    assert leaking_columns(X, pd.Series(rng.integers(2, size=4000)), problem_type="classification", seed=0) == []
