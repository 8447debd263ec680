"""The team's own metrics: as numbers of each row or of all, with columns, and what is wrong with them by name."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from churn.metrics import METRICS as OWN

from retrainer import OwnMetric
from retrainer.gate import (
    METRICS,
    Champion,
    OwnMetricError,
    Pair,
    Predictions,
    Question,
    UnknownMetricError,
    check_table,
    compare,
    decide,
    evaluate,
    get_metric,
    known_metric,
)
from retrainer.settings import GateSettings

ROWS = 400
CLASSES = np.array(["no", "yes"])


def cost(truth: Any, predictions: Any, rows: Any) -> Any:
    """The documented example: a missed churner costs a year, a needless call five."""
    missed = (truth == "yes") & (predictions.labels == "no")
    return np.where(missed, 12 * rows["monthly"], 0) + np.where(predictions.labels == "yes", 5, 0)


def total(truth: Any, predictions: Any, rows: Any) -> float:
    return float(np.mean(cost(truth, predictions, rows)))


def wrong(truth: Any, predictions: Any, rows: Any) -> float:
    return float(np.mean(truth != predictions.labels))


def enter(monkeypatch: pytest.MonkeyPatch, name: str, function: Callable[..., Any], **options: Any) -> Any:
    options = {"greater_is_better": False, **options}
    monkeypatch.setitem(OWN, name, OwnMetric(function, **options))
    return get_metric(name, problem_type="classification", own_metrics=OWN)


def make_case() -> tuple[np.ndarray, pd.DataFrame, Predictions, Predictions]:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, ROWS)
    rows = pd.DataFrame({"monthly": rng.uniform(10, 100, ROWS), "plan": "a"})
    models = [
        Predictions(CLASSES[np.where(rng.random(ROWS) < share, 1 - codes, codes)], None, CLASSES)
        for share in (0.3, 0.1)
    ]
    return CLASSES[codes], rows, *models


def test_a_name_that_is_built_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OWN, "f1", OwnMetric(total, greater_is_better=False))

    with pytest.raises(UnknownMetricError, match=r"'f1' of metrics\.py has the name of a built-in one"):
        get_metric("f1", problem_type="classification", own_metrics=OWN)


@pytest.mark.parametrize("function", [cost, total])
def test_a_cost_decides_whether_it_is_given_row_by_row_or_at_once(
    function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = enter(monkeypatch, "cost", function, columns=("monthly",), label="cost of a customer")
    y, rows, champion, challenger = make_case()
    decision = decide(
        Question(y, metric=metric, gate=GateSettings(min_improvement=5), rows=rows),
        challenger,
        Champion(champion),
    )
    assert (decision.verdict, decision.metric) == ("promoted", "cost")
    assert "cost of a customer" in decision.reason.lower()
    assert decision.champion == {"cost": pytest.approx(np.mean(cost(y, champion, rows)))}
    back = decide(
        Question(y, metric=metric, gate=GateSettings(min_improvement=5), rows=rows),
        champion,
        Champion(challenger),
    )
    assert back.kind == "regression"
    assert known_metric("cost", own_metrics=OWN).label == "cost of a customer"


def test_both_forms_are_resampled_alike_and_as_the_built_in_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    y, _, champion, challenger = make_case()
    by_row = enter(monkeypatch, "each", lambda truth, predictions, rows: truth != predictions.labels)
    at_once = enter(monkeypatch, "all", wrong)
    found = [
        compare(metric, Pair(y, champion, challenger), confidence=0.9, seed=0, resamples=400)
        for metric in (by_row, at_once, METRICS["accuracy"])
    ]
    assert found[0] == found[1]
    for one in found:
        assert one.improvement == pytest.approx(found[2].improvement)
        assert one.lower == pytest.approx(found[2].lower, abs=0.005)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda truth, predictions, rows: 1 / 0,
            r"'cost' \(metrics.py, line \d+\) failed: ZeroDivisionError",
        ),
        (
            lambda truth, predictions, rows: np.ones(3),
            r"shape \(3,\); it must return a number, or one for each",
        ),
        (lambda truth, predictions, rows: "much", "failed: ValueError"),
    ],
)
def test_a_metric_that_cannot_be_computed_is_named(
    function: Callable[..., Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = enter(monkeypatch, "cost", function)
    y, rows, champion, _ = make_case()
    with pytest.raises(OwnMetricError, match=message):
        evaluate(champion, y, metrics={"cost": metric}, rows=rows)


def test_the_line_of_the_metric_that_failed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(truth: Any, predictions: Any, rows: Any) -> float:
        return float(truth.no_such_thing)

    metric = enter(monkeypatch, "cost", cost)
    y, rows, champion, _ = make_case()
    with pytest.raises(OwnMetricError, match=r"line \d+\) failed: AttributeError: [^\n]*\n +return float\(truth"):
        evaluate(champion, y, metrics={"cost": metric}, rows=rows)


@pytest.mark.parametrize("comparable", [None, np.arange(ROWS) % 2 == 0], ids=["all", "half"])
def test_each_slice_is_judged_by_the_columns_of_its_own_rows(comparable: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = enter(monkeypatch, "cost", cost, columns=("monthly",))
    y, rows, champion, challenger = make_case()
    rows["region"] = np.where(np.arange(ROWS) < 200, "north", "south")
    rows.loc[:199, "monthly"] = 1_000.0
    worse = Predictions(np.where(np.arange(ROWS) < 200, challenger.labels, champion.labels), None, CLASSES)
    gate = GateSettings(guard_slices={"region": 0.5}, slice_rows=50)

    decision = decide(Question(y, metric=metric, gate=gate, rows=rows), worse, Champion(champion, comparable))

    (criterion,) = [one for one in decision.criteria if one.name == "slice region"]
    assert criterion.passed
    assert criterion.value == 0  # in the south both cost the same
    assert decision.promoted


def test_nan_is_rejected_and_never_promotes(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = enter(monkeypatch, "cost", lambda truth, predictions, rows: math.nan)
    y, rows, champion, challenger = make_case()
    for opponent in (None, Champion(champion)):
        decision = decide(Question(y, metric=metric, gate=GateSettings(), rows=rows), challenger, opponent)
        assert (decision.verdict, decision.kind) == ("rejected", "not_finite")


def test_a_missing_column_is_known_before_training_and_when_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = enter(monkeypatch, "cost", cost, columns=("monthly",))
    y, rows, champion, _ = make_case()
    bare = rows.drop(columns="monthly")
    with pytest.raises(OwnMetricError, match=r"'cost'.*column 'monthly'.*plan"):
        check_table(bare.assign(churned=y), target="churned", metrics={"cost": metric})
    with pytest.raises(OwnMetricError, match=r"'cost'.*column 'monthly'.*plan"):
        evaluate(champion, y, metrics={"cost": metric}, rows=bare)
    check_table(rows.assign(churned=y), target="churned", metrics={"cost": metric})


def test_a_metric_is_tried_before_training_on_answers_that_a_model_could_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has no value for every answer passes; what has none for some row, or for a perfect answer, does not."""
    y, rows, _, _ = make_case()
    table = rows.assign(churned=y)

    def surprise(truth: Any, predictions: Any, rows: Any) -> Any:
        chance = predictions.probabilities[:, list(predictions.classes).index("yes")]
        return np.where(truth == "yes", -np.log(chance), -np.log(1 - chance))

    def precision(truth: Any, predictions: Any, rows: Any) -> float:
        called = predictions.labels == "yes"
        return float(np.mean(truth[called] == "yes")) if called.any() else math.nan

    def check(function: Callable[..., Any], **options: Any) -> None:
        metric = enter(monkeypatch, "own", function, **options)
        check_table(table, target="churned", metrics={"own": metric})

    check(surprise, needs_probabilities=True)
    check(precision, greater_is_better=True)
    check(cost, columns=("monthly",))
    with pytest.raises(OwnMetricError, match="is nan when every row is predicted perfectly"):
        check(lambda truth, predictions, rows: math.nan)
    table.loc[[3, 9], "monthly"] = math.nan
    with pytest.raises(OwnMetricError, match=r"is nan for \d of 400 rows when .*, the first where monthly is nan"):
        check(cost, columns=("monthly",))


