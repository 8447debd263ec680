"""The steps of the retrain flow as Prefect tasks.

Tables stay in memory and are never results: hashing and pickling them would cost more than the training.
"""

import dataclasses
import datetime
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
from prefect import unmapped
from prefect.artifacts import (
    create_markdown_artifact,
)
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for
from sklearn.pipeline import Pipeline

from .. import data, gate, models, monitoring, reporting
from ..errors import ConfigurationError, ProjectError, RegistryError
from ..registry import Registry, StaleDecision, Version, lineage, open_registry
from ..settings import Settings
from ..training import (
    Baseline,
    Model,
    Recipe,
    baseline,
    best,
    check_classes,
    code_of_steps,
    cross_validate_scores,
    example_files,
    given_away,
    load_contract,
    opponent_of,
    packages_of_steps,
    possible_thresholds,
    shared_entities,
    thread_budget,
    with_jobs,
    with_threshold,
)
from . import _messages
from ._cancellation import refuse_if_cancelled
from ._common import PROFILE, fetch, left_out, may_pass, profile_of, source_of_run, step
from ._progress import fit
from ._runner import optional_runner

EXAMPLE_ROWS = 5
CARD, REPORT = "card.md", "report.html"


class RefitError(ProjectError):
    """A model that was fitted once more on all rows cannot be used."""


@dataclass(frozen=True)
class Part:
    """One side of the split, or what lies between the two.

    Attributes:
        rows: The rows as labelled, n of them.
        X: What the pipeline gets of them, shape (n, features).
        y: The target, shape (n,).
        identities: Of the rows, shape (n,).
        contract: What the rows are.
        code: The features.py that made X.
        definition: The split, as the lineage records it.
        unread: What of the table could not be read, in sentences.
    """

    rows: pd.DataFrame
    X: pd.DataFrame
    y: pd.Series
    identities: data.Identities
    contract: data.Contract
    code: data.FeatureCode
    definition: dict[str, Any]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoldInputs:
    """What cross-validation needs of the training part.

    Attributes:
        X: The inputs, n rows.
        y: Shape (n,), the truth.
        groups: Shape (n,), see data.group_codes.
        times: Shape (n,), see data.times.
        rows: The n rows with the columns that the metric reads; None if it reads none.
    """

    X: pd.DataFrame
    y: gate.Array
    groups: gate.Array | None
    times: gate.Array | None
    rows: pd.DataFrame | None = None


@dataclass(frozen=True)
class Scores:
    """The challenger on the holdout, and what can be predicted there without a model."""

    predictions: gate.Predictions
    metrics: dict[str, float]
    baseline: Baseline
    baseline_metrics: dict[str, float]
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refit:
    """The recipe, fitted once more on all labelled rows: what predicts in production.

    Attributes:
        part: The rows.
        model: Fitted on them; None if that failed.
        error: Why it failed.
    """

    part: Part | None = None
    model: Model | None = None
    error: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What the lineage and whoever reads the result of a run is told."""
        return {"failed": self.error} if self.part is None else {"rows": len(self.part.rows)}


@dataclass(frozen=True)
class GateResult:
    """What the gate decided, and about which champion."""

    decision: gate.Decision
    champion: Version | None
    predictions: gate.Predictions | None
    comparable: Any
    held: dict[str, str]
    baseline_metrics: dict[str, float]


@dataclass(frozen=True)
class Saved:
    """A version that waits for its decision, and why its report is missing, if it is."""

    version: Version
    report_error: str | None = None


@step()
def preprocess(
    snapshot: data.Snapshot, *, settings: Settings, accept_not_comparable: bool = False
) -> data.Table:
    """Read the snapshot as the model in production does, where it still fits; derive the label, and check the table."""
    prior = None if accept_not_comparable else _contract_in_production(settings)
    frame = data.load(snapshot, texts=prior.texts if prior else ())
    table = data.prepare(frame, settings=settings, code=data.current_code(), prior=prior)
    gate.check_table(table.rows, target=table.contract.target, metrics=gate.recorded_metrics(settings))
    return table


def _contract_in_production(settings: Settings) -> data.Contract | None:
    registry = open_registry(settings)
    champion = registry.champion()
    try:
        return load_contract(registry, champion) if champion else None
    except ProjectError as error:  # the comparison will say so, and record it
        get_run_logger().info("The table is read anew: %s", error)
        return None


def separate_holdout(
    table: data.Table, *, as_of: datetime.datetime | None, settings: Settings
) -> data.Table | None:
    """Fetch and preprocess the holdout's own source, where the settings name one."""
    if settings.split.method != "source":
        return None
    source = source_of_run(settings.split.source or settings.data.source, as_of, settings=settings)
    return preprocess_holdout(fetch(source, settings=settings), table, settings=settings)


