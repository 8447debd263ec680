"""Compare new data with the champion's training data, and its predictions with new labels."""

import datetime
import logging
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from .. import data, gate, monitoring, reporting
from ..errors import DataError, ProjectError
from ..project import Project
from ..registry import Version, open_registry, open_store
from ..settings import Settings, rows_or_time
from ..training import Model, load_evaluated_model, load_model, load_trained_rows, task_mismatch
from ._record import PROFILE, profile_of

PAGE = "drift.html"
LEAST_LABELS = 30  # fewer say little about a score
UNUSUAL = 0.05  # a score so unlikely by chance is mentioned, though it is no violation
MISFIT = "the columns do not fit"
NO_CURE = (
    "Production is unchanged. Correct the table or its query. Retrain only if the training table has changed in the"
    " same way as this table."
)
TIME_BLOCKS = 20  # of a window, by a split by time: rows of one block are alike

logger = logging.getLogger(__name__)


def check_drift(snapshot: data.Snapshot, *, project: Project) -> dict[str, Any]:
    """Compare new data with the champion's training data, and its predictions with new labels.

    Examples:
        >>> check_drift(snapshot, project=project)["drifted"]
        False
    """
    settings = project.settings
    registry = open_registry(settings)
    champion = registry.version("champion")
    if PROFILE not in champion.files:
        raise DataError(f"{champion.id} has no profile of its training data. Retrain once.")
    model = load_model(registry, champion, project=project)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    score_at_training = champion.metrics.get(settings.metric)
    window = monitoring.Window(
        now, snapshot.source, snapshot.digest, champion.id, drifted=None, reason="", score_at_training=score_at_training
    )
    report = data.ReadReport()
    try:
        frame = data.load(snapshot, texts=model.contract.texts)
        logger.info("%s", " ".join(data.describe_reading(frame, model.contract)) or "The table has types of its own.")
        rows = model.contract.read(frame, report=report, keep_extra=True)
    except data.SchemaError as error:
        found = monitoring.Drift(True, f"{error}\n{NO_CURE}", (0, snapshot.rows), gone=error.gone)
        window, failed = replace(window, live_reason=MISFIT), []
    else:
        rows = _newest_rows(rows, settings)
        found = _compare_columns(model, rows, champion, settings)
        try:
            model.contract.check(report)
            window = _evaluate_labels(window, model, rows, champion, project=project)
        except data.SchemaError as error:
            found = replace(found, drifted=True, reason=f"{error}\n{NO_CURE} {found.reason}")
            window = replace(window, live_reason=MISFIT)
        failed = data.failed_tests(rows, settings.data.tests, but=settings.data.target)
    reason = " ".join([found.reason, window.reason, *failed]).strip()
    window = replace(window, drifted=found.drifted, reason=reason, rows=found.rows[1])
    misfit = window.live_reason == MISFIT
    return _record_window(window, found, settings) | {"failed_tests": failed, "misfit": misfit}


def _compare_columns(model: Model, rows: pd.DataFrame, champion: Version, settings: Settings) -> monitoring.Drift:
    return monitoring.compare_with_profile(
        profile_of(champion, settings),
        data.inputs(rows, contract=model.contract, code=model.code),
        settings=settings.monitor,
        units=_unit_of_row(rows, settings),
    )


def _record_window(window: monitoring.Window, found: monitoring.Drift, settings: Settings) -> dict[str, Any]:
    """Add the window to those looked at, and draw the page; return what a run returns."""
    store = open_store(settings.monitor.folder, settings=settings)
    windows = monitoring.History(store).add(window)
    retrain = monitoring.needs_retrain(windows, settings=settings)
    missing = None
    try:
        text = reporting.drift_page(found, windows, project=settings.project, retrain=retrain)
        store.write(PAGE, text.encode())
    except Exception as error:
        missing = f"{type(error).__name__}: {error}"
        logger.warning("The report is missing, it could not be drawn (%s).", missing, exc_info=True)
    decided = [each.violates for each in windows if each.violates is not None][-settings.monitor.windows :]
    violations, rule = sum(decided) if window.violates else 0, settings.monitor
    counts = (
        f"This window counts. Of the last {rule.windows} windows, {violations} drifted or scored worse; a retrain "
        f"starts at {rule.needed}."
    )
    return asdict(window) | {
        "violations": violations,
        "counts": counts if violations else "",
        "retrain": retrain,
        "drifted_columns": [*found.gone, *(column.name for column in found.columns if column.drifted)],
        "report": None if missing else store.locate(PAGE),
        "report_error": missing,
        "columns": [dict(row) for row in monitoring.summary(found)],
    }


