"""Alarms: rare classes that hardly count in the metric, a champion whose score changed."""

import math
from typing import Any

import numpy as np
import pytest

from retrainer.gate import (
    METRICS,
    Champion,
    Decision,
    Predictions,
    Question,
    alarms,
    change,
    decide,
    evaluate,
    get_metric,
    standard_error,
)
from retrainer.settings import GateSettings, ProblemType

CLASSES = np.array(["no", "yes"])


def judged(
    y: Any,
    labels: Any,
    metric: str,
    champion: Champion | None = None,
    problem_type: ProblemType = "classification",
) -> tuple[str, ...]:
    challenger = Predictions(labels, None, CLASSES if problem_type == "classification" else None)
    measure = get_metric(metric, problem_type=problem_type, positive="yes" if metric == "f1" else None)
    decision: Decision = decide(Question(y, metric=measure, gate=GateSettings()), challenger, champion)
    return alarms(decision, Question(y, metric=measure, gate=GateSettings()), challenger, champion)


@pytest.mark.parametrize(
    ("metric", "rare", "found", "expected"),
    [
        ("f1_score", 20, 2, 1),
        ("accuracy", 20, 2, 1),
        ("f1_score", 20, 18, 0),
        ("f1_score", 100, 10, 0),
        ("f1_macro", 20, 2, 0),
        ("f1", 20, 2, 0),
    ],
    ids=["weighted F1", "accuracy", "found", "not rare", "macro F1", "of that class"],
)
def test_a_rare_class_that_the_metric_hardly_sees(metric: str, rare: int, found: int, expected: int) -> None:
    y = CLASSES[(np.arange(1000) < rare).astype(int)]
    labels = CLASSES[(np.arange(1000) < found).astype(int)]

    said = judged(y, labels, metric)

    assert len(said) == expected
    assert all("'yes'" in alarm for alarm in said)


@pytest.mark.parametrize(("rows", "found", "expected"), [(200, 0, 1), (200, 1, 0), (5, 0, 1), (4, 0, 0)])
def test_a_class_that_is_never_predicted_is_said_whatever_the_metric(rows: int, found: int, expected: int) -> None:
    y = CLASSES[(np.arange(1000) < rows).astype(int)]
    labels = CLASSES[(np.arange(1000) < found).astype(int)]

    said = judged(y, labels, "f1")

    assert len(said) == expected
    assert all("never predicts it: a `train.threshold` finds it" in alarm for alarm in said)


@pytest.mark.parametrize(("stored", "expected"), [(0.90, 1), (0.72, 0), (0.50, 1)])
def test_a_champion_far_from_its_recorded_score(stored: float, expected: int) -> None:
    y = CLASSES[np.arange(1000) % 2]
    labels = np.where(np.arange(1000) % 10 < 7, y, CLASSES[1 - np.arange(1000) % 2])
    champion = Champion(Predictions(labels, None, CLASSES), stored_score=stored, stored_rows=1000)

    said = judged(y, labels, "accuracy", champion)

    assert len(said) == expected
    assert all(f"was {stored:.4f} when it was trained (1,000 holdout rows)" in alarm for alarm in said)


def test_few_rows_or_an_unknown_number_of_them_prove_nothing() -> None:
    y = CLASSES[np.arange(40) % 2]
    labels = np.where(np.arange(40) % 10 < 7, y, CLASSES[1 - np.arange(40) % 2])
    for rows in (40, None):
        champion = Champion(Predictions(labels, None, CLASSES), stored_score=0.85, stored_rows=rows)
        assert judged(y, labels, "accuracy", champion) == ()


def test_with_few_rows_of_a_class_a_score_that_every_class_counts_in_is_never_worse() -> None:
    y = CLASSES[(np.arange(100) < 1).astype(int)]
    missed = Predictions(np.full(100, "no"), None, CLASSES)
    measure = get_metric("f1_macro", problem_type="classification")

    error = standard_error(measure, y, missed, seed=0)

    found = change(measure, now=0.5, recorded=0.8, error=error, rows=100, recorded_rows=1000)
    assert found.p_value == 1.0


@pytest.mark.parametrize("metric", ["rmse", "accuracy"])
def test_windows_of_an_unchanged_world_are_seldom_called_worse_and_of_a_worse_one_often(metric: str) -> None:
    rng = np.random.default_rng(0)
    measure = get_metric(metric, problem_type="regression" if metric == "rmse" else "classification")

    def drawn(rows: int, *, worse: bool = False) -> tuple[Any, Predictions]:
        if metric == "rmse":
            error = (2.0 if worse else 1.0) * rng.standard_t(4, size=rows)
            return np.zeros(rows), Predictions(error)
        y = CLASSES[rng.integers(2, size=rows)]
        right = rng.random(rows) < (0.6 if worse else 0.8)
        return y, Predictions(np.where(right, y, np.where(y == "yes", "no", "yes")), None, CLASSES)

    def share_called_worse(*, worse: bool) -> float:
        called = []
        for _ in range(300):
            (then_y, then), (y, now) = drawn(500), drawn(100, worse=worse)
            recorded, live = (
                evaluate(model, truth, metrics={metric: measure})[metric] for truth, model in ((then_y, then), (y, now))
            )
            found = change(
                measure,
                now=live,
                recorded=recorded,
                error=standard_error(measure, y, now, seed=0),
                rows=100,
                recorded_rows=500,
            )
            called.append(found.p_value < 0.01)
        return float(np.mean(called))

    assert share_called_worse(worse=False) <= 0.03  # 0.01, and three standard errors of 300 windows
    assert share_called_worse(worse=True) > 0.8


