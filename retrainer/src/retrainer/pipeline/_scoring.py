"""Batch predictions of a table with the model in production."""

import datetime
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import data, monitoring
from ..project import Project
from ..registry import Version, open_registry, open_store
from ..training import Model, load_model

logger = logging.getLogger(__name__)

# Scores the table at paths, and writes the predictions to a file: paths, output, champion, rows in all, progress.
Scorer = Callable[[Sequence[Path], Path, Version, int | None, Callable[[int], None]], monitoring.Scored]


def score_table(
    snapshot: data.Snapshot,
    *,
    project: Project,
    progress: Callable[[int], None] = lambda rows: None,
    scorer: Scorer | None = None,
) -> dict[str, Any]:
    """Predict a table with the champion, after its files were verified; the same table gives the same file.

    Args:
        snapshot: The table, as `data.fetch` returned it.
        project: The project whose champion predicts.
        progress: Called with the number of rows done so far.
        scorer: A function that predicts and writes; None does it in this process.

    Raises:
        RegistryError: there is no champion, or it is damaged.
        DataError: the table does not fit its contract.

    Examples:
        >>> score_table(snapshot, project=project)["rows"]
        600
    """
    settings = project.settings
    champion = open_registry(settings).version("champion")
    store = open_store(settings.score.folder, settings=settings)
    name = monitoring.output_name(
        source=snapshot.source,
        digest=snapshot.digest,
        version=champion.id,
        day=datetime.datetime.now(settings.timezone("score")).date(),
        format=settings.score.format,
    )
    with store.file(name) as output:
        paths = [Path(path) for path in snapshot.paths]
        score = scorer or _partition_scorer(project)
        scored = score(paths, output, champion, snapshot.rows, progress)
    return {
        "version": champion.id,
        "rows": scored.rows,
        "source": snapshot.source,
        "training_table": snapshot.source == champion.lineage.get("data", {}).get("source"),
        "path": store.locate(name),
        "predictions": dict(scored.predictions),
        "mean": scored.total / scored.rows if scored.total else None,
        "unseen": dict(scored.unseen),
    }


def _partition_scorer(project: Project) -> Scorer:
    def score(
        paths: Sequence[Path], output: Path, champion: Version, total: int | None, progress: Callable[[int], None]
    ) -> monitoring.Scored:
        model = loaded_model(champion, project)
        batches = scored_batches(model, champion, paths, project)
        return monitoring.write(monitoring.checked(batches, model.contract, rows=total), output, progress=progress)

    return score


def scored_batches(
    model: Model, version: Version, paths: Sequence[Path | data.Partition], project: Project
) -> Iterator[Any]:
    """Yield the predictions of the table at `paths`, batch by batch."""
    settings = project.settings
    identifiers = settings.score.identifiers or _identifier_columns(model)
    texts = model.contract.texts | set(identifiers)
    said: tuple[str, ...] = ()
    for batch in data.batches(paths, rows=settings.score.batch_rows, texts=texts):
        if (notes := data.describe_reading(batch, model.contract)) != said:
            said = notes
            logger.info("%s", " ".join(said))
        data.require_columns(batch, settings.score.identifiers, setting="score.identifiers", table="the table")
        yield monitoring.score_batch(model, batch, version=version.id, identifiers=identifiers)


def _identifier_columns(model: Model) -> list[str]:
    """Return the columns that name a row: those of the contract, and those that training left out as identifiers."""
    found = [name for name, reason in model.left_out.items() if "identifier" in reason]
    return list(dict.fromkeys([*model.contract.identifiers, *found]))


def loaded_model(version: Version, project: Project) -> Model:
    """Return the model of a version, and warn if it depends on code that changed since.

    Examples:
        >>> champion = open_registry(project.settings).version("champion")
        >>> loaded_model(champion, project).contract.target
        'target'
    """
    model = load_model(open_registry(project.settings), version, project=project)
    if changed := data.changed_imports(model.contract.imports, project):
        logger.warning(
            "%s was trained with %s, which has changed since, so its predictions may differ",
            version.id,
            ", ".join(changed),
        )
    return model
