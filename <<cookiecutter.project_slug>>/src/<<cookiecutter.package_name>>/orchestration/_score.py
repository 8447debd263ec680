"""The steps of the score flow as Prefect tasks."""

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import unmapped
from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import Progress
from sklearn.pipeline import Pipeline

from .. import data, monitoring, training
from ..registry import ObjectStore, Version, open_registry
from ..settings import Settings
from . import _scale_out
from ._common import champion_of, left_out, step

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
        if settings.scale_out.runner == "dask":
            scored = _score_on_workers(
                paths, path, champion, total=snapshot.rows, settings=settings, progress=progress
            )
        else:
            model = open_registry(settings).load_model(champion)
            scored = monitoring.write(_scored(model, champion, paths, settings), path, progress=progress)
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
    model: Pipeline, version: Version, paths: Sequence[Path | data.Partition], settings: Settings
) -> Iterator[Any]:
    """Score batch by batch."""
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


@step(task_run_name="score part {number}")
def score_part(
    number: int, partition: data.Partition, *, version: str, folder: Path, settings: Settings
) -> list[monitoring.ScoredPart]:
    """Score one part of the table, on a worker, which reads it and the verified model itself."""
    found, model = _scale_out.model(version, settings=settings)
    threads = _scale_out.threads_per_task(settings.scale_out)
    with training.thread_budget(threads):
        training.with_jobs(model, threads)
        parts = monitoring.write_parts(
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
) -> monitoring.Scored:
    """Have the parts scored, and put them together in the order of the table as they come."""
    rows = settings.score.batch_rows
    batches = math.ceil((total or 0) / rows)
    # Four parts a worker: the last ones end together, and little is done again for one that died.
    size = rows * max(1, math.ceil(batches / (4 * _scale_out.workers(settings.scale_out))))
    partitions = data.partitions(paths, rows=size)
    with _scale_out.parts_folder(path) as folder:
        parts = score_part.map(
            list(range(len(partitions))),
            partitions,
            version=unmapped(champion.id),
            folder=unmapped(folder),
            settings=unmapped(settings),
        )
        done = itertools.chain.from_iterable(part.result() for part in parts)
        return monitoring.write(monitoring.read_parts(done), path, progress=progress)


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