def _newest_rows(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return the rows of the window that `monitor.last` asks for."""
    monitor = settings.monitor
    if monitor.last is None or rows.empty:
        return rows
    times = data.times(rows, column=str(settings.split.time_column))
    if times.max() == np.iinfo(np.int64).min:  # no row has a time
        return rows
    count, span = rows_or_time(monitor.last)
    if count:
        since = np.sort(times)[-min(len(times), count)]
    else:
        since = times.max() - span // datetime.timedelta(microseconds=1) + 1
    return rows[times >= since].reset_index(drop=True)


def _unit_of_row(rows: pd.DataFrame, settings: Settings) -> Any:
    """Return the unit of each row, shape (n,): its keys, or its block of time; None where each row is one."""
    split = settings.split
    if split.key_columns:
        if set(split.key_columns) <= set(rows.columns):
            return data.group_codes(rows, keys=split.key_columns)
        logger.warning(
            "split.key_columns %s are not in the new data, so each row counts by itself.", list(split.key_columns)
        )
    elif split.method == "time" and split.time_column in rows.columns:
        order = np.argsort(data.times(rows, column=str(split.time_column)), kind="stable")
        blocks = np.empty(len(rows), dtype=np.int64)
        blocks[order] = np.arange(len(rows)) * TIME_BLOCKS // max(1, len(rows))
        return blocks
    return None


def _time_span(rows: pd.DataFrame, settings: Settings) -> tuple[str | None, str | None]:
    """Return the first and the last time of some rows; nothing where they have none."""
    column = settings.split.time_column
    if column not in rows.columns:
        return None, None
    try:
        times = data.times(rows, column=str(column))
    except (DataError, ValueError, TypeError):  # the label's rows may hold them in another form
        return None, None
    times = times[times > np.iinfo(np.int64).min]
    if not len(times):
        return None, None
    first, last = (pd.Timestamp(int(end), unit="us", tz="UTC").isoformat() for end in (times.min(), times.max()))
    return first, last


def _evaluate_labels(
    window: monitoring.Window, model: Model, rows: pd.DataFrame, champion: Version, *, project: Project
) -> monitoring.Window:
    """Count the rows with labels, and score the champion on those that it was not trained on, where that can be."""
    settings = project.settings
    if other := task_mismatch(model.contract, project):
        return replace(window, live_reason=f"No score: {other}.")
    try:
        code, words = data.current_code(project), model.contract.target_words
        labelled = data.label(rows, settings=settings, code=code, words=words)
    except ProjectError as error:
        return replace(window, live_reason=str(error))
    first, last = _time_span(labelled, settings)
    window = replace(window, labelled=len(labelled), labelled_from=first, labelled_to=last)
    trained = load_trained_rows(open_registry(settings), champion)
    try:
        unseen = ~data.are_known(model.contract.identities(labelled), trained)
    except data.SchemaError as error:  # of data.drop, which the model does not get
        return replace(window, live_reason=str(error))
    return _score_window(window, model, labelled[unseen], champion, project)


def _score_window(
    window: monitoring.Window, model: Model, rows: pd.DataFrame, champion: Version, project: Project
) -> monitoring.Window:
    """Score the champion on rows with labels that are new to it, and compare that with its score at training."""
    settings, count = project.settings, len(rows)
    window = replace(window, live_rows=count)
    if count < LEAST_LABELS:
        few = f"only {count} rows have a label and are new to the model, {LEAST_LABELS} are needed."
        return replace(window, live_reason=few)
    y = rows[model.contract.target]
    if settings.problem_type == "classification" and y.nunique() < 2:
        return replace(window, live_reason=f"all {count} rows with a label are of one class.")
    X = data.inputs(rows, contract=model.contract, code=model.code)
    predictions = gate.predict(model.pipeline, X, problem_type=settings.problem_type)
    try:
        scores = gate.evaluate(predictions, y, metrics=gate.gate_metrics(project), rows=rows)
    except ProjectError as error:  # a cost needs a column that is not here, say: drift is reported all the same
        return replace(window, live_reason=str(error))
    twin, lost = _score_evaluated_model(predictions, rows, y, champion, project)
    window = replace(window, metric=scores.get(settings.metric), twin=twin)
    if window.metric is not None and window.score_at_training is not None and math.isfinite(window.metric):
        window = _compare_with_training(window, predictions, rows, y, champion, project)
    return replace(window, reason=f"{window.reason} {lost}".strip())


def _score_evaluated_model(
    served: gate.Predictions, rows: pd.DataFrame, y: pd.Series, champion: Version, project: Project
) -> tuple[float | None, str]:
    """Score the evaluated model on the rows that the serving model has not seen."""
    settings, metric = project.settings, gate.deciding_metric(project)
    if "rows" not in (champion.lineage.get("refit") or {}):  # what serves is what was compared
        return None, ""
    try:
        twin = load_evaluated_model(open_registry(settings), champion, project=project)
    except ProjectError as error:
        logger.warning("The evaluated model is not scored: %s", error)
        return None, ""
    X = data.inputs(rows, contract=twin.contract, code=twin.code)
    predictions = gate.predict(twin.pipeline, X, problem_type=settings.problem_type)
    score = gate.evaluate(predictions, y, metrics={metric.name: metric}, rows=rows)[metric.name]
    question = gate.Question(y, metric, settings.gate, rows, entities=_unit_of_row(rows, settings), seed=settings.seed)
    lost = gate.lost_by_refit(question, served, gate.Champion(predictions))
    worse = "The model that serves, refit on all rows, is worse than the evaluated model:"
    return score, f"{worse} {metric.label} {lost} on {len(rows):,} rows that neither has seen." if lost else ""


def _compare_with_training(
    window: monitoring.Window,
    predictions: gate.Predictions,
    rows: pd.DataFrame,
    y: pd.Series,
    champion: Version,
    project: Project,
) -> monitoring.Window:
    """Compare the score with the one at training."""
    settings, count, metric = project.settings, len(rows), gate.deciding_metric(project)
    score, score_at_training = window.metric or 0.0, window.score_at_training or 0.0
    units = _unit_of_row(rows, settings)
    pieces = count if units is None else len(np.unique(units))
    change = gate.change(
        metric,
        now=score,
        recorded=score_at_training,
        error=gate.standard_error(metric, y, predictions, seed=settings.seed, rows=rows, entities=units),
        rows=pieces,
        # As many rows to a key as here: what counts are keys, of the holdout too.
        recorded_rows=max(2, round(champion.lineage["rows"]["holdout"] * pieces / count)),
    )
    window = replace(window, live_p_value=change.p_value, worse=monitoring.is_worse(change, settings=settings))
    said = (
        f"{metric.label[:1].upper()}{metric.label[1:]} is {metric.format(score)} on {count:,} rows with labels, and"
        f" was {metric.format(score_at_training)} at training: worse by {metric.format_difference(change.worse)}"
        f" (p-value {change.p_value:.4f})"
    )
    if window.worse:
        return replace(window, reason=f"{said}.")
    worst, share = gate.worst_rows(y, predictions, metric)
    if not monitoring.is_far(change, settings=settings) or (change.p_value > UNUSUAL and not len(worst)):
        return window
    few = f"; {len(worst):,} rows cause {share:.0%} of the squared error, check these" if len(worst) else ""
    return replace(window, reason=f"{said}, which may be chance{few}.")
