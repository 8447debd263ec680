"""The name and the progress of a run in Prefect's UI."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from rich.console import Console
from rich.progress import Progress

from ..gate import shown_verdict


def rename_run(recorded: dict[str, Any]) -> None:
    """Name the present run after its decision."""
    version, verdict = recorded["version"], shown_verdict(recorded["verdict"])
    name = f"retrain {version[:4]}-{version[4:6]}-{version[6:8]} {verdict} {version[-6:]}"
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run_id=UUID(str(flow_run.id)), name=name)


@contextmanager
def scoring_progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the number of scored rows: as a bar on a terminal, else as a log line per batch, and in Prefect's UI."""
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
