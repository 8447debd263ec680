"""What is said beside a decision: rare classes that the metric hardly sees, a champion that is not what it was."""

from typing import Any

import numpy as np
import pytest

from << cookiecutter.package_name >>.gate import (
    Champion,
    Decision,
    Predictions,
    alarms,
    change,
    decide,
    evaluate,
    get_metric,
    standard_error,
)
from << cookiecutter.package_name >>.settings import GateSettings, ProblemType

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
    decision: Decision = decide(y, challenger, champion, metric=measure, gate=GateSettings())
    return alarms(decision, y, challenger, champion, metric=measure)


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


@pytest.mark.parametrize(("stored", "expected"), [(0.90, 1), (0.72, 0), (0.50, 1)])
def test_a_champion_far_from_its_recorded_score(stored: float, expected: int) -> None:
    y = CLASSES[np.arange(1000) % 2]
    labels = np.where(np.arange(1000) % 10 < 7, y, CLASSES[1 - np.arange(1000) % 2])
    champion = Champion(Predictions(labels, None, CLASSES), stored_score=stored, stored_rows=1000)

    said = judged(y, labels, "accuracy", champion)

    assert len(said) == expected
    assert all(f"0.7000 on these 1,000 rows and was {stored:.4f}" in alarm for alarm in said)


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
                evaluate(model, truth, metrics={metric: measure})[metric]
                for truth, model in ((then_y, then), (y, now))
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
