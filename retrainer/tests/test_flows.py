"""The flows as they run in production: against a real server, with a real receiver of messages."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from churn import models
from churn.flows import monitor, retrain, score
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from retrainer import gate, reporting
from retrainer import prefect as orchestration
from retrainer.errors import DataError, RegistryError
from retrainer.pipeline import selection_metric
from retrainer.registry import open_registry
from retrainer.settings import Settings

from .conftest import PROJECT, Receiver, attached, make_table, use

pytestmark = pytest.mark.usefixtures("prefect_api")


def pointer(settings: Settings) -> dict[str, object]:
    return json.loads((settings.root / "models" / "production_metrics.json").read_text())


def test_first_model_is_promoted_the_same_again_is_kept(settings: Settings, receiver: Receiver) -> None:
    first, second = retrain(), retrain()

    assert (first["verdict"], second["verdict"]) == ("promoted", "kept")
    assert pointer(settings)["version"] == first["version"]
    assert pointer(settings)[settings.metric] == pytest.approx(first["metrics"][settings.metric])
    assert [payload["title"] for payload in receiver.payloads] == [f"{settings.project}: {first['version']} promoted"]
    assert first["reason"] in receiver.payloads[0]["message"]


def test_the_champion_can_be_loaded_with_joblib_alone(settings: Settings) -> None:
    retrain()

    champion = pointer(settings)
    pipeline = joblib.load(settings.root / str(champion["model_path"]))
    table = pd.read_csv(settings.root / "table.csv")
    assert len(pipeline.predict(table.drop(columns="target"))) == len(table)


def test_a_better_challenger_is_promoted_a_worse_one_is_not(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = models.ESTIMATORS["linear"]

    def bad(*options: Any) -> Pipeline:
        return make_pipeline(FunctionTransformer(only_coarse_usage), good(*options))

    verdicts = []
    for make in (bad, good, bad):
        monkeypatch.setitem(models.ESTIMATORS, "linear", make)
        verdicts.append(retrain()["verdict"])

    assert verdicts == ["promoted", "promoted", "kept"]
    reasons = [record.reason for record in open_registry(settings).decisions()]
    assert len(set(reasons)) == 3


def test_a_first_model_that_is_no_better_than_no_model_goes_to_staging(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = models.ESTIMATORS["linear"]

    def bad(*options: Any) -> Pipeline:
        return make_pipeline(FunctionTransformer(only_age), good(*options))

    table = make_table(settings.problem_type)
    if settings.problem_type == "classification":  # which age says nothing about, and most have one answer
        table["target"] = np.where(np.arange(len(table)) % 10, "yes", "no")
    table.to_csv(settings.root / "table.csv", index=False)
    monkeypatch.setitem(models.ESTIMATORS, "linear", bad)
    recorded = retrain()

    assert recorded["verdict"] == "staging"
    assert "always predicting" in receiver.payloads[-1]["message"]
    registry = open_registry(settings)
    assert registry.champion() is None
    for name in ("report.html", "card.md"):
        assert "always predicting" in attached(registry, registry.staging(), name)


def test_a_rollback_stays_until_it_is_released(settings: Settings, receiver: Receiver) -> None:
    registry, table = open_registry(settings), settings.root / "table.csv"
    make_table(settings.problem_type, noise=3, rows=1200).to_csv(table, index=False)
    first = retrain()["version"]
    make_table(settings.problem_type, noise=0.01, rows=1200, seed=1).to_csv(table, index=False)
    second = retrain()
    assert second["verdict"] == "promoted"

    registry.rollback(reason="the customers complained")
    again = retrain()

    assert (again["verdict"], registry.champion().id) == ("staging", first)
    assert f"{second['version']}, which is on hold (" in again["reason"]
    assert again["held"] == {second["version"]: "the customers complained"}
    assert f"On hold: {second['version']}" in receiver.payloads[-1]["message"]
    report = attached(registry, registry.version(again["version"]), "report.html")
    assert f"{second['version']} is on hold (the customers complained)" in report
    registry.release(second["version"], reason="it was the weather")
    assert retrain()["verdict"] == "promoted"


def test_a_dry_run_decides_and_leaves_the_registry_as_it_was(settings: Settings, receiver: Receiver) -> None:
    first = retrain(dry_run=True)
    assert open_registry(settings).versions() == []
    retrain()
    before = files(settings.root / "models")
    receiver.payloads.clear()

    tried = retrain(dry_run=True)

    assert (first["verdict"], tried["verdict"]) == ("promoted", "kept")
    assert files(settings.root / "models") == before
    assert receiver.payloads == []
    assert tried["report"] == str(settings.root / "dry-run" / "report.html")
    assert tried["version"] in Path(tried["report"]).read_text()


def test_with_approval_a_promotion_waits_for_a_person(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GATE__APPROVAL="true")

    recorded = retrain()

    registry = open_registry(settings)
    assert (recorded["verdict"], registry.champion()) == ("staging", None)
    registry.promote("staging", reason="looked at")
    assert registry.champion().id == recorded["version"]


def test_a_failing_source_leaves_production_alone_and_tells_the_team(settings: Settings, receiver: Receiver) -> None:
    promoted = retrain()["version"]
    before = files(settings.root / "models")
    settings.resolve(settings.data.source).unlink()

    with pytest.raises(DataError, match=r"table\.csv"):
        retrain()

    assert files(settings.root / "models") == before
    assert receiver.payloads[-1]["title"] == f"{settings.project}: retrain failed"
    assert "table.csv" in receiver.payloads[-1]["message"]
    assert promoted in receiver.payloads[-1]["message"]


def test_the_error_of_a_bug_reaches_the_caller_and_the_team(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(gate, "evaluate", broken)

    with pytest.raises(ZeroDivisionError, match="a bug"):
        retrain()

    assert "a bug" in receiver.payloads[-1]["message"]


def test_a_report_that_cannot_be_drawn_costs_the_report_alone(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **options: object) -> str:
        raise ZeroDivisionError("no picture")

    monkeypatch.setattr(reporting, "page", broken)
    monkeypatch.setattr(reporting, "drift_page", broken)
    first, second = retrain(), retrain()
    window = monitor()

    assert (first["verdict"], second["verdict"]) == ("promoted", "kept")
    assert pointer(settings)["version"] == first["version"]
    assert first["report"] is window["report"] is None
    registry = open_registry(settings)
    assert not registry.verify()
    assert not any(key.endswith(("report.html", "card.md")) for key in registry.store.list("versions"))
    assert "ZeroDivisionError: no picture" in first["report_error"]
    logged = [each.getMessage() for each in caplog.records if each.name.startswith("prefect.")]
    assert sum("no picture" in line for line in logged) == 3, "in the logs of the runs"


def test_nobody_waits_for_the_report(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = reporting.sections

    def drawn(*args: Any) -> Any:
        seen.append(str(pointer(settings)["version"]))
        return real(*args)

    monkeypatch.setattr(orchestration, "notify_decision", lambda *args, **more: seen.append("told"))
    monkeypatch.setattr(reporting, "sections", drawn)
    recorded = retrain()

    assert seen == ["told", recorded["version"]], "first the message, then the report of what is in production"
    assert Path(recorded["report"]).is_file()


def test_a_forest_predicts_the_same_to_the_last_bit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ESTIMATORS='["random_forest"]')
    registry = open_registry(settings)
    retrain()
    model = registry.load_model(registry.champion())

    assert model[-1].n_jobs == 1


def test_an_unchanged_source_is_fetched_once_a_changed_one_again(settings: Settings) -> None:
    first, again = retrain(), retrain()
    table = settings.resolve(settings.data.source)
    table.write_text(table.read_text().replace("basic", "Basic"))
    changed = retrain()

    registry = open_registry(settings)
    digests = [registry.version(run["version"]).lineage["data"]["digest"] for run in (first, again, changed)]
    assert digests[0] == digests[1] != digests[2]


def test_several_estimators_the_best_is_chosen_on_the_training_rows_or_a_sample_of_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, ESTIMATORS='["hist_gradient_boosting", "linear"]')
    by_all = retrain()["version"]

    use(monkeypatch, COMPARED_ROWS="100")
    by_a_sample = retrain()["version"]

    lines = [line for line in caplog.messages if " is the best by " in line]
    for version, line in ((by_all, lines[0]), (by_a_sample, lines[-1])):
        scores = {name: float(score) for name, score in (pair.split(" ") for pair in line.split(": ")[-1].split(", "))}
        assert len(scores) == 2
        chosen = open_registry(settings).version(version).lineage["estimator"]
        assert chosen == min(scores, key=lambda name: scores[name])  # of either problem's metric
    assert any("are compared on 100 of " in line for line in caplog.messages)


def test_candidates_are_compared_by_the_metric_that_is_set_or_by_what_few_rows_show_best(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by(estimators: tuple[str, ...], metric: str | None) -> str:
        return selection_metric(PROJECT.with_settings(estimators=estimators, gate={"metric": metric})).name

    with_probabilities = ("linear", "random_forest")
    if settings.problem_type == "regression":
        assert by(with_probabilities, None) == "rmse"
        assert by(with_probabilities, "mae") == "mae"
    else:
        assert by(with_probabilities, None) == "log_loss"
        assert by(with_probabilities, "recall_macro") == "recall_macro"
        monkeypatch.setitem(models.ESTIMATORS, "ridge", lambda *_: make_pipeline(RidgeClassifier()))
        assert by(("linear", "ridge"), None) == "f1_score"


def test_scoring_the_same_table_twice_gives_the_same_file(settings: Settings) -> None:
    version = retrain()["version"]
    first = score()
    before = Path(first["path"]).read_bytes()
    second = score()

    assert first == second
    assert Path(second["path"]).read_bytes() == before
    assert first["version"] == version
    assert first["rows"] == len(pd.read_csv(settings.root / "table.csv"))


def test_without_a_champion_there_is_nothing_to_score_with(settings: Settings, receiver: Receiver) -> None:
    with pytest.raises(RegistryError, match="Run `churn retrain`"):
        score()

    assert receiver.payloads[-1]["title"] == f"{settings.project}: score failed"


def test_a_holdout_of_its_own_is_what_models_are_compared_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(settings.problem_type, seed=7, rows=200).to_csv(settings.root / "holdout.csv", index=False)
    use(monkeypatch, SPLIT__METHOD="source", SPLIT__SOURCE="holdout.csv")

    version = open_registry(settings).version(retrain()["version"])

    assert version.lineage["rows"] == {
        "training": len(pd.read_csv(settings.root / "table.csv")),
        "holdout": 200,
    }
    assert retrain()["verdict"] == "kept"


def test_drift_asks_for_a_retrain_only_when_it_stays(settings: Settings, receiver: Receiver) -> None:
    retrain()
    receiver.payloads.clear()
    table = settings.root / "table.csv"
    asked = []
    for seed, shift in ((1, 0.0), (2, 5.0), (3, 5.0)):
        shifted = make_table(settings.problem_type, seed=seed)
        shifted["usage"] += shift
        shifted.to_csv(table, index=False)
        window = monitor()
        asked.append(window["retrain"])

    assert asked == [False, False, True]
    page = (settings.root / "monitoring" / "drift.html").read_text()
    assert "The new data have drifted" in page
    assert "usage" in page
    titles = [payload["title"] for payload in receiver.payloads]
    assert window["drifted_columns"] == ["usage"]
    assert not window["triggered"]  # nothing is deployed here
    assert titles == [f"{settings.project}: the data drifted, no retrain is triggered"]
    assert f"there is no deployment retrain/{settings.project}" in receiver.payloads[0]["message"]
    assert "usage" in receiver.payloads[0]["message"]


def only_coarse_usage(X: pd.DataFrame) -> pd.DataFrame:
    return X[["usage"]].round()


def only_age(X: pd.DataFrame) -> pd.DataFrame:
    """Leave the one column that tells nothing about the target."""
    return X[["age"]]


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
