"""Columns that give the target away, and entities on both sides of the split: named where they are, and only there."""

import numpy as np
import pandas as pd
import pytest

from retrainer.settings import ProblemType
from retrainer.training import leaking_columns, shared_entities

from ..conftest import make_table

PROBLEMS: tuple[ProblemType, ...] = ("classification", "regression")


@pytest.mark.parametrize("problem_type", PROBLEMS)
@pytest.mark.parametrize("as_text", [False, True])
def test_the_target_in_other_words_is_named_and_no_other_column(problem_type: ProblemType, as_text: bool) -> None:
    table = make_table(problem_type, noise=1.0)
    X, y = table.drop(columns="target"), table["target"]
    assert leaking_columns(X, y, problem_type=problem_type, seed=0) == []

    if problem_type == "classification":
        leak = y.map({"yes": "left", "no": "stayed"} if as_text else {"yes": 7.0, "no": np.nan})
    else:
        leak = np.log(y - y.min() + 1) if not as_text else (y > 0).map(str)
    found = leaking_columns(X.assign(leak=leak), y, problem_type=problem_type, seed=0)

    if problem_type == "regression" and as_text:  # which side of zero is far from all of it
        assert found == []
    else:
        assert len(found) == 1
        assert "'leak'" in found[0]


@pytest.mark.parametrize("codes", [60, 151, 500])
@pytest.mark.parametrize("as_text", [False, True])
def test_codes_in_any_order_that_stand_for_the_target_are_named_and_random_ones_are_not(
    codes: int, as_text: bool
) -> None:
    rng = np.random.default_rng(0)
    y = pd.Series(rng.normal(size=1000))
    names = rng.permutation(codes)
    leak, honest = (
        names[(y.rank() - 1).astype(int) * codes // 1000],
        rng.permutation(names.repeat(1000 // codes + 1)),
    )
    X = pd.DataFrame({"leak": leak, "honest": honest[:1000]}).astype(float)
    X = X.map("code {:.0f}".format) if as_text else X

    (alarm,) = leaking_columns(X, y, problem_type="regression", seed=0)

    assert "'leak' by itself explains" in alarm


def entities(problem_type: ProblemType, *, alike: bool, rows_of_each: int = 4) -> pd.DataFrame:
    """Return 800 rows of customers whose targets are alike, or not."""
    rng = np.random.default_rng(0)
    customer = np.repeat(np.arange(800 // rows_of_each), rows_of_each)
    own = rng.normal(size=customer.max() + 1)[customer] if alike else rng.normal(size=800)
    score = own + 0.5 * rng.normal(size=800)
    target = np.where(score > 0, "yes", "no") if problem_type == "classification" else score
    return pd.DataFrame({"customer_id": customer + 10_000, "age": rng.integers(18, 90, 800), "target": target})


@pytest.mark.parametrize("problem_type", PROBLEMS)
@pytest.mark.parametrize("as_text", [False, True])
def test_the_column_of_an_entity_on_both_sides_is_named(problem_type: ProblemType, as_text: bool) -> None:
    table = entities(problem_type, alike=True)
    if as_text:
        table["customer_id"] = "name " + table["customer_id"].astype(str)
        table = table.rename(columns={"customer_id": "who"})
    held_out = np.random.default_rng(1).random(len(table)) < 0.2

    found = shared_entities(table[~held_out], table[held_out], target="target", problem_type=problem_type)

    assert len(found) == 1
    assert f'split.key_columns = ["{"who" if as_text else "customer_id"}"]' in found[0]


@pytest.mark.parametrize("problem_type", PROBLEMS)
def test_rows_that_are_not_alike_or_a_group_of_many_or_entities_kept_together_raise_no_alarm(
    problem_type: ProblemType,
) -> None:
    rng = np.random.default_rng(1)
    for table in (
        entities(problem_type, alike=False),
        entities(problem_type, alike=True, rows_of_each=40),
        entities(problem_type, alike=True).rename(columns={"customer_id": "income"}),
    ):
        held_out = rng.random(len(table)) < 0.2
        assert shared_entities(table[~held_out], table[held_out], target="target", problem_type=problem_type) == []
    table = entities(problem_type, alike=True)
    apart = table["customer_id"] % 5 == 0
    assert shared_entities(table[~apart], table[apart], target="target", problem_type=problem_type) == []
