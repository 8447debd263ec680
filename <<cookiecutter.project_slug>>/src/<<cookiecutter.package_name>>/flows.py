"""The flows: wiring only. What a step does stands in tasks.py, and what it means in the modules behind it."""

import datetime
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from . import scale_out, tasks

Source = Annotated[str | None, Field(description="Another source than the one of the settings.")]
AsOf = Annotated[
    datetime.datetime | None,
    Field(description="The moment that dates in the source stand for; empty: when the run was due."),
]
Accept = Annotated[bool, Field(description="Let a challenger replace a champion it cannot be compared with.")]


@flow(
    name="retrain",
    task_runner=scale_out.ChosenRunner(),
    on_failure=[tasks.tell_outcome],
    on_crashed=[tasks.tell_outcome],
    on_cancellation=[tasks.tell_outcome],
)
def retrain(
    source: Source = None, as_of: AsOf = None, accept_not_comparable: Accept = False
) -> dict[str, Any]:
    """Train on fresh data, compare with the model in production, promote only what is really better."""
    settings = tasks.settings_of_run(source=source)
    snapshot = tasks.fetch(
        tasks.source_of_run(settings.data.source, as_of, settings=settings), settings=settings
    )
    table = tasks.preprocess(snapshot, settings=settings)
    separate = tasks.separate_holdout(as_of, settings=settings)
    training, holdout = tasks.split(table, holdout=separate, settings=settings)
    del table, separate  # the parts hold their rows

    estimator = tasks.choose_estimator(training, settings=settings)
    challenger = tasks.train(training, estimator=estimator, settings=settings)
    scores = tasks.evaluate(challenger, holdout, settings=settings)

    # Another retrain may decide between comparison and record: then there is a new champion to beat.
    recorded = None
    while recorded is None:
        comparison = tasks.compare_with_production(
            scores, holdout, settings=settings, accept_not_comparable=accept_not_comparable
        )
        version = tasks.save(
            challenger,
            comparison,
            scores,
            training=training,
            holdout=holdout,
            snapshot=snapshot,
            estimator=estimator,
            settings=settings,
        )
        recorded = tasks.record(version, comparison, settings=settings)
    tasks.publish(recorded, settings=settings)
    tasks.notify(recorded, settings=settings)
    return recorded


@flow(
    name="score",
    task_runner=scale_out.ChosenRunner(),
    on_failure=[tasks.tell_outcome],
    on_crashed=[tasks.tell_outcome],
    on_cancellation=[tasks.tell_outcome],
)
def score(source: Source = None, as_of: AsOf = None) -> dict[str, Any]:
    """Let the model in production predict a table; the same table gives the same file."""
    settings = tasks.settings_of_run()
    wanted = source or settings.score.source or settings.data.source
    snapshot = tasks.fetch(tasks.source_of_run(wanted, as_of, settings=settings), settings=settings)
    return tasks.score_batches(snapshot, settings=settings)


@flow(
    name="monitor",
    on_failure=[tasks.tell_outcome],
    on_crashed=[tasks.tell_outcome],
    on_cancellation=[tasks.tell_outcome],
)
def monitor(source: Source = None, as_of: AsOf = None) -> dict[str, Any]:
    """Hold new data against the training data; ask for a retrain when they have drifted apart for good."""
    settings = tasks.settings_of_run()
    wanted = source or settings.monitor.source or settings.data.source
    snapshot = tasks.fetch(tasks.source_of_run(wanted, as_of, settings=settings), settings=settings)
    window = tasks.look(snapshot, settings=settings)
    if window["retrain"]:
        tasks.ask_for_retrain(window, settings=settings)
    return window
