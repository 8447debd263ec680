"""The flows: wiring only. What a step does is in `orchestration/`, and the logic in the rooms below it."""

import datetime
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from . import orchestration as steps

Source = Annotated[str | None, Field(description="Another source than the one of the settings.")]
AsOf = Annotated[
    datetime.datetime | None,
    Field(description="The moment that dates in the source stand for; empty: when the run was due."),
]
Accept = Annotated[bool, Field(description="Let a challenger replace a champion it cannot be compared with.")]
DryRun = Annotated[
    bool,
    Field(description="Decide and draw the report, and leave the registry as it is; nobody is notified."),
]


@flow(
    name="retrain",
    task_runner=steps.ChosenRunner(),
    on_failure=[steps.notify_outcome],
    on_crashed=[steps.notify_outcome],
    on_cancellation=[steps.notify_outcome],
)
def retrain(
    source: Source = None, as_of: AsOf = None, accept_not_comparable: Accept = False, dry_run: DryRun = False
) -> dict[str, Any]:
    """Train on fresh data, compare with the model in production, promote only what is really better."""
    settings = steps.settings_of_run(source=steps.parameter(source))
    snapshot = steps.fetch(
        steps.source_of_run(settings.data.source, as_of, settings=settings), settings=settings
    )
    table = steps.preprocess(snapshot, settings=settings, accept_not_comparable=accept_not_comparable)
    separate = steps.separate_holdout(table, as_of=as_of, settings=settings)
    training, gap, holdout = steps.split(table, holdout=separate, settings=settings)
    del table, separate  # the parts hold their rows

    recipe = steps.choose_recipe(training, settings=settings)
    challenger = steps.train(training, recipe=recipe, settings=settings)
    scores = steps.evaluate(challenger, training, holdout, settings=settings)

    # Another retrain may decide between comparison and record: then there is a new champion to beat.
    recorded = None
    while recorded is None:
        comparison = steps.compare_with_production(
            scores, holdout, settings=settings, accept_not_comparable=accept_not_comparable
        )
        refitted = None
        if not dry_run:
            refitted = steps.refit(comparison, training, gap, holdout, recipe=recipe, settings=settings)
        saved = steps.save(
            challenger,
            comparison,
            scores,
            training=training,
            holdout=holdout,
            refitted=refitted,
            snapshot=snapshot,
            recipe=recipe,
            settings=settings,
        )
        if dry_run:
            return steps.show(saved, comparison, settings=settings)
        recorded = steps.record(saved, comparison, settings=settings)
    steps.publish(recorded, settings=settings)
    steps.notify(recorded, settings=settings)
    return recorded


@flow(
    name="score",
    task_runner=steps.ChosenRunner(),
    on_failure=[steps.notify_outcome],
    on_crashed=[steps.notify_outcome],
    on_cancellation=[steps.notify_outcome],
)
def score(source: Source = None, as_of: AsOf = None) -> dict[str, Any]:
    """Let the model in production predict a table; the same table gives the same file."""
    settings = steps.settings_of_run()
    wanted = steps.parameter(source) or settings.score.source or settings.data.source
    snapshot = steps.fetch(steps.source_of_run(wanted, as_of, settings=settings), settings=settings)
    return steps.score_batches(snapshot, settings=settings)


@flow(
    name="monitor",
    on_failure=[steps.notify_outcome],
    on_crashed=[steps.notify_outcome],
    on_cancellation=[steps.notify_outcome],
)
def monitor(source: Source = None, as_of: AsOf = None) -> dict[str, Any]:
    """Compare new data with the training data; trigger a retrain when drift is sustained."""
    settings = steps.settings_of_run()
    wanted = steps.parameter(source) or settings.monitor.source or settings.data.source
    snapshot = steps.fetch(steps.source_of_run(wanted, as_of, settings=settings), settings=settings)
    window = steps.check_drift(snapshot, settings=settings)
    if window["retrain"]:
        steps.trigger_retrain(window, settings=settings)
    return window
