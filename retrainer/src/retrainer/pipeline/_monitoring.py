"""Comparing new data with what the champion was trained on, and its predictions with labels that have come."""

import dataclasses
import datetime
import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import data, gate, monitoring, reporting
from ..errors import DataError, ProjectError
from ..project import Project
from ..registry import Version, open_registry, open_store
from ..settings import Settings
from ..training import Model, another_question, load_model, load_trained_rows, load_twin
from ._record import PROFILE, profile_of

PAGE = "drift.html"
LEAST_LABELS = 30  # fewer say little about a score
TIME_BLOCKS = 20  # of a window, by a split by time: rows of one block are alike

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Live:
    """The champion's score on rows that came with labels, and that it was not trained on; or why there is none.

    Attributes:
        score: Of so many rows.
        rows: Those rows.
        reason: Why there is no score.
        change: How the score differs from the one at training.
        twin: The score there of the model that was compared, where what serves was fitted once more on all rows.
        lost: That the refit is worse than its twin beyond chance, as a sentence; empty if it is not.
        labelled: The rows of the window that have a label.
        span: The times of the first and the last of them, where there is a time column.
    """

    score: float | None = None
    rows: int = 0
    reason: str = ""
    change: gate.Change | None = None
    twin: float | None = None
    lost: str = ""
    labelled: int = 0
    span: tuple[str | None, str | None] = (None, None)


def check_drift(snapshot: data.Snapshot, *, project: Project) -> dict[str, Any]:
    """Compare new data with the champion's training data, and its predictions with labels that have come."""
    settings = project.settings
    registry = open_registry(settings)
    champion = registry.version("champion")
    if PROFILE not in champion.files:
        raise DataError(f"{champion.id} has no profile of its training data: retrain once.")
    model = load_model(registry, champion, project=project)
    report = data.ReadReport()
    try:
        rows = model.contract.read(
            data.load(snapshot, texts=model.contract.texts), report=report, others=True
        )
        model.contract.check(report)
    except data.SchemaError as error:
        found, live = (
            monitoring.Drift(True, str(error), (0, snapshot.rows)),
            Live(reason="the columns do not fit"),
        )
    else:
        rows = _newest(rows, settings)
        found = monitoring.compare_with_profile(
            profile_of(champion, settings),
            data.inputs(rows, contract=model.contract, code=model.code),
            settings=settings.monitor,
            units=_units(rows, settings),
        )
        live = _live_score(model, rows, load_trained_rows(registry, champion), champion, project=project)
    promised, worse = (
        champion.metrics.get(settings.metric),
        monitoring.is_worse(live.change, settings=settings),
    )
    entry = monitoring.Window(
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        source=snapshot.source,
        digest=snapshot.digest,
        version=champion.id,
        drifted=found.drifted,
        reason=" ".join(
            filter(None, [found.reason, _said(live, promised, project) if worse else "", live.lost])
        ),
        metric=live.score,
        promised=promised,
        worse=worse,
        live_reason=live.reason,
        live_rows=live.rows,
        live_p_value=live.change.p_value if live.change else None,
        twin=live.twin,
        rows=found.rows[1],
        labelled=live.labelled,
        labelled_from=live.span[0],
        labelled_to=live.span[1],
    )
    store = open_store(settings.monitor.folder, settings=settings)
    windows = monitoring.History(store).add(entry)
    retrain = monitoring.needs_retrain(windows, settings=settings)
    page, report_error = store.locate(PAGE), None
    try:
        text = reporting.drift_page(found, windows, project=settings.project, retrain=retrain)
        store.write(PAGE, text.encode())
    except Exception as error:
        report_error = f"{type(error).__name__}: {error}"
        logger.warning("The report is missing, it could not be drawn (%s).", report_error, exc_info=True)
    return dataclasses.asdict(entry) | {
        "retrain": retrain,
        "drifted_columns": [*found.gone, *(column.name for column in found.columns if column.drifted)],
        "report": None if report_error else page,
        "report_error": report_error,
        "columns": [dict(row) for row in monitoring.summary(found)],
    }


def _said(live: Live, promised: float | None, project: Project) -> str:
    """Say that the score is worse, with the numbers."""
    assert live.score is not None
    assert live.change is not None
    assert promised is not None
    metric = gate.deciding_metric(project)
    return (
        f"{metric.label[:1].upper()}{metric.label[1:]} is {metric.format(live.score)} on {live.rows:,} rows with"
        f" labels, and was {metric.format(promised)} at training: worse by"
        f" {metric.format_difference(live.change.worse)}, as chance makes {live.change.p_value:.2%} of such windows."
    )


