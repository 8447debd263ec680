"""The steps of the score flow as Prefect tasks."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import Progress
from sklearn.pipeline import Pipeline

from .. import data, monitoring
from ..registry import ObjectStore, Version, open_registry
from ..settings import Settings
from ._common import champion_of, left_out, step
from ._runner import optional_runner

SCORE_SECONDS = 6 * 3600  # a run that hangs must end some day, or no later one starts


def _schema_of(version: Version) -> data.Schema | None:
    return data.Schema.from_dict(version.schema) if version.schema else None


@step(timeout_seconds=SCORE_SECONDS)
def score_batches(snapshot: data.Snapshot, *, settings: Settings) -> dict[str, Any]:
    """Let the champion, verified, predict the table batch by batch."""
    champion = champion_of(settings)
    folder = settings.score.folder
    store = ObjectStore(folder) if folder.is_url else None
    path = monitoring.output_path(
        settings.resolve("predictions" if store else folder),
        source=snapshot.source,
        digest=snapshot.digest,
        version=champion.id,
    )
    with _progress_shown(snapshot.rows) as progress:
        paths = [Path(path) for path in snapshot.paths]
        if runner := optional_runner(settings):
            scored = runner.score(
                paths, path, champion, total=snapshot.rows, settings=settings, progress=progress
            )
        else:
            model = open_registry(settings).load_model(champion)
            scored = monitoring.write(
                scored_batches(model, champion, paths, settings), path, progress=progress
            )
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


def scored_batches(
    model: Pipeline, version: Version, paths: Sequence[Path | data.Partition], settings: Settings
) -> Iterator[Any]:
    """Let the pipeline of `version` predict the table at `paths`, batch by batch."""
    for batch in data.batches(paths, rows=settings.score.batch_rows):
        yield monitoring.score_batch(
            model,
            batch,
            version=version.id,
            target=settings.data.target,
            problem_type=settings.problem_type,
            schema=_schema_of(version),
            identifiers=settings.score.identifiers or list(left_out(model)),
        )


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
