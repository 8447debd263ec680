"""What issue tables ask of the gate, through whole retrains: the table is what the test knows the truth about."""

import getpass
import platform
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from churn.metrics import METRICS as OWN_METRICS
from threadpoolctl import threadpool_limits

from retrainer import OwnMetric, data, pipeline
from retrainer.gate import METRICS, Champion, Decision, Predictions, Question, alarms, decide, known_metric
from retrainer.project import Project
from retrainer.registry import open_registry
from retrainer.settings import GateSettings, Settings

from ..conftest import now, retrain_steps, run_command_line, use

CLASSES = pytest.mark.parametrize("settings", ["classification"], indirect=True)
NUMBERS = pytest.mark.parametrize("settings", ["regression"], indirect=True)


def retrained(table: pd.DataFrame, project: Project) -> Decision:
    """Retrain without Prefect, and return what was decided and recorded."""
    return retrain_steps(table, project)[0].decision


def line(rows: int = 1200, *, seed: int = 0, noise: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pd.DataFrame({"x": x, "z": rng.normal(size=rows), "target": 10 + 4 * x + noise * rng.normal(size=rows)})


def two_classes(rows: int = 1200, *, share: float = 0.5, worth: float = 3.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    chance = 1 / (1 + np.exp(-np.log(share / (1 - share)) - worth * x))
    return pd.DataFrame(
        {"x": x, "z": rng.normal(size=rows), "target": np.where(rng.random(rows) < chance, "yes", "no")}
    )


@NUMBERS
def test_a_week_of_shuffled_labels_is_not_promoted_though_the_champion_is_worse_there(
    settings: Settings,
) -> None:
    assert retrained(line(), now()).kind == "first"
    shuffled = line(seed=1)
    shuffled["target"] = np.random.default_rng(0).permutation(shuffled["target"])

    decision = retrained(shuffled, now())

    assert decision.improvement is not None
    assert decision.improvement > 0.1, "on these rows the champion is much worse than knowing nothing"
    assert (decision.verdict, decision.kind) == ("staging", "baseline")
    assert open_registry(settings).decisions()[0].version == open_registry(settings).champion().id  # type: ignore[union-attr]


@CLASSES
def test_a_better_model_than_the_champion_that_always_answering_yes_beats_waits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, GATE__METRIC="f1", DATA__POSITIVE="yes")
    weak = two_classes(4000, share=0.3, worth=2.0)
    assert retrained(weak, now()).promoted
    other = two_classes(4000, share=0.3, worth=-0.9, seed=1)  # what was learned is wrong now

    decision = retrained(other, now())

    assert decision.baseline is not None
    assert decision.champion is not None
    assert decision.champion["f1"] < decision.challenger["f1"] < decision.baseline["f1"]
    assert (decision.verdict, decision.kind) == ("staging", "baseline")
    assert "always predicting 'yes'" in decision.reason


@NUMBERS
@pytest.mark.parametrize("estimator", ["hist_gradient_boosting", "random_forest"])
def test_trees_do_not_take_all_that_comes_after_three_bad_weeks_for_noise(
    estimator: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, SPLIT__METHOD="time", SPLIT__TIME_COLUMN="when", ESTIMATORS=f'["{estimator}"]')
    weeks = np.arange(2100) // 20
    table = line(2100).assign(when=pd.date_range("2024-01-01", periods=2100, freq=pd.Timedelta(days=7) / 20))
    bad = (weeks >= 81) & (weeks < 84)  # the last ones before the holdout
    table.loc[bad, "target"] = np.random.default_rng(1).permutation(table["target"][bad])

    # With the seconds since 1970 among the columns, both have an RMSE above 4: that of always predicting the mean.
    assert retrained(table, now()).challenger["rmse"] < 3


@NUMBERS
@pytest.mark.parametrize("estimator", ["linear", "hist_gradient_boosting", "random_forest"])
def test_another_number_of_cores_makes_no_other_model_and_the_lineage_names_them(
    estimator: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, ESTIMATORS=f'["{estimator}"]')
    scores = []
    for cores in (1, 2):
        with threadpool_limits(cores), joblib.parallel_config(n_jobs=cores):
            monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
            scores.append(retrained(line(), now()).challenger["rmse"])
            assert open_registry(settings).versions()[-1].lineage["cores"] == cores

    assert scores[0] == pytest.approx(scores[1], rel=1e-12)


@CLASSES
@pytest.mark.parametrize(("worth", "promoted"), [(1.2, True), (0.0, False)])
def test_a_first_model_shows_its_skill_by_a_proper_score_where_the_metric_cannot(
    worth: float, promoted: bool, settings: Settings
) -> None:
    decision = retrained(two_classes(2000, share=0.08, worth=worth), now())

    assert decision.promoted is promoted
    if promoted:
        (skill,) = (each for each in decision.criteria if each.name == "baseline")
        assert "by log loss better by" in skill.detail


@NUMBERS
@pytest.mark.parametrize("impossible", [0, 4])
def test_few_rows_that_make_most_of_the_error_are_an_alarm_with_what_to_do(impossible: int, settings: Settings) -> None:
    table = line(4000)
    table.loc[np.random.default_rng(1).choice(4000, 5 * impossible, replace=False), "target"] = 120_000.0

    found = [alarm for alarm in retrained(table, now()).alarms if "of the squared error" in alarm]

    assert len(found) == bool(impossible)
    for words in ("1.2e+05", "label() of features.py", "mae") if impossible else ():
        assert words in found[0]


@NUMBERS
@pytest.mark.parametrize("side", ["training", "holdout"])
@pytest.mark.parametrize("estimator", ["linear", "hist_gradient_boosting", "random_forest"])
def test_impossible_targets_are_named_on_whichever_side_they_lie(
    side: str, estimator: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, ESTIMATORS=f'["{estimator}"]')
    table = line(3000)
    table.to_csv(settings.root / "table.csv", index=False)
    snapshot = data.fetch(settings.data.source, settings=settings)
    training, _, holdout = pipeline.split(pipeline.preprocess(snapshot, project=now()), project=now())
    table.loc[table["x"].isin({"training": training, "holdout": holdout}[side].rows["x"].iloc[:3]), "target"] = 120_000

    (alarm,) = (alarm for alarm in retrained(table, now()).alarms if "of the squared error" in alarm)

    assert f" {side} rows cause " in alarm
    assert "1.2e+05, 1.2e+05, 1.2e+05" in alarm


@NUMBERS
def test_large_targets_that_the_model_foretells_are_no_alarm(settings: Settings) -> None:
    table = line(3000)
    table.loc[:9, "x"] = 3000.0 + np.arange(10)
    table["target"] = 4 * table["x"] + np.random.default_rng(0).normal(size=len(table))

    assert not [alarm for alarm in retrained(table, now()).alarms if "of the squared error" in alarm]


@CLASSES
def test_a_class_that_is_never_predicted_is_an_alarm(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GATE__METRIC="log_loss")
    table = two_classes(3000)
    rare = np.random.default_rng(0).choice(3000, 60, replace=False)
    table.loc[rare, "target"] = "seldom"

    found = [alarm for alarm in retrained(table, now()).alarms if "never predicts it" in alarm]

    assert len(found) == 1
    assert "Class 'seldom' is " in found[0]
    assert "merge it with another" in found[0]


def as_number(table: pd.DataFrame) -> pd.Series:
    return (table["target"] == "yes") + 0.01 * table["z"]


def as_categories(table: pd.DataFrame) -> pd.Series:
    codes = np.random.default_rng(0).integers(40, size=len(table)) + 40 * (table["target"] == "yes")
    return "branch " + np.random.default_rng(1).permutation(80)[codes].astype(str).astype(object)


@CLASSES
@pytest.mark.parametrize("leak", [as_number, as_categories])
@pytest.mark.parametrize(("alarms", "verdict"), [("stage", "staging"), ("say", "promoted")])
def test_a_challenger_with_an_alarm_waits_where_the_setting_says_so(
    alarms: str, verdict: str, leak: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, GATE__ALARMS=alarms)

    decision = retrained(two_classes(4000).assign(leak=leak), now())

    assert decision.verdict == verdict
    assert any("'leak' by itself explains" in alarm for alarm in decision.alarms)
    assert (open_registry(settings).champion() is None) is (verdict == "staging")
    if verdict == "staging":
        assert decision.kind == "alarm"
        assert "gate.alarms leaves a promotion with an alarm to a person" in decision.reason


@NUMBERS
def test_a_key_that_knows_the_target_of_its_rows_is_no_alarm(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = np.random.default_rng(0).permutation(600).repeat(2)
    table = line(1200).assign(cust=keys, target=keys**2 / 1e4)

    found = []
    for columns in ("[]", '["cust"]'):
        use(monkeypatch, SPLIT__KEY_COLUMNS=columns)
        alarms = retrained(table, now()).alarms
        found.append(any("'cust' by itself" in alarm for alarm in alarms))

    assert found == [True, False]


@CLASSES
def test_without_an_alarm_the_setting_changes_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GATE__ALARMS="stage")
    decision = retrained(two_classes(), now())
    assert (decision.verdict, decision.alarms) == ("promoted", ())


@CLASSES
def test_classes_and_numbers_are_another_question(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    table = line().assign(target=lambda rows: (rows["target"] > 10).astype(int))
    assert retrained(table, now()).promoted
    use(monkeypatch, PROBLEM_TYPE="regression")

    decision = retrained(table, now())

    assert (decision.verdict, decision.kind) == ("kept", "not_comparable")
    assert "it was trained for a classification, and problem_type is regression" in decision.reason
    window = pipeline.check_drift(data.fetch(now().settings.data.source, settings=now().settings), project=now())
    assert (window["metric"], window["worse"], window["drifted"]) == (None, False, False)
    assert "it was trained for a classification" in window["live_reason"]


@NUMBERS
def test_monitor_does_not_score_a_champion_of_another_target(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert retrained(line(), now()).promoted
    line(seed=1).rename(columns={"target": "other"}).to_csv(settings.root / "table.csv", index=False)
    use(monkeypatch, DATA__TARGET="other")

    window = pipeline.check_drift(data.fetch(now().settings.data.source, settings=now().settings), project=now())

    assert (window["metric"], window["worse"]) == (None, False)
    assert "it predicts 'target', and data.target is 'other'" in window["live_reason"]


@NUMBERS
def test_a_profit_below_zero_is_judged_the_right_way_round(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def profit(truth: Any, predictions: Any, rows: Any) -> Any:
        return -np.abs(truth - predictions.labels)

    monkeypatch.setitem(OWN_METRICS, "profit", OwnMetric(profit, greater_is_better=True, relative=True))
    use(monkeypatch, GATE__METRIC="profit")
    assert retrained(line(noise=2.0), now()).promoted

    worse, better = retrained(line(seed=1).assign(x=0.0), now()), retrained(line(seed=2, noise=0.1), now())

    assert worse.verdict != "promoted"
    assert better.improvement is not None
    assert (better.improvement >= 0) is (better.challenger["profit"] >= (better.champion or {})["profit"])
    line(seed=3).assign(target=lambda rows: rows["target"] + 30).to_csv(settings.root / "table.csv", index=False)
    window = pipeline.check_drift(data.fetch(now().settings.data.source, settings=now().settings), project=now())
    assert window["metric"] < window["score_at_training"] < 0
    assert window["worse"] is True


@pytest.mark.parametrize(("keys", "said"), [(True, 2), (False, 8)])
def test_the_champions_changed_score_counts_keys(keys: bool, said: int) -> None:
    metric, rng, found = known_metric("accuracy"), np.random.default_rng(0), 0
    for seed in range(40):  # nothing changes, and the rows of a customer are right or wrong together
        customer = np.arange(1000) // 10
        y = rng.integers(2, size=1000)
        right, before = (rng.random((2, 100)) < 0.8)[:, customer]
        model = Predictions(np.where(right, y, 1 - y), classes=np.array([0, 1]))
        champion = Champion(model, stored_score=float(before.mean()), stored_rows=1000)
        question = Question(y, metric, GateSettings(), entities=customer if keys else None, seed=seed)
        decision = decide(question, model, champion)
        found += any(
            "Chance does not explain the change" in alarm for alarm in alarms(decision, question, model, champion)
        )

    assert (found <= said) if keys else (found >= said), "counted by rows, chance is taken for a change"


@NUMBERS
def test_words_say_what_is_known(settings: Settings) -> None:
    y = np.random.default_rng(0).normal(size=200)
    models = [Predictions(y + np.random.default_rng(seed).normal(size=200)) for seed in (1, 2)]
    question = Question(y, METRICS["rmse"], GateSettings())
    worse = min(
        (decide(question, one, Champion(other)) for one, other in (models, models[::-1])),
        key=lambda decision: decision.improvement or 0.0,
    )
    tie = decide(question, models[0], Champion(models[0]))

    assert "which may be chance" in worse.reason
    assert "chance does not explain it" not in worse.reason
    assert (tie.kind, tie.probability) == ("tie", None)
    assert "at least 0.00%, at most 0.00%" not in tie.explain()


@CLASSES
def test_a_decision_by_hand_needs_a_reason_and_records_who_and_where(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["command", "registry", *words])
        try:
            run_command_line()
        except SystemExit as end:
            return int(end.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().err

    monkeypatch.setattr("retrainer.prefect.deliver", lambda *given, **more: None)  # the message has tests of its own
    use(monkeypatch, GATE__APPROVAL="true")
    assert retrained(two_classes(), now()).verdict == "staging"

    for words in (["promote", "staging"], ["rollback"], ["hold", "staging"], ["release", "staging"]):
        code, error = command(*words)
        assert code == 2
        assert "--reason" in error
    assert open_registry(settings).champion() is None
    assert command("promote", "staging", "--reason", "agreed on Monday")[0] == 0

    record = open_registry(settings).decisions()[-1]
    assert record.verdict == "promoted"
    assert record.reason == "agreed on Monday"
    assert record.decision["by"] == getpass.getuser()
    assert record.decision["host"] == platform.node()
