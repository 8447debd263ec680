"""Test the table before training: by the tests of the team, and by the champion's training data."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .. import data
from ..errors import RegistryError
from ..project import Project
from ..registry import Damaged, open_registry
from ..settings import Settings

PROFILE = "profile.json"
FEWER = 0.5  # of the champion's rows
CERTAIN = 0.001  # how often a share that has not changed may be called changed


def tested(table: data.Table, *, fetched: int, project: Project) -> data.Table:
    """Return the table with its alarms, and with a note on how many of its rows have a label.

    Args:
        table: The table with labelled rows.
        fetched: The number of rows of the source.
        project: The project; its `data.tests` and its champion are used.

    Raises:
        DataTestError: it does not pass a test that is an error.
    """
    settings = project.settings
    warned = data.run_tests(table.rows, settings.data.tests)
    registry = open_registry(settings)
    try:
        champion = registry.champion()
    except Damaged:  # a damaged champion is what the comparison finds and says
        champion = None
    if champion is not None and PROFILE in champion.files:
        try:
            profile = json.loads(registry.read_file(champion, PROFILE))
        except RegistryError:
            profile = {}
        learned_from = sum(champion.lineage.get("rows", {}).values())
        warned += _profile_differences(table, profile, learned_from, settings)
    notes = (*table.notes, _describe_labels(table.rows, fetched, settings))
    return dataclasses.replace(table, alarms=(*table.alarms, *warned), notes=notes)


def _profile_differences(
    table: data.Table, profile: Mapping[str, Any], learned_from: int, settings: Settings
) -> Iterator[str]:
    """Yield how the table differs from the champion's training data: rows, missing cells, the share of each class."""
    rows, before = len(table.rows), profile.get("rows", 0)
    if rows < FEWER * learned_from:
        yield f"The table has {rows:,} rows with a label; the champion was trained on {learned_from:,}."
    if min(rows, before) < settings.monitor.minimum_rows:
        return
    for name, facts in profile.get("columns", {}).items():
        if name in table.rows.columns:
            missing = int(table.rows[name].isna().sum())
            if _share_changed((facts["nulls"], missing), (before, rows), settings):
                yield (
                    f"Column {name!r} is missing in {missing / rows:.1%} of the rows, against "
                    f"{facts['nulls'] / before:.1%} of the champion's training rows."
                )
    if settings.problem_type != "classification":  # the champion's may have been one
        return
    counts = table.rows[table.contract.target].map(str).value_counts()
    for name, count in profile.get("classes", {}).items():
        now = int(counts.get(name, 0))
        if _share_changed((count, now), (before, rows), settings):
            yield (
                f"Class {name!r} is {now / rows:.1%} of the rows, against {count / before:.1%} of the champion's"
                " training rows."
            )


def _share_changed(counts: tuple[int, int], rows: tuple[int, int], settings: Settings) -> bool:
    """Return whether a share changed by more than `monitor.rate_change`, and by more than chance explains."""
    from scipy.stats import norm

    shares, all_rows = np.array(counts) / np.array(rows), np.array(rows)
    together = sum(counts) / sum(rows)
    spread = np.sqrt(together * (1 - together) * (1 / all_rows).sum())
    change = abs(shares[1] - shares[0])
    return bool(change > settings.monitor.rate_change and 2 * norm.sf(change / max(spread, 1e-12)) < CERTAIN)


def _describe_labels(rows: pd.DataFrame, fetched: int, settings: Settings) -> str:
    """Say how many of the rows fetched have a label, and from when they are."""
    said = f"{len(rows):,} of {fetched:,} rows have a label ({min(1, len(rows) / max(1, fetched)):.0%})"
    column = settings.split.time_column
    if column not in rows.columns:
        return said + "."
    moments = pd.to_datetime(rows[column], utc=True, errors="coerce").dropna()
    if moments.empty:
        return said + "."
    return f"{said}, from {moments.min():%Y-%m-%d %H:%M} to {moments.max():%Y-%m-%d %H:%M} UTC ({column})."
