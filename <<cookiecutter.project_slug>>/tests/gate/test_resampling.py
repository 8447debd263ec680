"""Each fast method against the slow one it stands for: resampling rows and scoring them anew."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from << cookiecutter.package_name >>.gate._metrics import METRICS, evaluate
from << cookiecutter.package_name >>.gate._predictions import Predictions, encode_labels
from << cookiecutter.package_name >>.gate._resampling import (
    _average_precision_influence,
    _roc_auc_influence,
    _weighted_influence,
    compare,
)

ROWS = 800


def make_classifier(y: np.ndarray, classes: int, noise: float, rng: np.random.Generator) -> Predictions:
    scores = 2 * np.eye(classes)[y] + noise * rng.normal(size=(len(y), classes))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    rounded = probabilities.round(2)  # ties
    rounded /= rounded.sum(axis=1, keepdims=True)
    return Predictions(rounded.argmax(axis=1), rounded, np.arange(classes))


def make_case(name: str, classes: int, rows: int = ROWS) -> tuple[np.ndarray, Predictions, Predictions]:
    rng = np.random.default_rng(classes)
    if METRICS[name].problem_type == "regression":
        y = 10 + rng.normal(size=rows)
        return y, Predictions(y + rng.normal(size=rows)), Predictions(y + 0.9 * rng.normal(size=rows))
    y = (rng.random(rows) ** 2 * classes).astype(int)
    return y, make_classifier(y, classes, 1.5, rng), make_classifier(y, classes, 1.3, rng)


CASES = [
    *[(name, 2) for name in METRICS],
    *[(name, 3) for name, metric in METRICS.items() if metric.problem_type == "classification"],
    ("f1_score", 20),
]


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_comparison_agrees_with_resampling_rows(name: str, classes: int) -> None:
    metric = METRICS[name]
    y, champion, challenger = make_case(name, classes)
    rng = np.random.default_rng(0)

    def improvement(rows: np.ndarray) -> float:
        scores = []
        for one in (challenger, champion):
            part = Predictions(
                one.labels[rows], None if one.probabilities is None else one.probabilities[rows], one.classes
            )
            problem = metric.problem_type
            scores.append(evaluate(part, y[rows], problem_type=problem, metrics={name: metric})[name])
        return metric.improvement(*scores)

    slow = np.array([improvement(rng.integers(0, ROWS, ROWS)) for _ in range(250)])
    fast = compare(metric, y, champion=champion, challenger=challenger, confidence=0.9, seed=0)
    assert fast.improvement == pytest.approx(improvement(np.arange(ROWS)), abs=1e-9)
    assert fast.standard_error == pytest.approx(slow.std(), rel=0.15)
    lower, upper = np.quantile(slow, [0.1, 0.9])
    assert fast.lower == pytest.approx(lower, abs=0.3 * slow.std())
    assert fast.upper == pytest.approx(upper, abs=0.3 * slow.std())
    assert fast.probability == pytest.approx(np.mean(slow > 0), abs=0.06)


@pytest.mark.parametrize(("name", "classes"), [("rmse", 2), ("r2", 2), ("log_loss", 2), ("f1_score", 20)])
def test_groups_of_rows_stand_for_the_rows(name: str, classes: int) -> None:
    y, champion, challenger = make_case(name, classes, rows=20_000)
    settings = {"champion": champion, "challenger": challenger, "confidence": 0.9, "seed": 0}
    few = compare(METRICS[name], y, groups=2_000, resamples=2_000, **settings)
    all_rows = compare(METRICS[name], y, groups=20_000, resamples=500, **settings)
    assert few.method == "bootstrap of row groups"
    assert all_rows.method == "bootstrap of rows"
    assert few.improvement == pytest.approx(all_rows.improvement)
    assert few.standard_error == pytest.approx(all_rows.standard_error, rel=0.12)
    assert few.lower == pytest.approx(all_rows.lower, abs=0.3 * all_rows.standard_error)


@pytest.mark.parametrize("name", METRICS)
def test_comparison_is_deterministic_by_seed(name: str) -> None:
    y, champion, challenger = make_case(name, 2)
    settings = {"champion": champion, "challenger": challenger, "confidence": 0.95}
    first = compare(METRICS[name], y, seed=1, **settings)
    assert compare(METRICS[name], y, seed=1, **settings) == first
    other = compare(METRICS[name], y, seed=2, **settings)
    analytic = name in {"roc_auc", "average_precision"}
    assert (other == first) is analytic
    assert other.improvement == first.improvement


@pytest.mark.parametrize("name", METRICS)
def test_the_same_predictions_tie(name: str) -> None:
    y, champion, _ = make_case(name, 2)
    found = compare(METRICS[name], y, champion=champion, challenger=champion, confidence=0.95, seed=0)
    assert (found.improvement, found.lower, found.upper, found.probability) == (0, 0, 0, 0)


def test_delong_against_its_definition() -> None:
    """Placements counted pair by pair, as DeLong, DeLong and Clarke-Pearson define them."""
    rng = np.random.default_rng(5)
    y = (rng.random(60) < 0.4).astype(int)
    scores = [(y + rng.normal(size=60)).round(1), (y + rng.normal(size=60)).round(1)]
    placements = []
    for score in scores:
        pairs = score[y == 1][:, None] - score[y == 0][None, :]
        wins = (pairs > 0) + 0.5 * (pairs == 0)
        placements.append((wins.mean(axis=1), wins.mean(axis=0)))
    (v10, v01), (w10, w01) = placements
    variance = np.var(w10 - v10, ddof=1) / len(v10) + np.var(w01 - v01, ddof=1) / len(v01)
    models = [Predictions(y, np.column_stack([1 - score, score]), np.array([0, 1])) for score in scores]
    found = compare(METRICS["roc_auc"], y, champion=models[0], challenger=models[1], confidence=0.95, seed=0)
    assert found.improvement == pytest.approx(w10.mean() - v10.mean())
    assert found.standard_error == pytest.approx(np.sqrt(variance))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_influence_is_the_derivative_by_the_weight_of_a_row(name: str, classes: int) -> None:
    y, champion, _ = make_case(name, classes, rows=400)
    probabilities = champion.probabilities
    assert probabilities is not None
    positives = [1] if classes == 2 else list(range(classes))
    reference = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}[name]
    one = {"roc_auc": _roc_auc_influence, "average_precision": _average_precision_influence}[name]

    def weighted(weights: np.ndarray) -> float:
        scores = [reference(y == k, probabilities[:, k], sample_weight=weights) for k in positives]
        return float(np.average(scores, weights=[weights[y == k].sum() for k in positives]))

    score, influence = _weighted_influence(encode_labels(y, champion), one)
    assert score == pytest.approx(weighted(np.ones(400)))
    for row in range(0, 400, 19):
        step = 1e-4 * (np.arange(400) == row)
        slope = (weighted(1 + step) - weighted(1 - step)) / 2e-4
        # DeLong divides by one less than the rows of a class.
        assert influence[row] == pytest.approx(slope, rel=0.02, abs=1e-6)
