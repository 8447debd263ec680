"""The life of a model against a real Prefect server, through your flows and tasks."""

from pathlib import Path

import pandas as pd
import pytest
from prefect.task_runners import ThreadPoolTaskRunner

from << cookiecutter.package_name >>.flows import monitor, retrain, score, tune
from << cookiecutter.package_name >>.retrainer import Project
from << cookiecutter.package_name >>.retrainer.errors import DataError
from << cookiecutter.package_name >>.retrainer.registry import open_registry

from .conftest import make_table

Messages = list[dict[str, str]]


def test_a_model_is_promoted_kept_improved_rolled_back_and_untouched_by_a_failing_source(
    life: Project, messages: Messages
) -> None:
    table, registry = life.folder / "table.csv", open_registry(life.settings)

    make_table(noise=3).to_csv(table, index=False)
    first = retrain()
    assert first["verdict"] == "promoted"
    assert first["version"] in messages[-1]["title"]

    assert retrain()["verdict"] == "kept"
    assert registry.champion().id == first["version"]

    make_table(noise=0.1, seed=1).to_csv(table, index=False)
    better = retrain()
    assert better["verdict"] == "promoted"
    assert registry.champion().id == better["version"]

    registry.rollback(reason="customers complained")
    assert registry.champion().id == first["version"]
    assert retrain()["verdict"] == "staging", "what was rolled back is on hold, and its like is not promoted"

    table.unlink()
    with pytest.raises(DataError, match=r"table\.csv"):
        retrain()
    assert registry.champion().id == first["version"]
    assert messages[-1]["title"] == "life: retrain failed"
    assert first["version"] in messages[-1]["message"]


def test_the_champion_scores_a_table_and_drift_triggers_a_retrain(life: Project, messages: Messages) -> None:
    table = life.folder / "table.csv"
    make_table(noise=0.3).to_csv(table, index=False)
    version = retrain()["version"]

    scored = score()
    predictions = pd.read_parquet(Path(scored["path"]))
    assert scored["version"] == version
    assert len(predictions) == len(pd.read_csv(table))
    assert (predictions["prediction"] == pd.read_csv(table)["target"]).mean() > 0.8

    triggered = []
    for seed, shift in ((1, 0.0), (2, 5.0), (3, 5.0)):
        make_table(noise=0.3, seed=seed, shift=shift).to_csv(table, index=False)
        triggered.append(monitor()["retrain"])
    assert triggered == [False, False, True], "once may be chance"
    assert "drift" in messages[-1]["title"]


def test_a_search_tries_parameters_beside_those_of_today(life: Project, messages: Messages) -> None:
    make_table(noise=1).to_csv(life.folder / "table.csv", index=False)

    # In threads, which know the test's project; workers in processes of their own do not.
    (found,) = tune.with_options(task_runner=ThreadPoolTaskRunner())(trials=2)

    assert [trial["state"] for trial in found["trials"]] == ["complete", "complete"]