@step()
def preprocess_holdout(snapshot: data.Snapshot, table: data.Table, *, settings: Settings) -> data.Table:
    """Read the holdout's own source as the training table was read."""
    frame = data.load(snapshot, texts=table.contract.texts)
    return data.prepare_like(frame, table, settings=settings)


@step()
def split(
    table: data.Table, *, settings: Settings, holdout: data.Table | None = None
) -> tuple[Part, Part | None, Part]:
    """Hold rows out that the challenger is not trained on; return the training part, the gap, and the holdout."""
    sides = data.split(table, settings=settings.split, problem_type=settings.problem_type, holdout=holdout)
    get_run_logger().info(
        "%s rows to learn from, %s held out", f"{len(sides.train):,}", f"{len(sides.holdout):,}"
    )
    if missing := [column for column in settings.gate.guard_slices if column not in sides.holdout]:
        raise ConfigurationError(
            f"Column {', '.join(map(repr, missing))} (gate.guard_slices) is not in the table, which has:"
            f" {', '.join(map(str, sides.holdout.columns))}."
        )
    contract = table.contract
    if settings.problem_type == "classification":
        classes = sorted(
            sides.train[contract.target].unique().tolist(), key=lambda name: (str(type(name)), name)
        )
        contract = dataclasses.replace(contract, classes=tuple(classes))
        if settings.data.positive is not None:  # it may be too rare to be learned
            gate.find_positive(settings.data.positive, classes)
        if settings.train.threshold is not None:
            check_classes(classes, positive=settings.data.positive)
    unread = tuple(
        data.describe_unread(name, cells, contract.columns[name])
        for name, cells in table.report.unread.items()
    )

    def part(rows: pd.DataFrame, identities: data.Identities) -> Part:
        X = data.inputs(rows, contract=contract, code=table.code)
        y = rows[contract.target]
        return Part(rows, X, y, identities, contract, table.code, sides.definition, unread)

    gap = None
    if sides.gap is not None and sides.gap_identities is not None:
        gap = part(sides.gap, sides.gap_identities)
    return (
        part(sides.train, sides.train_identities),
        gap,
        part(sides.holdout, sides.holdout_identities),
    )


@step(task_run_name="cross-validate {estimator}")
def cross_validate(training: Part, *, estimator: str, settings: Settings, threads: int | None) -> gate.Array:
    """Score one candidate at each threshold on folds of the training rows; the holdout plays no part in the choice."""
    part = fold_inputs(training, settings=settings)
    return cross_validate_scores(
        unfitted(estimator, settings=settings),
        part.X,
        part.y,
        metric=metric_of_choice(settings),
        thresholds=possible_thresholds(settings.train.threshold),
        seed=settings.seed,
        groups=part.groups,
        times=part.times,
        rows=part.rows,
        threads=threads,
    )


def fold_inputs(training: Part, *, settings: Settings) -> FoldInputs:
    """Return what cross-validation needs of the training part."""
    split = settings.split
    times = data.times(training.rows, column=str(split.time_column)) if split.method == "time" else None
    groups = data.group_codes(training.rows, keys=split.key_columns)
    columns = list(metric_of_choice(settings).columns)
    rows = training.rows[columns] if columns else None
    return FoldInputs(training.X, np.asarray(training.y), groups, times, rows)


def _metric(settings: Settings) -> gate.Metric:
    return gate.gate_metrics(settings)[settings.metric]


