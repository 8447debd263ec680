"""The answer without a model: the best one that looks at nothing but the target."""

import numpy as np
import pandas as pd
import pytest

from retrainer.gate import METRICS, evaluate, known_metric
from retrainer.settings import SplitSettings
from retrainer.training import Baseline, baseline

BY_HASH = SplitSettings()
DAYS = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-05", "2026-01-03", "2026-01-04"])


def chosen(training: object, holdout: object, metric: str, split: SplitSettings = BY_HASH) -> Baseline:
    sides = [side if isinstance(side, pd.DataFrame) else pd.DataFrame({"y": side}) for side in (training, holdout)]
    return baseline(*sides, target="y", metric=METRICS[metric], split=split)


def test_of_classes_the_most_frequent_is_answered_with_its_share() -> None:
    found = chosen(["no"] * 30 + ["yes"] * 10, ["no", "yes"], "f1_score")

    assert found.name == "always predicting 'no'"
    assert found.predictions.labels.tolist() == ["no", "no"]
    assert found.predictions.probabilities.tolist() == [[0.75, 0.25]] * 2
    roc_auc = {"roc_auc": METRICS["roc_auc"]}
    assert evaluate(found.predictions, np.array(["no", "yes"]), metrics=roc_auc) == {"roc_auc": 0.5}


def test_a_rare_class_is_answered_always_where_that_is_the_best_f1_but_not_where_it_is_perfect_recall() -> None:
    y = ["no"] * 70 + ["yes"] * 30

    def best(name: str) -> str:
        frames = pd.DataFrame({"y": y}), pd.DataFrame({"y": y})
        metric = known_metric(name, positive="yes")
        return baseline(*frames, target="y", metric=metric, split=BY_HASH).name

    assert best("f1") == "always predicting 'yes'"
    assert best("recall") == "guessing by class shares"


def test_a_guess_has_average_luck() -> None:
    y = ["a"] * 500 + ["b"] * 300 + ["c"] * 200

    guess = chosen(y, y, "f1_macro").predictions.labels

    table = pd.crosstab(np.array(y), guess)
    assert table.to_numpy().tolist() == [[250, 150, 100], [150, 90, 60], [100, 60, 40]]


def test_where_an_average_over_classes_decides_a_guess_is_harder_to_beat_than_one_class() -> None:
    y, holdout = ["no", "yes"] * 20, ["no", "yes"] * 100

    guess = chosen(y, holdout, "f1_score")

    assert guess.name == "guessing by class shares"
    assert guess.predictions.probabilities.tolist() == [[0.5, 0.5]] * 200
    assert chosen(y, holdout, "log_loss").name == "always predicting 'no'"


@pytest.mark.parametrize(
    ("metric", "holdout", "name"),
    [
        ("rmse", [1.0, 1.0, 9.5], "always predicting 3.4 (the mean)"),
        ("mae", [1.0, 1.0, 9.5], "always predicting 1 (the median)"),
        ("r2", [3.3, 3.4, 3.6], "always predicting 3.4 (the mean)"),
    ],
)
def test_of_numbers_the_answer_that_the_metric_likes_best(metric: str, holdout: list[float], name: str) -> None:
    found = chosen([1.0, 1.0, 4.0, 1.0, 10.0], holdout, metric)

    assert found.name == name
    assert found.predictions.labels.shape == (3,)


def test_where_there_is_time_the_last_value_is_an_answer() -> None:
    training = pd.DataFrame({"day": DAYS, "y": [1.0, 1.0, 4.0, 1.0, 10.0]})
    by_time = SplitSettings(method="time", time_column="day")

    assert chosen(training, [4.0, 4.1, 3.9], "rmse", by_time).name == "always predicting 4 (the last value)"
    assert chosen(training, [3.3, 3.4, 3.6], "rmse", by_time).name == "always predicting 3.4 (the mean)"


def test_where_there_are_keys_each_has_a_last_value_of_its_own() -> None:
    training = pd.DataFrame({"day": DAYS, "shop": [1, 1, 1, 2, 2], "y": [5.0, 6.0, 7.0, 90.0, 100.0]})
    holdout = pd.DataFrame({"shop": [2, 1, 3], "y": [100.5, 7.5, 7.0]})
    by_time = SplitSettings(method="time", time_column="day", key_columns=("shop",))

    found = chosen(training, holdout, "rmse", by_time)

    assert found.name == "the last value of the same shop"
    assert found.predictions.labels.tolist() == [100.0, 7.0, 7.0]  # the last of all for a shop that is new
