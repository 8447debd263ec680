"""The flows: which step follows which."""

import datetime
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from . import project as this_project
from . import tasks
from .retrainer import Project, tuning
from .retrainer.prefect import begin, resolve_source, task_runner

Source = Annotated[str | None, Field(description="A source in place of the one in the settings.")]
AsOf = Annotated[
    datetime.datetime | None,
    Field(description="The date to fill into the source, `{as_of:%Y-%m-%d}`; empty: the scheduled time."),
]
Accept = Annotated[bool, Field(description="Promote a challenger even if it cannot be compared with the champion.")]
DryRun = Annotated[
    bool,
    Field(description="Decide and draw the report, but record nothing; nobody is notified."),
]
Estimator = Annotated[
    str | None, Field(description="The estimator to tune; empty: each one in the settings with a search space.")
]
Trials = Annotated[int, Field(ge=1, description="Trials for each estimator, earlier runs included.")]
TimeLimit = Annotated[str | None, Field(description="For all trials together: 90s, 30m, 2h.")]
Workers = Annotated[int | None, Field(ge=1, description="Trials in parallel; empty: one for each core.")]


def sides(snapshot: Any, as_of: AsOf, accept_not_comparable: Accept, project: Project) -> Any:
    """Read the table and hold rows out: the training side, the gap, and the holdout, which is for retrain alone."""
    table = tasks.preprocess(snapshot, project=project, accept_not_comparable=accept_not_comparable)
    separate = tasks.separate_holdout(table, as_of=as_of, project=project)
    return tasks.split(table, holdout=separate, project=project)


@flow(
    name="retrain",
    task_runner=task_runner(this_project),
    on_failure=[tasks.notify_outcome],
    on_crashed=[tasks.notify_outcome],
    on_cancellation=[tasks.notify_outcome],
)
def retrain(
    source: Source = None, as_of: AsOf = None, accept_not_comparable: Accept = False, dry_run: DryRun = False
) -> dict[str, Any]:
    """Train a challenger on fresh data, compare it with the champion, and promote it if it is better."""
    project = begin(this_project, source=source, as_of=as_of)
    snapshot = tasks.fetch(resolve_source(source, as_of=as_of, project=project), project=project)
    training, gap, holdout = sides(snapshot, as_of, accept_not_comparable, project)

    recipe = tasks.choose_recipe(training, project=project)
    challenger = tasks.train(training, recipe=recipe, project=project)
    evaluation = tasks.evaluate(challenger, training, holdout, project=project)

    # Another retrain may decide between comparison and promotion: then there is a new champion to beat.
    recorded = None
    while recorded is None:
        comparison = tasks.compare_with_production(
            evaluation, project=project, accept_not_comparable=accept_not_comparable
        )
        refitted = None if dry_run else tasks.refit(comparison, gap, recipe=recipe, project=project)
        saved = tasks.save(comparison, refitted, snapshot=snapshot, recipe=recipe, project=project)
        if dry_run:
            return tasks.export_dry_run(saved, comparison, project=project)
        recorded = tasks.promote(saved, comparison, project=project)
    tasks.notify(recorded, project=project)
    recorded = tasks.publish(recorded, saved, comparison, project=project)
    return recorded


@flow(
    name="score",
    task_runner=task_runner(this_project),
    on_failure=[tasks.notify_outcome],
    on_crashed=[tasks.notify_outcome],
    on_cancellation=[tasks.notify_outcome],
)
def score(source: Source = None, as_of: AsOf = None) -> dict[str, Any]:
    """Predict a table with the model in production; a repeated run writes the same file again."""
    project = begin(this_project, as_of=as_of)
    wanted = resolve_source(source, project.settings.score.source, as_of=as_of, project=project)
    return tasks.score_batches(tasks.fetch(wanted, project=project), project=project)


@flow(
    name="monitor",
    on_failure=[tasks.notify_outcome],
    on_crashed=[tasks.notify_outcome],
    on_cancellation=[tasks.notify_outcome],
)
def monitor(source: Source = None, as_of: AsOf = None) -> dict[str, Any]:
    """Compare new data with the training data; trigger a retrain when drift is sustained."""
    project = begin(this_project, as_of=as_of)
    wanted = resolve_source(source, project.settings.monitor.source, as_of=as_of, project=project)
    window = tasks.check_drift(tasks.fetch(wanted, project=project), project=project)
    if window["retrain"] or window["misfit"]:
        window |= tasks.trigger_retrain(window, project=project)
    return window


@flow(
    name="tune",
    task_runner=task_runner(this_project),
    on_failure=[tasks.notify_outcome],
    on_crashed=[tasks.notify_outcome],
    on_cancellation=[tasks.notify_outcome],
)
def tune(
    source: Source = None,
    as_of: AsOf = None,
    estimator: Estimator = None,
    trials: Trials = 60,
    time_limit: TimeLimit = None,
    workers: Workers = None,
    dry_run: Annotated[bool, Field(description="Print params.toml, but do not write it.")] = False,
) -> list[dict[str, Any]]:
    """Search better parameters on the training side, and propose them in params.toml."""
    project = begin(this_project, source=source, as_of=as_of)
    plan = tuning.plan(estimator=estimator, trials=trials, time_limit=time_limit, workers=workers, project=project)
    snapshot = tasks.fetch(resolve_source(source, as_of=as_of, project=project), project=project)
    training, *_ = sides(snapshot, as_of, False, project)

    proposed = []
    for name in plan.estimators:
        found = tasks.search(training, estimator=name, plan=plan, project=project)
        proposed.append(tasks.propose(found, dry_run=dry_run, project=project))
    return proposed
