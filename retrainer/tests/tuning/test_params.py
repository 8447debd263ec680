"""params.toml: written for a person, used by a retrain, and refused where it does not fit."""

import sys
import tomllib
from pathlib import Path

import pytest
from churn import models
from sklearn.linear_model import Ridge

from retrainer import tuning
from retrainer.errors import ConfigurationError
from retrainer.pipeline import SplitSide, check, cross_validate, fold_inputs, train
from retrainer.training import EstimatorError, FoldInputs, Recipe, make_pipeline

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


def test_a_parameter_that_a_person_set_is_in_use_in_the_trials_and_stays(side: SplitSide) -> None:
    PROJECT.params_file.write_text("[linear.parameters]\nmodel__fit_intercept = false\n")
    tuning.propose(found(model__alpha=2.5), project=now())

    parameters = tomllib.loads(PROJECT.params_file.read_text())["linear"]["parameters"]
    assert parameters == {"model__fit_intercept": False, "model__alpha": 2.5}


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
        ("[linear.parameters]\nmodel = 3\n", "no parameter 'model'"),
        ("[linear]\nmodel__alpha = 3\n", r"belong into \[linear.parameters\]"),
        ("[linear]\nalpha = 3\n[linear.parameters]\n", r"belong into \[linear.parameters\]"),
        ("[linear]\nparameters = 3\n", r"belong into \[linear.parameters\]"),
        ("[linear.parameters]\nmodel__alpha = [1.0, 2.0]\n", "model__alpha of 'linear' is \\[1.0, 2.0\\]"),
        ("[linear.parameters]\nmodel__alpha = { a = 1 }\n", "a text, a number, true or false"),
        ("[linear\n", "is not a TOML file"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_before_any_work(text: str, message: str) -> None:
    PROJECT.params_file.write_text(text)

    with pytest.raises(ConfigurationError, match=message):
        check(now())


@pytest.mark.parametrize("value", ['"much"', "-1.0", "nan"])
def test_a_value_that_the_estimator_refuses_is_named_with_where_it_may_be_from(side: SplitSide, value: str) -> None:
    PROJECT.params_file.write_text(f"[linear.parameters]\nmodel__alpha = {value}\n")
    refused = pytest.raises(ConfigurationError, match=r"'alpha' parameter of Ridge must be .* params.toml")

    with refused:
        train(side, recipe=Recipe("linear"), project=now())
    with refused:
        cross_validate(side, estimator="linear", project=now(), threads=1)
    with refused:
        search(fold_inputs(side, project=now()), 2)


class Leaving(Ridge):
    """Ends the program, as a script does, with parameters that a search tries."""

    def fit(self, X: object, y: object) -> "Leaving":
        if self.alpha != 2.0:
            sys.exit(3)
        return super().fit(X, y)


def test_an_estimator_cannot_end_the_program(side: SplitSide, monkeypatch: pytest.MonkeyPatch) -> None:
    good = models.ESTIMATORS["linear"]
    monkeypatch.setitem(models.ESTIMATORS, "linear", lambda *options: good(*options).set_params(model=Leaving(2.0)))

    assert train(side, recipe=Recipe("linear"), project=now())
    found = search(fold_inputs(side, project=now()), 3)
    assert [trial["state"] for trial in found.trials] == ["complete", "failed", "failed"]
    assert "EstimatorError: An estimator of models.py ended the program (exit code 3)" in found.trials[1]["error"]

    PROJECT.params_file.write_text("[linear.parameters]\nmodel__alpha = 1.0\n")
    with pytest.raises(EstimatorError, match="raise an error there"):
        train(side, recipe=Recipe("linear"), project=now())