@pytest.mark.parametrize(
    ("metric", "now", "recorded", "error", "rows", "worse", "p_value"),
    [
        ("accuracy", 0.8, 0.9, 0.03, (100, 100), 0.1, 0.0102),  # t = 2.357 with 99 degrees of freedom
        ("accuracy", 0.9, 0.8, 0.03, (100, 100), -0.1, 0.9898),
        ("accuracy", 0.8, 0.9, 0.03, (100, 10**9), 0.1, 0.0006),  # 3.333: the recorded score is certain
        ("rmse", 60.0, 50.0, 5.0, (100, 100), 0.2, 0.0802),  # 1.414: the error is a share of 50 too
        ("rmse", 1.0, 0.0, 0.5, (100, 100), 1.0, 0.0802),
        ("accuracy", 0.8, 0.9, 0.0, (100, 100), 0.1, 0.0),
        ("accuracy", 0.9, 0.9, 0.0, (100, 100), 0.0, 1.0),
        ("accuracy", 0.8, 0.9, math.nan, (100, 100), 0.1, 1.0),
        ("accuracy", 0.8, 0.9, 0.1, (3, 100), 0.1, 0.2142),  # 0.985 with 2 degrees
        ("accuracy", 0.8, 0.9, 0.1, (1, 100), 0.1, 0.2507),  # 0.995 with 1 degree
    ],
)
def test_a_change_is_in_units_of_its_standard_error(
    metric: str,
    now: float,
    recorded: float,
    error: float,
    rows: tuple[int, int],
    worse: float,
    p_value: float,
) -> None:
    measure = METRICS[metric]

    found = change(measure, now=now, recorded=recorded, error=error, rows=rows[0], recorded_rows=rows[1])

    assert found.worse == pytest.approx(worse)
    assert found.p_value == pytest.approx(p_value, abs=2e-4)


def test_only_rows_new_to_the_champion_say_whether_it_changed() -> None:
    y = CLASSES[np.arange(2000) % 2]
    half = np.arange(2000) < 1000
    right = np.where(half, y, np.where(np.arange(2000) % 10 < 7, y, CLASSES[1 - np.arange(2000) % 2]))
    options: dict[str, Any] = {"stored_score": 0.9, "stored_rows": 1000}

    (said,) = judged(y, right, "accuracy", Champion(Predictions(right, None, CLASSES), ~half, **options))

    assert (
        "was 0.9000 when it was trained (1,000 holdout rows) and is 0.7000 on this table (1,000 holdout rows)" in said
    )
    assert judged(y, right, "accuracy", Champion(Predictions(right, None, CLASSES), half, **options))
    assert judged(y, right, "accuracy", Champion(None, obstacle="it is gone", **options)) == ()


@pytest.mark.parametrize(("off", "expected"), [(1.05, 0), (1.25, 1), (0.8, 1)])
def test_an_error_is_far_from_its_recorded_one_by_a_tenth(off: float, expected: int) -> None:
    y = np.zeros(4000)
    values = off * np.where(np.arange(4000) % 2, 1.0, -1.0) + 0.01 * (np.arange(4000) % 3)
    champion = Champion(Predictions(values), stored_score=1.0, stored_rows=4000)

    assert len(judged(y, values, "rmse", champion, "regression")) == expected


@pytest.mark.parametrize(("rare", "found", "expected"), [(49, 24, 1), (50, 1, 0), (48, 24, 0)])
def test_a_class_is_rare_below_a_twentieth_and_hardly_found_below_a_half(rare: int, found: int, expected: int) -> None:
    y = CLASSES[(np.arange(1000) < rare).astype(int)]
    labels = CLASSES[(np.arange(1000) < found).astype(int)]

    said = judged(y, labels, "accuracy")

    assert len(said) == expected
    if said:
        assert (
            f"Class 'yes' is {rare / 1000:.1%} of the holdout rows, and the challenger predicts {found / rare:.0%}"
            in said[0]
        )
        assert f"changes by {rare / 1000:.3f} at most" in said[0]


def test_a_standard_error_is_that_of_the_binomial() -> None:
    y = CLASSES[np.arange(1000) % 2]
    labels = np.where(np.arange(1000) < 800, y, CLASSES[1 - np.arange(1000) % 2])
    accuracy = get_metric("accuracy", problem_type="classification")

    found = standard_error(accuracy, y, Predictions(labels, None, CLASSES), seed=0)

    assert found == pytest.approx((0.8 * 0.2 / 1000) ** 0.5, rel=0.1)


@pytest.mark.parametrize(("rows", "known"), [(29, False), (30, True)])
def test_a_standard_error_takes_thirty_rows_of_a_class_that_counts(rows: int, known: bool) -> None:
    y = CLASSES[(np.arange(200) < rows).astype(int)]
    model = Predictions(CLASSES[(np.arange(200) % 7 < 2).astype(int)], None, CLASSES)
    for metric, needs in (("f1_macro", True), ("accuracy", False)):
        measure = get_metric(metric, problem_type="classification")
        found = standard_error(measure, y, model, seed=0)
        assert np.isfinite(found) is np.bool_(known or not needs)
