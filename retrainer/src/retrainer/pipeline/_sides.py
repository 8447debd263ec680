"""From a snapshot to the sides of the split: training, gap and holdout.

Tables stay in memory and are never results: hashing and pickling them would cost more than the training.
"""

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .. import data, gate
from ..errors import ConfigurationError, ProjectError, named
from ..project import Project
from ..registry import open_registry
from ..training import check_classes, load_contract
from ._data_tests import tested

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitSide:
    """One side of the split, or the gap.

    Attributes:
        rows: n labelled rows.
        X: The inputs of the pipeline for these rows, shape (n, features).
        y: The target, shape (n,).
        identities: The identity of each row, shape (n,).
        contract: The contract that read the rows.
        code: The features.py that made `X`.
        definition: The split as the lineage records it.
        unread: Sentences about unreadable cells and missing labels.
        alarms: Sentences about what a person should check in the table.
    """

    rows: pd.DataFrame
    X: pd.DataFrame
    y: pd.Series
    identities: data.Identities
    contract: data.Contract
    code: data.FeatureCode
    definition: dict[str, Any]
    unread: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


def preprocess(snapshot: data.Snapshot, *, project: Project, accept_not_comparable: bool = False) -> data.Table:
    """Read the snapshot, by the contract of the model in production if it fits, label the rows, and check them.

    Examples:
        >>> table = preprocess(snapshot, project=project)
        >>> table.contract.target, len(table.rows)
        ('target', 600)
    """
    prior = None if accept_not_comparable else _contract_in_production(project)
    frame = data.load(snapshot, texts=data.texts_of(project.settings, prior))
    table = data.prepare(frame, settings=project.settings, code=data.current_code(project), prior=prior)
    gate.check_table(table.rows, target=table.contract.target, metrics=gate.recorded_metrics(project))
    return tested(table, fetched=len(frame), project=project)


def _contract_in_production(project: Project) -> data.Contract | None:
    registry = open_registry(project.settings)
    champion = registry.champion()
    try:
        return load_contract(registry, champion) if champion else None
    except ProjectError as error:  # the comparison will say so, and record it
        logger.info("The table is not read like the champion's: %s", error)
        return None


def preprocess_holdout(snapshot: data.Snapshot, table: data.Table, *, project: Project) -> data.Table:
    """Read the holdout's own source as the training table was read."""
    frame = data.load(snapshot, texts=table.contract.texts)
    holdout = data.prepare_like(frame, table, settings=project.settings)
    gate.check_table(holdout.rows, target=table.contract.target, metrics=gate.recorded_metrics(project))
    return holdout


def split(
    table: data.Table, *, project: Project, holdout: data.Table | None = None
) -> tuple[SplitSide, SplitSide | None, SplitSide]:
    """Hold out rows that the challenger is not trained on; return the training part, the gap, and the holdout.

    Examples:
        >>> training, gap, holdout = split(preprocess(snapshot, project=project), project=project)
        >>> len(training.rows) + len(holdout.rows), gap
        (600, None)
    """
    settings = project.settings
    sides = data.split(table, settings=settings.split, problem_type=settings.problem_type, holdout=holdout)
    gap = "" if sides.gap is None else f", {len(sides.gap):,} rows in the gap between them"
    logger.info("%s training rows, %s holdout rows%s", f"{len(sides.train):,}", f"{len(sides.holdout):,}", gap)
    if missing := [column for column in settings.gate.guard_slices if column not in sides.holdout]:
        raise ConfigurationError(
            f"Column {named(missing)} (gate.guard_slices) is not in the table, which has: {named(sides.holdout)}."
        )
    contract = table.contract
    if settings.problem_type == "classification":
        classes = sorted(sides.train[contract.target].unique().tolist(), key=lambda name: (str(type(name)), name))
        contract = dataclasses.replace(contract, classes=tuple(classes))
        if settings.data.positive is not None:  # it may be too rare to be learned
            gate.find_positive(settings.data.positive, classes)
        if settings.train.threshold is not None:
            check_classes(classes, positive=settings.data.positive)
    unread = tuple(
        data.describe_unread(name, cells, contract.columns[name]) for name, cells in table.report.unread.items()
    )
    unread += table.notes

    def part(rows: pd.DataFrame, identities: data.Identities) -> SplitSide:
        X = data.inputs(rows, contract=contract, code=table.code)
        y = rows[contract.target]
        return SplitSide(rows, X, y, identities, contract, table.code, sides.definition, unread, table.alarms)

    training, between = part(sides.train, sides.train_identities), None
    data.check_features(training.rows, training.X, contract=contract, code=table.code)
    if sides.gap is not None and sides.gap_identities is not None:
        between = part(sides.gap, sides.gap_identities)
    return (training, between, part(sides.holdout, sides.holdout_identities))
