"""Own costs and named classes live a whole life: promoted, kept, better, rolled back, scored, and shown as they are."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from churn import models
from churn.flows import monitor, retrain, score
from churn.metrics import METRICS
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from retrainer import OwnMetric, gate
from retrainer.errors import ConfigurationError
from retrainer.registry import open_registry
from retrainer.settings import Settings
from retrainer.training import Production

from ..conftest import attached, now, use

pytestmark = [
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.parametrize("settings", ["classification"], indirect=True),
]


def make_customers(noise: float, seed: int = 0, rows: int = 3000, oldest: int = 48) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, monthly = rng.normal(40, 12, rows), rng.uniform(10, 100, rows)
    leaves = age + noise * 12 * rng.normal(size=rows) > oldest
    return pd.DataFrame({"age": age, "monthly": monthly, "target": np.where(leaves, "yes", "no")})


def cost(truth: Any, predictions: Any, rows: Any) -> Any:
    missed = (truth == "yes") & (predictions.labels == "no")
    return np.where(missed, rows["monthly"], 0) + np.where(predictions.labels == "yes", 10, 0)


def cost_of_visits(truth: Any, predictions: Any, rows: Any) -> Any:
    return cost(truth, predictions, rows) + np.where(predictions.labels == "yes", 15, 0)


@pytest.mark.parametrize("metric", ["cost", "recall"])
def test_a_metric_of_the_teams_choice_lives_a_whole_life(
    metric: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = settings.root / "table.csv"
    if metric == "cost":
        own = OwnMetric(cost_of_visits, greater_is_better=False, columns=("monthly",), label="cost of a customer")
        monkeypatch.setitem(METRICS, "cost", own)
    shown = {"cost": "cost of a customer", "recall": "recall of yes"}[metric]
    use(monkeypatch, GATE__METRIC=metric, DATA__POSITIVE="yes", GATE__GUARD_METRICS='{"f1": 0.5}')

    make_customers(noise=0.8, rows=1200).to_csv(table, index=False)
    first, again = retrain(), retrain()
    make_customers(noise=0.05, seed=1, rows=1200, oldest=40).to_csv(table, index=False)
    better = retrain()

    assert [run["verdict"] for run in (first, again, better)] == ["promoted", "kept", "promoted"]
    assert shown in better["reason"].lower()
    registry = open_registry(settings)
    champion = registry.champion()
    assert (champion.metric, set(champion.metrics) >= {metric, "f1", "f1_score"}) == (metric, True)
    for name in ("report.html", "card.md"):
        text = attached(registry, champion, name)
        assert shown in text
        assert "F1 of yes" in text
    decision = gate.Decision.from_dict(registry.decisions()[-1].decision)
    assert (decision.metric, decision.positive) == (metric, "yes")
    registry.rollback(reason="to look again")
    assert registry.champion().id == first["version"]
    assert score()["version"] == first["version"]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"TRAIN__THRESHOLD": "0.3"}, gate.PositiveClassError, "Set data.positive to one of: no, yes"),
        (
            {"TRAIN__THRESHOLD": "tuned", "GATE__METRIC": "roc_auc"},
            ConfigurationError,
            "looks at probabilities",
        ),
        (
            {"TRAIN__THRESHOLD": "tuned", "GATE__METRIC": "recall", "DATA__POSITIVE": "yes"},
            ConfigurationError,
            "predicted for every row",
        ),
        (
            {"TRAIN__THRESHOLD": "tuned", "ESTIMATORS": '["margin"]'},
            ConfigurationError,
            "'margin' has no pred",
        ),
        (
            {"GATE__GUARD_METRICS": '{"log_loss": 0.1}', "ESTIMATORS": '["margin"]'},
            ConfigurationError,
            "'log_loss' needs probabilities",
        ),
        ({"GATE__METRIC": "recal"}, gate.UnknownMetricError, "Did you mean 'recall'"),
        ({"GATE__GUARD_METRICS": '{"f2": 0.1}'}, gate.UnknownMetricError, "'f2'"),
        ({"GATE__METRIC": "rmse"}, gate.UnknownMetricError, "measures a regression"),
        ({"GATE__METRIC": "f1"}, gate.PositiveClassError, "Set data.positive to one of: no, yes"),
        ({"GATE__METRIC": "f1", "DATA__POSITIVE": "oui"}, gate.PositiveClassError, "no such class.*no, yes"),
    ],
)
def test_what_cannot_be_measured_is_known_before_any_training(
    values: dict[str, str],
    error: type[Exception],
    message: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_work(*args: Any, **options: Any) -> Any:
        raise AssertionError("a model was fitted")

    monkeypatch.setattr(Pipeline, "fit", no_work)
    monkeypatch.setitem(models.ESTIMATORS, "margin", lambda problem_type, seed: Pipeline([("m", LinearSVC())]))
    make_customers(noise=1, rows=100).to_csv(settings.root / "table.csv", index=False)
    if issubclass(error, ConfigurationError):  # then not even the table is looked at
        (settings.root / "table.csv").unlink()
    use(monkeypatch, **values)
    with pytest.raises(error, match=message):
        retrain()
    assert open_registry(settings).versions() == []


@pytest.mark.parametrize("threshold", ["tuned", "0.2"])
def test_a_threshold_lives_a_whole_life_as_a_part_of_the_model(
    threshold: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = settings.root / "table.csv"
    own = OwnMetric(cost, greater_is_better=False, columns=("monthly",), label="cost of a customer")
    monkeypatch.setitem(METRICS, "cost", own)
    use(monkeypatch, GATE__METRIC="cost", DATA__POSITIVE="yes")
    make_customers(noise=0.7).to_csv(table, index=False)
    bare = retrain()
    use(monkeypatch, TRAIN__THRESHOLD=threshold)
    first, again = retrain(), retrain()
    registry = open_registry(settings)
    by_threshold = registry.champion()
    scored = pd.read_parquet(score()["path"])
    make_customers(noise=0.05, seed=1).to_csv(table, index=False)
    better = retrain()

    assert [run["verdict"] for run in (bare, first, again, better)] == [
        *("promoted", "promoted", "kept", "promoted"),
    ], "a missed customer costs more than a call: the threshold alone is an improvement"
    assert bare["threshold"] is None
    found = first["threshold"]
    assert found == again["threshold"] == by_threshold.lineage["threshold"]
    assert (found["positive"], found["value"] < 0.3) == ("yes", True)
    assert found.get("tuned_for") == ("cost" if threshold == "tuned" else None)
    labels = np.where(scored["probability_yes"] >= found["value"], "yes", "no")
    assert (labels == scored["prediction"]).all()
    assert ((scored["probability_yes"] >= 0.5) != (labels == "yes")).any()
    for name in ("report.html", "card.md"):
        text = attached(registry, by_threshold, name)
        assert f"at or above a probability of {found['value']:g}" in text
        assert ("tuned for cost of a customer" in text) == (threshold == "tuned")
    registry.rollback(reason="to look again")
    rows = make_customers(noise=0.8)
    served = Production(registry, project=now()).current()
    assert served.version == first["version"]
    expected = np.where(served.predict_proba(rows)["yes"] >= found["value"], "yes", "no")
    assert (served.predict(rows) == expected).all()
    assert served.predict(rows.iloc[[7]]).tolist() == [expected[7]]
    assert score()["version"] == first["version"]


def test_candidates_are_chosen_at_the_threshold_that_suits_each(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(
        monkeypatch,
        TRAIN__THRESHOLD="tuned",
        GATE__METRIC="f1",
        DATA__POSITIVE="yes",
        ESTIMATORS='["hist_gradient_boosting", "linear"]',
    )
    make_customers(noise=0.8, rows=600).to_csv(settings.root / "table.csv", index=False)
    lineage = open_registry(settings).version(retrain()["version"]).lineage
    assert lineage["estimator"] == "linear"
    assert lineage["threshold"]["tuned_for"] == "f1"


def test_a_cost_whose_column_is_gone_stops_the_retrain_and_not_production(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnMetric(cost, greater_is_better=False, columns=("monthly",))
    monkeypatch.setitem(METRICS, "cost", own)
    use(monkeypatch, GATE__METRIC="cost")
    table = settings.root / "table.csv"
    make_customers(noise=0.2, rows=1200).to_csv(table, index=False)
    first = retrain()["version"]
    make_customers(noise=0.2, rows=1200).drop(columns="monthly").to_csv(table, index=False)
    with pytest.raises(gate.OwnMetricError, match=r"'cost' \(metrics.py\) reads column 'monthly'"):
        retrain()
    assert open_registry(settings).champion().id == first


def test_a_cost_that_cannot_be_computed_is_known_before_any_training(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_work(*args: Any, **options: Any) -> Any:
        raise AssertionError("a model was fitted")

    monkeypatch.setattr(Pipeline, "fit", no_work)
    table = make_customers(noise=1, rows=200)
    table.loc[20:24, "monthly"] = np.nan
    table.to_csv(settings.root / "table.csv", index=False)
    for function, message in (
        (
            cost,
            r"'cost' \(metrics.py\) is nan for \d of 200 rows when every .* predicted no, .* monthly is nan",
        ),
        (lambda truth, predictions, rows: 1 / 0, r"failed: ZeroDivisionError"),
        (
            lambda truth, predictions, rows: np.nan,
            r"'cost' \(metrics.py\) is nan when every row is predicted perfec",
        ),
    ):
        own = OwnMetric(function, greater_is_better=False, columns=("monthly",))
        monkeypatch.setitem(METRICS, "cost", own)
        use(monkeypatch, GATE__METRIC="cost")
        with pytest.raises(gate.OwnMetricError, match=message):
            retrain()
    assert open_registry(settings).versions() == []


def test_a_cost_whose_column_is_gone_costs_the_live_score_and_not_the_drift(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnMetric(cost, greater_is_better=False, columns=("monthly",))
    monkeypatch.setitem(METRICS, "cost", own)
    use(monkeypatch, GATE__METRIC="cost", DATA__DROP='["monthly"]')
    table = settings.root / "table.csv"
    make_customers(noise=0.2, rows=1200).to_csv(table, index=False)
    retrain()
    new = make_customers(noise=0.2, rows=1200, seed=1)
    new.to_csv(table, index=False)
    complete = monitor()
    new.drop(columns="monthly").to_csv(table, index=False)
    window = monitor()
    assert complete["metric"] > 0
    assert (window["metric"], window["drifted"], window["labelled"]) == (None, False, 1200)
    assert "monthly" in window["live_reason"]
    assert score()["rows"] == 1200, "a model that never got the column predicts without it"