def _newest(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return the rows of the window that `monitor.last` asks for."""
    monitor = settings.monitor
    if monitor.last is None or rows.empty:
        return rows
    times = data.times(rows, column=str(settings.split.time_column))
    if times.max() == np.iinfo(np.int64).min:  # no row has a time
        return rows
    if monitor.last_rows:
        since = np.sort(times)[-min(len(times), monitor.last_rows)]
    else:
        since = times.max() - monitor.last_time // datetime.timedelta(microseconds=1) + 1
    return rows[times >= since].reset_index(drop=True)


def _units(rows: pd.DataFrame, settings: Settings) -> Any:
    """Return what each row is about, shape (n,): its keys, or for a split by time its block of time; None if itself."""
    split = settings.split
    if split.key_columns:
        if set(split.key_columns) <= set(rows.columns):
            return data.group_codes(rows, keys=split.key_columns)
        logger.warning(
            "split.key_columns %s are not in the new data: each row counts.", list(split.key_columns)
        )
    elif split.method == "time" and split.time_column in rows.columns:
        order = np.argsort(data.times(rows, column=str(split.time_column)), kind="stable")
        blocks = np.empty(len(rows), dtype=np.int64)
        blocks[order] = np.arange(len(rows)) * TIME_BLOCKS // max(1, len(rows))
        return blocks
    return None


def _span(rows: pd.DataFrame, settings: Settings) -> tuple[str | None, str | None]:
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
    first, last = (
        pd.Timestamp(int(end), unit="us", tz="UTC").isoformat() for end in (times.min(), times.max())
    )
    return first, last


def _live_score(
    model: Model, rows: pd.DataFrame, trained: data.Identities, champion: Version, *, project: Project
) -> Live:
    """Score the champion on the rows with labels, and count these, whether or not they can be scored."""
    settings = project.settings
    if other := another_question(model.contract, project):
        return Live(reason=f"No score: {other}.")
    try:
        labelled = data.label(
            rows, settings=settings, code=data.current_code(project), words=model.contract.target_words
        )
    except ProjectError as error:
        return Live(reason=str(error))
    live = _score_of(model, labelled, trained, champion, project=project)
    return dataclasses.replace(live, labelled=len(labelled), span=_span(labelled, settings))


def _score_of(
    model: Model, labelled: pd.DataFrame, trained: data.Identities, champion: Version, *, project: Project
) -> Live:
    settings = project.settings
    try:
        unseen = ~data.are_known(model.contract.identities(labelled), trained)
    except data.SchemaError as error:  # of data.drop, which the model does not get
        return Live(reason=str(error))
    labelled = labelled[unseen]
    if len(labelled) < LEAST_LABELS:
        return Live(
            rows=len(labelled),
            reason=f"{len(labelled)} rows with a label that the model was not trained on are too few: "
            f"{LEAST_LABELS} at least.",
        )
    y = labelled[model.contract.target]
    if settings.problem_type == "classification" and y.nunique() < 2:
        return Live(rows=len(labelled), reason=f"All {len(labelled)} rows with a label are of one class.")
    X = data.inputs(labelled, contract=model.contract, code=model.code)
    predictions = gate.predict(model.pipeline, X, problem_type=settings.problem_type)
    try:
        scores = gate.evaluate(predictions, y, metrics=gate.gate_metrics(project), rows=labelled)
    except (
        ProjectError
    ) as error:  # a cost needs a column that is not here, say: drift is reported all the same
        return Live(rows=len(labelled), reason=str(error))
    score = scores.get(settings.metric)
    change = _change(score, predictions, labelled, y, champion, project)
    twin, lost = _beside_twin(predictions, labelled, y, champion, project)
    return Live(score, len(labelled), change=change, twin=twin, lost=lost)


def _beside_twin(
    served: gate.Predictions, rows: pd.DataFrame, y: pd.Series, champion: Version, project: Project
) -> tuple[float | None, str]:
    """Score the model that was compared on the rows that what serves has not seen: it learned from fewer."""
    settings, metric = project.settings, gate.deciding_metric(project)
    if "rows" not in (champion.lineage.get("refit") or {}):  # what serves is what was compared
        return None, ""
    try:
        twin = load_twin(open_registry(settings), champion, project=project)
    except ProjectError as error:
        logger.warning("The model that was compared is not scored: %s", error)
        return None, ""
    X = data.inputs(rows, contract=twin.contract, code=twin.code)
    predictions = gate.predict(twin.pipeline, X, problem_type=settings.problem_type)
    score = gate.evaluate(predictions, y, metrics={metric.name: metric}, rows=rows)[metric.name]
    question = gate.Question(
        y, metric, settings.gate, rows, entities=_units(rows, settings), seed=settings.seed
    )
    lost = gate.lost_by_refit(question, served, gate.Champion(predictions))
    said = "What serves is worse than the model that was compared before it was fitted once more on all rows:"
    return score, f"{said} {metric.label} {lost} on {len(rows):,} rows that neither has seen." if lost else ""


def _change(
    score: float | None,
    predictions: gate.Predictions,
    rows: pd.DataFrame,
    y: pd.Series,
    champion: Version,
    project: Project,
) -> gate.Change | None:
    """Compare a live score with the one at training, as far as there is one."""
    settings = project.settings
    promised = champion.metrics.get(settings.metric)
    if score is None or promised is None or not math.isfinite(score):
        return None
    metric = gate.deciding_metric(project)
    units = _units(rows, settings)
    count = len(rows) if units is None else len(np.unique(units))
    return gate.change(
        metric,
        now=score,
        recorded=promised,
        error=gate.standard_error(metric, y, predictions, seed=settings.seed, rows=rows, entities=units),
        rows=count,
        # As many rows to a key as here: what counts are keys, of the holdout too.
        recorded_rows=max(2, round(champion.lineage["rows"]["holdout"] * count / len(rows))),
    )