def metric_of_choice(settings: Settings) -> gate.Metric:
    """Return what candidates are compared by: the gate's metric if it or a threshold is set, else log loss or RMSE.

    On few rows log loss tells candidates apart that F1 does not: it sees how sure they are, not only hits.
    """
    chosen = settings.gate.metric is not None or settings.train.threshold is not None
    if (
        chosen
        or settings.problem_type == "regression"
        or not all(
            hasattr(unfitted(name, settings=settings), "predict_proba") for name in settings.estimators
        )
    ):
        return _metric(settings)
    return gate.get_metric("log_loss", problem_type=settings.problem_type)


def unfitted(estimator: str, *, settings: Settings) -> Pipeline:
    """Return the pipeline of an estimator as the settings want it."""
    return models.make_pipeline(
        estimator, problem_type=settings.problem_type, seed=settings.seed, keep=settings.data.keep
    )


def choose_recipe(training: Part, *, settings: Settings) -> Recipe:
    """Return the candidate with the best cross-validation score, and the threshold it has it at.

    With more training rows than `compared_rows` the first candidate is taken. Where there is one candidate and one
    threshold, none is scored. Candidates are scored side by side, each with its share of the cores.
    """
    if len(training.rows) > settings.compared_rows:
        settings = settings.model_copy(update={"estimators": settings.estimators[:1]})
    names, thresholds = settings.estimators, possible_thresholds(settings.train.threshold)
    if len(names) == len(thresholds) == 1:
        return Recipe(names[0], thresholds[0])
    metric, scores = metric_of_choice(settings), candidate_scores(training, settings=settings)
    recipe = best(dict(zip(names, scores, strict=True)), metric=metric, thresholds=thresholds)
    if len(thresholds) > 1:
        get_run_logger().info("%s is tuned to the threshold %g", recipe.estimator, recipe.threshold)
    else:
        shown = ", ".join(f"{name} {score[0]:.4f}" for name, score in zip(names, scores, strict=True))
        get_run_logger().info(
            "%s is the best by %s in cross-validation: %s", recipe.estimator, metric.label, shown
        )
    return recipe


