"""The examples in docstrings: each room has some, and all are run."""

import contextlib
import doctest
import importlib
import pkgutil
import sys
from types import ModuleType
from typing import Any

import pytest

import retrainer
from retrainer import data, pipeline
from retrainer.project import Project
from retrainer.registry import Record
from retrainer.training import Recipe

ROOMS = ("data", "gate", "monitoring", "registry", "reporting", "training", "tuning")
STATE = (None, 3, "2026-11-01T00:00:00+00:00", [], None, {}, None, "")


def modules(name: str) -> list[ModuleType]:
    """Return the modules of a room, or those beside the rooms."""
    path = [folder + name.replace(".", "/").removeprefix("retrainer") for folder in retrainer.__path__]
    found = [info.name for info in pkgutil.iter_modules(path) if not info.ispkg]
    return [importlib.import_module(f"{name}.{one}") for one in found if not one.startswith("_mlflow")]


def run_examples(room: str, **names: Any) -> None:
    """Run the examples of a room, in which these names stand for what a run has."""
    results = [doctest.testmod(module, extraglobs=names) for module in modules(f"retrainer.{room}".rstrip("."))]

    assert sum(result.attempted for result in results)
    assert not sum(result.failed for result in results)


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_examples(room: str) -> None:
    run_examples(room)


@pytest.mark.parametrize("settings", ["classification"], indirect=True)
@pytest.mark.parametrize("room", ["cli", "prefect", "serving"])
def test_examples_with_a_project(room: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["churn"])  # an example sets it
    rollback = Record(4, "2026-11-02T00:00:00+00:00", "v1", {"verdict": "rolled_back"}, "v2", "v1", *STATE)

    run_examples(room, project=project, rollback=rollback, contextlib=contextlib)


@pytest.mark.parametrize("settings", ["classification"], indirect=True)
def test_examples_of_the_steps(project: Project) -> None:
    snapshot = data.fetch(project.settings.data.source, settings=project.settings)
    training, _, holdout = pipeline.split(pipeline.preprocess(snapshot, project=project), project=project)
    names: dict[str, Any] = {"project": project, "snapshot": snapshot, "training": training, "holdout": holdout}
    names["challenger"] = pipeline.train(training, recipe=Recipe("linear"), project=project)
    evaluation = pipeline.evaluate(names["challenger"], training, holdout, project=project)
    for _ in ("the first is promoted", "the second is kept"):
        compared = pipeline.compare_with_production(evaluation, project=project, accept_not_comparable=False)
        how: dict[str, Any] = {"snapshot": snapshot, "recipe": Recipe("linear"), "project": project}
        saved = pipeline.save(compared, None, **how, run=pipeline.Run())
        pipeline.record(saved, compared, project=project, run=pipeline.Run())

    run_examples("pipeline", comparison=compared, **names)
