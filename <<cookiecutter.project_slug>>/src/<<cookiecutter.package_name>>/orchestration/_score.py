"""The steps of the score flow as Prefect tasks."""

import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import Progress

from .. import data, monitoring
from ..registry import Version, open_registry, open_store
from ..settings import Settings
from ..training import Model, load_model
from ._common import left_out, step
from ._runner import optional_runner


@step(shows_progress=True)
def score_batches(snapshot: data.Snapshot, *, settings: Settings) -> dict[str, Any]:
    """Let the champion, verified, predict the table batch by batch."""
    champion = open_registry(settings).version("champion")
    store = open_store(settings.score.folder, settings=settings)
    name = monitoring.output_name(
        source=snapshot.source,
        digest=snapshot.digest,
        version=champion.id,
        day=datetime.datetime.now(ZoneInfo(settings.schedule.timezone)).date(),
        format=settings.score.format,
    )
    with store.file(name) as path, _progress_shown(snapshot.rows) as progress:
        paths = [Path(path) for path in snapshot.paths]
        if runner := optional_runner(settings):
            scored = runner.score(
                paths, path, champion, total=snapshot.rows, settings=settings, progress=progress
            )
        else:
            model = loaded_model(champion, settings)
            batches = monitoring.checked(
                scored_batches(model, champion, paths, settings), model.contract, rows=snapshot.rows
            )
            scored = monitoring.write(batches, path, progress=progress)
    facts = {
        "version": champion.id,
        "rows": scored.rows,
        "source": snapshot.source,
        "training_table": snapshot.source == champion.lineage.get("data", {}).get("source"),
        "path": store.locate(name),
        "predictions": dict(scored.predictions),
        "mean": scored.total / scored.rows if scored.total else None,
        "unseen": dict(scored.unseen),
    }
    rows = [{"what": name, "value": str(value)} for name, value in facts.items()]
    create_table_artifact(rows, key="scored", description=f"{scored.rows:,} rows scored by {champion.id}")
    return facts


def scored_batches(
    model: Model, version: Version, paths: Sequence[Path | data.Partition], settings: Settings
) -> Iterator[Any]:
    """Let a model predict the table at `paths`, batch by batch."""
    identifiers = settings.score.identifiers or _identifiers(model)
    texts = model.contract.texts | set(identifiers)
    for batch in data.batches(paths, rows=settings.score.batch_rows, texts=texts):
        yield monitoring.score_batch(model, batch, version=version.id, identifiers=identifiers)


def _identifiers(model: Model) -> list[str]:
    """Return the columns that name a row: those the contract goes by, and those that training left out as such."""
    found = [name for name, reason in left_out(model.pipeline).items() if reason.startswith("identifier")]
    return list(dict.fromkeys([*model.contract.identifiers, *found]))


def loaded_model(version: Version, settings: Settings) -> Model:
    """Return the model of a version, and warn if it depends on code that changed since."""
    model = load_model(open_registry(settings), version)
    if changed := data.changed_imports(model.contract.imports):
        get_run_logger().warning(
            "%s was trained with %s, which changed since: its predictions may not be what they were",
            version.id,
            ", ".join(changed),
        )
    return model


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
