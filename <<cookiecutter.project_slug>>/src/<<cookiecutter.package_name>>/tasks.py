"""The steps of the flows as Prefect tasks: retries, cache policy and logging, nothing else.

Tables stay in memory and are never results: hashing and pickling them would cost more than the training.
Only the small record of a fetch is cached, under the fingerprint of its source.
"""

import dataclasses
import datetime
import functools
import hashlib
import itertools
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from prefect import Flow, task, unmapped
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.context import TaskRunContext
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger
from prefect.runtime import flow_run
from prefect.states import State
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.urls import url_for
from rich.console import Console
from rich.progress import Progress
from sklearn.pipeline import Pipeline

from . import (
    data,
    drift,
    drift_page,
    evaluation,
    models,
    monitoring,
    notifications,
    preprocessing,
    promotion,
    report,
    scale_out,
    scoring,
    splitting,
    tables,
    validation,
)
from .errors import DataError, ProjectError, RegistryError
from .lineage import lineage
from .object_store import ObjectStore
from .registry import StaleDecision, Version, open_registry
from .settings import PACKAGE, Settings, get_settings, load_settings
from .sources import SourceUnavailable

DRIFT_EVENT = "retraining.drift"
PROFILE = "profile.json"
EXAMPLE_ROWS = 5
SCORE_SECONDS = 6 * 3600  # a run that hangs must end some day, or no later one starts


class _PlainErrors(logging.Filter):
    """Drop the traceback of an error that is meant for a person: its message says all there is to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ProjectError):
            record.exc_info = None
        return True


for logger_name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(logger_name).addFilter(_PlainErrors())


def _may_pass(task: Task[..., Any], task_run: TaskRun, state: State) -> bool:
    """Retry what may pass by itself (a network, a disk), not what a person has to mend."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, SourceUnavailable) or not isinstance(error, ProjectError)


# A step hands frames on in memory, once: nothing to cache, nothing to store.
step = functools.partial(task, cache_policy=NO_CACHE, persist_result=False)


def _fetch_key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    settings: Settings = parameters["settings"]
    try:
        fingerprint = data.fingerprint(parameters["source"], settings=settings)
    except ProjectError:
        return None  # the fetch itself will say so
    return (
        fingerprint
        and hashlib.sha256(f"{PACKAGE} {settings.root.resolve()} {fingerprint}".encode()).hexdigest()
    )


@task(
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_may_pass,
    cache_key_fn=_fetch_key,
    persist_result=True,
    result_serializer="json",
)
def fetch(source: str, *, settings: Settings) -> data.Snapshot:
    """Fetch the table; an unchanged source is not fetched again, a changed one never served stale."""
    snapshot = data.fetch(source, settings=settings)
    get_run_logger().info("%s: sha256 %s", snapshot.source, snapshot.digest[:12])
    return snapshot


@dataclass(frozen=True)
class Part:
    """One side of the split.

    Attributes:
        rows: The rows as labelled, n of them.
        X: What the pipeline gets of them, shape (n, features).
        y: The target, shape (n,).
        definition: The split, as the lineage records it.
    """

    rows: pd.DataFrame
    X: pd.DataFrame
    y: pd.Series
    definition: dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """The challenger on the holdout."""

    predictions: evaluation.Predictions
    metrics: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """What the gate decided, and about which champion."""

    decision: promotion.Decision
    champion: Version | None
    predictions: evaluation.Predictions | None
    comparable: Any


def settings_of_run(**overrides: Any) -> Settings:
    """Return the settings of this run: those of the process, and what the run's parameters override."""
    given = {name: value for name, value in overrides.items() if value is not None}
    return load_settings(data=given) if given else get_settings()


def source_of_run(source: str, as_of: datetime.datetime | None, *, settings: Settings) -> str:
    """Fill in the dates of a source: of `as_of`, or of when the run was due in the schedule's time zone."""
    due = flow_run.scheduled_start_time or datetime.datetime.now(datetime.UTC)
    return data.resolve(source, as_of=as_of or due.astimezone(ZoneInfo(settings.schedule.timezone)))


