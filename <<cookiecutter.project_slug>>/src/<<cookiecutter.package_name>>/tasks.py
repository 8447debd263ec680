"""The steps of the flows as Prefect tasks: what is retried, cached and logged.

What a step does is in the library, `retrainer/`. Tables are handed on in memory and are never results: hashing and
pickling them would cost more than the training, so only `fetch` is cached, whose result is a small record.
"""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun
from prefect.logging import get_run_logger
from prefect.states import State
from prefect.tasks import exponential_backoff

from . import project as this_project
from .retrainer import Project, data, pipeline, training, tuning
from .retrainer import prefect as orchestration
from .retrainer.locations import Location
from .retrainer.prefect import is_transient, reports_progress, this_run


@contextmanager
def shown_if_possible() -> Iterator[None]:
    """Turn an error of Prefect's artifacts into a warning: the result is recorded without it."""
    try:
        yield
    except Exception as error:
        get_run_logger().warning("The result is not shown in Prefect: %s", error)


@task(
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=is_transient,
    cache_key_fn=orchestration.fingerprint_of_source,
    persist_result=True,
    result_serializer="json",
)
@reports_progress
def fetch(source: Location, *, project: Project) -> data.Snapshot:
    """Fetch the table; an unchanged source is not fetched again, a changed one never served stale.

    The cache has no time limit: its key is the source's fingerprint, such as size and time, or an ETag. A network or a
    store that fails is tried again; a missing file or a wrong setting is not.
    """
    snapshot = data.fetch(source, settings=project.settings)
    get_run_logger().info("%s: sha256 %s", snapshot.source, snapshot.digest[:12])
    return snapshot


@task(cache_policy=NO_CACHE)
@reports_progress
def preprocess(snapshot: data.Snapshot, *, project: Project, accept_not_comparable: bool) -> data.Table:
    """Read the table as the model in production does, where it still fits; derive the label, and check the table."""
    return pipeline.preprocess(snapshot, project=project, accept_not_comparable=accept_not_comparable)


@task(cache_policy=NO_CACHE)
@reports_progress
def preprocess_holdout(snapshot: data.Snapshot, table: data.Table, *, project: Project) -> data.Table:
    """Read the holdout's own source as the training table was read."""
    return pipeline.preprocess_holdout(snapshot, table, project=project)


def separate_holdout(table: data.Table, *, as_of: datetime.datetime | None, project: Project) -> data.Table | None:
    """Fetch and preprocess the holdout's own source, where the settings name one."""
    if project.settings.split.method != "source":
        return None
    source = orchestration.resolve_source(project.settings.split.source, as_of=as_of, project=project)
    return preprocess_holdout(fetch(source, project=project), table, project=project)


@task(cache_policy=NO_CACHE)
@reports_progress
def split(
    table: data.Table, *, holdout: data.Table | None, project: Project
) -> tuple[pipeline.SplitSide, pipeline.SplitSide | None, pipeline.SplitSide]:
    """Split the table; return the training side, the gap, and the holdout, which no model is trained on."""
    return pipeline.split(table, holdout=holdout, project=project)


def choose_recipe(side: pipeline.SplitSide, *, project: Project) -> training.Recipe:
    """Compare the candidate estimators by cross-validation on the training side, a task for each, side by side."""
    return orchestration.choose_recipe(side, project=project)


@task(cache_policy=NO_CACHE)
@reports_progress
def train(side: pipeline.SplitSide, *, recipe: training.Recipe, project: Project) -> training.Model:
    """Fit the recipe's estimator with its preprocessing on the training side."""
    model = pipeline.train(side, recipe=recipe, project=project)
    get_run_logger().info("%s is trained on %s rows", recipe.estimator, f"{len(side.rows):,}")
    return model


@task(cache_policy=NO_CACHE)
@reports_progress
def evaluate(
    challenger: training.Model, side: pipeline.SplitSide, holdout: pipeline.SplitSide, *, project: Project
) -> pipeline.Evaluation:
    """Score the challenger and the baseline, the best prediction without a model, on the holdout."""
    found = pipeline.evaluate(challenger, side, holdout, project=project)
    for name, metrics in (("challenger", found.metrics), (found.baseline.name, found.baseline_metrics)):
        shown = ", ".join(f"{metric} {score:.4f}" for metric, score in metrics.items())
        get_run_logger().info("%s on %s rows: %s", name, f"{len(holdout.rows):,}", shown)
    return found


@task(cache_policy=NO_CACHE)
@reports_progress
def compare_with_production(
    evaluation: pipeline.Evaluation, *, project: Project, accept_not_comparable: bool
) -> pipeline.GateResult:
    """Predict the holdout with the champion, the versions on hold and the baseline, and let the gate decide."""
    result = pipeline.compare_with_production(evaluation, project=project, accept_not_comparable=accept_not_comparable)
    get_run_logger().info(result.decision.reason)
    return result