def candidate_scores(training: Part, *, settings: Settings) -> list[gate.Array]:
    """Return the cross-validation scores of each candidate of the settings, computed side by side."""
    if runner := optional_runner(settings):
        return runner.candidate_scores(training, settings=settings)
    names = settings.estimators
    threads = max(1, (os.cpu_count() or 1) // len(names))
    # BLAS has one limit for the process: the candidates, which end one by one, must find it there.
    with thread_budget(threads):
        return cross_validate.map(
            unmapped(training), estimator=list(names), settings=unmapped(settings), threads=unmapped(threads)
        ).result()


@step(retries=2, retry_condition_fn=may_pass)
def train(training: Part, *, recipe: Recipe, settings: Settings) -> Model:
    """Fit the recipe's estimator with its preprocessing on the training rows."""
    model = _fit(training, recipe, settings)
    for column, reason in left_out(model.pipeline).items():
        get_run_logger().info("Column %r is left out: %s", column, reason)
    return model


def _fit(part: Part, recipe: Recipe, settings: Settings) -> Model:
    pipeline = unfitted(recipe.estimator, settings=settings)
    fit(pipeline, part.X, part.y)
    with_jobs(
        pipeline, 1
    )  # a forest adds up its trees in the order in which threads end: the last bit would differ
    imports = part.contract.imports | code_of_steps(pipeline)
    if recipe.threshold is not None:
        pipeline = with_threshold(pipeline, recipe.threshold, positive=settings.data.positive)
    return Model(pipeline, dataclasses.replace(part.contract, imports=imports), part.code)


@step()
def evaluate(challenger: Model, training: Part, holdout: Part, *, settings: Settings) -> Scores:
    """Score the challenger on the holdout, and the baseline, which looks at nothing but the target."""
    predictions = gate.predict(challenger.pipeline, holdout.X, problem_type=settings.problem_type)
    simple = baseline(
        training.rows,
        holdout.rows,
        target=training.contract.target,
        metric=_metric(settings),
        split=settings.split,
    )
    metrics, of_baseline = (
        gate.evaluate(each, holdout.y, metrics=gate.recorded_metrics(settings), rows=holdout.rows)
        for each in (predictions, simple.predictions)
    )
    for name, scores in (("challenger", metrics), (simple.name, of_baseline)):
        get_run_logger().info(
            "%s: %s", name, ", ".join(f"{key} {score:.4f}" for key, score in scores.items())
        )
    return Scores(predictions, metrics, simple, of_baseline, _alarms(training, holdout, settings))


def _alarms(training: Part, holdout: Part, settings: Settings) -> tuple[str, ...]:
    """Return what makes the score look better than it will be."""
    target, problem_type = training.contract.target, settings.problem_type
    found = given_away(training.X, training.y, problem_type=problem_type, seed=settings.seed)
    if settings.split.method == "hash" and not settings.split.key_columns:
        found += shared_entities(training.rows, holdout.rows, target=target, problem_type=problem_type)
    return tuple(found)


@step()
def compare_with_production(
    scores: Scores, holdout: Part, *, settings: Settings, accept_not_comparable: bool
) -> GateResult:
    """Let the champion, the baseline and what is on hold predict the same holdout, and ask the gate."""
    registry = open_registry(settings)
    champion, held = registry.champion(), registry.held()
    opponent = opponent_of(registry, champion, holdout.rows, metric=settings.metric) if champion else None
    options: dict[str, Any] = {
        "metric": _metric(settings),
        "gate": settings.gate,
        "rows": holdout.rows,
        "seed": settings.seed,
        "accept_not_comparable": accept_not_comparable,
    }
    decision = gate.decide(holdout.y, scores.predictions, opponent, **options)
    rivals = [
        gate.Rival(
            f"{name}, which is on hold",
            opponent_of(registry, registry.version(name), holdout.rows, metric=settings.metric),
            advice=f"`registry release {name}` lifts the hold",
        )
        for name in (held if decision.promoted else ())
    ]
    simple = gate.Rival(scores.baseline.name, gate.Champion(scores.baseline.predictions))
    decision = gate.confirm(decision, holdout.y, scores.predictions, baseline=simple, held=rivals, **options)
    get_run_logger().info(decision.reason)
    decision = dataclasses.replace(
        decision,
        alarms=scores.alarms
        + gate.alarms(
            decision,
            holdout.y,
            scores.predictions,
            opponent,
            metric=_metric(settings),
            rows=holdout.rows,
            seed=settings.seed,
        ),
    )
    for alarm in decision.alarms:
        get_run_logger().warning(alarm)
    predictions, comparable = (opponent.predictions, opponent.comparable) if opponent else (None, None)
    return GateResult(decision, champion, predictions, comparable, held, scores.baseline_metrics)


@step()
def refit(
    comparison: GateResult,
    training: Part,
    gap: Part | None,
    holdout: Part,
    *,
    recipe: Recipe,
    settings: Settings,
) -> Refit | None:
    """Fit the recipe on all labelled rows, for a model that goes, or may go, to production; None where it does not.

    Before the version is saved, so that what is recorded is complete, and a run that dies here leaves nothing behind.
    A failure costs the newest rows and nothing else: the model that was compared serves then.
    """
    if not settings.refits or comparison.decision.verdict not in ("promoted", "staging"):
        return None
    try:
        part = _joined([side for side in (training, gap, holdout) if side is not None])
        model = _fit(part, recipe, settings)
        predictions = gate.predict(model.pipeline, holdout.X, problem_type=settings.problem_type)
        metric = {settings.metric: _metric(settings)}
        score = gate.evaluate(predictions, holdout.y, metrics=metric, rows=holdout.rows)[settings.metric]
        if not math.isfinite(score):
            raise RefitError(f"{settings.metric} of its predictions is {score}.")
    except Exception as error:  # an estimator may fail in any way
        reason = f"{type(error).__name__}: {error}"
        get_run_logger().warning(
            "The refit on all rows failed (%s). The model that was compared serves without it.",
            reason,
            exc_info=True,
        )
        return Refit(error=reason)
    get_run_logger().info("Fitted once more, on all %s labelled rows", f"{len(part.rows):,}")
    return Refit(part, model)


def _joined(sides: Sequence[Part]) -> Part:
    """Return one part with the rows of all."""
    rows = pd.concat([side.rows for side in sides], ignore_index=True)
    first = sides[0]
    return dataclasses.replace(
        first,
        rows=rows,
        X=data.inputs(rows, contract=first.contract, code=first.code),
        y=rows[first.contract.target],
        identities=np.concatenate([side.identities for side in sides]),
    )


@step()
def save(
    challenger: Model,
    comparison: GateResult,
    scores: Scores,
    *,
    training: Part,
    holdout: Part,
    refitted: Refit | None,
    snapshot: data.Snapshot,
    recipe: Recipe,
    settings: Settings,
) -> Saved:
    """Save the version with all that belongs to it; not in use until it is recorded.

    What was fitted once more on all rows is the version's model, and the challenger its twin. A report that cannot be
    drawn is missing from the version, and costs nothing else.
    """
    registry = open_registry(settings)
    model, learned, twin = challenger, training, None
    if refitted and refitted.model and refitted.part:
        model, learned, twin = refitted.model, refitted.part, challenger
    profile = monitoring.learn_profile(learned.X, left_out=left_out(model.pipeline))
    files = model.files(learned.identities, twin=training.identities if twin else None)
    version = registry.stage(
        model.pipeline,
        metrics=scores.metrics,
        files={PROFILE: json.dumps(profile).encode()} | files | example_files(model, holdout.rows),
        twin=twin and twin.pipeline,
        lineage=lineage(settings.root)
        | {
            "packages": packages_of_steps(model.pipeline),
            "data": dataclasses.asdict(snapshot),
            "rows": {"training": len(training.rows), "holdout": len(holdout.rows)},
            "split": training.definition,
            "identity": training.contract.identity_from,
            "unread": list(training.unread),
            "estimator": recipe.estimator,
            "threshold": _threshold_facts(recipe, training.contract.classes or (), settings),
            "refit": refitted and refitted.facts,
            "seed": settings.seed,
            "flow_run_id": flow_run.id,
        },
    )
    with _discarded_on_failure(version, settings):
        registry.show_model(version, model.pipeline, training.X.head(EXAMPLE_ROWS))
        try:
            files = _report_files(
                version,
                challenger,
                comparison,
                scores,
                holdout=holdout,
                training=training,
                profile=profile,
                settings=settings,
            )
        except Exception as error:
            report_error = f"{type(error).__name__}: {error}"
            get_run_logger().warning(
                "The report is missing, it could not be drawn (%s). The version is saved without it.",
                report_error,
                exc_info=True,
            )
            return Saved(version, report_error)
        for name, content in files.items():
            version = registry.add_file(version, name, content)
        return Saved(version)


def _threshold_facts(recipe: Recipe, classes: Sequence[Any], settings: Settings) -> dict[str, Any] | None:
    if recipe.threshold is None:
        return None
    tuned = {"tuned_for": settings.metric} if settings.train.threshold == "tuned" else {}
    positive = classes[gate.find_positive(settings.data.positive, classes)]
    return {"value": recipe.threshold, "positive": positive} | tuned


def _report_files(
    version: Version,
    challenger: Model,
    comparison: GateResult,
    scores: Scores,
    *,
    training: Part,
    holdout: Part,
    profile: dict[str, Any],
    settings: Settings,
) -> dict[str, bytes]:
    """Draw the report and the model card; return the content of each file by its name."""
    champion, drift = comparison.champion, None
    if champion and PROFILE in champion.files and _same_features(champion, challenger, settings):
        drift = monitoring.compare_with_profile(
            profile_of(champion, settings), training.X, settings=settings.monitor
        )
    facts = reporting.Facts(
        project=settings.project,
        problem_type=settings.problem_type,
        decision=comparison.decision,
        version=version,
        pipeline=challenger.pipeline,
        X=holdout.X,
        y=holdout.y,
        predictions=scores.predictions,
        baseline=scores.baseline.predictions,
        champion=champion,
        champion_predictions=comparison.predictions,
        metrics=gate.recorded_metrics(settings),
        holdout=holdout.rows,
        comparable=comparison.comparable,
        held=comparison.held,
        profile=profile,
        drift=drift,
        slices=tuple(settings.gate.guard_slices) or None,
        run=str(flow_run.name),
        run_url=url_for("flow-run", flow_run.id) or "",
        seed=settings.seed,
    )
    parts = reporting.sections(facts)
    return {
        CARD: reporting.card(facts, parts).encode(),
        REPORT: reporting.page(facts, parts).encode(),
    }


def _same_features(champion: Version, challenger: Model, settings: Settings) -> bool:
    """Return whether both models see the same features, which alone can drift from one to the other."""
    try:
        theirs = load_contract(open_registry(settings), champion)
    except ProjectError:
        return False
    return theirs.features_sha256 == challenger.contract.features_sha256


@step()
def record(saved: Saved, comparison: GateResult, *, settings: Settings) -> dict[str, Any] | None:
    """Commit the decision: it takes effect here or not at all.

    None if another retrain changed the champion meanwhile: the version is gone then, and has to be compared again.
    """
    registry, version, decision = open_registry(settings), saved.version, comparison.decision
    try:
        with _discarded_on_failure(version, settings):
            refuse_if_cancelled(str(flow_run.id))
            registry.record(
                version,
                decision.to_dict(),
                expected_champion=comparison.champion,
                expected_held=comparison.held,
                flow_run_id=flow_run.id,
            )
    except StaleDecision as error:
        get_run_logger().info("%s", error)
        return None
    try:
        registry.prune(settings.registry.keep)
    except RegistryError as error:
        get_run_logger().warning("Old versions were not removed: %s", error)
    report = registry.store.locate(f"versions/{version.id}/{REPORT}") if REPORT in version.files else None
    return _facts(saved, comparison, registry, report=report, settings=settings)


@step()
def show(saved: Saved, comparison: GateResult, *, settings: Settings) -> dict[str, Any]:
    """Take the report of a dry run out of the registry, and the version too: nothing was decided."""
    registry, folder = open_registry(settings), settings.resolve("dry-run")
    folder.mkdir(parents=True, exist_ok=True)
    with _discarded_on_failure(saved.version, settings):
        for name in {CARD, REPORT} & saved.version.files.keys():
            (folder / name).write_bytes(registry.read_file(saved.version, name))
    registry.discard(saved.version)
    report = str(folder / REPORT) if REPORT in saved.version.files else None
    return _facts(saved, comparison, registry, report=report, settings=settings) | {"dry_run": True}


def _facts(
    saved: Saved, comparison: GateResult, registry: Registry, *, report: str | None, settings: Settings
) -> dict[str, Any]:
    version, decision, champion = saved.version, comparison.decision, registry.champion()
    return {
        "version": version.id,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "alarms": list(decision.alarms),
        "metric": settings.metric,
        "metrics": version.metrics,
        "threshold": version.lineage["threshold"],
        "refit": version.lineage["refit"],
        "baseline": {"name": decision.baseline_name, "metrics": comparison.baseline_metrics},
        "held": registry.held(),
        "champion": champion and champion.id,
        "registry": registry.store.locate("").rstrip("/"),
        "report": report,
        "report_error": saved.report_error,
    }


@contextmanager
def _discarded_on_failure(version: Version, settings: Settings) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(RegistryError):  # the first error is the one to report
            open_registry(settings).discard(version)
        raise


@step()
def publish(recorded: dict[str, Any], *, settings: Settings) -> None:
    """Show in Prefect what happened: the card as an artifact, and the run's name; a failure here changes nothing."""
    registry = open_registry(settings)
    try:
        found = registry.version(recorded["version"])
        if CARD in found.files:
            card = registry.read_file(found, CARD).decode()
        else:
            card = f"The report is missing: {recorded['report_error']}"
        create_markdown_artifact(card, key="retrain", description=recorded["reason"])
        version, verdict = recorded["version"], recorded["verdict"]
        name = f"retrain {version[:4]}-{version[4:6]}-{version[6:8]} {verdict} {version[-6:]}"
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run_id=UUID(str(flow_run.id)), name=name)
    except Exception as error:
        get_run_logger().warning("The result is not shown in Prefect: %s", error)


@step()
def notify(recorded: dict[str, Any], *, settings: Settings) -> None:
    """Notify the team of the decision; that the champion is kept is news only when the report is missing."""
    if recorded["verdict"] == "kept" and not (settings.notifications.kept or recorded["report_error"]):
        return
    message = _messages.decision_message(
        project=settings.project,
        run=str(flow_run.name),
        link=url_for("flow-run", flow_run.id) or "",
        decision=recorded,
    )
    _messages.send(message, block=settings.notifications.block, logger=get_run_logger())
