"""The steps of the monitor flow as Prefect tasks."""

import dataclasses
import datetime
from typing import Any

from prefect.artifacts import (
    create_table_artifact,
)
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from .. import data, gate, monitoring, reporting
from ..errors import DataError
from ..files import replacing
from ..registry import open_registry
from ..settings import Settings
from . import _messages
from ._common import PROFILE, champion_of, profile_of, step

DRIFT_EVENT = "retraining.drift"


@step()
def check_drift(snapshot: data.Snapshot, *, settings: Settings) -> dict[str, Any]:
    """Hold new data against what the champion was trained on, and the champion against labels that came."""
    registry, champion = open_registry(settings), champion_of(settings)
    if PROFILE not in champion.files:
        raise DataError(f"{champion.id} has no profile of its training data: retrain once.")
    target, live = settings.data.target, None
    frame = data.load(snapshot)
    found = monitoring.compare_with_profile(
        profile_of(champion, settings), data.inputs(frame, target=target), settings=settings.monitor
    )
    trained_on = champion.lineage.get("data", {}).get("digest")
    if snapshot.digest != trained_on and target in frame.columns and frame[target].notna().any():
        labelled = data.labelled(frame, settings=settings)
        X = data.inputs(labelled, target=target)
        model = registry.load_model(champion)
        predictions = gate.predict(model, X, problem_type=settings.problem_type)
        live = gate.evaluate(predictions, labelled[target], problem_type=settings.problem_type).get(
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
    retrain = monitoring.needs_retrain(windows, settings=settings)
    logger, page, report_error = get_run_logger(), folder / "drift.html", None
    try:
        text = reporting.drift_page(found, windows, project=settings.project, retrain=retrain)
        with replacing(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except Exception as error:
        report_error = f"{type(error).__name__}: {error}"
        logger.warning("The report is missing, it could not be drawn (%s).", report_error, exc_info=True)
    logger.info("%s Report: %s", found.reason, "missing" if report_error else page)
    create_table_artifact(
        [dict(row) for row in monitoring.summary(found)], key="drift", description=found.reason
    )
    return dataclasses.asdict(entry) | {
        "retrain": retrain,
        "report": None if report_error else str(page),
        "report_error": report_error,
    }


@step()
def trigger_retrain(window: dict[str, Any], *, settings: Settings) -> None:
    """Emit the event that triggers the retrain deployment, and tell the team."""
    emit_event(
        event=DRIFT_EVENT,
        resource={"prefect.resource.id": f"retraining.{settings.project}"},
        payload={name: window[name] for name in ("source", "version", "reason")},
    )
    message = _messages.drift_message(
        project=settings.project,
        run=str(flow_run.name),
        link=url_for("flow-run", flow_run.id) or "",
        window=window,
    )
    _messages.send(message, block=settings.notifications.block, logger=get_run_logger())
