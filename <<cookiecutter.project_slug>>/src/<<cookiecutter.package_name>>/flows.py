"""The flows: wiring only. What a step does stands in tasks.py, and what it means in the modules behind it."""

import datetime
from typing import Annotated, Any

from prefect import flow, unmapped
from pydantic import Field

from . import tasks
from .settings import PACKAGE


@flow(
    name="retrain",
    flow_run_name=tasks.run_name,
    on_failure=[tasks.tell_outcome],
    on_crashed=[tasks.tell_outcome],
    on_cancellation=[tasks.tell_outcome],
)
def retrain(
    source: Annotated[str | None, Field(description="Another source than data.source of the settings.")] = None,
    as_of: Annotated[
        datetime.datetime | None, Field(description="The moment that dates in the source stand for; now if empty.")
    ] = None,
    accept_incomparable: Annotated[
        bool, Field(description="Let a challenger replace a champion it cannot be compared with.")
    ] = False,
) -> dict[str, Any]:
    """Train on fresh data, compare with the model in production, promote only what is really better."""
    settings = tasks.settings_of_run(source=source)
    snapshot = tasks.fetch(tasks.source_of_run(settings, as_of=as_of), settings=settings)
    table = tasks.preprocess(snapshot, settings=settings)
    training, holdout = tasks.split(table, settings=settings)

    estimator = tasks.choose_estimator(training, settings=settings)
    challenger = tasks.train(training, estimator=estimator, settings=settings)
    scores = tasks.evaluate(challenger, holdout, settings=settings)

    recorded = None
    while recorded is None:  # another retrain may decide in between: then the champion to beat is a new one
        decision = tasks.compare_with_production(scores, holdout, settings=settings, accept_incomparable=accept_incomparable)
        recorded = tasks.record(challenger, scores, decision, snapshot, training, holdout, settings=settings)
    tasks.notify(recorded, settings=settings)
    return recorded