@task(cache_policy=NO_CACHE)
@reports_progress
def refit(
    comparison: pipeline.GateResult,
    gap: pipeline.SplitSide | None,
    *,
    recipe: training.Recipe,
    project: Project,
) -> pipeline.Refit | None:
    """Refit the recipe on all labelled rows, if the model may go to production; else return None."""
    return pipeline.refit(comparison, gap, recipe=recipe, project=project)


@task(cache_policy=NO_CACHE)
@reports_progress
def save(
    comparison: pipeline.GateResult,
    refitted: pipeline.Refit | None,
    *,
    snapshot: data.Snapshot,
    recipe: training.Recipe,
    project: Project,
) -> pipeline.Saved:
    """Save the version with its lineage; it is not in use until it is promoted."""
    return pipeline.save(comparison, refitted, snapshot=snapshot, recipe=recipe, project=project, run=this_run())


@task(cache_policy=NO_CACHE)
@reports_progress
def promote(saved: pipeline.Saved, comparison: pipeline.GateResult, *, project: Project) -> dict[str, Any] | None:
    """Record the decision, which takes effect here or not at all; None if the champion has changed."""
    permit = orchestration.refuse_if_cancelled
    return pipeline.record(saved, comparison, project=project, run=this_run(), permit=permit)


@task(cache_policy=NO_CACHE)
@reports_progress
def export_dry_run(saved: pipeline.Saved, comparison: pipeline.GateResult, *, project: Project) -> dict[str, Any]:
    """Write the report of a dry run into a folder, and remove its version: nothing was decided."""
    return pipeline.export_dry_run(saved, comparison, project=project, run=this_run())


@task(cache_policy=NO_CACHE)
@reports_progress
def publish(
    recorded: dict[str, Any], saved: pipeline.Saved, comparison: pipeline.GateResult, *, project: Project
) -> dict[str, Any]:
    """Draw the report, and show in Prefect what happened: the model card as an artifact, and the run's name."""
    shown, card = pipeline.add_report(recorded, saved, comparison, project=project, run=this_run())
    with shown_if_possible():
        create_markdown_artifact(card, key="retrain", description=recorded["reason"])
        orchestration.rename_run(recorded)
    return shown


@task(cache_policy=NO_CACHE)
def notify(recorded: dict[str, Any], *, project: Project) -> None:
    """Notify the team of the decision; where the webhook is down, the message becomes a warning in the log."""
    orchestration.notify_decision(recorded, project=project, run=this_run(), logger=get_run_logger())


@task(cache_policy=NO_CACHE)
def score_batches(snapshot: data.Snapshot, *, project: Project) -> dict[str, Any]:
    """Verify the champion, and predict the table with it, batch by batch."""
    with orchestration.scoring_progress(snapshot.rows) as progress:
        scorer = orchestration.scorer(project)
        facts = pipeline.score_table(snapshot, project=project, progress=progress, scorer=scorer)
    rows = [{"what": name, "value": str(value)} for name, value in facts.items()]
    description = f"{facts['rows']:,} rows scored by {facts['version']}"
    with shown_if_possible():
        create_table_artifact(rows, key="scored", description=description)
    return facts


@task(cache_policy=NO_CACHE)
@reports_progress
def check_drift(snapshot: data.Snapshot, *, project: Project) -> dict[str, Any]:
    """Compare new data with the champion's training data, and its predictions with new labels."""
    window = pipeline.check_drift(snapshot, project=project)
    get_run_logger().info("%s Report: %s", window["reason"], window["report"] or "missing")
    with shown_if_possible():
        create_table_artifact(window["columns"], key="drift", description=window["reason"])
    return window


@task(cache_policy=NO_CACHE)
def trigger_retrain(window: dict[str, Any], *, project: Project) -> dict[str, Any]:
    """Notify the team of drift; trigger the retrain deployment if it is time, and return whether one exists."""
    return orchestration.trigger_retrain(window, project=project, run=this_run(), logger=get_run_logger())


def search(side: pipeline.SplitSide, *, estimator: str, plan: tuning.Plan, project: Project) -> tuning.Found:
    """Search better parameters of an estimator on the training side, a task for each trial, side by side."""
    return orchestration.search(side, estimator=estimator, plan=plan, project=project)


@task(cache_policy=NO_CACHE)
def propose(found: tuning.Found, *, dry_run: bool, project: Project) -> dict[str, Any]:
    """Write the best parameters to params.toml, where a person reviews them and the next retrain uses them."""
    facts = tuning.propose(found, dry_run=dry_run, project=project)
    get_run_logger().info(facts["reason"])
    rows = [{name: str(value) for name, value in trial.items()} for trial in found.trials]
    with shown_if_possible():
        create_table_artifact(rows, key="trials", description=f"{facts['reason']}\n\n{facts['diff']}")
    return facts


def notify_outcome(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Notify the team that a run failed, crashed or was cancelled: a hook of each flow."""
    orchestration.report_outcome(this_project, flow, flow_run, state)
