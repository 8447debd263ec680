"""params.toml: written for a person, used by a retrain, and refused where it does not fit."""

import tomllib
from pathlib import Path

import pytest

from retrainer import tuning
from retrainer.errors import ConfigurationError
from retrainer.pipeline import check
from retrainer.training import FoldInputs, make_pipeline

from ..conftest import PROJECT, now
from .conftest import search

pytestmark = pytest.mark.parametrize("settings", ["regression"], indirect=True)


def found(**parameters: object) -> tuning.Found:
    return tuning.Found("linear", "c0ffee", "rmse", 2.0, 1.0, parameters, (), {})


def test_a_proposal_is_a_difference_and_keeps_what_was_there(inputs: FoldInputs) -> None:
    PROJECT.params_file.write_text('[random_forest.parameters]\nmodel__max_features = "sqrt"\n')

    shown = tuning.propose(found(model__alpha=2.5), project=now(), dry_run=True)
    assert "+model__alpha = 2.5\n" in shown["diff"]
    assert "model__alpha" not in PROJECT.params_file.read_text()

    facts = tuning.propose(found(model__alpha=2.5), project=now())
    written = tomllib.loads(PROJECT.params_file.read_text())
    assert facts["written"] == str(PROJECT.params_file)
    assert written["random_forest"]["parameters"] == {"model__max_features": "sqrt"}
    assert written["linear"]["study"] == "c0ffee"
    assert make_pipeline("linear", project=now()).get_params()["model__alpha"] == 2.5
    assert tuning.propose(found(model__alpha=2.5), project=now())["diff"] == ""


def test_where_nothing_is_better_nothing_is_written(inputs: FoldInputs) -> None:
    facts = tuning.propose(search(inputs, 1), project=now())

    assert "nothing is better" in facts["reason"]
    assert not PROJECT.params_file.exists()


def test_the_page_shows_every_trial_and_what_matters(inputs: FoldInputs) -> None:
    facts = tuning.propose(search(inputs, 6), project=now())

    page = Path(facts["page"]).read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    for text in ("Best score over time", "Importance of the parameters", "model__alpha", "today"):
        assert text in page
    assert "mathdefault" not in page, "ticks are numbers, also on a logarithmic scale"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[linear.parameters]\nmodel__alfa = 1\n", "no parameter 'model__alfa'.*Did you mean 'model__alpha'"),
        ("[liner.parameters]\nmodel__alpha = 1\n", "estimator 'liner'.*Did you mean 'linear'"),
        ("[linear]\nmodel__alpha = 3\n", r"belong into \[linear.parameters\]"),
        ("[linear]\nalpha = 3\n[linear.parameters]\n", r"belong into \[linear.parameters\]"),
        ("[linear]\nparameters = 3\n", r"belong into \[linear.parameters\]"),
        ("[linear\n", "is not a TOML file"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_before_any_work(text: str, message: str) -> None:
    PROJECT.params_file.write_text(text)

    with pytest.raises(ConfigurationError, match=message):
        check(now())
