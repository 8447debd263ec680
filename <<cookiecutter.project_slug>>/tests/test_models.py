"""Yours to extend: what each estimator in models.py promises, on rows of your table."""

import pickle

import numpy as np
import pytest

from << cookiecutter.package_name >> import features
from << cookiecutter.package_name >>.models import ESTIMATORS
from << cookiecutter.package_name >>.retrainer import data


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_predicts_the_same_after_it_was_saved(name: str, team_table: data.Table) -> None:
    contract, rows = team_table.contract, team_table.rows
    X, y = features.features(rows[list(contract.inputs)]), rows[contract.target]

    pipeline = ESTIMATORS[name](contract.problem_type, 0).fit(X, y)

    again = pickle.loads(pickle.dumps(pipeline))
    predicted, before = again.predict(X), pipeline.predict(X)
    if contract.problem_type == "regression":  # the threads of a forest add in any order
        np.testing.assert_allclose(predicted, before, rtol=1e-9)
    else:
        np.testing.assert_array_equal(predicted, before)
