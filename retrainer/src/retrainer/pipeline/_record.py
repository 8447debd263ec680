"""From a decision to its traces: the version with its report, the record, and the facts for the message."""

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
from ._comparison import GateResult
from ._to_do import to_do
from ._training import Refit

EXAMPLE_ROWS = 5
CARD, REPORT, PROFILE = "card.md", "report.html", "profile.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """The run that a record names.

    Attributes:
        id: The id of the flow run; None outside one.
        name: The name that people read.
        url: The URL of the run's page; empty if there is none.
    """

    id: str | None = None
    name: str = ""
    url: str = ""


@dataclass(frozen=True)
class Saved:
    """A version that waits for its decision, and the profile of its training data."""

    version: Version
    profile: dict[str, Any]


def save(
    comparison: GateResult,
    refitted: Refit | None,
    *,
    snapshot: data.Snapshot,
    recipe: Recipe,
    project: Project,
    run: Run,
) -> Saved:
    """Save the version and its files; it is not used until its decision is recorded.

    A model that was refit on all rows is the version's model, and the challenger its evaluated model.

    Examples:
        >>> saved = save(comparison, None, snapshot=snapshot, recipe=Recipe("linear"), project=project, run=Run())
        >>> "contract.json" in saved.version.files
        True
    """
    settings, evaluation = project.settings, comparison.evaluation
    training, holdout = evaluation.training, evaluation.holdout
    registry = open_registry(settings)
    model, learned, twin = evaluation.challenger, training, None
    if refitted and refitted.model and refitted.part:
        model, learned, twin = refitted.model, refitted.part, evaluation.challenger
    profile = monitoring.learn_profile(learned.X, left_out=model.left_out)
    if settings.problem_type == "classification":
        profile["classes"] = {str(name): int(count) for name, count in learned.y.value_counts().items()}
    files = model.files(learned.identities, twin=training.identities if twin else None)
    version = registry.stage(
        model.pipeline,
        metrics=evaluation.metrics,
        files={PROFILE: json.dumps(profile).encode()} | files | example_files(model, holdout.rows),
        twin=twin and twin.pipeline,
        lineage=lineage(settings.root)
        | {
            "packages": packages_of_steps(model.pipeline),
            "data": dataclasses.asdict(snapshot),
            "rows": {"training": len(training.rows), "holdout": len(holdout.rows)},
            "split": training.definition,
            "identity": training.contract.identity_from,
            "reading_notes": list(training.unread),
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
    return Saved(version, profile)


def _threshold_facts(recipe: Recipe, classes: Sequence[Any], settings: Settings) -> dict[str, Any] | None:
    if recipe.threshold is None:
        return None
    tuned = {"tuned_for": settings.metric} if settings.train.threshold == "tuned" else {}
    positive = classes[gate.find_positive(settings.data.positive, classes)]
    return {"value": recipe.threshold, "positive": positive} | tuned


def _draw_report(saved: Saved, comparison: GateResult, *, project: Project, run: Run) -> dict[str, bytes]:
    """Draw the report and the model card; return the content of each file by its name."""
    settings, evaluation = project.settings, comparison.evaluation
    champion, opponent, holdout, drift = comparison.champion, comparison.opponent, evaluation.holdout, None
    if champion and PROFILE in champion.files and _same_features(champion, evaluation.challenger, settings):
        drift = monitoring.compare_with_profile(
            profile_of(champion, settings), evaluation.training.X, settings=settings.monitor
        )
    facts = reporting.Facts(
        project=settings.project,
        problem_type=settings.problem_type,
        decision=comparison.decision,
        version=saved.version,
        pipeline=evaluation.challenger.pipeline,
        X=holdout.X,
        y=holdout.y,
        predictions=evaluation.predictions,
        baseline=evaluation.baseline.predictions,
        champion=champion,
        champion_predictions=opponent.predictions if opponent else None,
        metrics=gate.recorded_metrics(project),
        holdout=holdout.rows,
        comparable=opponent.comparable if opponent else None,
        held=comparison.held,
        profile=saved.profile,
        drift=drift,
        slices=tuple(settings.gate.guard_slices) or None,
        run=run.name,
        run_url=run.url,
        seed=settings.seed,
    )
    parts = reporting.sections(facts)
    return {CARD: reporting.card(facts, parts).encode(), REPORT: reporting.page(facts, parts).encode()}


def _same_features(champion: Version, challenger: Model, settings: Settings) -> bool:
    """Return whether both models see the same features, which alone can drift from one to the other."""
    try:
        theirs = load_contract(open_registry(settings), champion)
    except ProjectError:
        return False
    return theirs.features_sha256 == challenger.contract.features_sha256


def record(
    saved: Saved, comparison: GateResult, *, project: Project, run: Run, permit: Callable[[], None] = lambda: None
) -> dict[str, Any] | None:
    """Commit the decision: it takes effect here or not at all.

    Returns None if another retrain changed the champion: the version is removed, and has to be compared again.

    Args:
        saved: The saved version.
        comparison: The decision about it.
        project: The project.
        run: The run that decided.
        permit: Called right before the commit; if it raises an error, nothing is recorded.

    Examples:
        >>> saved = save(comparison, None, snapshot=snapshot, recipe=Recipe("linear"), project=project, run=Run())
        >>> record(saved, comparison, project=project, run=Run())["to_do"]
        'nothing.'
    """
    settings = project.settings
    registry, version = open_registry(settings), saved.version
    try:
        with _discarded_on_failure(version, settings):
            permit()
            registry.record(
                version,
                comparison.decision.to_dict(),
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
    report = registry.store.locate(f"versions/{version.id}/{REPORT}")
    return _outcome_facts(saved, comparison, registry, report=report)


def add_report(
    recorded: dict[str, Any], saved: Saved, comparison: GateResult, *, project: Project, run: Run
) -> tuple[dict[str, Any], str]:
    """Draw the report of a recorded decision and save it with the version; return the facts and the model card.

    It is drawn last, after the decision was recorded and the team notified.
    """

    def keep(name: str, content: bytes) -> None:
        open_registry(project.settings).attach(saved.version, name, content)

    return _with_report(recorded, keep, saved, comparison, project, run)


def export_dry_run(saved: Saved, comparison: GateResult, *, project: Project, run: Run) -> dict[str, Any]:
    """Write the report of a dry run into a folder, and remove its version."""
    settings = project.settings
    registry, folder = open_registry(settings), settings.resolve("dry-run")
    registry.discard(saved.version)
    facts = _outcome_facts(saved, comparison, registry, report=str(folder / REPORT)) | {"dry_run": True}

    def keep(name: str, content: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return _with_report(facts, keep, saved, comparison, project, run)[0]


def _with_report(
    facts: dict[str, Any],
    keep: Callable[[str, bytes], None],
    saved: Saved,
    comparison: GateResult,
    project: Project,
    run: Run,
) -> tuple[dict[str, Any], str]:
    """Draw the report and keep its files; return the facts and the card. What goes wrong costs the report alone."""
    try:
        files = _draw_report(saved, comparison, project=project, run=run)
        for name, content in files.items():
            keep(name, content)
    except Exception as error:
        missing = f"{type(error).__name__}: {error}"
        logger.warning("The report is missing, because drawing it failed (%s).", missing, exc_info=True)
        return facts | {"report": None, "report_error": missing}, f"The report is missing: {missing}"
    return facts, files[CARD].decode()


def _outcome_facts(saved: Saved, comparison: GateResult, registry: Registry, *, report: str) -> dict[str, Any]:
    version, decision, champion = saved.version, comparison.decision, registry.to_beat()
    facts = {
        "version": version.id,
        "verdict": decision.verdict,
        "kind": decision.kind,
        "reason": decision.reason,
        "alarms": list(decision.alarms),
        "metric": version.metric,
        "metrics": version.metrics,
        "threshold": version.lineage["threshold"],
        "refit": version.lineage["refit"],
        "holdout_rows": len(comparison.evaluation.holdout.rows),
        "baseline": {"name": decision.baseline_name, "metrics": comparison.evaluation.baseline_metrics},
        "held": registry.held(),
        "champion": champion and champion.id,
        "champion_before": comparison.champion and comparison.champion.id,
        "registry": registry.store.locate("").rstrip("/"),
        "report": report,
        "report_error": None,
    }
    return facts | {"to_do": to_do(facts, project=registry.project)}


@contextmanager
def _discarded_on_failure(version: Version, settings: Settings) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(RegistryError):  # the first error is the one to report
            open_registry(settings).discard(version)
        raise


def profile_of(version: Version, settings: Settings) -> dict[str, Any]:
    """Return the profile of a version's training data; see `monitoring.learn_profile`."""
    profile: dict[str, Any] = json.loads(open_registry(settings).read_file(version, PROFILE))
    return profile