def separate_holdout(as_of: datetime.datetime | None, *, settings: Settings) -> pd.DataFrame | None:
    """Fetch and preprocess the holdout's own source, where the settings name one."""
    if settings.split.method != "source":
        return None
    source = source_of_run(str(settings.split.source), as_of, settings=settings)
    return preprocess(fetch(source, settings=settings), settings=settings)


@step()
def preprocess(snapshot: data.Snapshot, *, settings: Settings) -> pd.DataFrame:
    """Read the snapshot, derive the label and check that the table can be learned from."""
    return preprocessing.labelled(data.load(snapshot), settings=settings)


@step()
def split(
    table: pd.DataFrame, *, settings: Settings, holdout: pd.DataFrame | None = None
) -> tuple[Part, Part]:
    """Hold rows out that no model is ever trained on."""
    target = settings.data.target
    parts = splitting.split(
        table,
        settings=settings.split,
        problem_type=settings.problem_type,
        target=target,
        holdout_frame=holdout,
    )
    get_run_logger().info(
        "%s rows to learn from, %s held out", f"{len(parts.train):,}", f"{len(parts.holdout):,}"
    )
    training, held_out = (
        Part(rows, preprocessing.inputs(rows, target=target), rows[target], parts.definition)
        for rows in (parts.train, parts.holdout)
    )
    return training, held_out


@step(task_run_name="cross-validate {estimator}")
def cross_validate(training: Part, *, estimator: str, settings: Settings, threads: int) -> float:
    """Score one candidate on folds of the training rows; the holdout plays no part in the choice."""
    part = _for_folds(training, settings)
    return evaluation.cross_validate_score(
        models.make_pipeline(estimator, problem_type=settings.problem_type, seed=settings.seed),
        part.X,
        part.y,
        metric=settings.metric,
        problem_type=settings.problem_type,
        seed=settings.seed,
        groups=part.groups,
        times=part.times,
        threads=threads,
    )


def _for_folds(training: Part, settings: Settings) -> scale_out.TrainingPart:
    split = settings.split
    times = splitting.times(training.rows, column=str(split.time_column)) if split.method == "time" else None
    groups = splitting.group_codes(training.rows, keys=split.key_columns)
    return scale_out.TrainingPart(training.X, np.asarray(training.y), groups, times)


def _divide(part: scale_out.TrainingPart, settings: Settings) -> list[tuple[np.ndarray, np.ndarray]]:
    return evaluation.divide(
        part.y,
        problem_type=settings.problem_type,
        seed=settings.seed,
        groups=part.groups,
        times=part.times,
    )


@step(task_run_name="cross-validate {estimator}, fold {fold}")
def cross_validate_fold(path: Path, *, estimator: str, fold: int, settings: Settings) -> float:
    """Score one candidate on one fold, on a worker, which reads the training part itself."""
    part = scale_out.read(path)
    score = evaluation.fold_score(
        models.make_pipeline(estimator, problem_type=settings.problem_type, seed=settings.seed),
        part.X,
        part.y,
        _divide(part, settings)[fold],
        metric=settings.metric,
        problem_type=settings.problem_type,
        threads=scale_out.threads_per_task(settings.scale_out),
    )
    get_run_logger().info("%s, fold %d: %s %.4f", estimator, fold, settings.metric, score)
    return score


def choose_estimator(training: Part, *, settings: Settings) -> str:
    """Return the candidate with the best cross-validation score; a single candidate needs none.

    Candidates are scored side by side, each with its share of the cores.
    """
    names = settings.estimators
    if len(names) == 1:
        return names[0]
    scores = candidate_scores(training, settings=settings)
    return evaluation.best(dict(zip(names, scores, strict=True)), metric=settings.metric)


