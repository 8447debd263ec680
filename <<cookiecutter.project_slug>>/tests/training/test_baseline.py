"""The answer without a model: the best one that looks at nothing but the target."""

import numpy as np
import pytest

from << cookiecutter.package_name >>.gate import METRICS, evaluate
from << cookiecutter.package_name >>.training import baseline


def test_of_classes_the_most_frequent_is_answered_with_its_share() -> None:
    y, holdout = np.array(["no"] * 30 + ["yes"] * 10, dtype=object), np.array(["no", "yes"], dtype=object)

    found = baseline(y, holdout, metric=METRICS["f1_score"])

    assert found.name == "always answering 'no'"
    assert found.predictions.labels.tolist() == ["no", "no"]
    assert found.predictions.probabilities.tolist() == [[0.75, 0.25]] * 2
    assert evaluate(found.predictions, holdout, metrics={"roc_auc": METRICS["roc_auc"]})["roc_auc"] == 0.5


@pytest.mark.parametrize(
    ("metric", "times", "name"),
    [
        ("rmse", None, "always answering 3.4 (the mean)"),
        ("mae", None, "always answering 1 (the median)"),
        ("rmse", np.array([1, 2, 5, 3, 4]), "always answering 4 (the last value)"),
        ("r2", np.array([5, 1, 2, 3, 4]), "always answering 3.4 (the mean)"),
    ],
)
def test_of_numbers_the_answer_that_the_metric_likes_best(
    metric: str, times: np.ndarray | None, name: str
) -> None:
    y = np.array([1.0, 1.0, 4.0, 1.0, 10.0])
    holdout = np.array([1.0, 1.0, 9.5]) if times is None else np.array([4.0, 4.1, 3.9])
    holdout = np.array([3.3, 3.4, 3.6]) if metric == "r2" else holdout

    found = baseline(y, holdout, metric=METRICS[metric], times=times)

    assert found.name == name
    assert found.predictions.labels.shape == holdout.shape


def test_where_an_average_over_classes_decides_a_guess_is_harder_to_beat_than_one_class() -> None:
    y, holdout = np.array(["no", "yes"] * 20, dtype=object), np.array(["no", "yes"] * 100, dtype=object)

    assert baseline(y, holdout, metric=METRICS["f1_score"]).name == "guessing by the shares of the classes"
    assert baseline(y, holdout, metric=METRICS["log_loss"]).name == "always answering 'no'"
