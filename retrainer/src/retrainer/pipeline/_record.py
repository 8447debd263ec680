"""From a decision to what is kept and known of it: the version with its report, the record, and the message."""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .. import data, gate, monitoring, reporting
from ..errors import ProjectError, RegistryError
from ..project import Project
from ..registry import Registry, StaleDecision, Version, lineage, open_registry
from ..settings import Settings
from ..training import Model, Recipe, example_files, load_contract, packages_of_steps, tuned
from ._comparison import GateResult, Scores
from ._sides import SplitSide
from ._training import Refit, left_out

EXAMPLE_ROWS = 5
CARD, REPORT, PROFILE = "card.md", "report.html", "profile.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What a record says of the run that made it.

    Attributes:
        id: Of the flow run; None outside one.
        name: For people.
        url: Of its page; empty where there is none.
    """

    id: str | None = None
    name: str = ""
    url: str = ""


@dataclass(frozen=True)
class Saved:
    """A version that waits for its decision, and why its report is missing, if it is."""

    version: Version
    report_error: str | None = None


def save(
    challenger: Model,
    comparison: GateResult,
    scores: Scores,
    *,
    training: SplitSide,
    holdout: SplitSide,
    refitted: Refit | None,
    snapshot: data.Snapshot,
    recipe: Recipe,
    project: Project,
    run: Run,
) -> Saved:
    """Save the version with all that belongs to it; not in use until it is recorded.

    What was fitted once more on all rows is the version's model, and the challenger its twin. A report that cannot be
    drawn is missing from the version, and costs nothing else.
    """
    settings = project.settings
    registry = open_registry(settings)
    model, learned, twin = challenger, training, None
    if refitted and refitted.model and refitted.part:
        model, learned, twin = refitted.model, refitted.part, challenger
    profile = monitoring.learn_profile(learned.X, left_out=left_out(model.pipeline))
    if settings.problem_type == "classification":
        profile["classes"] = {str(name): int(count) for name, count in learned.y.value_counts().items()}
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
            "tuned": tuned(project).get(recipe.estimator),
            "threshold": _threshold_facts(recipe, training.contract.classes or (), settings),
            "refit": refitted and refitted.facts,
            "seed": settings.seed,
            "flow_run_id": run.id,
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
                project=project,
                run=run,
            )
        except Exception as error:
            report_error = f"{type(error).__name__}: {error}"
            logger.warning(
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
    training: SplitSide,
    holdout: SplitSide,
    profile: dict[str, Any],
    project: Project,
    run: Run,
) -> dict[str, bytes]:
    """Draw the report and the model card; return the content of each file by its name."""
    settings = project.settings
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
        metrics=gate.recorded_metrics(project),
        holdout=holdout.rows,
        comparable=comparison.comparable,
        held=comparison.held,
        profile=profile,
        drift=drift,
        slices=tuple(settings.gate.guard_slices) or None,
        run=run.name,
        run_url=run.url,
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


def record(
    saved: Saved,
    comparison: GateResult,
    *,
    project: Project,
    run: Run,
    permit: Callable[[], None] = lambda: None,
) -> dict[str, Any] | None:
    """Commit the decision: it takes effect here or not at all.

    None if another retrain changed the champion meanwhile: the version is gone then, and has to be compared again.

    Args:
        saved: The version.
        comparison: What the gate decided about it.
        project: Whose it is.
        run: That decided it.
        permit: Called right before; what it raises keeps the decision from being recorded.
    """
    settings = project.settings
    registry, version, decision = open_registry(settings), saved.version, comparison.decision
    try:
        with _discarded_on_failure(version, settings):
            permit()
            registry.record(
                version,
                decision.to_dict(),
                expected_champion=comparison.champion,
                expected_held=comparison.held,
                flow_run_id=run.id,
            )
    except StaleDecision as error:
        logger.info("%s", error)
        return None
    try:
        registry.prune(settings.registry.keep)
    except RegistryError as error:
        logger.warning("Old versions were not removed: %s", error)
    report = registry.store.locate(f"versions/{version.id}/{REPORT}") if REPORT in version.files else None
    return _facts(saved, comparison, registry, report=report, settings=settings)


def export_dry_run(saved: Saved, comparison: GateResult, *, project: Project) -> dict[str, Any]:
    """Take the report of a dry run out of the registry, and the version too: nothing was decided."""
    settings = project.settings
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
    version, decision, champion = saved.version, comparison.decision, registry.to_beat()
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
        "champion_before": comparison.champion and comparison.champion.id,
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


def read_card(recorded: dict[str, Any], *, project: Project) -> str:
    """Return the model card of what was recorded, as Markdown, or a sentence that says why there is none."""
    registry = open_registry(project.settings)
    found = registry.version(recorded["version"])
    if CARD in found.files:
        return registry.read_file(found, CARD).decode()
    return f"The report is missing: {recorded['report_error']}"


def profile_of(version: Version, settings: Settings) -> dict[str, Any]:
    """Return what a version's training data looked like, as `monitoring.learn_profile` wrote it."""
    profile: dict[str, Any] = json.loads(open_registry(settings).read_file(version, PROFILE))
    return profile