def candidate_scores(training: Part, *, settings: Settings) -> list[float]:
    """Return the cross-validation score of each candidate of the settings, computed side by side."""
    if settings.scale_out.runner == "dask":
        return _scores_on_workers(training, settings)
    names = settings.estimators
    threads = max(1, (os.cpu_count() or 1) // len(names))
    # BLAS has one limit for the process: the candidates, which end one by one, must find it there.
    with evaluation.thread_budget(threads):
        return cross_validate.map(
            unmapped(training), estimator=list(names), settings=unmapped(settings), threads=unmapped(threads)
        ).result()


def _scores_on_workers(training: Part, settings: Settings) -> list[float]:
    part = _for_folds(training, settings)
    folds = range(len(_divide(part, settings)))
    each = [(name, fold) for name in settings.estimators for fold in folds]
    with scale_out.shared(part, settings=settings) as path:
        scores = cross_validate_fold.map(
            unmapped(path),
            estimator=[name for name, _ in each],
            fold=[fold for _, fold in each],
            settings=unmapped(settings),
        ).result()
    count = len(folds)
    return [
        evaluation.mean_score(scores[start : start + count], metric=settings.metric, rows=len(part.y))
        for start in range(0, len(scores), count)
    ]


@step(retries=2, retry_condition_fn=_may_pass)
def train(training: Part, *, estimator: str, settings: Settings) -> Pipeline:
    """Fit the estimator with its preprocessing on the training rows."""
    pipeline = models.make_pipeline(estimator, problem_type=settings.problem_type, seed=settings.seed)
    pipeline.fit(training.X, training.y)
    for column, reason in _left_out(pipeline).items():
        get_run_logger().info("Column %r is left out: %s", column, reason)
    return pipeline


@step()
def evaluate(challenger: Pipeline, holdout: Part, *, settings: Settings) -> Scores:
    """Score the challenger on the holdout."""
    predictions = evaluation.predict(challenger, holdout.X, problem_type=settings.problem_type)
    metrics = evaluation.evaluate(predictions, holdout.y, problem_type=settings.problem_type)
    get_run_logger().info(", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    return Scores(predictions, metrics)


@step()
def compare_with_production(
    scores: Scores, holdout: Part, *, settings: Settings, accept_not_comparable: bool
) -> Comparison:
    """Let the champion predict the same holdout, and ask the gate."""
    registry = open_registry(settings)
    champion = registry.champion()
    predictions = comparable = None
    why_not_comparable = ""
    if champion:
        if champion.schema:
            validation.check(holdout.X, validation.Schema.from_dict(champion.schema))
        model = registry.load_model(champion)
        predictions = evaluation.predict(model, holdout.X, problem_type=settings.problem_type)
        its_split = champion.lineage.get("split")
        comparable = splitting.unseen(holdout.rows, its_split)
        why_not_comparable = splitting.difference(its_split, holdout.definition)
    decision = promotion.decide(
        holdout.y,
        scores.predictions,
        predictions,
        gate=settings.gate,
        metric=settings.metric,
        problem_type=settings.problem_type,
        slices=holdout.rows,
        comparable=comparable,
        stored_champion=champion.metrics.get(settings.metric) if champion else None,
        why_not_comparable=why_not_comparable,
        accept_not_comparable=accept_not_comparable,
        seed=settings.seed,
    )
    get_run_logger().info(decision.reason)
    return Comparison(decision, champion, predictions, comparable)


@step()
def save(
    challenger: Pipeline,
    comparison: Comparison,
    scores: Scores,
    *,
    training: Part,
    holdout: Part,
    snapshot: data.Snapshot,
    estimator: str,
    settings: Settings,
) -> Version:
    """Save the version with all that belongs to it, its report included; not in use until it is recorded."""
    registry = open_registry(settings)
    profile = drift.learn_profile(training.X, left_out=_left_out(challenger))
    version = registry.stage(
        challenger,
        metrics=scores.metrics,
        schema=validation.learn_schema(training.X).to_dict(),
        files={PROFILE: json.dumps(profile).encode()},
        lineage=lineage(settings.root)
        | {
            "data": dataclasses.asdict(snapshot),
            "rows": {"training": len(training.rows), "holdout": len(holdout.rows)},
            "split": training.definition,
            "estimator": estimator,
            "seed": settings.seed,
            "flow_run_id": flow_run.id,
        },
    )
    with _discarded_on_failure(version, settings):
        registry.show_model(version, challenger, training.X.head(EXAMPLE_ROWS))
        champion = comparison.champion
        facts = report.Facts(
            project=settings.project,
            problem_type=settings.problem_type,
            decision=comparison.decision,
            version=version,
            pipeline=challenger,
            X=holdout.X,
            y=holdout.y,
            predictions=scores.predictions,
            champion=champion,
            champion_predictions=comparison.predictions,
            comparable=comparison.comparable,
            profile=profile,
            drift=drift.compare(_profile_of(champion, settings), training.X, settings=settings.monitor)
            if champion and PROFILE in champion.files
            else None,
            slices=tuple(settings.gate.guard_slices) or None,
            run=str(flow_run.name),
            run_url=url_for("flow-run", flow_run.id) or "",
            seed=settings.seed,
        )
        registry.add_file(version, "card.md", report.card(facts).encode())
        return registry.add_file(version, "report.html", report.page(facts).encode())


@step()
def record(version: Version, comparison: Comparison, *, settings: Settings) -> dict[str, Any] | None:
    """Commit the decision: it takes effect here or not at all.

    None if another retrain changed the champion meanwhile: the version is gone then, and has to be compared again.
    """
    registry, decision = open_registry(settings), comparison.decision
    try:
        with _discarded_on_failure(version, settings):
            registry.record(
                version, decision.to_dict(), expected_champion=comparison.champion, flow_run_id=flow_run.id
            )
    except StaleDecision as error:
        get_run_logger().info("%s", error)
        return None
    try:
        registry.prune(settings.registry.keep)
    except RegistryError as error:
        get_run_logger().warning("Old versions were not removed: %s", error)
    champion = registry.champion()
    return {
        "version": version.id,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "metric": settings.metric,
        "metrics": version.metrics,
        "champion": champion and champion.id,
        "registry": registry.store.locate("").rstrip("/"),
        "report": registry.store.locate(f"versions/{version.id}/report.html"),
    }


@contextmanager
def _discarded_on_failure(version: Version, settings: Settings) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(RegistryError):  # what went wrong first is what is told
            open_registry(settings).discard(version)
        raise


def _profile_of(version: Version, settings: Settings) -> dict[str, Any]:
    return json.loads(open_registry(settings).read_file(version, PROFILE))


@step()
def publish(recorded: dict[str, Any], *, settings: Settings) -> None:
    """Show in Prefect what happened: the card as an artifact, and the run's name; a failure here changes nothing."""
    registry = open_registry(settings)
    try:
        card = registry.read_file(registry.version(recorded["version"]), "card.md").decode()
        create_markdown_artifact(card, key="retrain", description=recorded["reason"])
        version, verdict = recorded["version"], recorded["verdict"]
        name = f"retrain {version[:4]}-{version[4:6]}-{version[6:8]} {verdict} {version[-6:]}"
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run_id=UUID(str(flow_run.id)), name=name)
    except Exception as error:
        get_run_logger().warning("Prefect was not told what happened: %s", error)


def _left_out(pipeline: Pipeline) -> dict[str, str]:
    """Return the columns that the steps of a pipeline left out, each with the reason."""
    return {name: why for stage in pipeline for name, why in getattr(stage, "left_out_", {}).items()}


@step()
def notify(recorded: dict[str, Any], *, settings: Settings) -> None:
    """Tell the team what was decided; keeping the champion is no news."""
    if recorded["verdict"] == "kept" and not settings.notifications.kept:
        return
    message = notifications.decision_message(
        project=settings.project,
        run=str(flow_run.name),
        link=url_for("flow-run", flow_run.id) or "",
        decision=recorded,
    )
    notifications.send(message, block=settings.notifications.block, logger=get_run_logger())


def champion_of(settings: Settings) -> Version:
    """Return the version in production.

    Raises:
        RegistryError: there is none yet.
    """
    registry = open_registry(settings)
    champion = registry.champion()
    if champion is None:
        raise RegistryError(
            f"There is no model in production in {registry.store.where('')} yet: run retrain first."
        )
    return champion


def _schema_of(version: Version) -> validation.Schema | None:
    return validation.Schema.from_dict(version.schema) if version.schema else None


@step(timeout_seconds=SCORE_SECONDS)
def score_batches(snapshot: data.Snapshot, *, settings: Settings) -> dict[str, Any]:
    """Let the champion, verified, predict the table batch by batch."""
    champion = champion_of(settings)
    folder = settings.score.folder
    store = ObjectStore(folder) if "://" in folder else None
    path = scoring.output_path(
        settings.resolve("predictions" if store else folder),
        source=snapshot.source,
        digest=snapshot.digest,
        version=champion.id,
    )
    with _progress_shown(snapshot.rows) as progress:
        paths = [Path(path) for path in snapshot.paths]
        if settings.scale_out.runner == "dask":
            scored = _score_on_workers(
                paths, path, champion, total=snapshot.rows, settings=settings, progress=progress
            )
        else:
            model = open_registry(settings).load_model(champion)
            scored = scoring.write(_scored(model, champion, paths, settings), path, progress=progress)
    if store:
        store.upload(path.name, path)
        path.unlink()
    facts = {
        "version": champion.id,
        "rows": scored.rows,
        "path": store.where(path.name) if store else str(path),
        "predictions": dict(scored.predictions),
        "mean": scored.total / scored.rows if scored.total else None,
        "unseen": dict(scored.unseen),
    }
    rows = [{"what": name, "value": str(value)} for name, value in facts.items()]
    create_table_artifact(rows, key="scored", description=f"{scored.rows:,} rows scored by {champion.id}")
    return facts


def _scored(
    model: Pipeline, version: Version, paths: Sequence[Path | tables.Partition], settings: Settings
) -> Iterator[Any]:
    """Score batch by batch."""
    for batch in tables.batches(paths, rows=settings.score.batch_rows):
        yield scoring.score_batch(
            model,
            batch,
            version=version.id,
            target=settings.data.target,
            problem_type=settings.problem_type,
            schema=_schema_of(version),
            identifiers=settings.score.identifiers or list(_left_out(model)),
        )


@step(task_run_name="score part {number}")
def score_part(
    number: int, partition: tables.Partition, *, version: str, folder: Path, settings: Settings
) -> list[scoring.Part]:
    """Score one part of the table, on a worker, which reads it and the verified model itself."""
    found, model = scale_out.model(version, settings=settings)
    threads = scale_out.threads_per_task(settings.scale_out)
    with evaluation.thread_budget(threads):
        evaluation.with_jobs(model, threads)
        parts = scoring.write_parts(
            _scored(model, found, [partition], settings), folder, name=f"part-{number:06d}"
        )
    get_run_logger().info("%s rows scored", f"{sum(part.counts.rows for part in parts):,}")
    return parts


def _score_on_workers(
    paths: Sequence[Path],
    path: Path,
    champion: Version,
    *,
    total: int | None,
    settings: Settings,
    progress: Callable[[int], None],
) -> scoring.Scored:
    """Have the parts scored, and put them together in the order of the table as they come."""
    rows = settings.score.batch_rows
    batches = math.ceil((total or 0) / rows)
    # Four parts a worker: the last ones end together, and little is done again for one that died.
    size = rows * max(1, math.ceil(batches / (4 * scale_out.workers(settings.scale_out))))
    partitions = tables.partitions(paths, rows=size)
    with scale_out.parts_folder(path) as folder:
        parts = score_part.map(
            list(range(len(partitions))),
            partitions,
            version=unmapped(champion.id),
            folder=unmapped(folder),
            settings=unmapped(settings),
        )
        done = itertools.chain.from_iterable(part.result() for part in parts)
        return scoring.write(scoring.read_parts(done), path, progress=progress)


@contextmanager
def _progress_shown(total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how many rows are done: as a bar on a terminal, as a log line a batch elsewhere, and in Prefect's UI."""
    logger = get_run_logger()
    artifact = create_progress_artifact(0.0, key="scoring", description="rows scored") if total else None
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task_id = bar.add_task("rows scored", total=total)

        def show(rows: int) -> None:
            bar.update(task_id, completed=rows)
            if bar.disable:
                logger.info("%s rows scored%s", f"{rows:,}", f" of {total:,}" if total else "")
            if artifact and total:
                update_progress_artifact(artifact, min(100.0, 100 * rows / total))

        yield show


@step()
def look(snapshot: data.Snapshot, *, settings: Settings) -> dict[str, Any]:
    """Hold new data against what the champion was trained on, and the champion against labels that came."""
    registry, champion = open_registry(settings), champion_of(settings)
    if PROFILE not in champion.files:
        raise DataError(f"{champion.id} has no profile of its training data: retrain once.")
    window = drift.Window(_profile_of(champion, settings))
    target, live = settings.data.target, None
    frame = data.load(snapshot)
    window.add(preprocessing.inputs(frame, target=target))
    found = window.drift(settings.monitor)
    trained_on = champion.lineage.get("data", {}).get("digest")
    if snapshot.digest != trained_on and target in frame.columns and frame[target].notna().any():
        labelled = preprocessing.labelled(frame, settings=settings)
        X = preprocessing.inputs(labelled, target=target)
        model = registry.load_model(champion)
        predictions = evaluation.predict(model, X, problem_type=settings.problem_type)
        live = evaluation.evaluate(predictions, labelled[target], problem_type=settings.problem_type).get(
            settings.metric
        )
    promised = champion.metrics.get(settings.metric)
    entry = monitoring.Window(
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        source=snapshot.source,
        digest=snapshot.digest,
        version=champion.id,
        drifted=found.drifted,
        reason=found.reason,
        metric=live,
        promised=promised,
        worse=monitoring.is_worse(live, promised, settings=settings),
    )
    folder = settings.resolve(settings.monitor.folder)
    windows = monitoring.History(folder).add(entry)
    retrain = monitoring.asks_for_retrain(windows, settings=settings)
    page = folder / "drift.html"
    page.write_text(drift_page.drift_page(found, windows, project=settings.project, retrain=retrain))
    get_run_logger().info("%s Report: %s", found.reason, page)
    create_table_artifact(
        [dict(row) for row in monitoring.summary(found)], key="drift", description=found.reason
    )
    return dataclasses.asdict(entry) | {"retrain": retrain, "report": str(page)}


@step()
def ask_for_retrain(window: dict[str, Any], *, settings: Settings) -> None:
    """Emit the event that triggers the retrain deployment, and tell the team."""
    emit_event(
        event=DRIFT_EVENT,
        resource={"prefect.resource.id": f"retraining.{settings.project}"},
        payload={name: window[name] for name in ("source", "version", "reason")},
    )
    message = notifications.drift_message(
        project=settings.project,
        run=str(flow_run.name),
        link=url_for("flow-run", flow_run.id) or "",
        window=window,
    )
    notifications.send(message, block=settings.notifications.block, logger=get_run_logger())


def tell_outcome(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell the team that a run failed, crashed or was cancelled; called by Prefect, maybe in the runner, by name."""
    try:
        settings = get_settings()
        champion = open_registry(settings).champion()
        in_production = f"{champion.id}" if champion else "no model yet"
        block, project = settings.notifications.block, settings.project
    except ProjectError as error:
        in_production, block, project = f"cannot be told: {error}", None, PACKAGE
    message = notifications.failure_message(
        project=project,
        flow=flow.name,
        run=flow_run.name,
        state="cancelled" if state.is_cancelling() else state.name or "failed",
        reason=state.message or "no reason was given",
        link=url_for(flow_run) or "",
        champion=in_production,
    )
    notifications.send(message, block=block, logger=flow_run_logger(flow_run, flow))