def test_the_answers_it_is_tried_on_are_the_truth_and_the_two_commonest_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    truth = np.array(["b"] * 50 + ["c"] * 30 + ["a"] * 20)
    seen: list[tuple[set[str], Any]] = []

    def watched(truth: Any, predictions: Any, rows: Any) -> float:
        seen.append((set(predictions.labels.tolist()), predictions.probabilities))
        return 1.0

    metric = enter(monkeypatch, "own", watched)
    check_table(pd.DataFrame({"target": truth}), target="target", metrics={"own": metric})

    assert [labels for labels, _ in seen] == [{"a", "b", "c"}, {"b"}, {"c"}]
    for _, probabilities in seen:
        assert probabilities.sum(axis=1) == pytest.approx(1)
        assert 0 < probabilities.min() < probabilities.max() < 1
    assert (seen[0][1].argmax(axis=1) == np.repeat([1, 2, 0], [50, 30, 20])).all()
    assert seen[1][1][0].tolist() == [0.2, 0.5, 0.3]


def test_of_numbers_it_is_tried_on_the_truth_and_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[float]] = []

    def watched(truth: Any, predictions: Any, rows: Any) -> float:
        seen.append(predictions.labels.tolist())
        return 1.0

    monkeypatch.setitem(OWN, "own", OwnMetric(watched, greater_is_better=True))
    metric = get_metric("own", problem_type="regression", own_metrics=OWN)
    check_table(pd.DataFrame({"target": [1.0, 2.0, 6.0]}), target="target", metrics={"own": metric})

    assert seen == [[1.0, 2.0, 6.0], [3.0, 3.0, 3.0]]


def test_records_of_a_metric_that_is_gone_can_be_shown() -> None:
    gone = known_metric("cost_of_2024")
    assert gone.label == "cost of 2024"
    assert gone.format(12.5) == "12.5000"
