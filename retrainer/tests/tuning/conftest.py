"""A training part, and studies of it without Prefect."""

from collections.abc import Callable
from typing import Any

import pytest

from retrainer import Project, data, pipeline, tuning
from retrainer.settings import Settings
from retrainer.training import FoldInputs

from ..conftest import make_table, now


@pytest.fixture(autouse=True)
def _few_rows_and_params_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make_table(settings.problem_type, rows=200).to_csv(settings.root / "table.csv", index=False)
    monkeypatch.setattr(Project, "params_file", settings.root / "params.toml")


@pytest.fixture
def side() -> pipeline.SplitSide:
    """Return the training side of the table."""
    project = now()
    snapshot = data.fetch(project.settings.data.source, settings=project.settings)
    return pipeline.split(pipeline.preprocess(snapshot, project=project), project=project)[0]


@pytest.fixture
def inputs(side: pipeline.SplitSide) -> FoldInputs:
    return pipeline.fold_inputs(side, project=now())


def search(
    inputs: FoldInputs,
    trials: int,
    *,
    estimator: str = "linear",
    score: Callable[..., Any] = tuning.score_trial,
    project: Project | None = None,
) -> tuning.Found:
    """Run trials one by one, as the flow does with one worker."""
    project = project or now()
    with tuning.open_study(inputs, estimator=estimator, project=project) as study:
        while study.goes_on(trials):
            number, parameters = study.ask()
            options = {"medians": study.medians(number), "deadline": float("inf"), "threads": 1}
            try:
                outcome = score(inputs, estimator=estimator, parameters=parameters, project=project, **options)
            except Exception as error:
                outcome = error
            study.tell(number, outcome)
        return study.found()
